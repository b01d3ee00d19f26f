"""What can be indexed: files, and texts in memory."""

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

from indexes.cleaning import clean, one_line
from indexes.errors import LoadError
from indexes.i18n import t
from indexes.types import Extracted


@dataclass(frozen=True, slots=True)
class Version:
    """What tells one state of a source from another; ``size`` in bytes."""

    size: int
    modified_ns: int
    sha256: str


class Item(Protocol):
    """Something to index."""

    @property
    def source(self) -> str:
        """The name under which it is stored."""
        ...

    def unchanged(self, known: Version) -> bool:
        """Whether it is, at a glance, still that version."""
        ...

    def version(self) -> Version:
        """Its present version. Raises `LoadError`."""
        ...

    def load(self) -> Extracted:
        """Its text. Raises `LoadError`."""
        ...


@dataclass(frozen=True, slots=True)
class FileItem:
    """A file; the same size and time of modification count as unchanged, else its hash decides."""

    source: str
    loader: Callable[[Path], Extracted]

    def unchanged(self, known: Version) -> bool:
        try:
            stat = os.stat(self.source)  # noqa: PTH116 - 100,000 files: a Path costs as much again
        except OSError:
            return False
        return (known.size, known.modified_ns) == (stat.st_size, stat.st_mtime_ns)

    def version(self) -> Version:
        try:
            with Path(self.source).open("rb") as file:
                stat = os.fstat(file.fileno())
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise LoadError(
                t("The file cannot be read: {reason}.", reason=error.strerror or error)
            ) from error
        return Version(stat.st_size, stat.st_mtime_ns, digest)

    def load(self) -> Extracted:
        return self.loader(Path(self.source))


@dataclass(frozen=True, slots=True)
class TextItem:
    """A text in memory, without the characters that a reader does not see."""

    source: str
    text: str
    metadata: Mapping[str, Any]

    @classmethod
    def make(cls, text: str, metadata: Mapping[str, Any], source: str = "") -> Self:
        text = clean(text)
        digest = hashlib.sha256(text.encode()).hexdigest()
        kept = {
            key: clean(value) if isinstance(value, str) else value
            for key, value in metadata.items()
            if isinstance(value, str | int | float | bool)
        }
        return cls(source or f"text:{digest[:16]}", text, kept)

    def unchanged(self, known: Version) -> bool:
        return self.version() == known

    def version(self) -> Version:
        data = self.text.encode()
        return Version(len(data), 0, hashlib.sha256(data).hexdigest())

    def load(self) -> Extracted:
        title = one_line(str(self.metadata.get("title", "")))
        return Extracted(self.text, "text", "text", title=title, metadata=self.metadata)
