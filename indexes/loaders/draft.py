"""What a parser hands over, and the one place where it becomes an ``Extracted``."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from indexes.cleaning import clean, one_line
from indexes.errors import LoadError
from indexes.i18n import t
from indexes.types import Extracted, Kind

MAX_CHARACTERS = 50_000_000
PAGE_BREAK = "\n\n"


@dataclass(frozen=True, slots=True)
class Draft:
    """Uncleaned pages of one file; a format without pages has one page and ``paged=False``."""

    pages: tuple[str, ...]
    kind: Kind
    format: str
    title: str = ""
    language: str = ""
    paged: bool = False
    metadata: Mapping[str, object] = field(default_factory=dict)


def too_deep() -> str:
    """The sentence for a file whose parts are nested deeper than it can be read."""
    return t("The file is nested too deeply to be read. Convert it to PDF or text.")


def finish(draft: Draft, max_characters: int = MAX_CHARACTERS) -> Extracted:
    """Clean the pages, join them and note where each begins.

    Raises:
        LoadError: nothing is left, or more than ``max_characters``.
    """
    pages = [clean(page) for page in draft.pages]
    if draft.paged:
        pages = [page.strip("\n") for page in pages]
    size = sum(map(len, pages))
    if size > max_characters:
        raise LoadError(
            t("The file holds {size} characters; the limit is {limit}. Split it into parts.",
              size=size, limit=max_characters)
        )  # fmt: skip
    if not any(page.strip() for page in pages):
        raise LoadError(t("The file holds no text. Nothing of it can be indexed."))
    starts, offset = [], 0
    for page in pages:
        starts.append(offset)
        offset += len(page) + len(PAGE_BREAK)
    return Extracted(
        text=PAGE_BREAK.join(pages),
        kind=draft.kind,
        format=draft.format,
        title=one_line(draft.title),
        language=draft.language,
        page_starts=tuple(starts) if draft.paged else (),
        metadata=_plain(draft.metadata),
    )


def _plain(metadata: Mapping[str, object]) -> dict[str, str | int | float | bool]:
    kept: dict[str, str | int | float | bool] = {}
    for key, value in metadata.items():
        if isinstance(value, bool | int | float):
            kept[key] = value
        elif value is not None and (text := one_line(str(value), 1000)):
            kept[key] = text
    return kept
