import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from agents.attention_page import png
from tests.cli.conftest import Command

ENGLISH = "The colour of the flower tells the bees of the food."
HOSTILE = "bees <script>alert('x')</script> & \x1b[31m\"flowers\" \x00"


@pytest.fixture(autouse=True)
def _home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAGGLE_HOME", str(home))


def test_words_bars_and_heat_map_are_shown_without_colour(waggle: Command) -> None:
    done = waggle("explain", "attention", ENGLISH)
    assert done.code == 0
    assert done.out.startswith(ENGLISH)
    share = {m[1]: float(m[2]) for m in re.finditer(r"^(\S+) +([\d.]+)%", done.out, re.M)}
    assert share["bees"] > 5 * share["of"]
    assert "Half of the importance lies on: bees, food, flower." in done.out
    assert re.search(r"^ +9 bees( +[\d·]+){14}$", done.out, re.M)
    assert "\x1b" not in done.out


def test_importance_is_painted_on_a_terminal(
    waggle: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"FORCE_COLOR": "1", "TERM": "xterm", "COLORTERM": "truecolor"}.items():
        monkeypatch.setenv(name, value)
    done = waggle("explain", "attention", "the bees", "-q")
    assert re.search(r"\x1b\[30;48;2;245;158;11mbees\x1b\[0m", done.out)
    assert not re.search(r"\x1b\[30;48;2;245;158;11mthe", done.out)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "48;2" not in waggle("explain", "attention", "the bees", "-q").out


def test_unknown_characters_are_said_and_marked(
    waggle: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAGGLE_LANG", "zh")
    done = waggle("explain", "attention", "蜜蜂用舞蹈告诉同伴食物的方向。")
    assert "‹蜜蜂用舞蹈告诉›同‹伴›食‹物›的方‹向›。" in done.out
    assert "不认识这段文本 15 个词元中的 10 个" in done.out


def test_json_has_offsets_weights_and_the_map_of_the_layer(waggle: Command) -> None:
    found = waggle("explain", "attention", ENGLISH, "--against", "Nectar", "--layer", 2, "--json")
    shape = found.json
    first, second = shape["texts"]
    assert (first["map"], len(first["attention"]), second["text"]) == ("layer 2", 14, "Nectar")
    assert sum(token["importance"] for token in first["tokens"]) == pytest.approx(1)
    words = [t for t in first["tokens"] if t["kind"] == "word"]
    assert all(ENGLISH[t["start"] : t["end"]] == t["text"] for t in words)
    total = sum(map(sum, shape["likeness"]))
    assert total == pytest.approx(shape["similarity"], abs=1e-2)


def test_the_page_is_whole_and_what_the_text_says_stays_text(
    waggle: Command, tmp_path: Path
) -> None:
    path = tmp_path / "page.html"
    assert waggle("explain", "attention", HOSTILE, "--against", "<b>", "--html", path).code == 0
    page = path.read_text("utf-8")
    bodies = re.findall(r"<script[^>]*>(.*?)</script>", page, re.S)
    assert len(bodies) == 4  # the data of three maps, and the page's own
    assert all("alert" not in body or "\\u003c" in body for body in bodies)
    assert "<b>" not in page
    assert "\x00" not in page
    assert "\x1b" not in page
    assert "&lt;</mark>" in page
    assert not re.findall(r"(?:src|href)=\"(?!data:)", page)
    assert "http" not in re.sub(r"http-equiv", "", page)
    assert len(re.findall(r"<input type=radio[^>]* id=", page)) == 16
    assert page.count("data:image/png;base64,") == 17


def test_the_layer_that_is_asked_for_is_chosen_on_the_page(waggle: Command, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    waggle("explain", "attention", "bees", "--layer", 3, "--html", path)
    checked = re.findall(r'id="(\S+)" checked><label[^>]*>([^<]*)', path.read_text("utf-8"))
    assert checked == [("m0-4", "layer 3")]


def test_the_picture_is_an_image_that_shows_the_weights(waggle: Command, tmp_path: Path) -> None:
    from PIL import Image

    path = tmp_path / "picture"
    assert waggle("explain", "attention", ENGLISH, "--png", path, "-q").code == 0
    with Image.open(path) as image:
        assert image.format == "PNG"
        colours = {colour for _, colour in image.getcolors(1 << 20) or []}
    assert (245, 158, 11) in colours


def test_our_png_holds_the_pixels() -> None:
    pixels = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    data = png(pixels)
    assert struct.unpack(">II", data[16:24]) == (3, 2)
    length = struct.unpack(">I", data[33:37])[0]
    lines = zlib.decompress(data[41 : 41 + length])
    assert lines == b"\0" + pixels[0].tobytes() + b"\0" + pixels[1].tobytes()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [([""], 2), (["\u200b"], 2), (["bees", "--against", " "], 2), (["bees", "--layer", 9], 2),
     (["蜜蜂"], 1), (["bees", "--html", "/nowhere/at/all.html"], 1), ([], 2)],
)  # fmt: skip
def test_what_cannot_be_explained_is_one_sentence(
    waggle: Command, arguments: list[object], code: int
) -> None:
    done = waggle("explain", "attention", *arguments)
    assert done.code == code
    assert done.out == ""
    assert "Traceback" not in done.err
    assert 0 < done.err.count("\n") <= 2
