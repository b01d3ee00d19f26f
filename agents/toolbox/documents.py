"""The documents as an agent sees them: search, read, list, count.

Each passage that is shown has its number in the run's `Evidence`, by which an answer cites it.
"""

import re
from itertools import chain
from typing import TYPE_CHECKING, Any

from langchain_core.tools import BaseTool
from pydantic import Field

from agents.toolbox.making import Arguments, Words, tool_of
from agents.toolbox.naming import Names, line
from indexes.errors import UsageError
from indexes.i18n import t
from indexes.types import Document, SearchResult, chunk_id, page_at
from indexes.where import parse_where

if TYPE_CHECKING:
    from agents.loop.evidence import Evidence
    from indexes.counting import Match
    from rag.answering import RAG

_FEWEST_PASSAGES, _MOST_PASSAGES = 5, 10
"""Small models ask for a single passage, and miss the second document that the goal needs."""
_LONGEST_READING = 8_000
_MOST_LISTED = 200
# Small models fill in whatever stands in an example. A filter that cannot be read is answered with
# what a filter looks like.
_WHERE = "a filter, if the user wants documents of one kind or year only; else empty"
_PLAIN = re.compile(r"[\w-]+(?: [\w-]+)?")
"""No filter: that has an operator, and so at least three parts, or a sign between them."""

Seen = tuple[str, dict[str, Any]]
"""An observation, and the artifact of its message."""


class SearchArguments(Arguments):
    """What is searched for."""

    query: str = Field(description="a question or a few words")
    k: int = Field(default=5, description="how many passages: 5, or up to 10 for several questions")
    where: Words = Field(default="", description=_WHERE)


class ReadArguments(Arguments):
    """Which part of which document."""

    source: str = Field(description="the document's name, or the number of a passage of it")
    start: int = Field(default=0, description="first character, from 0")
    length: int = Field(default=4000, description="at most 8000 characters")


class ListArguments(Arguments):
    """Which documents."""

    where: Words = Field(default="", description=_WHERE)
    mentions: Words = Field(default="", description="a phrase that must stand in them")
    limit: int = Field(default=50, description="how many, at most 200")


class CountArguments(Arguments):
    """Which documents are counted."""

    where: Words = Field(default="", description=_WHERE)
    mentions: Words = Field(default="", description="a phrase that must stand in them")


def document_tools(rag: "RAG", evidence: "Evidence") -> tuple[BaseTool, ...]:
    """``search_documents``, ``read_document``, ``list_documents`` and ``count_documents`` over the
    collection of ``rag``. The counts are Waggle's own words; the rest is text from outside."""
    library = _Library(rag, evidence)
    return (
        tool_of(library.search_documents, SearchArguments, tainted=True, artifact=True),
        tool_of(library.read_document, ReadArguments, tainted=True, artifact=True),
        tool_of(library.list_documents, ListArguments, tainted=True, artifact=True),
        tool_of(library.count_documents, CountArguments, tainted=False),
    )


class _Library:
    """The collection of ``rag`` with the tools over it."""

    def __init__(self, rag: "RAG", evidence: "Evidence") -> None:
        self._rag, self._evidence = rag, evidence
        self._collection = rag.collection
        self._names = Names(rag.collection, evidence)

    def search_documents(self, query: str, k: int = 5, where: str = "") -> Seen:
        """Finds passages of the user's documents; shows each with its number [n], text and
        document."""
        k = max(_FEWEST_PASSAGES, min(k, _MOST_PASSAGES))
        where, said = _readable(where)
        found = self._sought(query, k, where)
        if where and not found:
            found = self._sought(query, k, "")
            said = [t("No document passes the filter «{where}». Without it:", where=where)]
        if not found:
            said = [t("No passage was found. Try other words.")]
        return "\n\n".join([*said, *map(self._passage, found)]), self._evidence.artifact(found)

    def read_document(self, source: str, start: int = 0, length: int = 4000) -> Seen:
        """Reads a part of one document."""
        document = self._names.document(source)
        whole, start = len(document.text), max(0, start)
        if start >= whole:
            raise UsageError(
                t(
                    "«{source}» has {length} characters: choose a start below that.",
                    source=self._names.short(document.source),
                    length=whole,
                )
            )
        end = _cut(document.text, start, start + max(1, min(length, _LONGEST_READING)))
        passage = _part(document, start, end)
        rest = f" {t('of {length}', length=whole)}"
        if end < whole:
            rest += f"; {t('go on with start={start}', start=end)}"
        return self._passage(passage, rest), self._evidence.artifact([passage])

    def list_documents(self, where: str = "", mentions: str = "", limit: int = 50) -> Seen:
        """Names the user's documents, or those with a phrase in them."""
        where, mentions = _meant(where, mentions)
        where, said = _readable(where)
        matches = self._collection.matching(where or None, mentions or None)
        if where and not matches and not self._collection.matching(where, None):
            said.append(t("No document passes the filter «{where}». Without it:", where=where))
            where, matches = "", self._collection.matching(None, mentions or None)
        if mentions and not matches:
            said.append(t("{problem} Without it:", problem=f"{_count(0, mentions)}."))
            mentions, matches = "", self._collection.matching(where or None, None)
        shown = matches[: max(1, min(limit, _MOST_LISTED))]
        quoted = [_mention(match) for match in shown if match.quote]
        lines = [*said, _count(len(matches), mentions), *map(self._entry, shown)]
        if len(shown) < len(matches):
            rest = len(matches) - len(shown)
            lines.append(t("… and {rest} more: narrow the list with where.", rest=rest))
        return "\n".join(lines), self._evidence.artifact(quoted)

    def count_documents(self, where: str = "", mentions: str = "") -> str:
        """Counts the user's documents exactly, or those with a phrase in them."""
        where, mentions = _meant(where, mentions)
        count = self._collection.count(where or None, mentions or None)
        said = _count(count.documents, mentions)
        return f"{said}. {t('Passages: {passages}', passages=count.passages)}"

    def _sought(self, query: str, k: int, where: str) -> tuple[SearchResult, ...]:
        """What is found; at first, by turns with what is found for the goal itself: a small model
        forgets half of it."""
        found, goal = self._found(query, k, where), self._evidence.goal
        if not goal or goal == query or self._evidence.contexts:
            return found
        turns = chain.from_iterable(zip(found, self._found(goal, k, where), strict=False))
        distinct = {(one.source, one.start, one.end): one for one in (*turns, *found)}
        return tuple(distinct.values())[:k]

    def _found(self, query: str, k: int, where: str) -> tuple[SearchResult, ...]:
        from rag.retrieval.plan import plan_of, without_chat
        from rag.retrieval.retrieving import Tools, retrieve
        from rag.steps import run

        rag = self._rag
        tools = Tools(rag.collection, rag.chat, rag.prompts, rag.reranker)
        # What the plan would ask the chat model, the agent does itself, within its limits.
        plan = without_chat(plan_of(None))
        return run(retrieve(tools, query, plan, k=k, where=where or None)).contexts

    def _passage(self, passage: SearchResult, rest: str = "") -> str:
        """The number, the text, and where it stands, with the ``rest`` that is said of it."""
        number = self._evidence.number(passage)
        place = " › ".join([self._names.short(passage.source), *map(line, passage.heading)])
        page = f"{t('p. {page}', page=passage.page)}, " if passage.page is not None else ""
        span = t("characters {start}–{end}", start=passage.start, end=passage.end)
        return f"[{number}] {passage.text.strip()}\n({place}, {page}{span}{rest})"

    def _entry(self, match: "Match") -> str:
        """A document on one line."""
        document = match.document
        name, title = self._names.short(document.source), line(document.title)
        parts = [f"- {name}"]
        if title and title not in name:
            parts.append(f"«{title}»")
        if match.quote:
            parts.append(f"[{self._evidence.number(_mention(match))}]")
        return " ".join(parts)


def _readable(where: str) -> tuple[str, list[str]]:
    """A filter, left out where it cannot be read, and what is said of that. Small models write
    words there, and the same again when they are told."""
    try:
        if where:
            parse_where(where)
    except UsageError as error:
        return "", [t("{problem} Without it:", problem=str(error))]
    return where, []


def _meant(where: str, mentions: str) -> tuple[str, str]:
    """A filter and a phrase: small models write the word that is to be mentioned in the place of
    the filter. The count that comes of it says what was counted."""
    if mentions or not _PLAIN.fullmatch(where.strip()):
        return where, mentions
    return "", where.strip()


def _count(documents: int, mentions: str) -> str:
    """The number of documents, in a few words."""
    if mentions:
        return t("Documents that mention «{phrase}»: {documents}", phrase=line(mentions),
                 documents=documents)  # fmt: skip
    return t("Documents: {documents}", documents=documents)


def _cut(text: str, start: int, end: int) -> int:
    """Where a reading that should end at ``end`` best ends: with a line, in its last fifth."""
    if end >= len(text):
        return len(text)
    at = text.rfind("\n", end - (end - start) // 5, end)
    return at + 1 if at >= 0 else end


def _part(document: Document, start: int, end: int) -> SearchResult:
    """A part of a document as a passage."""
    return _passage_of(document, start, document.text[start:end])


def _mention(match: "Match") -> SearchResult:
    """The first place that mentions a phrase, as a passage."""
    return _passage_of(match.document, match.start, match.quote)


def _passage_of(document: Document, start: int, text: str) -> SearchResult:
    return SearchResult(
        1, 1.0, chunk_id(document.source, start, text), document.source, document.title,
        page_at(document.page_starts, start), (), start, start + len(text), text,
        {"format": document.format, "lang": document.lang, **document.metadata},
        page_starts=document.page_starts,
    )  # fmt: skip
