"""Reading sets, and choosing from them."""

import gzip
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexes.errors import SourceError, UsageError
from indexes.where import parse_where
from rag.evaluation.datasets import SETS, Dataset, Question, choose, half_of, load_dataset

SMALL = Path(__file__).resolve().parents[1] / "data" / "evaluation"


def rows_to(file: Path, rows: Iterable[dict[str, Any]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    data = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode()
    file.write_bytes(gzip.compress(data) if file.suffix == ".gz" else data)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAGGLE_EVAL_DATA", str(SMALL))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WAGGLE_EVAL_DATA", str(tmp_path))
    return tmp_path


def many(count: int, *, refusal: bool = False) -> Dataset:
    questions = [Question(f"q{n}", "?", "en", ("a",), answerable=not refusal or n % 3 > 0)
                 for n in range(count)]  # fmt: skip
    return Dataset("many", "0", tuple(questions), refusal=refusal)


# -- reading -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("small")
def test_paragraphs_questions_and_titles_for_people() -> None:
    dataset = load_dataset("squad_en")
    (corpus,) = dataset.corpora
    assert corpus.paragraphs[0].title == "Old kiln"
    first = dataset.questions[0]
    assert (first.answers, first.gold) == (("beech wood", "beech"), ("kiln",))
    assert Counter(q.answerable for q in dataset.questions) == {True: 6, False: 3}
    assert dataset.refusal


@pytest.mark.usefixtures("small")
def test_chinese_without_an_answer_is_made_by_hiding_the_gold_paragraph() -> None:
    dataset = load_dataset("cmrc2018_zh")
    without = [q for q in dataset.questions if not q.answerable]
    assert len(without) == len(dataset.questions) / 2
    assert without[0].where == 'not source in ("窑")'
    assert without[0].key == "z1" != without[0].id
    assert not without[0].answers
    for question in without:
        parse_where(question.where or "")


def test_two_languages_are_asked_across(folder: Path) -> None:
    rows_to(folder / "xquad_en_zh" / "corpus.jsonl", [
        {"id": "p-en", "title": "T", "text": "Bread.", "lang": "en"},
        {"id": "p-zh", "title": "T", "text": "面包。", "lang": "zh"},
    ])  # fmt: skip
    rows_to(folder / "xquad_en_zh" / "queries.jsonl", [
        {"id": "q-en", "question": "What?", "answers": ["Bread"], "gold": ["p-en"],
         "gold_other_language": ["p-zh"], "answerable": True, "lang": "en"},
    ])  # fmt: skip
    dataset = load_dataset("xquad_en_zh")
    asked = {q.group: (q.gold, q.lang) for q in dataset.questions}
    assert asked == {"en→en": (("p-en",), "en"), "en→zh": (("p-zh",), "en")}
    found = {c.group: [p.id for p in c.paragraphs] for c in dataset.corpora}
    assert found["en→zh"] == found["zh→zh"] == ["p-zh"]


def rgb(folder: Path) -> Dataset:
    noise = [f"noise {n}" for n in range(6)]
    refine = {"id": "r", "query": "?", "lang": "zh", "answer": ["12人"],
              "positive": [f"right {n}" for n in range(5)], "negative": noise}  # fmt: skip
    both = {**refine, "id": "i", "answer": ["8", ["9", "nine"]],
            "positive": [["a1", "a2"], ["b1", "b2", "b3"]]}  # fmt: skip
    fact = {"id": "f", "query": "?", "lang": "en", "answer": "Tampa", "fakeanswer": "Glendale",
            "positive": ["in Tampa"], "positive_wrong": ["in Glendale"],
            "negative": noise}  # fmt: skip
    rows_to(folder / "rgb" / "zh_refine.jsonl.gz", [refine])
    rows_to(folder / "rgb" / "zh_int.jsonl.gz", [both])
    rows_to(folder / "rgb" / "zh_fact.jsonl", [])
    rows_to(folder / "rgb" / "en_fact.jsonl", [fact])
    return load_dataset("rgb")


def test_rgb_is_asked_with_more_and_more_noise(folder: Path) -> None:
    dataset = rgb(folder)
    texts = {p.id: p.text for p in dataset.corpora[0].paragraphs}
    asked = {q.id: q for q in dataset.questions}

    def read(name: str) -> list[str]:
        where = asked[name].where or ""
        return [text for source, text in texts.items() if f'"{source}"' in where]

    assert sorted(read("r@noise-0.4"))[:2] == ["noise 0", "noise 1"]
    assert len(read("r@noise-0.4")) == 5
    assert sum("right" in text for text in read("r@noise-0.8")) == 1
    assert all("noise" in text for text in read("r@rejection"))
    assert not asked["r@rejection"].answerable
    assert asked["i@integration-0.6"].facts == (("8",), ("9", "nine"))
    assert set(read("i@integration-0.6")) >= {"a1", "b1"}
    assert "i@integration-0.8" not in asked  # one passage cannot tell both facts
    assert "in Glendale" in read("f@counterfactual")
    assert "in Tampa" not in read("f@counterfactual")
    assert asked["f@counterfactual"].wrong == ("Glendale",)


def test_pages_of_a_search_engine(folder: Path) -> None:
    page = {"title": "页", "paragraphs": ["一", "二"], "is_selected": True}
    rows_to(folder / "dureader_demo" / "dev.jsonl", [
        {"id": "du", "question": "问？", "answers": ["答"], "lang": "zh",
         "docs": [page, {**page, "is_selected": False}, {**page, "paragraphs": [" "]}]},
    ])  # fmt: skip
    dataset = load_dataset("dureader_demo")
    assert dataset.questions[0].gold == ("du/0",)
    assert [p.text for p in dataset.corpora[0].paragraphs] == ["一\n二"] * 2


def test_questions_of_the_users_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    rows_to(file, [
        {"question": "Who fires the kiln?", "answers": ["the potter"], "gold": ["kiln.md"]},
        {"question": "谁卖面包？", "answerable": False},
    ])  # fmt: skip
    first, second = load_dataset(str(file)).questions
    assert (first.lang, first.answers, first.gold) == ("en", ("the potter",), ("kiln.md",))
    assert (second.lang, second.answerable) == ("zh", False)
    assert load_dataset(str(file)).refusal


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b'{"question": "a?"}\n{"question": 3}', "line 2: question: "),
        (b'{"question": "a?", "answr": []}', "line 1: answr: "),
        (b'{"question": " "}', "line 1: the question is empty"),
        (b'{"question": "a?"}\n\n{"question": "a?"}', "line 2: the question is empty or stands"),
        (b"[1]", "line 1: it is not a JSON object"),
        (b"{", "line 1: "),
        (b"[" * 100_000, "line 1: "),
        (b"\xff\xfe", "cannot be read"),
        (b'{"question": "\\ud800"}', ""),
    ],
)
def test_a_bad_file_gets_one_sentence(tmp_path: Path, content: bytes, told: str) -> None:
    file = tmp_path / "mine.jsonl"
    file.write_bytes(content)
    if not told:
        assert len(load_dataset(str(file)).questions) == 1
        return
    with pytest.raises(SourceError, match=told) as caught:
        load_dataset(str(file))
    assert "\n" not in str(caught.value)


def test_a_set_of_another_shape_is_told(folder: Path) -> None:
    rows_to(folder / "squad_en" / "corpus.jsonl", [{"id": 1}])
    rows_to(folder / "squad_en" / "queries.jsonl", [{"id": "q"}])
    with pytest.raises(SourceError, match="not as expected"):
        load_dataset("squad_en")
    with pytest.raises(SourceError, match="cannot be read"):
        load_dataset("drcd_zht")


def test_what_is_neither_a_set_nor_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="squad_en"):
        load_dataset("squad_de")
    monkeypatch.setenv("WAGGLE_EVAL_DATA", "/nowhere")
    with pytest.raises(SourceError, match="WAGGLE_EVAL_DATA"):
        load_dataset("squad_en")


@pytest.mark.sets
@pytest.mark.parametrize("name", SETS)
def test_the_open_sets_can_be_read(name: str) -> None:
    dataset = open_set(name)
    known = {p.id for corpus in dataset.corpora for p in corpus.paragraphs}
    assert len({q.id for q in dataset.questions}) == len(dataset.questions) > 50
    for question in dataset.questions:
        assert set(question.gold) <= known
        assert not question.answerable or question.answers or question.facts
        if question.where:
            parse_where(question.where)


def open_set(name: str) -> Dataset:
    try:
        return load_dataset(name)
    except SourceError:
        pytest.skip("the evaluation sets are absent: set WAGGLE_EVAL_DATA to their folder")


# -- choosing ------------------------------------------------------------------------------------


@given(st.integers(1, 60), st.integers(1, 20), st.integers(0, 5), st.booleans(), st.randoms())
def test_the_choice_does_not_depend_on_the_order_of_the_file(
    count: int, limit: int, seed: int, refusal: bool, random: Any
) -> None:
    dataset = many(count, refusal=refusal)
    shuffled = list(dataset.questions)
    random.shuffle(shuffled)
    other = replace(dataset, questions=tuple(shuffled))
    assert choose(dataset, limit, "all", seed) == choose(other, limit, "all", seed)


@given(st.integers(1, 20), st.integers(0, 3))
def test_fewer_questions_are_a_part_of_more(limit: int, seed: int) -> None:
    dataset = many(100)
    few = {q.id for q in choose(dataset, limit, "all", seed)}
    assert len(few) == limit
    assert few < {q.id for q in choose(dataset, limit + 5, "all", seed)}


def test_as_many_with_an_answer_as_without_count_for_refusing() -> None:
    chosen = choose(many(300, refusal=True), 20, "all", 0)
    counted = Counter((q.answerable, q.refusal) for q in chosen)
    assert counted == {(True, True): 10, (True, False): 10, (False, True): 10}


def test_another_seed_chooses_others_and_the_halves_stay() -> None:
    dataset = many(400)
    a, b = ({q.id for q in choose(dataset, 20, "all", seed)} for seed in (0, 1))
    assert a != b
    tune, report = ({q.id for q in choose(dataset, None, half, 0)} for half in ("tune", "report"))
    assert not tune & report
    assert len(tune | report) == 400
    assert 150 < len(tune) < 250
    assert [half_of(f"q{n}") for n in range(4)] == ["report", "report", "tune", "report"]
