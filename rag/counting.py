"""Questions about the documents themselves, answered by counting all of them.

A small grammar recognises them: a question is one only if every word of it has a part in the
grammar. Whatever is in doubt is an ordinary question, for a wrong count is worse than a search.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath

from indexes.collection import Collection
from indexes.counting import Match
from indexes.types import SearchResult, chunk_id
from rag.counting_chinese import chinese
from rag.counting_english import english
from rag.counting_grammar import CountQuery
from rag.types import Citation

__all__ = [
    "CountAnswer", "CountQuery", "answer_count", "context_of", "count_query", "mention_of",
]  # fmt: skip

_NAMED = 20
_LONGEST = 300
"""Characters of a question; what is longer is not read, for it could take long."""
_TRIES = 5
"""Times that documents are counted anew because others were written meanwhile."""


@dataclass(frozen=True, slots=True)
class CountAnswer:
    """The answer as a sentence, which names the first documents, and all that it stands on.

    ``documents`` and ``passages`` are the exact numbers; of documents that lack a phrase, or
    mention two, all passages are counted. ``mentions`` are the places that say the one phrase asked
    for. Where a phrase is mentioned, the quote of each match is ``document.text[start:end]`` of its
    source, the first place that mentions it.
    """

    query: CountQuery
    text: str
    documents: int
    passages: int
    matches: tuple[Match, ...]
    mentions: int = 0


def count_query(question: str) -> CountQuery | None:
    """The counting that ``question`` asks for, or nothing where it may ask for something else."""
    asked = question.strip().rstrip("?？.。!！ \n")
    if len(asked) > _LONGEST:
        return None
    return english(asked) or chinese(asked)


def answer_count(query: CountQuery, collection: Collection) -> CountAnswer:
    """Count over the whole collection. Raises what `Collection.matching` raises."""
    found = _found(query, collection)
    passages = sum(match.passages for match in found)
    mentions = sum(match.mentions for match in found)
    if not found and query.where and query.mentions and not collection.matching(query.where):
        text = "没有文档符合条件。" if query.lang == "zh" else "No document matches."
    else:
        number = {"documents": len(found), "passages": passages, "mentions": mentions}[query.what]
        text = (_chinese if query.lang == "zh" else _english)(query, found, number)
    return CountAnswer(query, text, len(found), passages, found, mentions)


def _found(query: CountQuery, collection: Collection) -> tuple[Match, ...]:
    """The documents, all of one state of the collection."""
    if query.how == "mention":
        return collection.matching(query.where, query.mentions)
    for _ in range(_TRIES):
        before = collection.status().generation
        found = _combined(query, collection)
        if collection.status().generation == before:
            break
    return found


def _combined(query: CountQuery, collection: Collection) -> tuple[Match, ...]:
    everything = collection.matching(query.where)
    first = _by_source(collection.matching(query.where, query.mentions))
    if query.how == "lack":
        return tuple(one for one in everything if one.document.source not in first)
    other = _by_source(collection.matching(query.where, query.other))
    known = first.keys() & other.keys() if query.how == "both" else first.keys() | other.keys()
    quotes = {**other, **first}
    return tuple(
        replace(quotes[one.document.source], passages=one.passages, mentions=0)
        for one in everything
        if one.document.source in known
    )


def _by_source(found: Sequence[Match]) -> dict[str, Match]:
    return {match.document.source: match for match in found}


def _english(query: CountQuery, found: Sequence[Match], number: int) -> str:
    names = _names(found[:_NAMED])
    rest = len(found) - len(names)
    listed = ", ".join(names) + (f" and {rest} more" if rest else "")
    within = f" {query.within}" if query.within else ""
    first, other = f"«{query.mentions}»", f"«{query.other}»"
    if not number:
        said = {
            "mention": f"No document{within} mentions {first}.",
            "lack": f"There is no document that does not mention {first}.",
            "both": f"No document{within} mentions both {first} and {other}.",
            "either": f"No document{within} mentions {first} or {other}.",
        }[query.how]
        return (
            said if query.mentions else "No document matches." if query.where else "No documents."
        )
    one = number == 1
    where = "1 document" if len(found) == 1 else f"{len(found)} documents"
    if query.what == "mentions":
        times = "once" if one else f"{number} times"
        return f"{first} is mentioned {times}, in {where}{within}: {listed}."
    noun = query.what[:-1] if one else query.what
    verb = "mentions" if one else "mention"
    does = {
        "mention": f"{verb} {first}",
        "lack": f"{'does' if one else 'do'} not mention {first}",
        "both": f"{verb} both {first} and {other}",
        "either": f"{verb} {first} or {other}",
    }[query.how]
    if query.what == "passages":
        return f"{number} {noun}{within} {does}, in {where}: {listed}."
    return f"{number} {noun}{within} {does}: {listed}." if query.mentions else (
        f"{number} {noun}: {listed}."
    )  # fmt: skip


def _chinese(query: CountQuery, found: Sequence[Match], number: int) -> str:
    names = _names(found[:_NAMED])
    rest = len(found) - len(names)
    listed = "、".join(names) + (f"，另有 {rest} 份" if rest else "")
    first, other = f"「{query.mentions}」", f"「{query.other}」"
    does = {
        "mention": f"提到{first}", "lack": f"没有提到{first}",
        "both": f"同时提到{first}和{other}", "either": f"提到{first}或{other}",
    }[query.how] if query.mentions else "符合条件"  # fmt: skip
    if not number and query.how == "lack":
        return f"不存在没有提到{first}的文档。"
    if not number:
        return f"没有文档{does}。" if query.mentions or query.where else "集合里没有文档。"
    if query.what == "mentions":
        return f"{first}被提到 {number} 次，在 {len(found)} 份文档里：{listed}。"
    if query.what == "passages":
        return f"有 {number} 个段落{does}，在 {len(found)} 份文档里：{listed}。"
    if not (query.mentions or query.where):
        return f"共有 {number} 份文档：{listed}。"
    return f"有 {number} 份文档{does}：{listed}。"


def _names(found: Sequence[Match]) -> list[str]:
    """The last part of each source, or all of it where two end alike."""
    short = [PurePath(match.document.source).name or match.document.source for match in found]
    return [
        match.document.source if short.count(name) > 1 else name
        for match, name in zip(found, short, strict=True)
    ]


def context_of(number: int, match: Match) -> SearchResult:
    """A document that was counted, as the passage that made it count."""
    document = match.document
    return SearchResult(
        number, 1.0, chunk_id(document.source, match.start, match.quote), document.source,
        document.title, match.page, (), match.start, match.end, match.quote,
        {"format": document.format, "lang": document.lang, **document.metadata},
        page_starts=document.page_starts,
    )  # fmt: skip


def mention_of(context: SearchResult) -> Citation:
    """The citation of a document that was counted."""
    return Citation(
        context.rank, context.text, context.source, context.title, context.page, context.start,
        context.end, context.text, "verbatim",
    )  # fmt: skip
