"""The files of a collection, as OpenAI's clients know them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Annotated, Literal

from pydantic import Field, StrictBool, StrictInt, StrictStr

from agents.doors.upload_names import file_id_of
from agents.doors.upload_types import Attachment, FailureCode, State
from agents.http.incoming import Incoming
from agents.shapes import Shape
from indexes.errors import UnknownCollectionError
from indexes.i18n import t
from indexes.shown import filename_of
from indexes.types import Document, SearchResult

_PREFIX = "vs_"
_MOST = 16
_LONGEST = 512

Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
FileId = Annotated[str, Field(max_length=64)]
Text = Annotated[StrictStr, Field(max_length=_LONGEST)]
AttributesIn = Annotated[
    dict[
        Annotated[str, Field(min_length=1, max_length=64)], StrictBool | StrictInt | Number | Text
    ],
    Field(max_length=_MOST),
]
AttributeValues = Mapping[str, str | int | float | bool]


class Chunking(Incoming):
    """How a file is cut, which a collection decides for all of its files: taken and ignored."""

    type: Literal["auto", "static"]


class FileRequest(Incoming):
    """A file to be attached. Its attributes can be searched by."""

    file_id: FileId
    attributes: AttributesIn | None = None
    chunking_strategy: Chunking | None = None


class CountsShape(Shape):
    in_progress: int
    completed: int
    failed: int
    cancelled: int
    total: int


class LastErrorShape(Shape):
    code: FailureCode
    message: str


class OtherChunking(Shape):
    type: Literal["other"] = "other"


class StoreFileShape(Shape):
    """``usage_bytes`` is the size of the file, once it is indexed; ``source`` is the name of its
    document in the collection."""

    id: str
    object: Literal["vector_store.file"] = "vector_store.file"
    vector_store_id: str
    created_at: int
    status: State
    last_error: LastErrorShape | None = None
    usage_bytes: int
    attributes: AttributeValues
    chunking_strategy: OtherChunking = OtherChunking()
    filename: str
    source: str


def store_id(collection: str) -> str:
    """The id of a collection."""
    return f"{_PREFIX}{collection}"


def name_of(vector_store_id: str) -> str:
    """The name of the collection with that id. Raises `UnknownCollectionError` for what is no id
    of ours."""
    name = vector_store_id.removeprefix(_PREFIX)
    if not name or name == vector_store_id:
        raise UnknownCollectionError(
            t("There is no vector store «{name}» for this key. Their ids are like vs_NAME.",
              name=vector_store_id[:100])
        )  # fmt: skip
    return name


def file_of(one: Attachment) -> StoreFileShape:
    """An upload that is attached."""
    assert one.state != "removing"
    return StoreFileShape(
        id=one.file,
        vector_store_id=store_id(one.collection),
        created_at=one.created,
        status=one.state,
        last_error=LastErrorShape(code=one.code, message=one.error) if one.code else None,
        usage_bytes=one.bytes if one.state == "completed" else 0,
        attributes=one.attributes,
        filename=one.name,
        source=one.source,
    )


def file_of_document(document: Document, collection: str) -> StoreFileShape:
    """A document that came to the collection in another way."""
    return StoreFileShape(
        id=file_id_of(document.source),
        vector_store_id=store_id(collection),
        created_at=int(datetime.fromisoformat(document.added).timestamp()),
        status="completed",
        usage_bytes=document.size,
        attributes=_short(document.metadata),
        filename=filename_of(document.source),
        source=document.source,
    )


def attributes_of(found: SearchResult, upload: Attachment | None) -> AttributeValues:
    """Those that an upload was given; of another document, what is known of it."""
    return upload.attributes if upload else _short(found.metadata)


def counts_of(states: Sequence[str], others: int = 0) -> CountsShape:
    """How many files are in each state; ``others`` are indexed as well."""
    tally = Counter(states)
    return CountsShape(
        in_progress=tally["in_progress"], completed=tally["completed"] + others,
        failed=tally["failed"], cancelled=tally["cancelled"], total=len(states) + others,
    )  # fmt: skip


def _short(metadata: AttributeValues) -> AttributeValues:
    """As much as fits into the attributes of a file."""
    return {
        key[:64]: value[:_LONGEST] if isinstance(value, str) else value
        for key, value in islice(metadata.items(), _MOST)
    }
