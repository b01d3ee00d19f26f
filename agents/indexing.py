"""Indexing as the command line does it: once, again from the stored text, or for as long as it
runs."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from indexes.errors import UsageError
from indexes.i18n import t
from indexes.types import IndexReport

if TYPE_CHECKING:
    from agents.terminal import Terminal
    from indexes.collection import Collection

Failed = Literal["", "some", "all"]


def check_index_options(
    paths: Sequence[str] | None, *, watch: bool, reembed: bool, json: bool
) -> None:
    """Raises `UsageError` for options that make no sense together."""
    if not paths and not reembed:
        raise UsageError(t("Name at least one file or folder to index."))
    if watch and not paths:
        raise UsageError(t("Name at least one folder to watch."))
    if watch and json:
        raise UsageError(t("With --watch there is no end to write one object at: use --jsonl."))


def run_index(
    collection: "Collection",
    terminal: "Terminal",
    paths: Sequence[str],
    include: Sequence[str],
    exclude: Sequence[str],
    *,
    prune: bool,
    watch: bool,
    reembed: bool,
) -> Failed:
    """Index, showing each report; tells whether some or all files failed."""
    failed: Failed = ""
    with terminal.indexing() as progress:

        def reports() -> Iterator[IndexReport]:
            if reembed:
                yield collection.reembed(progress)
            if watch:
                from indexes.watch import follow

                yield from follow(
                    collection, paths, include=include, exclude=exclude, progress=progress
                )
            elif paths:
                yield collection.add(
                    paths, include=include, exclude=exclude, prune=prune, progress=progress
                )

        for report in reports():
            terminal.index_report(report)
            if report.failed:
                done = report.added + report.updated + report.unchanged
                failed = "some" if done else "all"
    return failed
