"""docs/explain.md and its Chinese half: what they show of `ask --explain` is what is written."""

import re
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agents.answer_screen import AnswerScreen
from rag.attribution import MOST_TOKENS
from rag.types import Attribution, Usage, Weighed
from tests.rag.leaning import ANSWER, CONTEXTS
from tests.rag.weighing_server import weighing_server

DOCS = Path(__file__).resolve().parents[2] / "docs"
FILES = {"en": DOCS / "explain.md", "zh": DOCS / "explain.zh.md"}
NAMES = ("honey.md", "hive.md", "dance.md")
WITHOUT = (-3.35, -3.75, -21.62)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_bars_that_are_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    monkeypatch.setenv("WAGGLE_LANG", language)
    contexts = tuple(replace(c, source=name) for c, name in zip(CONTEXTS, NAMES, strict=True))
    shares = (0.0, 0.33 / 18.53, 18.2 / 18.53)
    attributions = tuple(
        Attribution(number, -3.42, without, share)
        for number, (without, share) in enumerate(zip(WITHOUT, shares, strict=True), 1)
    )
    weighed = Weighed(-3.42, -24.11, 10, Usage(1884, 67), 3.2)
    AnswerScreen().explained(
        replace(ANSWER, contexts=contexts, attributions=attributions, weighed=weighed)
    )
    (shown,) = re.findall(r"```text\n(.*?)```", FILES[language].read_text("utf-8"), re.DOTALL)
    assert shown in capsys.readouterr().out
    assert f" {MOST_TOKENS} " in FILES[language].read_text("utf-8")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_command_explains(
    waggle: Callable[..., Any], shelf: Path, monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    monkeypatch.setenv("WAGGLE_LANG", language)
    blocks = re.findall(r"^\$ waggle (ask .*)$", FILES[language].read_text("utf-8"), re.MULTILINE)
    (command,) = blocks
    with weighing_server() as server:
        server.draft = "A run straight up the comb means fly straight toward the sun. [1]"
        done = waggle(*shlex.split(command), "--chat-url", server.url)
    assert done.code in (0, 3)
    assert {"en": "Scores of the passages", "zh": "各段落得分"}[language] in done.out
