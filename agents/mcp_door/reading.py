"""The tools `search` and `fetch`, in the form that assistants know."""

from itertools import chain, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agents.mcp_door.access import Access
from agents.mcp_door.places import Place
from agents.mcp_door.shapes import (
    FetchArguments,
    FetchedShape,
    FoundShape,
    FoundsShape,
    SearchArguments,
)
from indexes.types import Document, page_at

if TYPE_CHECKING:
    from indexes.types import SearchResult
    from rag.answering import RAG

LONGEST: Final = 20_000
"""Characters of one `fetch`."""


def search(access: Access, asked: SearchArguments) -> FoundsShape:
    """The passages that fit best. Of several collections each gives its best in turn, for scores
    of different searches cannot be compared. Raises `WaggleError`."""
    legs = [
        [(name, one) for one in found(access.shelf.rag(access.caller, name), asked)]
        for name in access.several(asked.collection)
    ]
    mixed = [one for one in chain.from_iterable(zip_longest(*legs)) if one is not None]
    return FoundsShape(
        results=tuple(_found(access, name, passage) for name, passage in mixed[: asked.k])
    )


def found(rag: "RAG", asked: SearchArguments) -> "tuple[SearchResult, ...]":
    """The passages by the plan of the settings, without what that would ask the chat model: whoever
    calls is one."""
    from rag.retrieval.plan import plan_of, without_chat
    from rag.retrieval.retrieving import Tools, retrieve
    from rag.steps import run

    tools = Tools(rag.collection, rag.chat, rag.prompts, rag.reranker)
    plan = without_chat(plan_of(None))
    way = retrieve(tools, asked.query, plan, k=asked.k, where=asked.where or None)
    return run(way).contexts


def fetch(access: Access, asked: FetchArguments) -> FetchedShape:
    """A document; of a long one the part around the passage, with the ids of the parts before and
    after it. Raises `UsageError` for what is no id, `UnknownSourceError`."""
    place = Place.parse(asked.id)
    name = access.single(place.collection)
    document = access.shelf.collection(access.caller, name).document(place.source)
    start, end = _window(place.span, len(document.text))
    return FetchedShape(
        id=asked.id,
        title=title_of(document.title, document.source),
        text=document.text[start:end],
        url=url_of(access, Place(name, document.source, place.span)),
        metadata=_metadata(document, name, place.span, start, end),
    )


def title_of(title: str, source: str) -> str:
    """What a document is called; one without a title by its file's name."""
    return title or source.rstrip("/").rpartition("/")[2] or source


def url_of(access: Access, place: Place) -> str:
    """Where a person looks at it: a document from the web there, a file in its folder where the
    client is on the same machine, any other on the chat page; where there is none, its URI."""
    if place.source.startswith(("http://", "https://")):
        return place.source
    if access.local and Path(place.source).is_absolute():
        return Path(place.source).as_uri()
    return f"{access.page}{place.fragment}" if access.page else place.uri


def _found(access: Access, name: str, passage: "SearchResult") -> FoundShape:
    place = Place(name, passage.source, (passage.start, passage.end))
    return FoundShape(
        id=place.id,
        title=title_of(passage.title, passage.source),
        url=url_of(access, place),
        text=passage.text,
    )


def _window(span: tuple[int, int] | None, length: int) -> tuple[int, int]:
    """Where the part begins and ends that is shown of a text: all of it, if it is short enough."""
    start, end = span or (0, 0)
    start, end = min(start, length), min(max(start, end), length)
    around = max(0, LONGEST - (end - start))
    start = max(0, min(start - around // 2, length - LONGEST))
    return start, min(start + LONGEST, length)


def _metadata(
    document: Document, name: str, span: tuple[int, int] | None, start: int, end: int
) -> dict[str, Any]:
    length = len(document.text)
    told: dict[str, Any] = {
        **document.metadata,
        "collection": name,
        "source": document.source,
        "format": document.format,
        "lang": document.lang,
        "start": start,
        "end": end,
        "length": length,
    }
    if span is not None:
        told["passage"] = list(span)
        told["page"] = page_at(document.page_starts, span[0])
    if start > 0:
        told["previous"] = Place(name, document.source, (max(0, start - LONGEST), start)).id
    if end < length:
        told["next"] = Place(name, document.source, (end, min(end + LONGEST, length))).id
    return told
