"""The tool `index`: a text, or on the same machine files, that are to be found from now on."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agents.mcp_door.access import Access
from agents.mcp_door.shapes import IndexArguments, IndexedShape, TextArguments
from agents.shapes import FailureShape
from indexes.cleaning import one_line
from indexes.errors import ForbiddenError, UnknownSourceError, UsageError
from indexes.i18n import t
from indexes.items import TextItem

if TYPE_CHECKING:
    from agents.mcp_door.progress import Progress
    from indexes.collection import Collection
    from indexes.pipeline import Progress as Indexed

TEXT: Final = "text:"
"""How the sources of texts begin, so that none takes the place of a file."""


def index(access: Access, asked: TextArguments, progress: "Progress") -> IndexedShape:
    """Add or replace. Raises `ForbiddenError` without the right «write» and for paths that are not
    to be read, `WaggleError` where nothing can be indexed."""
    if access.local and not access.writes:
        raise ForbiddenError(t("Indexing is switched off here. Switch it on: waggle mcp --write"))
    access.caller.check("write")
    paths = asked.paths if isinstance(asked, IndexArguments) else ()
    real = [_allowed(path, access.folders) for path in paths]
    item = None if real else _text(asked)
    name = access.goal(asked.collection)
    known = name in access.shelf.names(access.caller)
    make = access.shelf.collection if known else access.shelf.create
    collection = make(access.caller, name)
    return _add(collection, item) if item else _files(collection, real, progress)


def told(indexed: IndexedShape) -> str:
    """What was done, as text."""
    lines = [
        t(
            "Collection «{name}»: {added} added, {updated} updated, {unchanged} unchanged.",
            name=indexed.collection,
            added=indexed.added,
            updated=indexed.updated,
            unchanged=indexed.unchanged,
        )
    ]
    return "\n".join([*lines, *(f"✗ {one.source}: {one.reason}" for one in indexed.failed)])


def _text(asked: TextArguments) -> TextItem:
    """What is kept."""
    name = one_line(asked.name)
    item = TextItem.make(
        asked.text, {"title": name} if name else {}, f"{TEXT}{name}" if name else ""
    )
    if not item.text.strip():
        raise UsageError(t("The text is empty."))
    return item


def _add(collection: "Collection", item: TextItem) -> IndexedShape:
    try:
        known = collection.document(item.source)
    except UnknownSourceError:
        known = None
    there = known is not None and known.source == item.source
    same = known is not None and there and known.text == item.text
    collection.add_texts([item.text], [item.metadata], [item.source])
    return IndexedShape(
        collection=collection.name, sources=(item.source,), added=int(not there),
        updated=int(there and not same), unchanged=int(same), failed=(),
    )  # fmt: skip


def _files(collection: "Collection", paths: Sequence[Path], progress: "Progress") -> IndexedShape:
    def tell(far: "Indexed") -> None:
        progress.say(t("{done} of {total} files", done=far.items, total=far.total))

    report = collection.add(paths, progress=tell)
    return IndexedShape(
        collection=collection.name,
        sources=tuple(map(str, paths)),
        added=report.added,
        updated=report.updated,
        unchanged=report.unchanged,
        failed=tuple(FailureShape(source=s, reason=r) for s, r in report.failed),
    )


def _allowed(path: str, folders: Sequence[Path]) -> Path:
    """The file or folder itself, behind all links, where it lies below one of ``folders``."""
    try:
        real = Path(path).expanduser().resolve()
    except (OSError, ValueError, RuntimeError):  # no path, no such user, links in a circle
        real = None
    allowed = [folder.resolve() for folder in folders]
    if real is None or not any(real.is_relative_to(folder) for folder in allowed):
        raise ForbiddenError(
            t(
                "«{path}» may not be indexed from here. What may is said by: waggle mcp --folder "
                "FOLDER",
                path=path,
            )
        )
    return real
