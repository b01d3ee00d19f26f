"""SQL that a model wrote, over tables in memory: it reads them, within limits, and nothing else."""

import difflib
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import apsw
from langchain_core.tools import ToolException

from agents.toolbox.table_reading import Table, Value
from indexes.i18n import t

_ALLOWED: Final = frozenset(
    {apsw.SQLITE_SELECT, apsw.SQLITE_READ, apsw.SQLITE_FUNCTION, apsw.SQLITE_RECURSIVE}
)
_FORBIDDEN: Final = frozenset({"load_extension", "fts3_tokenizer", "readfile", "writefile", "edit"})
_SIZES: Final = {
    apsw.SQLITE_LIMIT_LENGTH: 1_000_000,
    apsw.SQLITE_LIMIT_SQL_LENGTH: 20_000,
    apsw.SQLITE_LIMIT_EXPR_DEPTH: 100,
    apsw.SQLITE_LIMIT_COMPOUND_SELECT: 50,
    apsw.SQLITE_LIMIT_VDBE_OP: 100_000,
    apsw.SQLITE_LIMIT_FUNCTION_ARG: 50,
    apsw.SQLITE_LIMIT_ATTACHED: 0,
    apsw.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 500,
    apsw.SQLITE_LIMIT_WORKER_THREADS: 0,
}
_STEPS: Final = 10_000  # of SQLite's machine between two looks at the clock, about a millisecond


@dataclass(frozen=True, slots=True)
class QueryLimits:
    """``seconds`` of one query, ``memory`` in bytes that it may take meanwhile, and ``rows`` of its
    result that are handed on."""

    seconds: float = 5.0
    memory: int = 256 * 1024 * 1024
    rows: int = 100


@dataclass(frozen=True, slots=True)
class Found:
    """The result of a query; ``more`` where it has further rows."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]
    more: bool


class Tables:
    """Tables in memory, to be used by one thread at a time. ``names`` are all that there could be,
    for whoever asks for another."""

    def __init__(self, limits: QueryLimits | None = None) -> None:
        self._limits = limits or QueryLimits()
        self.names: Sequence[str] = ()
        self._columns: dict[str, tuple[str, ...]] = {}
        self._connection = apsw.Connection(":memory:")
        self._connection.pragma(
            "temp_store", 2
        )  # what it sorts counts as memory, and leaves no file
        # Else a column that is not there would count as a text.
        self._connection.config(apsw.SQLITE_DBCONFIG_DQS_DML, 0)

    def put(self, name: str, table: Table) -> None:
        """Make ``table`` one that can be asked for by ``name``."""
        columns = ", ".join(f'"{column.name}" {column.kind}' for column in table.columns)
        holes = ", ".join("?" * len(table.columns))
        with self._connection:
            self._connection.execute(f'CREATE TABLE "{name}" ({columns})')
            self._connection.executemany(f'INSERT INTO "{name}" VALUES ({holes})', table.rows)
        self._columns[name] = tuple(column.name for column in table.columns)

    def query(self, sql: str) -> Found:
        """What one SELECT brings. Raises `ToolException`, whose sentence tells the model what to
        write instead."""
        with self._guarded() as stopped:
            try:
                return self._first_rows(sql)
            except apsw.InterruptError as error:
                raise ToolException(stopped() or str(error)) from error
            except apsw.AuthError as error:
                raise ToolException(_only_reading()) from error
            except apsw.TooBigError as error:
                raise ToolException(
                    t("The query makes values that are too large. Ask for less.")
                ) from error
            except (apsw.Error, UnicodeError, ValueError) as error:
                raise ToolException(self._explained(str(error), sql)) from error

    def _first_rows(self, sql: str) -> Found:
        begun = _Begun()
        cursor = self._connection.cursor()
        cursor.exec_trace = begun
        rows: list[tuple[Value, ...]] = []
        for row in cursor.execute(sql, can_cache=False):
            if len(rows) == self._limits.rows:
                cursor.close(True)
                return Found(begun.columns, tuple(rows), more=True)
            rows.append(row)
        if not begun.columns:
            raise apsw.AuthError
        return Found(begun.columns, tuple(rows), more=False)

    @contextmanager
    def _guarded(self) -> Iterator[Callable[[], str]]:
        """The connection can read only, and is watched; what it yields tells why it was stopped."""
        connection = self._connection
        watch = _Watch(self._limits)
        before = {limit: connection.limit(limit, size) for limit, size in _SIZES.items()}
        connection.authorizer = _authorize
        connection.set_progress_handler(watch, _STEPS)
        try:
            yield lambda: watch.reason
        finally:
            connection.set_progress_handler(None)
            connection.authorizer = None
            for limit, size in before.items():
                connection.limit(limit, size)

    def _explained(self, reason: str, sql: str) -> str:
        if reason.startswith("not authorized"):
            return _only_reading()
        if match := re.search(r"no such table: (?:\w+\.)?(.+)", reason):
            return no_such_table(match[1], self.names)
        if match := re.search(r"no such column: (\"?)(.+?)\1(?: - |$)", reason):
            words = words_of(sql)
            asked = {name: c for name, c in self._columns.items() if name.casefold() in words}
            return t(
                "There is no column «{name}». There are: {columns}. Text stands in single "
                "quotation marks.",
                name=match[2],
                columns="; ".join(f"{name}({', '.join(c)})" for name, c in asked.items()),
            )
        return t("The SQL cannot be read: {reason}.", reason=reason.rstrip("."))


class _Watch:
    """Called by SQLite now and then; true ends the query."""

    def __init__(self, limits: QueryLimits) -> None:
        self._limits = limits
        self._end = time.monotonic() + limits.seconds
        self._most = apsw.memory_used() + limits.memory
        self.reason = ""

    def __call__(self) -> bool:
        if time.monotonic() > self._end:
            self.reason = t(
                "The query took more than {seconds} s and was stopped. Ask for less at once.",
                seconds=self._limits.seconds,
            )
        elif apsw.memory_used() > self._most:
            self.reason = t(
                "The query needed more than {megabytes} MB and was stopped. Ask for less at once.",
                megabytes=self._limits.memory // 2**20,
            )
        return bool(self.reason)


def words_of(sql: str) -> frozenset[str]:
    """The names and words in the SQL, in lower case."""
    return frozenset(word.casefold() for word in re.findall(r"\w+", sql))


def no_such_table(name: str, known: Sequence[str]) -> str:
    """The sentence that names the tables instead, the likeliest first."""
    near = difflib.get_close_matches(name, known, n=len(known), cutoff=0.0)
    return t(
        "There is no table «{name}». There is: {known}.", name=name, known=", ".join(near[:20])
    )


def _authorize(action: int, first: str | None, second: str | None, *_: object) -> int:
    if action not in _ALLOWED:
        return apsw.SQLITE_DENY
    if action == apsw.SQLITE_READ and (first or "").lower().startswith(("pragma_", "dbstat")):
        return apsw.SQLITE_DENY
    if action == apsw.SQLITE_FUNCTION and (second or "").lower() in _FORBIDDEN:
        return apsw.SQLITE_DENY
    return apsw.SQLITE_OK


class _Begun:
    """Called when a statement begins: one may, and it must have columns."""

    def __init__(self) -> None:
        self.columns: tuple[str, ...] = ()

    def __call__(self, cursor: Any, _statement: str, _bindings: object) -> bool:
        if self.columns:
            raise apsw.AuthError
        self.columns = tuple(name for name, *_ in cursor.get_description())
        return True


def _only_reading() -> str:
    return t(
        "The tables can only be read, by one SELECT statement at a time; nothing else is allowed."
    )
