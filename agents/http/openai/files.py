"""``/v1/files``: uploads. Attach them to a collection with ``/v1/vector_stores``."""

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse
from pydantic import Field

from agents.doors.upload_types import StoredFile
from agents.http.depending import ReaderOf, ServiceOf, WriterOf
from agents.http.openai.paging import PageQuery, PageShape, page
from agents.http.receiving import Form, receive_form
from agents.shapes import Shape
from indexes.errors import UsageError
from indexes.i18n import t

router = APIRouter(tags=["openai"])

_PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")
_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file", "purpose"],
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "purpose": {"type": "string", "enum": list(_PURPOSES)},
                    },
                }
            }
        },
    }
}


_BYTES: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    }
}


class FileShape(Shape):
    """``bytes`` is the size, ``created_at`` in seconds since 1970."""

    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    expires_at: None = None
    filename: str
    purpose: str
    status: Literal["uploaded", "processed", "error"] = "processed"
    status_details: None = None

    @classmethod
    def of(cls, file: StoredFile) -> "FileShape":
        return cls(id=file.id, bytes=file.bytes, created_at=file.created, filename=file.name,
                   purpose=file.purpose)  # fmt: skip


class FileDeletedShape(Shape):
    id: str
    object: Literal["file"] = "file"
    deleted: Literal[True] = True


class FilesQuery(PageQuery):
    limit: int = Field(default=10_000, ge=1, le=10_000)
    purpose: str | None = None


@router.post("/v1/files", openapi_extra=_FORM)
async def upload(request: Request, service: ServiceOf, caller: WriterOf) -> FileShape:
    """Upload a file. When this answers, it is on the disk."""
    with await asyncio.to_thread(service.uploads.incoming, caller) as incoming:
        form = await receive_form(request, incoming)
        keep = service.uploads.keep
        purpose = _purpose(form)
        file = await asyncio.to_thread(keep, caller, incoming, form.filename, purpose)
    return FileShape.of(file)


@router.get("/v1/files")
async def listed(
    service: ServiceOf, caller: ReaderOf, wanted: Annotated[FilesQuery, Query()]
) -> PageShape[FileShape]:
    """The files that this key has uploaded."""
    files = await asyncio.to_thread(service.uploads.files, caller)
    some = [one for one in files if wanted.purpose in (None, one.purpose)]
    return page(some, wanted, lambda file: file.id, FileShape.of)


@router.get("/v1/files/{file_id}")
async def one_file(service: ServiceOf, caller: ReaderOf, file_id: str) -> FileShape:
    """A file of this key, or in a collection that it sees."""
    return FileShape.of(await asyncio.to_thread(service.uploads.file, caller, file_id))


@router.delete("/v1/files/{file_id}")
async def delete(service: ServiceOf, caller: WriterOf, file_id: str) -> FileDeletedShape:
    """Delete a file that this key has uploaded, and its documents in every collection."""
    done = await asyncio.to_thread(service.uploads.delete, caller, file_id)
    await service.uploads.removed(done)
    return FileDeletedShape(id=file_id)


@router.get("/v1/files/{file_id}/content", response_class=FileResponse, responses=_BYTES)
async def content(service: ServiceOf, caller: ReaderOf, file_id: str) -> FileResponse:
    """The bytes of a file."""
    file = await asyncio.to_thread(service.uploads.file, caller, file_id)
    return FileResponse(
        service.uploads.path(file),
        media_type="application/octet-stream",
        filename=file.name,
        headers={"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox"},
    )


def _purpose(form: Form) -> str:
    """What the file is for. Raises `UsageError`."""
    if any(name.startswith("expires_after") for name in form.fields):
        raise UsageError(t("Files do not expire here. Leave out expires_after, and delete them."))
    purpose = form.fields.get("purpose", "")
    if purpose not in _PURPOSES:
        raise UsageError(
            t("The purpose must be one of these: {names}.", names=", ".join(_PURPOSES))
        )
    return purpose
