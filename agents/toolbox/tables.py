"""SQL over the tables among the documents: CSV, TSV and XLSX files."""

import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

from langchain_core.tools import BaseTool, ToolException
from pydantic import Field

from agents.toolbox.making import Arguments, Words, tool_of
from agents.toolbox.table_queries import Found, QueryLimits, Tables, no_such_table, words_of
from agents.toolbox.table_reading import (
    FORMATS,
    Column,
    Table,
    Value,
    bare,
    sheet_names,
    sheets_of,
    table_of,
    unique,
)
from indexes.cleaning import one_line
from indexes.collection import Collection
from indexes.i18n import t
from indexes.loaders.tables import markdown_table
from indexes.types import Document

_MOST_DOCUMENTS: Final = 1000
_MOST_CELLS: Final = 3_000_000
_DESCRIBED: Final = 20  # tables of which a listing shows the columns
_CELL: Final = 300  # characters that are shown of a value
_SHOWN: Final = 8000  # and of a result


def table_tools(collection: Collection, limits: QueryLimits | None = None) -> tuple[BaseTool, ...]:
    """``list_tables`` and ``query_table``, over the CSV, TSV and XLSX documents of ``collection``.
    They read; what they bring is text from documents."""
    shelf = _Shelf(collection, limits)

    def list_tables(name: str) -> str:
        """Names the tables (CSV, Excel) and their columns. Call it before query_table."""
        return shelf.listing(name)

    def query_table(sql: str) -> str:
        """Runs one SQLite SELECT over the tables of list_tables, such as: SELECT region,
        SUM(amount) FROM sales GROUP BY region."""
        return shelf.query(sql)

    return (
        tool_of(list_tables, _Listing, tainted=True),
        tool_of(query_table, _Querying, tainted=True),
    )


def has_tables(collection: Collection) -> bool:
    """Whether there are such documents in ``collection``."""
    formats = " or ".join(f'format = "{one}"' for one in sorted(FORMATS))
    return collection.count(formats).documents > 0


class _Listing(Arguments):
    name: Words = Field("", description="a part of its name or file")


class _Querying(Arguments):
    sql: str = Field(description="one SELECT statement")


@dataclass(frozen=True, slots=True)
class _Entry:
    """A table that can be loaded: sheet number ``index`` of a document."""

    name: str
    source: str
    index: int
    sheet: str

    @property
    def place(self) -> str:
        if not self.sheet:
            return self.source
        return t("{source}, sheet «{sheet}»", source=self.source, sheet=self.sheet)


class _Shelf:
    """The tables of a collection, each read when it is first named."""

    def __init__(self, collection: Collection, limits: QueryLimits | None) -> None:
        self._collection = collection
        self._lock = threading.Lock()
        self._tables = Tables(limits)
        self._entries: dict[str, _Entry] | None = None
        self._loaded: dict[str, Table | None] = {}
        self._cells = 0

    def listing(self, name: str = "") -> str:
        """The tables whose name or file contains ``name``, with their columns."""
        with self._lock:
            found = [
                entry
                for entry in self._known().values()
                if name.casefold() in f"{entry.name} {entry.source}".casefold()
            ]
            if not found:
                raise ToolException(no_such_table(name, tuple(self._known())))
            lines = [self._described(entry) for entry in found[:_DESCRIBED]]
            lines += [f"- {entry.name} ({entry.place})" for entry in found[_DESCRIBED:]]
        return _cut("\n".join(lines))

    def query(self, sql: str) -> str:
        """The result of one SELECT statement, as a Markdown table."""
        with self._lock:
            words = words_of(sql)
            named = [e for e in self._known().values() if e.name.casefold() in words]
            for entry in named:
                self._load(entry)
            columns = [c for e in named if (table := self._loaded[e.name]) for c in table.columns]
            found = self._tables.query(_renamed(sql.strip(), columns))
        return _shown(found, named)

    def _known(self) -> dict[str, _Entry]:
        if self._entries is None:
            self._entries = _entries(self._collection)
            self._tables.names = tuple(self._entries)
        if not self._entries:
            raise ToolException(
                t("There are no tables among the documents: no CSV, TSV or XLSX file.")
            )
        return self._entries

    def _described(self, entry: _Entry) -> str:
        try:
            table = self._load(entry)
        except ToolException as error:
            return f"- {entry.name} ({entry.place}): {error}"
        if table is None:
            return f"- {entry.name} ({entry.place}): " + t("empty")
        columns = ", ".join(map(_column, table.columns))
        first = "; ".join(_text(value) for value in table.rows[0]) if table.rows else ""
        counted = t("{count} rows", count=len(table.rows))
        example = t("first row: {row}", row=first)
        return f"- {entry.name} ({entry.place}), {counted}: {columns}\n  {example}"

    def _load(self, entry: _Entry) -> Table | None:
        if entry.name not in self._loaded:
            document = self._collection.document(entry.source)
            siblings = [e for e in self._known().values() if e.source == entry.source]
            sheets = sheets_of(document)
            self._cells += sum(len(row) for rows in sheets for row in rows)
            if self._cells > _MOST_CELLS:
                raise ToolException(
                    t(
                        "The tables named so far are too large to be queried: more than {count} "
                        "cells.",
                        count=_MOST_CELLS,
                    )
                )
            for one in siblings:
                table = table_of(sheets[one.index]) if one.index < len(sheets) else None
                self._loaded[one.name] = table
                if table is not None:
                    self._tables.put(one.name, table)
        return self._loaded[entry.name]


def _entries(collection: Collection) -> dict[str, _Entry]:
    documents = [one for one, _ in collection.documents() if one.format in FORMATS]
    found: dict[str, _Entry] = {}
    for document in documents[:_MOST_DOCUMENTS]:
        for index, sheet in enumerate(_sheets(document, collection)):
            name = _name(document, sheet, tuple(found))
            found[name] = _Entry(name, document.source, index, sheet)
    return found


def _sheets(document: Document, collection: Collection) -> Sequence[str]:
    if document.format != "xlsx":
        return [""]
    return sheet_names(collection.document(document.source))


def _name(document: Document, sheet: str, taken: Sequence[str]) -> str:
    path = PurePath(document.source)
    several = document.metadata.get("sheets", 1) != 1
    stem = f"{path.stem}_{sheet}" if several else path.stem
    name = bare(stem) or "table_1"
    if name.casefold() in {one.casefold() for one in taken}:
        name = bare(f"{path.parent.name}_{stem}") or name
    return unique(name, taken)


def _column(column: Column) -> str:
    kind = f"{column.kind} {column.unit}".rstrip()
    header = one_line(column.header, 60)
    return f"{column.name} {kind}" + (f" («{header}»)" if header not in ("", column.name) else "")


def _renamed(sql: str, columns: Sequence[Column]) -> str:
    """The SQL with the names of columns where it has their headers in quotation marks."""
    for column in columns:
        if column.header != column.name and column.header:
            header = re.escape(column.header)
            sql = re.sub(rf'"{header}"|`{header}`|\[{header}\]', f'"{column.name}"', sql)
    return sql


def _shown(found: Found, entries: Sequence[_Entry]) -> str:
    """The result as a Markdown table, and where it comes from."""
    origin = "\n".join(
        t("Table {name}: {place}", name=entry.name, place=entry.place) for entry in entries
    )
    if not found.rows:
        return "\n\n".join(filter(None, (t("No row matches."), origin)))
    rows = [[_text(value) for value in row] for row in found.rows]
    table = _cut(markdown_table([list(found.columns), *rows]))
    if found.more:
        table += "\n" + t("There are more rows than these {count}.", count=len(rows))
    return "\n\n".join(filter(None, (table, origin)))


def _text(value: Value | bytes) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.15g}"
    return one_line(str(value), _CELL)


def _cut(text: str) -> str:
    if len(text) <= _SHOWN:
        return text
    kept = text[:_SHOWN].rpartition("\n")[0]
    return f"{kept}\n" + t("The rest is cut off here. Ask for less.")
