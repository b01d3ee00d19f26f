"""One page of the web, as text."""

from typing import Final

from langchain_core.tools import BaseTool, ToolException
from pydantic import Field

from agents.toolbox.background import perform
from agents.toolbox.fetching import AddressCheck, Fetched, FetchLimits, fetched, is_public
from agents.toolbox.making import Arguments, tool_of
from agents.toolbox.page_reading import READING, extracted_from, is_readable
from indexes.errors import LoadError
from indexes.i18n import t
from indexes.loaders import LoaderPool

_LENGTH: Final = 8000  # characters of a page that are shown at once


def web_tool(check: AddressCheck = is_public, limits: FetchLimits | None = None) -> BaseTool:
    """``fetch_page``: it goes to the network, and brings text from outside. ``check`` says which
    addresses may be connected to."""

    def fetch_page(url: str, start: int) -> str:
        """The text of one page or document of the web, by its full address."""
        page = perform(fetched(url, is_readable, check, limits))
        return _shown(page.url, *_read(page), start)

    return tool_of(fetch_page, _Fetching, "network", tainted=True, named=True)


class _Fetching(Arguments):
    url: str = Field(description="the address, with https:// or http://")
    start: int = Field(0, ge=0, description="first character that is shown, to read on")


def _read(page: Fetched) -> tuple[str, str]:
    """The title and the text."""
    try:
        with LoaderPool(limits=READING) as loaders:
            extracted = extracted_from(page, loaders.load)
    except LoadError as error:
        raise ToolException(
            t("«{url}» cannot be read: {reason}", url=page.url, reason=error)
        ) from error
    return extracted.title, extracted.text


def _shown(url: str, title: str, text: str, start: int) -> str:
    """A part of the text that begins at ``start``, and how to read on."""
    part = text[start : start + _LENGTH]
    head = f"{title}\n{url}" if title else url
    if not part.strip():
        return t("{head}\n\nNothing stands from character {start} on.", head=head, start=start)
    end = start + len(part)
    if end >= len(text):
        return f"{head}\n\n{part}"
    rest = t(
        "{count} of {total} characters are shown. Go on with start={end}.",
        count=len(part),
        total=len(text),
        end=end,
    )
    return f"{head}\n\n{part}\n\n{rest}"
