"""What a check of a collection tells."""

from collections.abc import Callable
from dataclasses import dataclass

Watch = Callable[[str, int, int], None]
"""Called with what is being checked, in the user's language, how much is done, and of how much."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as it was written.

    ``kind`` is a word for programs: ``database`` (not there, or no database), ``page``, ``log``,
    ``structure``, ``counts``, ``document`` (a document with its chunks and vectors), ``chunk``,
    ``vector``, ``lost`` (a document that a repair has still to read anew), ``vector_file``,
    ``posting``, ``postings_file``, ``orphan``, ``source_changed``. ``subject`` is what it is about:
    a file, a source or a number; ``detail`` is a sentence in the user's language.
    """

    kind: str
    subject: str
    detail: str


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What was checked, and what was found.

    ``documents`` to ``postings`` are the numbers that were compared with their checksums and with
    each other, ``pages`` those of the database, ``files`` all that were read in the collection's
    folder. ``outdated`` are documents whose file has changed since they were indexed, ``vanished``
    those whose file is gone or cannot be read: that is normal life. ``repaired`` tells in sentences
    what was mended, ``lost`` names documents that could not be saved.
    """

    collection: str
    generation: int
    documents: int
    chunks: int
    vectors: int
    postings: int
    pages: int
    files: int
    problems: tuple[Problem, ...]
    outdated: tuple[str, ...]
    vanished: tuple[str, ...]
    repaired: tuple[str, ...]
    lost: tuple[str, ...]
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether nothing is damaged."""
        return not self.problems


@dataclass(slots=True)
class Tally:
    """Numbers that grow while a collection is checked."""

    documents: int = 0
    chunks: int = 0
    vectors: int = 0
    postings: int = 0
    pages: int = 0
    files: int = 0
