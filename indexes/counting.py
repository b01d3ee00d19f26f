"""Which documents pass a filter and mention a phrase: all of them, exactly, from the stored text.

The postings only tell which documents need not be read. Where they cannot tell, every text that
passes the filter is read, one at a time.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tantivy import Query

from indexes.errors import UsageError
from indexes.folding import MARKS, Phrase
from indexes.i18n import t
from indexes.postings import PostingsReader, tantivy_errors
from indexes.queries import Queries
from indexes.records import FACTS, to_document
from indexes.snapshot import View
from indexes.types import Document, page_at
from indexes.where import Condition, parse_where
from indexes.words import terms

_EVERYTHING = Condition("1", ())
_WORTHWHILE = 0.2
"""Of a term that stands in more than this share of the passages, no list is asked for: reading
everything costs hardly more."""
_TERMS = 3
_SHORTEST, _LONGEST = 2, 64
"""Letters of a word that is one search term for certain, wherever it stands (see `indexes.words`).
Words with digits are not: 1,500 and 15,00 are cut differently."""
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff]")
_LETTERS = re.compile("(?:(?![\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u9fff\uac00-\ud7a3])"
                      r"[^\W\d_])+")  # fmt: skip
_CUT = (
    "SELECT DISTINCT a.document FROM chunks AS a JOIN chunks AS b ON b.id = a.id + 1"
    ' WHERE b.document = a.document AND b.start = a."end"'
)
_IN_DOCUMENT = (
    'SELECT chunks.id, start, "end" FROM chunks JOIN spans ON spans.document = ?'
    " WHERE chunks.id BETWEEN first AND last ORDER BY chunks.id"
)


@dataclass(frozen=True, slots=True)
class Count:
    """How many documents there are, and how many of their passages pass the filter or, where a
    phrase was asked for, mention it."""

    documents: int
    passages: int


@dataclass(frozen=True, slots=True)
class Match:
    """A document (without its text), and how many of its passages count.

    Where a phrase was asked for, ``quote`` is the first place that mentions it,
    ``text[start:end]``, on ``page``, and ``mentions`` the number of such places that do not
    overlap; else the quote is empty.
    """

    document: Document
    passages: int
    start: int = 0
    end: int = 0
    quote: str = ""
    page: int | None = None
    mentions: int = 0


@dataclass(frozen=True, slots=True)
class Asked:
    """What is counted. `Asked.of` raises `UsageError` for a filter that cannot be read and for a
    phrase without a letter or digit; ``veiled`` is that of `parse_where`."""

    condition: Condition
    phrase: Phrase | None

    @classmethod
    def of(cls, where: str | None, mentions: str | None, *, veiled: bool = False) -> "Asked":
        phrase = Phrase(mentions) if mentions is not None else None
        if phrase is not None and not phrase.folded:
            raise UsageError(t("The phrase to be counted holds no letter and no digit."))
        return cls(parse_where(where, veiled=veiled) if where else _EVERYTHING, phrase)


def count(view: View, asked: Asked) -> Count:
    """How many documents and passages; a passage counts if a mention begins in it."""
    if asked.phrase is None:
        condition = asked.condition
        joined = "documents JOIN chunks ON chunks.document = documents.id"
        if not condition.by_chunk:
            joined = "documents JOIN spans ON spans.document = documents.id"
        passages = "count(*)" if condition.by_chunk else "total(last - first + 1)"
        (found,) = view.database.connection.execute(
            f"SELECT count(DISTINCT documents.id), {passages} FROM {joined} WHERE {condition.sql}",
            condition.values,
        )
        return Count(int(found[0]), int(found[1]))
    documents = passages_found = 0
    for match in matches(view, asked):
        documents += 1
        passages_found += match.passages
    return Count(documents, passages_found)


def matches(view: View, asked: Asked) -> Iterator[Match]:
    """The documents in the order of their sources."""
    database, condition = view.database, asked.condition
    allowed = None
    if condition.by_chunk:
        allowed = frozenset(
            database.matching(condition.sql, condition.values, by_chunk=True).tolist()
        )
    candidates = _candidates(view, asked.phrase) if asked.phrase and view.lexical else None
    for row in _rows(database, condition):
        if candidates is None or row in candidates:
            match = _match(database, row, asked.phrase, allowed)
            if match:
                yield match


def _rows(database: Queries, condition: Condition) -> list[int]:
    joined = " JOIN chunks ON chunks.document = documents.id" if condition.by_chunk else ""
    found = database.connection.execute(
        f"SELECT documents.id FROM documents{joined} WHERE {condition.sql}"
        " GROUP BY source ORDER BY source",
        condition.values,
    )
    return [row for (row,) in found]


def _match(
    database: Queries, row: int, phrase: Phrase | None, allowed: frozenset[int] | None
) -> Match | None:
    if phrase is None:
        numbers = [number for number, _, _ in database.connection.execute(_IN_DOCUMENT, (row,))]
        passing = len(numbers) if allowed is None else len(allowed.intersection(numbers))
        return Match(_facts(database, row), passing)
    ((text,),) = database.connection.execute("SELECT text FROM texts WHERE document = ?", (row,))
    spans = phrase.spans(text)
    if not spans:
        return None
    chunks = list(database.connection.execute(_IN_DOCUMENT, (row,)))
    places = [_passage(chunks, start) for start, _ in spans]
    if allowed is not None:
        kept = [at for at, number in enumerate(places) if number in allowed]
        spans, places = [spans[at] for at in kept], [places[at] for at in kept]
    if not spans:
        return None
    document = _facts(database, row)
    start, end = spans[0]
    passages = len(set(places) - {None})
    page = page_at(document.page_starts, start)
    return Match(document, passages, start, end, text[start:end], page, _apart(spans))


def _apart(spans: Sequence[tuple[int, int]]) -> int:
    """How many of the spans, from the first on, begin where the one before has ended."""
    number = last = 0
    for start, end in spans:
        if start >= last:
            number, last = number + 1, end
    return number


def _passage(chunks: Sequence[tuple[int, int, int]], offset: int) -> int | None:
    """The number of the chunk in which the character at ``offset`` stands."""
    at = bisect_right(chunks, offset, key=lambda chunk: chunk[1]) - 1
    return chunks[at][0] if at >= 0 and offset < chunks[at][2] else None


def _facts(database: Queries, row: int) -> Document:
    (found,) = database.connection.execute(
        f"SELECT {FACTS}, '' FROM documents WHERE id = ?", (row,)
    )
    return to_document(found)


def _candidates(view: View, phrase: Phrase) -> frozenset[int] | None:
    """Documents among which are all that mention the phrase; nothing where the postings cannot
    rule out enough of them.

    A Chinese character is a term of the passage it stands in, and so is each whole word of
    letters, unless a passage ends inside it, which happens only where the next begins at once.
    """
    assert view.lexical is not None
    han = set(_HAN.findall(phrase.folded))
    words = {w for w in _LETTERS.findall(phrase.folded) if _is_term(w, phrase.folded)}
    limit = _WORTHWHILE * view.lexical.searcher.num_docs
    known = {word: _frequency(view.lexical, word) for word in han | words}
    rarest = sorted((f, word) for word, f in known.items() if f <= limit)[:_TERMS]
    if not rarest:
        return None
    cut = frozenset(_column(view, _CUT, ())) if any(w in words for _, w in rarest) else frozenset()
    sets = [
        frozenset(_holding(view, word, frequency)) | (cut if word in words else frozenset())
        for frequency, word in rarest
    ]
    return frozenset.intersection(*sets)


def _is_term(word: str, folded: str) -> bool:
    inner = rf"(?:[^\W_]|[{MARKS}])"
    whole = re.search(rf"(?<!{inner}){re.escape(word)}(?!{inner})", folded)
    return bool(whole) and _SHORTEST <= len(word) <= _LONGEST and len(terms(word)) == 1


def _frequency(postings: PostingsReader, word: str) -> int:
    with tantivy_errors(postings.folder):
        return int(postings.searcher.doc_freq("body", terms(word)[0]))


def _holding(view: View, word: str, frequency: int) -> list[int]:
    """The documents with living passages that hold this term."""
    postings = view.lexical
    assert postings is not None
    if not frequency:
        return []
    term = Query.term_query(postings.schema, "body", terms(word)[0], "freq")
    with tantivy_errors(postings.folder):
        hits = postings.searcher.search(
            Query.const_score_query(term, 1.0), frequency, count=False
        ).hits
        numbers = postings.searcher.fast_field_values("chunk", [address for _, address in hits])
    sql = "SELECT DISTINCT document FROM chunks WHERE id IN (SELECT value FROM json_each(?))"
    return _column(view, sql, (json.dumps([int(n or 0) for n in numbers]),))


def _column(view: View, sql: str, values: tuple[str, ...]) -> list[int]:
    return [row for (row,) in view.database.connection.execute(sql, values)]
