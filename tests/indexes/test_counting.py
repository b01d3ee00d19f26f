"""Counting is exact: the same as reading every stored text."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from indexes.collection import Collection
from indexes.counting import Count
from indexes.errors import UsageError
from indexes.folding import Phrase, fold, is_boundary, plain
from tests.indexes.hash_embedder import HashEmbedder

# What fold and postings could cut differently: joined accents, ligatures, expansions, commas in
# numbers, joiners of identifiers, half width voicing, Hangul parts, Chinese iteration marks.
ALPHABET = (
    "ab Bß1250٣.,:/-−+%‰°$_\n\u0301éE蜂蜜產产，。、ｂ１（ﾞカか½…①²ﬁ々한ᄒ\u1161\u20d0\u0940İ's"
)
WORDS = [
    *("bee", "Bees", "varroa-mite", "BeeHive", "bee's", "x_bee", "bee.dance", "b", "ＢＥＥ"),
    *("蜂蜜", "蜂", "產量", "产量", "洋槐蜜", "蜂bee蜜", "1,500", "15", "cafe\u0301", "café"),
    *("…", "。", "，", " ", "\n\n", " "),
]
PIECES = st.one_of(st.sampled_from(WORDS), st.text(alphabet=ALPHABET, max_size=3))
TEXTS = st.lists(PIECES, min_size=1, max_size=60).map("".join)


class ShortPassages(HashEmbedder):
    """Reads ten tokens at a time, so that short texts have several passages."""

    name = fingerprint = "hash-short"
    max_tokens = 10


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collection]:
    """A collection of short passages."""
    home = tmp_path_factory.mktemp("counting")
    with Collection.open("c", home=home, embedder=ShortPassages()) as opened:
        yield opened


def first_in_folded(phrase: str, text: str) -> tuple[int, int] | None:
    """Where ``text`` says ``phrase`` first, by the definition: in folded form, between bounds."""
    needle, hay = fold(phrase).text, fold(text)
    for at in range(len(hay.text) if needle else 0):
        end = at + len(needle)
        if hay.text.startswith(needle, at) and all(is_boundary(hay.text, e) for e in (at, end)):
            return hay.span(at, end)
    return None


@settings(deadline=None)
@given(st.text(alphabet=ALPHABET, max_size=24), st.data())
def test_a_phrase_is_found_where_its_folded_form_is(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, max(0, len(text) - 1)))
    phrase = text[start : start + 4] or "a"
    if fold(phrase).text:
        spans = Phrase(phrase).spans(text)
        assert (spans[0] if spans else None) == first_in_folded(phrase, text)
        assert all(fold(text[slice(*span)]).text for span in spans)


@pytest.mark.parametrize(
    ("phrase", "text", "said"),
    [
        ("bees dance", "So BEES,  dance!", "BEES,  dance"),
        ("About 18 % water", "There is about 18% water left.", "about 18% water"),
        ("1500 jars", "They sold 1,500 jars.", "1,500 jars"),
        ("ｂｅｅｓ", "the bees", "bees"),
        ("蜂蜜產量高", "去年，蜂蜜产量高。", "蜂蜜产量高"),
        ("洋槐蜜 不易结晶", "……洋槐蜜，不易结晶……", "洋槐蜜，不易结晶"),
        ("-5 degrees", "It fell to -5 degrees.", "-5 degrees"),
        ("café", "the CAFÉ", "CAFÉ"),
    ],
)
def test_the_same_words_are_found(phrase: str, text: str, said: str) -> None:
    assert [text[slice(*span)] for span in Phrase(phrase).spans(text)] == [said]


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("art", "smart artist"),
        ("15", "1.5 and 115 and 15.2 and 150"),
        ("15 %", "1.5 %"),
        ("5 degrees", "It fell to -5 degrees."),
        ("1,500", "1.500"),
        ("12:30", "2:30"),
        ("bees dance", "bees never dance"),
    ],
)
def test_other_words_and_numbers_are_not(phrase: str, text: str) -> None:
    assert Phrase(phrase).spans(text) == []


@settings(deadline=None)
@given(st.text())
def test_plain_text_leads_back_to_the_text(text: str) -> None:
    found = plain(text)
    for at in range(len(found.text)):
        start, end = found.span(at, at + 1)
        assert found.text[at] in plain(text[start:end]).text
    if found.text:
        assert found.span(0, len(found.text))[1] == len(text)


@settings(max_examples=60, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=6), PIECES)
@example(["ｈｏｎｅｙｃｏｍｂｓ ｈｅｒｅ"], "honeycombs")
@example(["蜂" * 80 + "蜜", "蜜蜂"], "蜂蜜")
def test_counting_equals_reading_everything(
    empty: Collection, texts: list[str], phrase: str
) -> None:
    empty.add_texts([f"{text} ." for text in texts], sources=[f"/d/{n}" for n in range(len(texts))])
    if not fold(phrase).text:
        with pytest.raises(UsageError):
            empty.count(mentions=phrase)
        return
    stored = [empty.document(document.source) for document, _ in empty.documents()]
    spans = {d.source: first_in_folded(phrase, d.text) for d in stored}
    wanted = {source: span for source, span in spans.items() if span}
    found = empty.matching(mentions=phrase)
    assert {m.document.source: (m.start, m.end) for m in found} == wanted
    for match in found:
        text = empty.document(match.document.source).text
        assert text[match.start : match.end] == match.quote
    counted = empty.count(mentions=phrase)
    assert counted == Count(len(found), sum(match.passages for match in found))


@pytest.fixture
def notes(collection: Collection) -> Collection:
    collection.add_texts(
        [
            "Varroa mites kill hives.",
            "A hive without VARROA.\n\nThe varroas.",
            "瓦螨与蜂螨，產量低。",
        ],
        [{"year": 2023}, {"year": 2024}, {"year": 2024}],
        ["/n/reports/mites.txt", "/n/hive.txt", "/n/螨.txt"],
    )
    return collection


@pytest.mark.parametrize(
    ("where", "mentions", "sources"),
    [
        (None, "varroa", ["/n/hive.txt", "/n/reports/mites.txt"]),
        (None, "Varroa  MITES", ["/n/reports/mites.txt"]),
        (None, "varro", []),
        (None, "产量", ["/n/螨.txt"]),
        (None, "螨", ["/n/螨.txt"]),
        ("year = 2024", None, ["/n/hive.txt", "/n/螨.txt"]),
        ("year = 2024", "varroa", ["/n/hive.txt"]),
        ('source like "reports/*"', "hives", ["/n/reports/mites.txt"]),
        ('lang = "zh"', None, ["/n/螨.txt"]),
        ("year = 1999", None, []),
        (None, None, ["/n/hive.txt", "/n/reports/mites.txt", "/n/螨.txt"]),
    ],
)
def test_filter_and_phrase_together(
    notes: Collection, where: str | None, mentions: str | None, sources: list[str]
) -> None:
    found = notes.matching(where, mentions)
    assert [match.document.source for match in found] == sources
    assert notes.count(where, mentions).documents == len(sources)
    assert all(match.document.text == "" for match in found)


def test_passages_that_mention_it_are_counted_once_each(empty: Collection) -> None:
    text = "\n\n".join(["Bees dance, and bees sing all day.", "Nobody else does at all here.",
                        "The last bees went home early."])  # fmt: skip
    empty.add_texts([text], sources=["/p/bees"])
    assert empty.document("/p/bees").text == text
    assert len(empty.search("x", 50, where='source = "/p/bees"').results) == 3
    assert empty.count('source = "/p/bees"', "bees") == Count(1, 2)
    assert empty.count('source = "/p/bees"') == Count(1, 3)


def test_mentions_that_overlap_are_counted_once(collection: Collection) -> None:
    collection.add_texts(["哈哈哈哈哈。bee bee", "bee bee bee bee"], sources=["/a", "/b"])
    assert [match.mentions for match in collection.matching(mentions="哈哈")] == [2]
    assert [match.mentions for match in collection.matching(mentions="bee bee")] == [1, 2]
    assert [match.mentions for match in collection.matching()] == [0, 0]


def test_a_filter_by_page_counts_mentions_on_that_page(
    collection: Collection, examples: Path
) -> None:
    collection.add([examples / "bee-handbook.pdf"])
    document = collection.document("bee-handbook.pdf")
    (everywhere,) = collection.matching(mentions="the")
    (second,) = collection.matching("page = 2", "the")
    assert second.page == 2
    assert second.start >= document.page_starts[1]
    assert 0 < second.passages < everywhere.passages
    assert collection.count("page = 99", "the") == Count(0, 0)
    assert collection.count("page = 2").documents == 1


def test_what_was_removed_or_replaced_is_not_counted(notes: Collection) -> None:
    notes.add_texts(["No mites here."], sources=["/n/hive.txt"])
    notes.remove(["/n/螨.txt"])
    assert notes.count(mentions="varroa") == Count(1, 1)
    assert notes.count(mentions="瓦螨") == Count(0, 0)
    assert notes.count() == Count(2, 2)


@pytest.mark.parametrize("phrase", ["", "?!", " \n"])
def test_a_phrase_without_letters_is_refused(notes: Collection, phrase: str) -> None:
    with pytest.raises(UsageError, match="no letter"):
        notes.count(mentions=phrase)


def test_an_empty_collection_counts_nothing(collection: Collection) -> None:
    assert collection.count() == Count(0, 0)
    assert collection.count(mentions="bee") == Count(0, 0)
    assert collection.matching('lang = "zh"') == ()
