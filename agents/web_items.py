"""Pages of the web, as something to index beside files."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from indexes.addresses import is_web
from indexes.errors import LoadError
from indexes.i18n import t
from indexes.items import Version
from indexes.loaders import LoaderPool
from indexes.pipeline import Progress, Report
from indexes.types import Extracted

_SECONDS: Final = 60.0
_SIZE: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class WebItem:
    """What was found at an address. What counts as its version is its text, for the markup of many
    pages is never the same twice."""

    source: str
    found: Extracted | LoadError

    def unchanged(self, known: Version) -> bool:  # noqa: ARG002 - only its version tells
        return False

    def version(self) -> Version:
        extracted = self.load()
        digest = hashlib.sha256(f"{extracted.title}\0{extracted.text}".encode())
        return Version(len(extracted.text), 0, digest.hexdigest())

    def load(self) -> Extracted:
        if isinstance(self.found, LoadError):
            raise self.found
        return self.found


def fetched_items(
    urls: Iterable[str], hosts: frozenset[str], report: Report | None = None
) -> Iterator[WebItem]:
    """The pages or documents at ``urls``, each once and one after the other, in the thread that
    asks, so that an interruption ends it. ``hosts`` may be inside the own network, all others only
    public."""
    sources = list(dict.fromkeys(map(_spelled, urls)))
    if not sources:
        return
    from agents.toolbox.page_reading import READING

    with LoaderPool(limits=READING) as loaders:
        for number, source in enumerate(sources):
            if report:
                report(Progress(number, len(sources), 0, source))
            try:
                yield WebItem(source, _extracted(source, loaders.load, hosts))
            except LoadError as error:
                yield WebItem(source, error)


def _extracted(url: str, load: Callable[[Path], Extracted], hosts: frozenset[str]) -> Extracted:
    from langchain_core.tools import ToolException

    from agents.toolbox.background import perform
    from agents.toolbox.fetching import FetchLimits, NotPublicError, fetched
    from agents.toolbox.page_reading import extracted_from, is_readable_as

    def accepted(kind: str) -> bool:
        return is_readable_as(kind, url)

    try:
        page = perform(fetched(url, accepted, limits=FetchLimits(_SECONDS, _SIZE, hosts=hosts)))
    except NotPublicError as error:
        hint = t("If its host is yours, name it in web_hosts (WAGGLE_WEB_HOSTS).")
        raise LoadError(f"{error} {hint}") from error
    except ToolException as error:
        raise LoadError(str(error)) from error
    return extracted_from(page, load)


def _spelled(url: str) -> str:
    """The address with scheme and host in lower case, without its ``#fragment``."""
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return url.strip()
    host = parts.netloc.lower()
    return urlunsplit((parts.scheme.lower(), host, parts.path or "/", parts.query, ""))


def apart(paths: Iterable[str]) -> tuple[list[str], list[str]]:
    """The paths, and the addresses of the web."""
    named = list(paths)
    return [path for path in named if not is_web(path)], [path for path in named if is_web(path)]
