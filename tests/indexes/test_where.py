import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexes.collection import Collection
from indexes.errors import UsageError
from indexes.where import parse_where


@pytest.fixture
def notes(collection: Collection) -> Collection:
    collection.add_texts(
        ["Honey from lime trees.", "Honey from heather.", "荔枝蜜来自广东。"],
        [
            {"year": 2023, "author": "Ada", "draft": False},
            {"year": 2024, "author": "Björn", "draft": True},
            {"year": 2025, "author": "陈远"},
        ],
        ["/notes/reports/lime.txt", "/notes/reports/old/heather.txt", "/notes/荔枝.txt"],
    )
    return collection


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("year >= 2024", {"heather", "荔枝"}),
        ("year = 2023", {"lime"}),
        ("year != 2023 and not year > 2024", {"heather"}),
        ("year in (2023, 2025)", {"lime", "荔枝"}),
        ("year not in (2023, 2025)", {"heather"}),
        ('author = "陈远" or author = "Ada"', {"lime", "荔枝"}),
        ('author like "B*"', {"heather"}),
        ("author = 'Ada'", {"lime"}),
        ('source like "reports/*"', {"lime", "heather"}),
        ('source like "/notes/*.txt" and lang = "zh"', {"荔枝"}),
        ('source like "*l[im]e*"', set()),
        ("draft = true", {"heather"}),
        ("draft = false", {"lime"}),
        ("not draft = true", {"lime", "荔枝"}),
        ("missing = 1", set()),
        ("missing != 1", set()),
        ("(year = 2023 or year = 2024) and (author = 'Ada')", {"lime"}),
        ("YEAR = 2023 AND NOT author = 'x'", {"lime"}),
        ("year >= 2023.5", {"heather", "荔枝"}),
        ("size > 99999999999999999999999", set()),
    ],
)
@pytest.mark.parametrize("mode", ["hybrid", "dense", "lexical"])
def test_a_filter_selects_inside_the_search(
    notes: Collection, where: str, found: set[str], mode: str
) -> None:
    query = "honey lime heather 荔枝蜜"
    results = notes.search(query, 10, where=where, mode=mode).results  # type: ignore[arg-type]
    assert {r.source.rpartition("/")[2].removesuffix(".txt") for r in results} == found


def test_k_results_come_back_when_k_match(collection: Collection) -> None:
    texts = [f"Hive {number} gave honey." for number in range(300)]
    metadata = [{"kept": number % 15 == 7} for number in range(300)]
    collection.add_texts(texts, metadata)
    for mode in ("hybrid", "dense", "lexical"):
        found = collection.search("hive honey", 20, where="kept = true", mode=mode)
        assert len(found.results) == 20
        assert all(r.metadata["kept"] for r in found.results)


@pytest.mark.parametrize(
    "where",
    ["", " ", "year", "year >", "year 2024", "(year = 1", "year = 1)", "year = 1 year = 2", "= 1",
     "year in ()", "year in (1", 'a = "open', "a like", "year = two", "not", "and", "a ~ 1",
     "a == ==", "(" * 200 + "a = 1" + ")" * 200, "a = 1 or " * 2000],
)  # fmt: skip
def test_a_filter_that_cannot_be_read_is_refused_in_one_sentence(where: str) -> None:
    with pytest.raises(UsageError):
        parse_where(where)


def test_values_are_bound_never_inserted(notes: Collection) -> None:
    hostile = "x' OR 1=1; DROP TABLE documents; --"
    assert not notes.search("honey", where=f'author = "{hostile}"').results
    assert len(notes.documents()) == 3


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        condition = parse_where(text)
    except UsageError:
        return
    assert condition.sql.count("?") == len(condition.values)
