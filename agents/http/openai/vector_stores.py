"""``/v1/vector_stores``: collections, as OpenAI's clients know them. ``vs_NAME`` is the id of the
collection ``NAME``."""

import asyncio
import re
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Request
from pydantic import Field

from agents.doors.filters import Filter, where_of
from agents.doors.rights import Caller
from agents.doors.service import Service
from agents.doors.upload_names import file_id_of
from agents.doors.upload_types import Attachment, StoreFacts
from agents.http.depending import ReaderOf, ServiceOf, Slot, WriterOf, attended_thread
from agents.http.incoming import Incoming
from agents.http.openai import store_batches, store_files
from agents.http.openai.paging import PageOf, PageQuery, PageShape, page
from agents.http.openai.store_shapes import (
    AttributeValues,
    Chunking,
    CountsShape,
    FileId,
    attributes_of,
    counts_of,
    name_of,
    store_id,
)
from agents.shapes import Shape
from indexes.errors import CollectionError, UsageError
from indexes.home import disk_usage
from indexes.i18n import t
from indexes.shown import filename_of
from indexes.types import SearchResult

router = APIRouter(tags=["openai"])
router.include_router(store_files.router)
router.include_router(store_batches.router)

T = TypeVar("T")

_MOST_QUERIES = 10
_PLAIN = re.compile(r"[^\w.-]+")

Query = Annotated[str, Field(max_length=20_000)]
StoreMetadata = Annotated[
    dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=512)]],
    Field(max_length=16),
]


class StoreRequest(Incoming):
    """``name`` becomes that of the collection, as far as it can."""

    name: str | None = Field(default=None, max_length=256)
    description: str | None = Field(default=None, max_length=2000)
    file_ids: list[FileId] = Field(default=[], max_length=500)
    metadata: StoreMetadata | None = None
    expires_after: dict[str, Any] | None = None
    chunking_strategy: Chunking | None = None


class StoreUpdate(Incoming):
    name: str | None = Field(default=None, max_length=256)
    metadata: StoreMetadata | None = None
    expires_after: dict[str, Any] | None = None


class StoreShape(Shape):
    """``usage_bytes`` is what the collection takes on the disk."""

    id: str
    object: Literal["vector_store"] = "vector_store"
    created_at: int
    name: str
    description: str
    usage_bytes: int
    file_counts: CountsShape
    status: Literal["in_progress", "completed"]
    expires_after: None = None
    expires_at: None = None
    last_active_at: int
    metadata: Mapping[str, str]


class StoreDeletedShape(Shape):
    id: str
    object: Literal["vector_store.deleted"] = "vector_store.deleted"
    deleted: Literal[True] = True


class RankingOptions(Incoming):
    ranker: str = "auto"
    score_threshold: float = Field(default=0.0, ge=0, le=1)


class SearchRequest(Incoming):
    query: Query | Annotated[list[Query], Field(min_length=1, max_length=_MOST_QUERIES)]
    filters: Filter | None = None
    max_num_results: int = Field(default=10, ge=1, le=50)
    ranking_options: RankingOptions = RankingOptions()
    rewrite_query: bool = False


class ContentShape(Shape):
    type: Literal["text"] = "text"
    text: str


class PlaceShape(Shape):
    """Where a passage stands, as in the results of ``waggle search``."""

    chunk_id: str
    source: str
    title: str
    page: int | None
    heading: tuple[str, ...]
    start: int
    end: int


class HitShape(Shape):
    """``score``, 0 to 1, compares the results of one search only."""

    file_id: str
    filename: str
    score: float
    attributes: AttributeValues
    content: tuple[ContentShape, ...]
    waggle: PlaceShape


class HitsShape(Shape):
    object: Literal["vector_store.search_results.page"] = "vector_store.search_results.page"
    search_query: tuple[str, ...]
    data: tuple[HitShape, ...]
    has_more: Literal[False] = False
    next_page: None = None


@router.post("/v1/vector_stores")
async def create(service: ServiceOf, caller: WriterOf, body: StoreRequest) -> StoreShape:
    """Make a collection, and attach files to it."""
    return await asyncio.to_thread(_create, service, caller, body)


@router.get("/v1/vector_stores")
async def listed(service: ServiceOf, caller: ReaderOf, wanted: PageOf) -> PageShape[StoreShape]:
    """The collections that this key sees."""
    return await asyncio.to_thread(_listed, service, caller, wanted)


@router.get("/v1/vector_stores/{vector_store_id}")
async def one_store(service: ServiceOf, caller: ReaderOf, vector_store_id: str) -> StoreShape:
    """A collection."""
    return await asyncio.to_thread(_store, service, caller, name_of(vector_store_id))


@router.post("/v1/vector_stores/{vector_store_id}")
async def update(
    service: ServiceOf, caller: WriterOf, vector_store_id: str, body: StoreUpdate
) -> StoreShape:
    """Name or describe a collection anew; its id stays."""
    return await asyncio.to_thread(_update, service, caller, name_of(vector_store_id), body)


@router.delete("/v1/vector_stores/{vector_store_id}")
async def delete(service: ServiceOf, caller: WriterOf, vector_store_id: str) -> StoreDeletedShape:
    """Delete a collection with all that is in it; uploaded files are kept."""
    name = name_of(vector_store_id)
    await asyncio.to_thread(service.uploads.delete_collection, caller, name)
    return StoreDeletedShape(id=vector_store_id)


@router.post("/v1/vector_stores/{vector_store_id}/search")
async def search(
    request: Request,
    service: ServiceOf,
    caller: ReaderOf,
    vector_store_id: str,
    body: SearchRequest,
    _: Slot,
) -> HitsShape:
    """The best passages for a query, among the files that the filters let through."""
    work = partial(_search, service, caller, name_of(vector_store_id), body)
    return await attended_thread(request, work)


# What follows may block.


def _create(service: Service, caller: Caller, body: StoreRequest) -> StoreShape:
    _check_expiry(body.expires_after)
    for file_id in body.file_ids:
        service.uploads.file(caller, file_id)
    name = _new_name(service, caller, body.name or "")
    facts = StoreFacts(body.name or name, body.description or "", body.metadata or {})
    service.uploads.create(caller, name, facts)
    if body.file_ids:
        service.uploads.attach(caller, name, {file_id: {} for file_id in body.file_ids})
    return _store(service, caller, name)


def _new_name(service: Service, caller: Caller, wish: str) -> str:
    """The name of a new collection, like the one that is wished for. A key that is bound to
    collections gets exactly that one, or is refused."""
    if caller.collections is not None:
        return wish
    plain = _PLAIN.sub("-", wish).strip("-_.")[:56] or "store"
    taken = wish == "" or plain in service.shelf.names(caller)
    return f"{plain}-{secrets.token_hex(3)}" if taken else plain


def _listed(service: Service, caller: Caller, wanted: PageQuery) -> PageShape[StoreShape]:
    facts = partial(service.uploads.facts, caller)
    known = [(_if_whole(facts, name), name) for name in service.shelf.names(caller)]
    stores = [(one.created, name) for one, name in known if one]
    stores.sort()
    return page(
        stores,
        wanted,
        lambda one: store_id(one[1]),
        lambda one: _if_whole(partial(_store, service, caller), one[1]),
    )


def _if_whole(look: Callable[[str], T], name: str) -> T | None:
    """What is seen of a collection; nothing of one that is damaged, or has been deleted
    meanwhile: the list of the others is told still."""
    try:
        return look(name)
    except (CollectionError, FileNotFoundError):
        return None


def _store(service: Service, caller: Caller, name: str) -> StoreShape:
    collection = service.shelf.collection(caller, name)
    facts = service.uploads.facts(caller, name)
    attached = service.uploads.attachments(caller, name)
    documents = collection.status().documents
    uploaded = len({one.source for one in attached if one.state == "completed"})
    counts = counts_of([one.state for one in attached], max(0, documents - uploaded))
    return StoreShape(
        id=store_id(name),
        created_at=facts.created,
        name=facts.name,
        description=facts.description,
        usage_bytes=disk_usage(service.home / "collections" / name),
        file_counts=counts,
        status="in_progress" if counts.in_progress else "completed",
        last_active_at=max([facts.created, *(one.created for one in attached)]),
        metadata=facts.metadata,
    )


def _update(service: Service, caller: Caller, name: str, body: StoreUpdate) -> StoreShape:
    _check_expiry(body.expires_after)
    facts = service.uploads.facts(caller, name)
    if body.name:
        facts = replace(facts, name=body.name)
    if body.metadata is not None:
        facts = replace(facts, metadata=body.metadata)
    service.uploads.set_facts(caller, name, facts)
    return _store(service, caller, name)


def _check_expiry(given: object) -> None:
    if given is not None:
        raise UsageError(
            t("Collections do not expire here. Leave out expires_after, and delete them.")
        )


def _search(
    service: Service, caller: Caller, name: str, body: SearchRequest, gone: threading.Event
) -> HitsShape:
    collection = service.shelf.collection(caller, name)
    where = where_of(body.filters) if body.filters else None
    queries = [body.query] if isinstance(body.query, str) else body.query
    best: dict[str, SearchResult] = {}
    for query in queries:
        if gone.is_set():
            break
        for one in collection.search(query, body.max_num_results, where=where).results:
            known = best.get(one.chunk_id)
            if known is None or known.score < one.score:
                best[one.chunk_id] = one
    ranked = sorted(best.values(), key=lambda one: -one.score)
    found = [one for one in ranked if one.score >= body.ranking_options.score_threshold]
    shown = found[: body.max_num_results]
    uploads = service.uploads.by_source(caller, name, [one.source for one in shown])
    hits = tuple(_hit(one, uploads.get(one.source)) for one in shown)
    return HitsShape(search_query=tuple(queries), data=hits)


def _hit(one: SearchResult, upload: Attachment | None) -> HitShape:
    return HitShape(
        file_id=upload.file if upload else file_id_of(one.source),
        filename=upload.name if upload else filename_of(one.source),
        score=one.score,
        attributes=attributes_of(one, upload),
        content=(ContentShape(text=one.text),),
        waggle=PlaceShape.model_validate(one),
    )
