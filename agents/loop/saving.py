"""Where a run's state is saved after each step: a SQLite file of its own.

Python's own SQLite has a bug that can damage a file with several connections in WAL mode; here
there is one connection, which keeps the file to itself, and the run's lock keeps others away.
"""

import sqlite3
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite import SqliteSaver

from agents.loop.journal import unwritable
from indexes.errors import DamagedError
from indexes.failpoints import reach
from indexes.i18n import t

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig
    from langgraph.checkpoint.base import CheckpointTuple
    from langgraph.checkpoint.memory import InMemorySaver

STATE: Final = "checkpoints.sqlite"
_OURS: Final = tuple(("agents.loop.types", name) for name in ("Decision", "Pending", "Task"))
"""What may be in a state beside plain values and messages; nothing else is ever built from it."""
_SEAL: Final = 4
"""Bytes of the checksum after each value."""


_PRUNE: Final = """
DELETE FROM {table} WHERE EXISTS (
    SELECT 1 FROM checkpoints AS later
    WHERE later.thread_id = {table}.thread_id AND later.checkpoint_ns = {table}.checkpoint_ns
    AND later.checkpoint_id > {table}.checkpoint_id
)"""


class _Sealed(JsonPlusSerializer):
    """With a checksum: SQLite does not see a page that was overwritten within a value."""

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        kind, data = super().dumps_typed(obj)
        return kind, data + crc32(data).to_bytes(_SEAL)

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        kind, sealed = data
        value, seal = sealed[:-_SEAL], sealed[-_SEAL:]
        if crc32(value).to_bytes(_SEAL) != seal:
            reason = t("a checksum does not hold")
            raise ValueError(reason)
        return super().loads_typed((kind, value))


def pack(value: Any) -> str:
    """Whatever may be in a state, as text."""
    kind, data = _serializer().dumps_typed(value)
    return f"{kind}:{b64encode(data).decode()}"


def unpack(text: str) -> Any:
    """What `pack` was given. Raises `ValueError` for any other text."""
    kind, _, data = text.partition(":")
    return _serializer().loads_typed((kind, b64decode(data)))


def _serializer() -> _Sealed:
    return _Sealed(allowed_msgpack_modules=_OURS)


class Saver(SqliteSaver):
    """Saves whole transactions only, and tells in a sentence what keeps it from it."""

    def __init__(self, file: Path, connection: sqlite3.Connection) -> None:
        super().__init__(connection, serde=_serializer())
        self._file = file

    @contextmanager
    def cursor(self, transaction: bool = True) -> Iterator[sqlite3.Cursor]:
        """A cursor for one transaction, which is undone when it fails. With each, the states before
        the latest one go: each of them holds all messages up to it."""
        with self.lock, _told(self._file):
            self.setup()
            with closing(self.conn.cursor()) as cursor:
                try:
                    yield cursor
                    if transaction:
                        for table in ("writes", "checkpoints"):
                            cursor.execute(_PRUNE.format(table=table))
                        reach("state.saving")
                        self.conn.commit()
                        reach("state.saved")
                except BaseException:
                    self.conn.rollback()
                    raise

    def get_tuple(self, config: "RunnableConfig") -> "CheckpointTuple | None":
        """The state as it was saved last. Raises `DamagedError` where that cannot be read."""
        try:
            return super().get_tuple(config)
        except ValueError as error:
            raise _damaged(self._file, str(error)) from error


def in_memory() -> "InMemorySaver":
    """What saves the state of a run that is not kept, as those that are."""
    from langgraph.checkpoint.memory import InMemorySaver

    return InMemorySaver(serde=_serializer())


@contextmanager
def saver(folder: Path) -> Iterator[Saver]:
    """What saves the state of the run in ``folder``, whose lock the caller holds. Raises
    `DamagedError` for a file that is none of these, `RunError` where it cannot be written."""
    file = folder / STATE
    with _told(file):
        connection = sqlite3.connect(file, check_same_thread=False)
    with closing(connection):
        with _told(file):
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("PRAGMA synchronous = FULL")
            state = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if state != "ok":
            raise _damaged(file, state)
        yield Saver(file, connection)


@contextmanager
def _told(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise unwritable(file, error.strerror or str(error)) from error
    except sqlite3.OperationalError as error:
        raise unwritable(file, str(error)) from error
    except sqlite3.DatabaseError as error:
        raise _damaged(file, str(error)) from error


def _damaged(file: Path, reason: str) -> DamagedError:
    return DamagedError(
        t(
            "The file {file} is damaged ({reason}): the run cannot be gone on with. Begin a "
            "new one.",
            file=file,
            reason=reason,
        )
    )
