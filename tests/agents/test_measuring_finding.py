"""What a run finds, beside one search for as many passages."""

import json
from pathlib import Path
from typing import Any

from agents.measuring.finding import HOTPOT, TAU2, recall, tells
from agents.measuring.types import Bench, Done, TaskSet
from tests.agents.scripted_agent import ScriptedAgent, call, say

DOCUMENTS = {
    "bees": "Bees dance to tell where flowers are.",
    "frisch": "Karl von Frisch decoded the dance of bees.",
    "vienna": "Vienna is where von Frisch was born.",
    "cake": "A cake needs flour, eggs and sugar.",
    **{f"bees {n}": f"What bees dance {n} times, the person saw in that city." for n in range(12)},
}
QUESTION = "In which city was the person born who decoded what bees dance?"


def test_recall() -> None:
    assert recall(["a", "b", "c"], ["b", "d"]) == 0.5
    assert recall([], ["b"]) == 0.0


def test_the_words_of_an_answer_stand_together() -> None:
    assert tells("He was born in Bath, Maine [1].", ["Bath, Maine"])
    assert not tells("He was born in Maine, at Bath.", ["Bath, Maine"])
    assert not tells("He bathed.", ["Bath", ""])


def test_two_searches_find_what_one_does_not(tmp_path: Path, home: Path, embedder: Any) -> None:
    """Each for five passages; the one search for as many as both."""
    searched = [
        call("search_documents", query=text)
        for text in ("A cake needs flour, eggs", "Vienna is where von Frisch was born")
    ]
    _write(tmp_path, "hotpot_sample", "queries", question=QUESTION, gold=["vienna", "cake"],
           answers=["Vienna"])  # fmt: skip
    done = _done(HOTPOT, ScriptedAgent(moves=[*searched, say("In Vienna. [2]")]), tmp_path, home)
    assert {"cake", "vienna"} < set(done.detail["found"])
    assert len(done.detail["once"]) == done.figures["passages"] > 5.0
    assert done.figures["searches"] == 2.0
    assert (done.figures["recall"], done.figures["all found"]) == (1.0, 1.0)
    assert done.figures["recall of one search"] < 1.0
    assert done.figures["all found by one search"] == 0.0
    assert done.figures["all found in 10"] == 0.0
    assert done.figures["gain"] == 1.0 - done.figures["recall of one search"]
    assert done.figures["answered"] == 1.0


def test_who_does_not_search_finds_nothing(tmp_path: Path, home: Path, embedder: Any) -> None:
    _write(tmp_path, "tau2_banking", "tasks", instructions="I lost my {card}.", gold=["bees"])
    done = _done(TAU2, ScriptedAgent(moves=[say("Call us.")]), tmp_path, home)
    assert done.figures["recall"] == done.figures["gain"] == done.figures["passages"] == 0.0
    assert "answered" not in done.figures
    assert done.detail["goal"].endswith("I lost my {card}.")


def test_the_documents_are_indexed_once(tmp_path: Path, home: Path, embedder: Any) -> None:
    _write(tmp_path, "tau2_banking", "tasks", instructions="I lost my card.", gold=["bees"])
    for _ in range(2):
        _done(TAU2, ScriptedAgent(moves=[say("Call us.")]), tmp_path, home)
    kept = home / "evaluations" / "collections"
    assert len(list(kept.iterdir())) == 1


def _write(folder: Path, corpus: str, cases: str, **case: Any) -> None:
    place = folder / corpus
    place.mkdir()
    rows = [{"id": name, "title": name, "text": text} for name, text in DOCUMENTS.items()]
    (place / "corpus.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    (place / f"{cases}.jsonl").write_text(json.dumps({"id": "c-1", **case}), "utf-8")


def _done(taskset: TaskSet, chat: Any, folder: Path, home: Path) -> Done:
    (case,) = taskset.read(folder)
    with taskset.trials(Bench(chat, home, folder)) as (trial,):
        return trial.do(case)
