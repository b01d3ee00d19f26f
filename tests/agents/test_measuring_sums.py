"""GSM8K: which number an answer comes to, and the two ways of getting there."""

import json
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.measuring.sums import GSM8K, is_right, numbers_in
from agents.measuring.types import Bench, Case, Done
from indexes.errors import EndpointError
from rag.models.chat import chat_model
from tests.agents.scripted_agent import ScriptedAgent, call, say

CASE = {"id": "g-1", "question": "Six boxes of 7 eggs, 3 broken: how many?", "answer": "39"}


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("There are 6 * 7 = 42 eggs, less 3 is 39.", "39"),
        ("39 eggs are whole [1].", "39"),
        ("The total is **$1,234.50**", "1234.5"),
        ("It costs $ 64", "64"),
        (r"So it is \boxed{18}.", "18"),
        ("18.00", "18"),
        ("It is −5 degrees", "-5"),
        ("16-3=13", "13"),
        ("一共 48 个", "48"),
    ],
)
def test_the_last_number_counts(answer: str, gold: str) -> None:
    assert is_right(answer, gold)


@pytest.mark.parametrize(
    ("answer", "gold"),
    [("", "3"), ("I don't know.", "3"), ("42, less 3", "39"), ("-39", "39"), ("390", "39"),
     ("about 38.9", "39"), ("It is 40. [39]", "39")],
)  # fmt: skip
def test_no_other_does(answer: str, gold: str) -> None:
    assert not is_right(answer, gold)


@given(
    st.decimals(-(10**9), 10**9, places=2, allow_nan=False), st.sampled_from(["", "$"]),
    st.sampled_from([".", "", " [2].", " dollars.", "**"]),
)  # fmt: skip
def test_a_number_is_read_as_it_was_written(value: Any, sign: str, end: str) -> None:
    told = f"{sign}{abs(value):,}"
    if value < 0:
        told = f"-{told}"
    assert numbers_in(f"Of 12 and 5, it is {told}{end}")[-1] == Fraction(value)


def test_with_the_calculator_and_without(tmp_path: Path) -> None:
    chat = ScriptedAgent(
        moves=[call("calculate", expression="6*7-3"), say("39")],
        closing="Six times seven is 42, so it is 40.",
    )
    done = _done(chat, tmp_path)
    with_it, without = done["with calculator"], done["without"]
    assert (with_it.figures["right"], with_it.figures["calculated"]) == (1.0, 1.0)
    assert with_it.figures["steps"] == 2.0
    assert with_it.usage.prompt_tokens == 200
    assert [one["tool"] for one in with_it.detail["steps"]] == ["calculate", None]
    assert without.figures == {"right": 0.0, "steps": 1.0}
    assert done["plain"].figures == {"right": 0.0}
    assert done["plain"].detail["answer"] == chat.closing
    assert done["plain"].usage.prompt_tokens == 100


def test_only_the_calculator_is_offered(tmp_path: Path) -> None:
    """What it cannot do is an outcome, and leaves nothing behind in the home."""
    chat = ScriptedAgent(moves=[call("search_documents", query="eggs"), say("I don't know.")])
    done = _done(chat, tmp_path)["with calculator"]
    assert done.figures["right"] == done.figures["calculated"] == 0.0
    assert "calculate" in done.detail["steps"][0]["error"]
    assert not (tmp_path / "home" / "agents").exists()


def test_a_server_that_is_away_is_no_outcome(tmp_path: Path) -> None:
    chat = chat_model("http://127.0.0.1:9/v1", "m", retry_seconds=0)
    (case,), bench = _cases(tmp_path), Bench(chat, tmp_path / "home", tmp_path)
    with GSM8K.trials(bench) as trials:
        for trial in trials:
            with pytest.raises(EndpointError):
                trial.do(case)


def _cases(folder: Path) -> Sequence[Case]:
    file = folder / "gsm8k" / "test.jsonl"
    file.parent.mkdir()
    file.write_text(json.dumps(CASE), "utf-8")
    return GSM8K.read(folder)


def _done(chat: Any, folder: Path) -> dict[str, Done]:
    (case,) = _cases(folder)
    with GSM8K.trials(Bench(chat, folder / "home", folder)) as trials:
        return {trial.name: trial.do(case) for trial in trials}
