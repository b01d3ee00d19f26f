"""``/v1/vector_stores/{id}/files``: the documents of a collection.

Uploads that are attached to it, whatever has become of them, and the documents that came to it in
another way, which have ids like ``doc-…``.
"""

import asyncio
from typing import Annotated, Literal

from fastapi import APIRouter, Query

from agents.doors.rights import Caller
from agents.doors.service import Service
from agents.doors.shelf import PATIENCE
from agents.doors.upload_names import DOCUMENT_ID, file_id_of
from agents.doors.upload_types import Attributes, State
from agents.doors.uploads import Done
from agents.http.depending import ReaderOf, ServiceOf, WriterOf
from agents.http.incoming import Incoming
from agents.http.openai.paging import PageQuery, PageShape, page
from agents.http.openai.store_shapes import (
    AttributesIn,
    FileRequest,
    StoreFileShape,
    file_of,
    file_of_document,
    name_of,
)
from agents.shapes import Shape
from indexes.errors import UnknownSourceError, UsageError
from indexes.i18n import t

router = APIRouter()


class FileUpdate(Incoming):
    attributes: AttributesIn | None


class StoreFilesQuery(PageQuery):
    filter: State | None = None


class StoreFileDeletedShape(Shape):
    id: str
    object: Literal["vector_store.file.deleted"] = "vector_store.file.deleted"
    deleted: Literal[True] = True


class TextShape(Shape):
    type: Literal["text"] = "text"
    text: str


class TextsShape(Shape):
    object: Literal["vector_store.file_content.page"] = "vector_store.file_content.page"
    data: tuple[TextShape, ...]
    has_more: Literal[False] = False
    next_page: None = None


StoreFilesOf = Annotated[StoreFilesQuery, Query()]


@router.post("/v1/vector_stores/{vector_store_id}/files")
async def attach(
    service: ServiceOf, caller: WriterOf, vector_store_id: str, body: FileRequest
) -> StoreFileShape:
    """Attach an upload to a collection, to be indexed soon."""
    attributes: Attributes = body.attributes or {}
    attached = await asyncio.to_thread(
        service.uploads.attach, caller, name_of(vector_store_id), {body.file_id: attributes}
    )
    return file_of(attached[0])


@router.get("/v1/vector_stores/{vector_store_id}/files")
async def listed(
    service: ServiceOf, caller: ReaderOf, vector_store_id: str, wanted: StoreFilesOf
) -> PageShape[StoreFileShape]:
    """The files of a collection."""
    files = await asyncio.to_thread(_files, service, caller, name_of(vector_store_id))
    some = [one for one in files if wanted.filter in (None, one.status)]
    return page(some, wanted, lambda one: one.id, lambda one: one)


@router.get("/v1/vector_stores/{vector_store_id}/files/{file_id}")
async def one_file(
    service: ServiceOf, caller: ReaderOf, vector_store_id: str, file_id: str
) -> StoreFileShape:
    """A file of a collection, with its state."""
    return await asyncio.to_thread(_file, service, caller, name_of(vector_store_id), file_id)


@router.post("/v1/vector_stores/{vector_store_id}/files/{file_id}")
async def update(
    service: ServiceOf, caller: WriterOf, vector_store_id: str, file_id: str, body: FileUpdate
) -> StoreFileShape:
    """Give an upload other attributes. It is «in_progress» until searches know of them."""
    name = name_of(vector_store_id)
    if DOCUMENT_ID.fullmatch(file_id):
        await asyncio.to_thread(_file, service, caller, name, file_id)
        raise UsageError(t("Only a file that was uploaded can be given attributes."))
    described = await asyncio.to_thread(
        service.uploads.describe, caller, name, file_id, body.attributes or {}
    )
    return file_of(described)


@router.delete("/v1/vector_stores/{vector_store_id}/files/{file_id}")
async def detach(
    service: ServiceOf, caller: WriterOf, vector_store_id: str, file_id: str
) -> StoreFileDeletedShape:
    """Remove a file from a collection; an upload is kept."""
    done = await asyncio.to_thread(_detach, service, caller, name_of(vector_store_id), file_id)
    await service.uploads.removed(done)
    return StoreFileDeletedShape(id=file_id)


@router.get("/v1/vector_stores/{vector_store_id}/files/{file_id}/content")
async def content(
    service: ServiceOf, caller: ReaderOf, vector_store_id: str, file_id: str
) -> TextsShape:
    """The text of a file, as it was extracted; nothing, until it is indexed."""
    return await asyncio.to_thread(_texts, service, caller, name_of(vector_store_id), file_id)


# What follows may block.


def _files(service: Service, caller: Caller, name: str) -> list[StoreFileShape]:
    """The first one first."""
    attached = service.uploads.attachments(caller, name)
    sources = {one.source for one in attached}
    documents = service.shelf.collection(caller, name).documents()
    others = [file_of_document(one, name) for one, _ in documents if one.source not in sources]
    return sorted([*map(file_of, attached), *others], key=lambda one: one.created_at)


def _file(service: Service, caller: Caller, name: str, file_id: str) -> StoreFileShape:
    """Raises `UnknownSourceError`."""
    try:
        return file_of(service.uploads.attachment(caller, name, file_id))
    except UnknownSourceError:
        for document, _ in service.shelf.collection(caller, name).documents():
            if file_id_of(document.source) == file_id:
                return file_of_document(document, name)
        raise


def _detach(service: Service, caller: Caller, name: str, file_id: str) -> Done:
    try:
        return service.uploads.detach(caller, name, file_id)
    except UnknownSourceError:
        source = _file(service, caller, name, file_id).source
        service.shelf.collection(caller, name).remove([source], patience=PATIENCE)
        return lambda: True


def _texts(service: Service, caller: Caller, name: str, file_id: str) -> TextsShape:
    file = _file(service, caller, name, file_id)
    collection = service.shelf.collection(caller, name)
    if not collection.held([file.source]):
        return TextsShape(data=())
    return TextsShape(data=(TextShape(text=collection.document(file.source).text),))
