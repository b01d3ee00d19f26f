"""A collection as it is seen by those who may not know where its files lie on this machine."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace

from indexes import lookup
from indexes.collection import Collection
from indexes.counting import Match
from indexes.retrieval import Mode
from indexes.shown import shown
from indexes.types import Document, RemoveReport, SearchResponse

_MOST_RECENT = 10_000


class VeiledCollection(Collection):
    """The collection ``whole``, whose documents are called as `indexes.shown` says: whatever goes
    out bears these names, and names and filters that come in are about them alone, so that no path
    can be guessed. Closed with ``whole``."""

    _veiled = True

    def __init__(self, whole: Collection) -> None:
        self.__dict__.update(whole.__dict__)
        self._recent: dict[str, str] = {}

    def remove(
        self, sources: Iterable[str | os.PathLike[str]], *, patience: float | None = None
    ) -> RemoveReport:
        """`Collection.remove`."""
        report = super().remove(sources, patience=patience)
        documents = (replace(one, source=shown(one.source)) for one in report.documents)
        return replace(report, documents=tuple(documents))

    def search(
        self, query: str, k: int = 10, *, where: str | None = None, mode: Mode = "hybrid"
    ) -> SearchResponse:
        """`Collection.search`."""
        response = super().search(query, k, where=where, mode=mode)
        results = tuple(replace(one, source=self._name(one.source)) for one in response.results)
        return replace(response, results=results)

    def matching(self, where: str | None = None, mentions: str | None = None) -> tuple[Match, ...]:
        """`Collection.matching`."""
        found = super().matching(where, mentions)
        named = (replace(one, document=_named(one.document)) for one in found)
        return tuple(sorted(named, key=lambda one: one.document.source))

    def documents(self) -> list[tuple[Document, int]]:
        """`Collection.documents`."""
        named = ((_named(document), chunks) for document, chunks in super().documents())
        return sorted(named, key=lambda one: one[0].source)

    def held(self, sources: Sequence[str]) -> frozenset[str]:
        """`Collection.held`."""
        with self._readers.view() as view:
            return frozenset(
                one for one in sources if one in map(shown, view.database.shown_as(one))
            )

    def document(self, source: str | os.PathLike[str]) -> Document:
        """`Collection.document`."""
        name = os.fspath(source)
        with self._readers.view() as view:
            recent = self._recent.get(name)
            found = view.database.document(recent) if recent else None
            return _named(
                found or lookup.document_named(view.database, name, self.name, veiled=True)
            )

    def _name(self, source: str) -> str:
        """What a document is called; it is found at once when it is asked for by that."""
        name = shown(source)
        if len(self._recent) >= _MOST_RECENT:
            self._recent.clear()
        self._recent[name] = source
        return name


def _named(document: Document) -> Document:
    return replace(document, source=shown(document.source))
