"""A collection on an event loop: the same methods, with an ``a`` before their names."""

import asyncio
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from indexes.collection import Collection
    from indexes.counting import Count
    from indexes.retrieval import Mode
    from indexes.types import Document, IndexReport, RemoveReport, SearchResponse


class Awaiting:
    """What `indexes.collection.Collection` does, in a thread. A caller that is cancelled leaves at
    once; what was begun is finished all the same."""

    @property
    def _blocking(self) -> "Collection":
        return cast("Collection", self)

    async def aadd(self, paths: Iterable[str | os.PathLike[str]], **options: Any) -> "IndexReport":
        """`add`; ``options`` are its."""
        return await asyncio.to_thread(self._blocking.add, paths, **options)

    async def aadd_texts(
        self,
        texts: Sequence[str],
        metadatas: Sequence[Mapping[str, Any]] | None = None,
        sources: Sequence[str] | None = None,
    ) -> list[str]:
        """`add_texts`."""
        return await asyncio.to_thread(self._blocking.add_texts, texts, metadatas, sources)

    async def aremove(self, sources: Iterable[str | os.PathLike[str]]) -> "RemoveReport":
        """`remove`."""
        return await asyncio.to_thread(self._blocking.remove, sources)

    async def asearch(
        self,
        query: str,
        k: int = 10,
        *,
        where: str | None = None,
        mode: "Mode" = "hybrid",
    ) -> "SearchResponse":
        """`search`."""
        return await asyncio.to_thread(self._blocking.search, query, k, where=where, mode=mode)

    async def acount(self, where: str | None = None, mentions: str | None = None) -> "Count":
        """`count`."""
        return await asyncio.to_thread(self._blocking.count, where, mentions)

    async def adocuments(self) -> "list[tuple[Document, int]]":
        """`documents`."""
        return await asyncio.to_thread(self._blocking.documents)

    async def adocument(self, source: str | os.PathLike[str]) -> "Document":
        """`document`."""
        return await asyncio.to_thread(self._blocking.document, source)
