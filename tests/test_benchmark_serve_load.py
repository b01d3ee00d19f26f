"""The load benchmark: its figures by hand, its section, and a run with a few streams."""

from pathlib import Path

import pytest

from benchmarks.load.__main__ import main, measured, options_of
from benchmarks.load.asking import Asked
from benchmarks.load.figures import (
    Bar,
    Indexing,
    Leaving,
    Overload,
    Result,
    Sample,
    Soak,
    Streams,
    slope,
    soaked,
    streams,
)
from benchmarks.load.page import BEGIN, END, insert, section
from benchmarks.load.stub import sentences

SENTENCES = ["Bees dance on the comb.", "They sleep at night in the hive."]
PROMPT = (
    "<p>\n[1] Bees\n# Bees\n\nBees dance on the comb in the hive. Yes.\n</p>\n\n"
    "<p>\n[2] Night\nThey sleep at night in the hive.\n</p>\n"
)
ABOUT = {
    "date": "2026-01-01", "machine": "two cores", "others": 0.25, "versions": "a 1",
    "pace_ms": 20.0, "each": 3, "rate": 20.0, "documents": 200, "slots": 200, "queue": 64,
    "wanted_tokens": 128,
}  # fmt: skip


def asked(**changes: object) -> Asked:
    text = " [1] ".join(SENTENCES)
    pieces = [(101.0, len(SENTENCES[0]) + 4), (103.0, len(text))]
    values = {"ref": "a", "sent": 100.0, "status": 200, "pieces": pieces, "text": text,
              "ended": 104.0, "whole": True, "cited": True, **changes}  # fmt: skip
    return Asked(**values)  # type: ignore[arg-type]


def seen() -> dict[str, object]:
    return {"ref": "a", "sentences": SENTENCES, "sent": [100.9, 102.5], "tokens": 10,
            "began": 100.2, "done": 102.5, "left": None}  # fmt: skip


def test_figures_are_those_computed_by_hand() -> None:
    found = streams("Waggle", 1, [asked()], [seen()], 0.1, 0.5)
    # 4 s for 10 tokens of 0.1 s: 3 s too long; the sentences came 0.1 s and 0.5 s late
    assert found.overhead == pytest.approx((300, 300))
    assert found.delay[0] == pytest.approx(300)
    assert (found.answers, found.dropped, found.incomplete, found.uncited) == (1, 0, 0, 0)
    assert found.cpu_ms == pytest.approx(500)


@pytest.mark.parametrize(
    ("changes", "lost"),
    [({"text": "Bees dance on the comb. [1]"}, "incomplete"), ({"cited": False}, "uncited")],
)
def test_a_bar_falls_where_something_of_an_answer_is_missing(
    changes: dict[str, object], lost: str
) -> None:
    pieces = [(101.0, 200)]
    found = streams("Waggle", 1, [asked(pieces=pieces, **changes)], [seen()], 0.1, 0.5)
    assert getattr(found, lost) == 1
    assert not Result([found]).bars()[0].held


def test_a_stream_that_broke_off_is_dropped() -> None:
    broken = asked(ref="b", whole=False)
    found = streams("Waggle", 2, [asked(), broken], [seen()], 0.1, 0.5)
    assert found.dropped == 1


def test_growth_of_a_soak_is_seen_and_a_leap_is_not() -> None:
    steady = [Sample(float(n), 100 + (n == 40) * 50, 10, 5, 0) for n in range(90)]
    growing = [Sample(float(n), 100 + n, 10 + n, 5, 0) for n in range(90)]
    assert slope(steady) == 0
    assert slope(growing) == pytest.approx(1)
    found = soaked(growing, 30, 8, [asked()])
    assert [bar.held for bar in Result(soak=found).bars()] == [True, False, False]
    assert all(bar.held for bar in Result(soak=soaked(steady, 30, 8, [asked()])).bars())


def test_the_stub_copies_whole_sentences_with_the_number_of_their_passage() -> None:
    assert sentences(PROMPT, 100) == [
        ("Bees dance on the comb in the hive.", 1), ("They sleep at night in the hive.", 2)
    ]  # fmt: skip
    assert len(sentences(PROMPT, 3)) == 1


def result() -> Result:
    one = Streams("Waggle", 200, 600, 0, 0, 0, 140.0, 60.0, (10.0, 20.0), (100.0, 300.0),
                  (1.0, 2.0), 70.0, 0.0)  # fmt: skip
    peer = Streams("Hayhooks", 200, 600, 0, 0, 600, 140.0, 60.0, (5.0, 10.0), (30.0, 60.0),
                   (1.0, 2.0), 70.0, 0.0)  # fmt: skip
    return Result(
        [one, peer], Indexing(10, 9, 3.0), Leaving(20, 0.1, 0.2),
        Overload(200, 64, 2000, {200: 264, 429: 1735, 503: 1}, 0, 0.2, 3.0, 3.1, 4.0),
        Soak(30, 8, 1000, 0, 3.0, (400, 402), 0, 0, 0),
    )  # fmt: skip


def test_both_sections_tell_what_holds_and_what_does_not(tmp_path: Path) -> None:
    english, chinese = (section(result(), ABOUT, lang) for lang in ("en", "zh"))
    assert "| all uploads indexed meanwhile | 9 of 10 | **missed** |" in english
    assert "1735 × 429, 1 × 503 | **missed** |" in english
    assert "is 2.00 times that of Hayhooks" in english
    assert "| 其间的上传全部索引 | 9 of 10 | **未达到** |" in chinese
    assert "是 Hayhooks 的 2.00 倍" in chinese
    names = [bar.name for bar in result().bars()]
    assert all(name in english for name in names)
    assert not [name for name in names if name in chinese]
    page = tmp_path / "page.md"
    page.write_text("# Page\n", "utf-8")
    insert(page, english)
    page.write_text(page.read_text("utf-8") + "\n## After\n", "utf-8")
    insert(page, english.replace("two cores", "four cores"))
    text = page.read_text("utf-8")
    assert text.startswith(f"# Page\n\n{BEGIN}")
    assert text.endswith(f"{END}\n\n## After\n")
    assert (text.count("four cores"), text.count(BEGIN)) == (1, 1)


def test_the_exit_status_tells_of_a_missed_bar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("benchmarks.load.__main__.measured", lambda *_: result())
    assert main(["--quick"]) == 1
    told = capsys.readouterr().out
    assert "FAIL  all uploads indexed meanwhile: 9 of 10" in told
    monkeypatch.setattr(Result, "bars", lambda _: [Bar("a", True, "b")])
    assert main(["--quick"]) == 0


def test_a_few_streams_are_measured(home: Path, tmp_path: Path) -> None:
    only = ["streams", "indexing", "leaving", "overload"]
    options = options_of(["--quick", "--pace", "0.01", "--home", str(home), "--only", *only])
    (work := tmp_path / "work").mkdir()
    found = measured(options, work)
    assert [one.label for one in found.streams] == ["Waggle", "Waggle, indexing meanwhile"]
    for one in found.streams:
        assert (one.answers, one.dropped, one.incomplete, one.uncited) == (4, 0, 0, 0)
        assert one.overhead[0] > 0
    assert found.indexing is not None
    assert found.indexing.indexed == found.indexing.uploaded > 0
    assert found.leaving is not None
    assert max(found.leaving.slots, found.leaving.model) < 30
    assert found.overload is not None
    assert set(found.overload.statuses) == {200, 429}
    assert found.overload.silent == 0
