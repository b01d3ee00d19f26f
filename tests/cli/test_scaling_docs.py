"""docs/scaling.md shows commands with what they write, and a table of what fits: both are true."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from indexes.errors import ModelError
from rag.serving.hardware import Gpu
from rag.serving.layout import Wish, lay_out
from rag.serving.models import SERVED, ServedModel

Command = Callable[..., Any]

DOCS = Path(__file__).resolve().parents[2] / "docs"
FILES = {"en": DOCS / "scaling.md", "zh": DOCS / "scaling.zh.md"}
EXAMPLE = re.compile(
    r"```console\n\$ waggle (?P<command>[^\n]+)\n```\n\n" r"```\w+\n(?P<shown>.*?)```\n",
    re.DOTALL,
)
SIZES = (24, 48, 80)


def fitting(model: ServedModel, size: int) -> str:
    """The cell of the table for GPUs of ``size`` GB."""
    for count in (1, 2, 4, 8):
        gpus = [Gpu(index, "", size * 10**9) for index in range(count)]
        try:
            context = lay_out(model, gpus, Wish(gpus=count)).context
        except ModelError:
            continue
        return f"{context:,}" + (f" (×{count})" if count > 1 else "")
    return "–"


def table() -> str:
    return "\n".join(
        f"| `{model.name}` | {model.weight_bytes / 1e9:.1f} GB | "
        + " | ".join(fitting(model, size) for size in SIZES)
        + " |"
        for model in SERVED.values()
    )


def written(waggle: Command, home: Path, command: str) -> str:
    done = waggle(*shlex.split(command), "--home", home, "--quiet")
    assert done.code == 0, done.err
    return str(done.out)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_commands_write_what_is_shown(
    waggle: Command, home: Path, monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    monkeypatch.setenv("WAGGLE_LANG", language)
    examples = list(EXAMPLE.finditer(FILES[language].read_text("utf-8")))
    assert len(examples) == 8
    for example in examples:
        assert written(waggle, home, example["command"]) == example["shown"]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_table_says_what_is_planned(language: str) -> None:
    assert table() in FILES[language].read_text("utf-8")


def test_both_languages_show_the_same_commands() -> None:
    english, chinese = (EXAMPLE.finditer(file.read_text("utf-8")) for file in FILES.values())
    assert [e["command"] for e in english] == [e["command"] for e in chinese]
