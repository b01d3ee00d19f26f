"""The documents as resources: `waggle://NAME/SOURCE`."""

from collections.abc import Iterator
from itertools import islice
from typing import Final

from mcp.types import (
    Completion,
    ListResourcesResult,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    TextResourceContents,
)
from pydantic import AnyUrl

from agents.mcp_door.access import Access
from agents.mcp_door.places import TEMPLATE, Place
from agents.mcp_door.reading import title_of
from indexes.errors import UsageError
from indexes.i18n import t
from indexes.types import Document

PAGE: Final = 200
MOST: Final = 1000
"""Documents that are listed, for many clients read the whole list when they start. All others are
found by searching, and read by their URI."""
_MOST_COMPLETED: Final = 100


def listed(access: Access, cursor: str | None) -> ListResourcesResult:
    """A page of the list. Raises `UsageError` for a cursor that is none of ours."""
    start = _start(cursor)
    documents = list(islice(_documents(access), start, min(start + PAGE, MOST) + 1))
    more = len(documents) > PAGE and start + PAGE < MOST
    return ListResourcesResult(
        resources=[_resource(name, document) for name, document in documents[:PAGE]],
        nextCursor=str(start + PAGE) if more else None,
    )


def templates() -> list[ResourceTemplate]:
    """The one template, for documents that are not listed."""
    return [
        ResourceTemplate(
            uriTemplate=TEMPLATE,
            name="document",
            title="A document",
            description="The text of a document, by the name of its collection and its source",
        )
    ]


def read(access: Access, uri: str) -> ReadResourceResult:
    """The whole text of a document. Raises `WaggleError`."""
    place = Place.parse(uri)
    name = access.single(place.collection)
    document = access.shelf.collection(access.caller, name).document(place.source)
    contents = TextResourceContents(uri=AnyUrl(uri), text=document.text, mimeType=_mime(document))
    return ReadResourceResult(contents=[contents])


def completed(access: Access, argument: str, begun: str, collection: str) -> Completion:
    """What the value of a template's or prompt's ``argument`` may be, of which ``begun`` is there
    already."""
    values: Iterator[str] = iter(())
    if argument == "collection":
        values = (name for name in access.names() if name.startswith(begun))
    elif argument == "source" and collection:
        name = access.single(collection)
        documents = access.shelf.collection(access.caller, name).documents()
        values = (document.source for document, _ in documents if begun in document.source)
    found = list(islice(values, _MOST_COMPLETED + 1))
    return Completion(values=found[:_MOST_COMPLETED], hasMore=len(found) > _MOST_COMPLETED)


def _documents(access: Access) -> Iterator[tuple[str, Document]]:
    for name in access.names():
        for document, _ in access.shelf.collection(access.caller, name).documents():
            yield name, document


def _start(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not cursor.isascii() or not cursor.isdecimal() or len(cursor) > 9:
        raise UsageError(t("The cursor «{cursor}» is none of this list.", cursor=cursor))
    return int(cursor)


def _resource(name: str, document: Document) -> Resource:
    title = title_of(document.title, document.source)
    return Resource(
        uri=AnyUrl(Place(name, document.source).uri),
        name=title_of("", document.source),
        title=title,
        description=f"{name}: {document.source}",
        mimeType=_mime(document),
    )


def _mime(document: Document) -> str:
    return "text/markdown" if document.kind == "markdown" else "text/plain"
