"""The values of uploads."""

from dataclasses import dataclass, field
from typing import Literal

State = Literal["in_progress", "completed", "failed", "cancelled"]
FailureCode = Literal["server_error", "unsupported_file", "invalid_file"]
Attributes = dict[str, str | int | float | bool]


@dataclass(frozen=True, slots=True)
class StoredFile:
    """An uploaded file of the key ``owner``; ``bytes`` is its size, ``content`` the name of the
    file with its bytes, ``created`` in seconds since 1970."""

    id: str
    owner: str
    name: str
    purpose: str
    bytes: int
    sha256: str
    content: str
    created: int


@dataclass(frozen=True, slots=True)
class Attachment:
    """An uploaded file in a collection, where its document is ``source``; ``code`` and ``error``
    say why it failed."""

    n: int
    collection: str
    file: str
    name: str
    bytes: int
    sha256: str
    content: str
    source: str
    attributes: Attributes
    state: State | Literal["removing"]
    code: FailureCode | Literal[""]
    error: str
    attempts: int
    created: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Files that were attached together."""

    id: str
    collection: str
    files: tuple[str, ...]
    created: int


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """What people say of a collection; ``created`` in seconds since 1970."""

    name: str
    description: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    created: int = 0
