"""Lexical analysis: what must find what."""

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import tantivy
from hypothesis import given
from hypothesis import strategies as st
from tantivy import Occur, Query

from indexes.words import WeightedTerm, phrases, query_terms, terms

SETS = Path(
    os.environ.get(
        "WAGGLE_EVAL_DATA", Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
    )
)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("running", "He runs every day"),
        ("NORMANS", "a Norman knight"),
        ("besancon", "the watchmakers of Besançon"),
        ("ﬁnance", "finance"),
        ("Ｆｕｌｌ ｗｉｄｔｈ", "full width"),
        ("Frank", "Frank’s house"),
        ("http server", "class HTTPServer"),
        ("case", "snake_case_name"),
        ("snake_case_name", "call snake_case_name()"),
        ("maxTokens", "the option maxtokens"),
        ("qwen", "Qwen2.5-Coder"),
        ("1.2.3", "released v1.2.3 and 1.2.3."),
        ("1200", "it cost $1,200"),
        ("2024", "on 2024-03-05"),
        ("ann@example.org", "write to ann@example.org."),
        ("example", "write to ann@example.org."),
        ("C++", "written in C++ and Rust"),
        ("漢語", "汉语是一种语言"),
        ("软件", "軟體與軟件"),
        ("王小明", "昨天王小明来了"),
        ("小明", "昨天王小明来了"),
        ("茶", "他们喝茶"),
        ("学术", "对梵语的学术研究"),
        ("カタカナ", "これはカタカナです"),
        ("한국", "한국어를 배운다"),
        ("ПРИВЕТ", "привет, мир"),
        ("हिन्दी", "हिन्दी भाषा"),
    ],
)
def test_the_query_finds_the_text(query: str, text: str) -> None:
    assert set(terms(query)) & set(terms(text))


@pytest.mark.parametrize(
    ("one", "other"),
    [("C++", "C#"), ("1.2.3", "1.2.4"), ("university", "organisation"), ("北京", "南宁")],
)
def test_different_things_stay_different(one: str, other: str) -> None:
    assert terms(one)[0] not in terms(other)


def test_an_identifier_is_kept_whole_and_in_parts() -> None:
    assert terms("getHTTPHeader") == ["gethttphead", "get", "http", "header"]
    assert terms("B2B") == ["b2b"]
    assert terms("10th") == ["10th"]
    assert terms("Frank’s") == ["frank"]
    assert terms("1,234,567.5") == ["1234567.5"]
    assert terms("red,green") == ["red", "green"]


def test_chinese_is_words_pairs_and_characters() -> None:
    assert terms("學術研究") == ["学术研究", "学术", "术研", "研究", "学", "术", "研", "究"]


def test_data_is_not_a_word() -> None:
    assert terms("a" * 65) == []
    assert terms("QUJD" * 30) == []
    assert terms("a" * 64) == ["a" * 64]


def test_neighbours_become_phrases_only_where_spaces_are_written() -> None:
    assert phrases(["new", "york", "市", "c++"]) == ["new_york"]
    assert phrases([]) == []


def test_a_query_leaves_out_empty_words_and_looks_for_phrases() -> None:
    assert query_terms("What is the capital of New York?") == [
        WeightedTerm("body", "capit", 1.0),
        WeightedTerm("body", "new", 1.0),
        WeightedTerm("body", "york", 1.0),
        WeightedTerm("phrases", "the_capit", 0.15),
        WeightedTerm("phrases", "capit_of", 0.15),
        WeightedTerm("phrases", "of_new", 0.15),
        WeightedTerm("phrases", "new_york", 0.15),
    ]
    assert "是" not in [t.text for t in query_terms("首都是什么")]
    assert "首都" in [t.text for t in query_terms("首都是什么")]


def test_a_name_among_han_characters_outweighs_each_of_their_terms() -> None:
    boosts = {t.text: t.boost for t in query_terms("城巴11线的BCPL")}
    assert boosts["11"] == boosts["bcpl"] == 3 * boosts["城巴"]
    assert {t.boost for t in query_terms("bus 11") if t.field == "body"} == {1.0}


@pytest.mark.parametrize("query", ["The Who", "to be or not to be", "什么"])
def test_a_query_of_nothing_but_empty_words_still_asks(query: str) -> None:
    asked = [t.text for t in query_terms(query) if t.field == "body"]
    assert asked == list(dict.fromkeys(terms(query)))
    assert asked


@pytest.mark.parametrize("query", ["", "   ", "?!…", "🙂", "\x00\ud800"])
def test_a_query_without_words_asks_nothing(query: str) -> None:
    assert query_terms(query) == []


@given(st.text())
def test_terms_are_clean_and_the_same_in_any_case(text: str) -> None:
    for term in terms(text):
        assert term
        assert len(term) <= 64 * 4
        assert not any(c.isspace() for c in term)
        assert len(term.split()) == 1


@given(st.text(st.characters(codec="utf-8")))
def test_every_term_of_a_text_is_found_by_the_text_itself(text: str) -> None:
    asked = {t.text for t in query_terms(text) if t.field == "body"}
    assert asked <= set(terms(text))
    assert bool(asked) == bool(terms(text))


@given(st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF), min_size=2, max_size=30))
def test_any_part_of_a_chinese_run_is_found(run: str) -> None:
    whole = set(terms(run))
    assert set(terms(run[1:3])) & whole


def test_threads_get_the_same_terms() -> None:
    texts = [f"running dog{n} in the parks of 北京市" for n in range(200)] * 5
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(terms, texts)) == [terms(text) for text in texts]


def _read(name: str, file: str) -> list[dict[str, object]]:
    path = SETS / name / file
    if not path.is_file():
        pytest.skip(f"the evaluation set {name} is not on this machine")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _index(texts: Sequence[str]) -> tantivy.Index:
    builder = tantivy.SchemaBuilder()
    builder.add_unsigned_field("number", fast=True)
    for field in ("body", "phrases"):
        builder.add_text_field(field, tokenizer_name="whitespace", index_option="freq")
    index = tantivy.Index(builder.build())
    writer = index.writer(64_000_000, 1)
    for number, text in enumerate(texts):
        found = terms(text)
        body, pairs = " ".join(found), " ".join(phrases(found))
        document = tantivy.Document(body=body, phrases=pairs)
        document.add_unsigned("number", number)
        writer.add_document(document)
    writer.commit()
    index.reload()
    return index


def _first(index: tantivy.Index, question: str) -> int | None:
    clauses = [
        (
            Occur.Should,
            Query.boost_query(Query.term_query(index.schema, t.field, t.text, "freq"), t.boost),
        )
        for t in query_terms(question)
    ]
    searcher = index.searcher()
    hits = searcher.search(Query.boolean_query(clauses), 1, count=False).hits
    numbers = searcher.fast_field_values("number", [address for _, address in hits])
    return int(numbers[0] or 0) if numbers else None


@pytest.mark.sets
@pytest.mark.parametrize(
    ("name", "bar"), [("squad_en", 0.86), ("cmrc2018_zh", 0.98), ("drcd_zht", 0.954)]
)
def test_bm25_on_these_terms_puts_the_right_paragraph_first(name: str, bar: float) -> None:
    corpus, queries = _read(name, "corpus.jsonl"), _read(name, "queries.jsonl")
    index = _index([str(document["text"]) for document in corpus])
    asked = [query for query in queries if query["answerable"]]
    right = 0
    for query in asked:
        first = _first(index, str(query["question"]))
        right += first is not None and corpus[first]["id"] in list(query["gold"])  # type: ignore[call-overload]
    assert right / len(asked) >= bar
