"""ask --explain: what each leg gave each passage, and which the answer leans on."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.rag.weighing_server import KNOWN, UNKNOWN, Weigher, weighing_server

Command = Callable[..., Any]
QUESTION = "What does a run straight up the comb stand for?"
CLAIM = (
    "A run pointing 60 degrees to the right of straight up means: fly 60 degrees to the right of "
    "the sun"
)


@pytest.fixture
def server() -> Iterator[Weigher]:
    with weighing_server() as weigher:
        weigher.draft = f"{CLAIM} [1]."
        yield weigher


@pytest.fixture
def ask(waggle: Command, shelf: Path, server: Weigher) -> Command:
    def run(*arguments: object) -> Any:
        return waggle("ask", QUESTION, "-k", "3", *arguments, "--chat-url", server.url)

    return run


def test_the_shares_are_bars(ask: Command, server: Weigher) -> None:
    found = ask("--explain", "--json").json
    shown = ask("--explain").out
    best = max(found["attributions"], key=lambda one: one["share"])
    assert best["difference"] == pytest.approx(best["with_all"] - best["without"]) != 0
    assert found["contexts"][best["number"] - 1]["source"].endswith("waggle-dance.md")

    _, _, why = shown.partition("What the answer leans on\n")
    bars = re.findall(r"^\[(\d)\] (.{20}) +(\d+)% +([+-]\d+\.\d\d)  (\S+)", why, re.MULTILINE)
    assert [(int(n), int(share)) for n, _, share, _, _ in bars] == [
        (one["number"], round(100 * one["share"])) for one in found["attributions"]
    ]
    lengths = {int(n): bar.count("█") for n, bar, *_ in bars}
    assert lengths[best["number"]] == int(20 * best["share"])
    assert [gain for *_, gain, _ in bars] == [f"{a['difference']:+.2f}" for a in
                                              found["attributions"]]  # fmt: skip
    weighed = found["weighed"]
    lost = f"{weighed['with_all'] - weighed['with_none']:.2f}"
    assert f"without any it loses {lost}." in why
    assert weighed["with_none"] == pytest.approx(weighed["tokens"] * UNKNOWN)
    assert weighed["with_all"] == pytest.approx(weighed["tokens"] * KNOWN)
    read = weighed["usage"]["prompt_tokens"]
    assert re.search(rf"This cost {read} tokens read, \d+ written, \d+\.\d s\.", why)


def test_in_chinese(ask: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAGGLE_LANG", "zh")
    shown = ask("--explain").out
    assert "\n答案依据的段落\n[1] " in shown
    assert "计算用去：" in shown
    assert "各段落得分\n" in shown


def test_only_where_an_explanation_is_asked_for(ask: Command, server: Weigher) -> None:
    found = ask("--json").json
    assert not {"attributions", "weighed", "scores", "steps"} & set(found)
    assert "leans on" not in ask().out
    assert server.weighings == []


def test_a_server_that_does_not_tell(ask: Command, server: Weigher) -> None:
    server.kind = "none"
    done = ask("--explain")
    assert done.code == 0
    assert CLAIM in done.out
    assert done.out.count("gives no log-probabilities of a given text.\n") == 1
    assert "How it was found" in done.out
    assert "What the answer leans on" not in done.out
    assert not {"attributions", "weighed"} & set(ask("--explain", "--json").json)


def test_the_scores_of_each_leg(ask: Command) -> None:
    found = ask("--explain", "--json").json
    scores, passages = found["scores"], found["contexts"]
    assert [one["number"] for one in scores] == [1, 2, 3]
    assert [one["fused"] for one in scores] == [one["score"] for one in passages]
    assert all(one["dense"] and one["reranked"] is None for one in scores)

    _, _, table = ask("--explain").out.partition("Scores of the passages\n")
    head, *rows = table.splitlines()[:4]
    assert head.split() == ["meaning", "words", "merged", "reranked", "passage"]
    for row, one in zip(rows, scores, strict=True):
        cells = [f"[{one['number']}]", f"{one['dense']:.3f}", f"{one['lexical']:.2f}",
                 f"{one['fused']:.3f}", "–"]  # fmt: skip
        assert row.split()[:5] == cells
