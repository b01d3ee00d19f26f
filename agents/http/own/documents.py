"""``/api/collections``: what can be asked, its documents, and their text. ``/api/me``: who asks."""

import asyncio
from functools import partial
from importlib.metadata import version
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from agents.doors.rights import Right
from agents.doors.shelf import PATIENCE
from agents.http.depending import CallerOf, ReaderOf, ServiceOf, WriterOf, rag_of
from agents.shapes import DocumentShape, ListShape, RemoveShape, Shape
from indexes.collection import Collection
from indexes.errors import UnknownSourceError
from indexes.i18n import t
from indexes.types import Document, page_at

router = APIRouter(tags=["page"])

MOST_AROUND = 400_000
"""Characters of a text that are shown before a span, and after it."""

SourceOf = Annotated[str, Query(min_length=1, max_length=4000)]


class MeShape(Shape):
    key: str
    rights: tuple[Right, ...]
    upload_bytes: int
    version: str


class CollectionShape(Shape):
    name: str


class CollectionsShape(Shape):
    collections: tuple[CollectionShape, ...]


class CollectionBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=64)


class PassageShape(Shape):
    """A part of a document's text: ``quote`` is its span ``start`` to ``end``; ``before`` and
    ``after`` reach from the character ``begin`` to ``until``, of ``length``."""

    source: str
    title: str
    format: str
    page: int | None
    start: int
    end: int
    begin: int
    until: int
    length: int
    before: str
    quote: str
    after: str


@router.get("/api/me")
async def me(service: ServiceOf, caller: CallerOf) -> MeShape:
    """What this key may do."""
    rights = tuple(sorted(caller.rights))
    return MeShape(key=caller.key, rights=rights, upload_bytes=service.settings.upload_bytes,
                   version=version("waggledance"))  # fmt: skip


@router.get("/api/collections")
async def listed(service: ServiceOf, caller: ReaderOf) -> CollectionsShape:
    """The collections that this key sees."""
    names = await asyncio.to_thread(service.shelf.names, caller)
    return CollectionsShape(collections=tuple(CollectionShape(name=name) for name in names))


@router.post("/api/collections", status_code=201)
async def create(service: ServiceOf, caller: WriterOf, body: CollectionBody) -> CollectionShape:
    """Make an empty collection."""
    made = await asyncio.to_thread(service.shelf.create, caller, body.name)
    return CollectionShape(name=made.name)


@router.delete("/api/collections/{collection}", status_code=204)
async def delete(service: ServiceOf, caller: WriterOf, collection: str) -> None:
    """Delete a collection with all that is in it."""
    await asyncio.to_thread(service.uploads.delete_collection, caller, collection)


@router.get("/api/collections/{collection}/documents")
async def documents(service: ServiceOf, caller: ReaderOf, collection: str) -> ListShape:
    """The documents of a collection, by source."""
    rag = await rag_of(service, caller, collection)
    found = await asyncio.to_thread(rag.collection.documents)
    return ListShape(
        collection=collection,
        documents=tuple(DocumentShape.of(document, chunks) for document, chunks in found),
    )


@router.delete("/api/collections/{collection}/documents")
async def remove(
    service: ServiceOf, caller: WriterOf, collection: str, source: SourceOf
) -> RemoveShape:
    """Remove a document from the collection; its file stays. The answer is the receipt."""
    rag = await rag_of(service, caller, collection)
    await asyncio.to_thread(_named, rag.collection, source)
    work = partial(rag.collection.remove, [source], patience=PATIENCE)
    return RemoveShape.of(await asyncio.to_thread(work))


@router.get("/api/collections/{collection}/text")
async def text(
    service: ServiceOf,
    caller: ReaderOf,
    collection: str,
    source: SourceOf,
    start: Annotated[int, Query(ge=0)] = 0,
    end: Annotated[int, Query(ge=0)] = 0,
    around: Annotated[int, Query(ge=0, le=MOST_AROUND)] = 4000,
) -> PassageShape:
    """A document's text: the span ``start`` to ``end`` and ``around`` characters on each side."""
    rag = await rag_of(service, caller, collection)
    document = await asyncio.to_thread(_named, rag.collection, source)
    return _part(document, start, end, around)


def _named(collection: Collection, source: str) -> Document:
    """The document of exactly this source. Raises `UnknownSourceError`."""
    document = collection.document(source)
    if document.source != source:
        raise UnknownSourceError(
            t(
                "The collection «{name}» holds no document «{source}». «waggle list» shows what it "
                "holds.",
                name=collection.name,
                source=source,
            )
        )
    return document


def _part(document: Document, start: int, end: int, around: int) -> PassageShape:
    length = len(document.text)
    start = min(start, length)
    end = min(max(start, end), length)
    begin, until = max(0, start - around), min(length, end + around)
    return PassageShape(
        source=document.source, title=document.title, format=document.format,
        page=page_at(document.page_starts, start), start=start, end=end, begin=begin, until=until,
        length=length, before=document.text[begin:start], quote=document.text[start:end],
        after=document.text[end:until],
    )  # fmt: skip
