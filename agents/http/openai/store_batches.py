"""``/v1/vector_stores/{id}/file_batches``: several uploads, attached at once."""

import asyncio
from typing import Literal

from fastapi import APIRouter
from pydantic import Field

from agents.doors.rights import Caller
from agents.doors.service import Service
from agents.doors.upload_types import Attachment, Attributes, Batch
from agents.http.depending import ReaderOf, ServiceOf, WriterOf
from agents.http.incoming import Incoming
from agents.http.openai.paging import PageShape, page
from agents.http.openai.store_files import StoreFilesOf
from agents.http.openai.store_shapes import (
    AttributesIn,
    Chunking,
    CountsShape,
    FileId,
    FileRequest,
    StoreFileShape,
    counts_of,
    file_of,
    name_of,
    store_id,
)
from agents.shapes import Shape
from indexes.errors import UsageError
from indexes.i18n import t

router = APIRouter()

_MOST = 2000
_PATH = "/v1/vector_stores/{vector_store_id}/file_batches"


class BatchRequest(Incoming):
    """Either ``file_ids``, which share the ``attributes``, or ``files`` with their own."""

    file_ids: list[FileId] | None = Field(default=None, max_length=_MOST)
    files: list[FileRequest] | None = Field(default=None, max_length=_MOST)
    attributes: AttributesIn | None = None
    chunking_strategy: Chunking | None = None

    def wanted(self) -> dict[str, Attributes]:
        """Each file with its attributes. Raises `UsageError`."""
        if bool(self.file_ids) == bool(self.files):
            raise UsageError(t("Name the files by «file_ids», or by «files»."))
        if self.files:
            return {one.file_id: one.attributes or {} for one in self.files}
        return {one: self.attributes or {} for one in self.file_ids or ()}


class BatchShape(Shape):
    """Files that have been removed since count as cancelled."""

    id: str
    object: Literal["vector_store.files_batch"] = "vector_store.files_batch"
    vector_store_id: str
    created_at: int
    status: Literal["in_progress", "completed", "cancelled", "failed"]
    file_counts: CountsShape


@router.post(_PATH)
async def create(
    service: ServiceOf, caller: WriterOf, vector_store_id: str, body: BatchRequest
) -> BatchShape:
    """Attach uploads to a collection, to be indexed soon."""
    return await asyncio.to_thread(_create, service, caller, name_of(vector_store_id), body)


@router.get(_PATH + "/{batch_id}")
async def one_batch(
    service: ServiceOf, caller: ReaderOf, vector_store_id: str, batch_id: str
) -> BatchShape:
    """How far a batch is."""
    return await asyncio.to_thread(_batch, service, caller, name_of(vector_store_id), batch_id)


@router.post(_PATH + "/{batch_id}/cancel")
async def cancel(
    service: ServiceOf, caller: WriterOf, vector_store_id: str, batch_id: str
) -> BatchShape:
    """Leave out what of a batch is not yet indexed."""
    name = name_of(vector_store_id)
    await asyncio.to_thread(service.uploads.cancel, caller, name, batch_id)
    return await asyncio.to_thread(_batch, service, caller, name, batch_id)


@router.get(_PATH + "/{batch_id}/files")
async def files(
    service: ServiceOf, caller: ReaderOf, vector_store_id: str, batch_id: str, wanted: StoreFilesOf
) -> PageShape[StoreFileShape]:
    """The files of a batch."""
    name = name_of(vector_store_id)
    batch = await asyncio.to_thread(service.uploads.batch, caller, name, batch_id)
    members = await asyncio.to_thread(_members, service, caller, batch)
    some = [one for one in members if wanted.filter in (None, one.state)]
    return page(some, wanted, lambda one: one.file, file_of)


# What follows may block.


def _create(service: Service, caller: Caller, name: str, body: BatchRequest) -> BatchShape:
    batch = service.uploads.attach_batch(caller, name, body.wanted())
    return _shape(service, caller, batch)


def _batch(service: Service, caller: Caller, name: str, batch_id: str) -> BatchShape:
    return _shape(service, caller, service.uploads.batch(caller, name, batch_id))


def _members(service: Service, caller: Caller, batch: Batch) -> list[Attachment]:
    wanted = frozenset(batch.files)
    attached = service.uploads.attachments(caller, batch.collection)
    return [one for one in attached if one.file in wanted]


def _shape(service: Service, caller: Caller, batch: Batch) -> BatchShape:
    states: list[str] = [one.state for one in _members(service, caller, batch)]
    counts = counts_of(states + ["cancelled"] * (len(batch.files) - len(states)))
    return BatchShape(
        id=batch.id,
        vector_store_id=store_id(batch.collection),
        created_at=batch.created,
        status=_status(counts),
        file_counts=counts,
    )


def _status(counts: CountsShape) -> Literal["in_progress", "completed", "cancelled", "failed"]:
    if counts.in_progress:
        return "in_progress"
    if counts.completed or not counts.total:
        return "completed"
    return "failed" if counts.failed else "cancelled"
