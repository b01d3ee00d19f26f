"""Pages of the web, as something to index beside files."""

import hashlib
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path
from typing import Final
from urllib.parse import urldefrag

from indexes.errors import LoadError
from indexes.items import Version
from indexes.types import Extracted

_SECONDS: Final = 60.0
_SIZE: Final = 64 * 1024 * 1024


class WebItem:
    """The page or document at an address, without its ``#fragment``. It is fetched when its
    version is asked for; what counts as its version is its text, for the markup of many pages is
    never the same twice. ``hosts`` may be inside the own network, all others only public."""

    def __init__(
        self, url: str, load: Callable[[Path], Extracted], hosts: frozenset[str] = frozenset()
    ) -> None:
        self.source = urldefrag(url.strip()).url
        self._load, self._hosts = load, hosts

    def unchanged(self, known: Version) -> bool:  # noqa: ARG002 - that takes a request
        return False

    def version(self) -> Version:
        digest = hashlib.sha256(f"{self._extracted.title}\0{self._extracted.text}".encode())
        return Version(len(self._extracted.text), 0, digest.hexdigest())

    def load(self) -> Extracted:
        return self._extracted

    @cached_property
    def _extracted(self) -> Extracted:
        from langchain_core.tools import ToolException

        from agents.toolbox.background import perform
        from agents.toolbox.fetching import FetchLimits, fetched
        from agents.toolbox.page_reading import UNTOLD, extracted_from, is_readable

        def accepted(kind: str) -> bool:
            return kind in UNTOLD or is_readable(kind)

        limits = FetchLimits(_SECONDS, _SIZE, hosts=self._hosts)
        try:
            page = perform(fetched(self.source, accepted, limits=limits))
        except ToolException as error:
            raise LoadError(str(error)) from error
        return extracted_from(page, self._load)


def apart(paths: Iterable[str]) -> tuple[list[str], list[str]]:
    """The paths, and the addresses of the web, each once."""
    named = list(dict.fromkeys(paths))
    pages = [path for path in named if is_address(path)]
    return [path for path in named if path not in pages], pages


def is_address(path: str) -> bool:
    """Whether it is an address of the web."""
    return path.strip().lower().startswith(("http://", "https://"))
