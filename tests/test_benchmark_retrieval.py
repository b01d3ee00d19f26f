"""The retrieval benchmark: its figures by hand, its data, and a run through the real search."""

import json
from collections.abc import Mapping, Sequence
from math import log2
from pathlib import Path

import numpy as np
import pytest

from benchmarks.report import Result
from benchmarks.retrieval import fill, judge, main, measure
from benchmarks.sets import Task, tasks
from indexes.collection import Collection
from rag.evaluation.ranking import NAMES, distinct, evaluate, reciprocal_rank_fusion
from rag.evaluation.statistics import interval

PARAGRAPHS = [
    {"id": "kiln", "title": "Old_kiln", "text": "The potter fires the kiln with beech wood."},
    {"id": "mill", "title": "Water_mill", "text": "The miller repaired the wheel after the flood."},
    {"id": "窑", "title": "老窑", "text": "陶工用榉木烧窑，要烧三天三夜。"},
    {"id": "磨坊", "title": "水磨坊", "text": "洪水过后，磨坊主修好了水轮。"},
]
QUESTIONS = [
    {"id": "1", "question": "Which wood heats the kiln?", "gold": ["kiln"], "answerable": True},
    {"id": "2", "question": "Who owns the bakery?", "gold": [], "answerable": False},
    {"id": "3", "question": "谁修好了水轮？", "gold": ["磨坊"], "answerable": True},
]


def written(
    folder: Path, name: str, corpus: Sequence[Mapping[str, object]], queries: Sequence[object]
) -> Path:
    (folder / name).mkdir(parents=True)
    for file, rows in (("corpus.jsonl", corpus), ("queries.jsonl", queries)):
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
        (folder / name / file).write_text("\n".join(lines), encoding="utf-8")
    return folder


def test_figures_are_those_computed_by_hand() -> None:
    gold = {"first": ["a"], "third": ["a"], "absent": ["a"], "eleventh": ["a"], "two": ["a", "b"]}
    found = {
        "first": ["a", "b"],
        "third": ["x", "y", "a"],
        "eleventh": [*"bcdefghijk", "a"],
        "two": ["b", "x", "y", "z", "w", "a"],
    }
    values = {name: column.tolist() for name, column in evaluate(gold, found).items()}
    assert values["R@1"] == [1, 0, 0, 0, 0.5]
    assert values["R@5"] == [1, 1, 0, 0, 0.5]
    assert values["RR@10"] == pytest.approx([1, 1 / 3, 0, 0, 1])
    two = (1 + 1 / log2(6 + 1)) / (1 + 1 / log2(2 + 1))
    assert values["nDCG@10"] == pytest.approx([1, 1 / 2, 0, 0, two], abs=1e-6)
    assert values["all gold@10"] == [1, 1, 0, 0, 1]


def test_half_of_the_gold_is_not_all_of_it() -> None:
    values = evaluate({"q": ["a", "b"]}, {"q": ["a", "x"]})
    assert values["all gold@10"].tolist() == [0]


def test_an_interval_holds_the_mean_and_is_the_same_each_time() -> None:
    values = evaluate({str(n): ["a"] for n in range(40)}, {str(n): ["a"] for n in range(30)})
    low, high = interval(values["R@1"])
    # The standard error of 30 of 40 is 0.068.
    assert low == pytest.approx(0.75 - 1.96 * 0.068, abs=0.03)
    assert high == pytest.approx(0.75 + 1.96 * 0.068, abs=0.03)
    assert (low, high) == interval(values["R@1"])


def test_reciprocal_rank_fusion_by_hand() -> None:
    # b: 1/62 + 1/61, a: 1/61, c: 1/62, d: 1/63
    assert reciprocal_rank_fusion([["a", "b", "d"], ["b", "c"]]) == ["b", "a", "c", "d"]
    assert distinct(["a", "b", "a", "c", "b"]) == ["a", "b", "c"]


def test_a_set_is_measured_through_the_real_search(tmp_path: Path, collection: Collection) -> None:
    folder = written(tmp_path / "sets", "squad_en", PARAGRAPHS, QUESTIONS)
    (task,) = tasks(folder, "squad_en")
    assert [question.id for question in task.questions] == ["1", "3"]
    assert task.paragraphs[0].title == "Old kiln"
    fill(collection, task.paragraphs)
    results = {result.system: result for result in measure(collection, task)}
    assert list(results) == ["lexical", "dense", "rrf", "hybrid"]
    assert results["lexical"].mean("R@1") == results["hybrid"].mean("R@1") == 1.0
    assert results["hybrid"].values["RR@10"].tolist() == [1.0, 1.0]
    assert len(results["hybrid"].seconds) == 2


def test_two_languages_give_four_tasks(tmp_path: Path) -> None:
    corpus = [
        {**p, "lang": lang} for p, lang in zip(PARAGRAPHS, ("en", "en", "zh", "zh"), strict=True)
    ]
    english = {**QUESTIONS[0], "lang": "en", "gold_other_language": ["窑"]}
    chinese = {**QUESTIONS[2], "lang": "zh", "gold_other_language": ["mill"]}
    folder = written(tmp_path, "xquad_en_zh", corpus, [english, chinese])
    found: dict[str, Task] = {task.name: task for task in tasks(folder, "xquad_en_zh")}
    assert {name: task.questions[0].gold for name, task in found.items()} == {
        "xquad_en_zh en→en": ("kiln",),
        "xquad_en_zh en→zh": ("窑",),
        "xquad_en_zh zh→en": ("mill",),
        "xquad_en_zh zh→zh": ("磨坊",),
    }
    assert [p.id for p in found["xquad_en_zh zh→en"].paragraphs] == ["kiln", "mill"]


@pytest.mark.parametrize("present", [True, False])
def test_absent_sets_give_one_sentence_and_their_own_status(
    present: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "sets"
    if present:
        folder.mkdir()
    monkeypatch.setenv("WAGGLE_EVAL_DATA", str(folder))
    assert main(["--sets", "squad_en"]) == 2
    printed = capsys.readouterr()
    corpus = folder / "squad_en" / "corpus.jsonl"
    told = f"{corpus} cannot be read" if present else f"The evaluation sets are not in {folder}."
    assert printed.err.startswith(told)
    assert "Set WAGGLE_EVAL_DATA" in printed.err
    assert len(printed.err.splitlines()) == 1
    assert printed.out == ""


@pytest.mark.parametrize(("right", "verdict"), [(986, True), (984, False)])
def test_a_missed_bar_is_told(
    right: int, verdict: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    values = np.array([1.0] * right + [0.0] * (1000 - right))
    assert judge([Result("cmrc2018_zh", "hybrid", dict.fromkeys(NAMES, values))]) is verdict
    assert ("DOES NOT HOLD" in capsys.readouterr().out) is not verdict
