"""Indexing as the command line does it: once, again from the stored text, or for as long as it
runs."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from agents.web_items import apart, fetched_items
from indexes.errors import SourceError, UsageError
from indexes.i18n import t
from indexes.types import IndexReport

if TYPE_CHECKING:
    from agents.terminal import Terminal
    from indexes.collection import Collection
    from indexes.pipeline import Report

Failed = Literal["", "some", "all"]


def check_index_options(
    paths: Sequence[str] | None, *, watch: bool, reembed: bool, json: bool, web: bool
) -> None:
    """Raises `UsageError` for options that make no sense together."""
    if not paths and not reembed:
        raise UsageError(t("Name at least one file or folder to index."))
    if watch and not paths:
        raise UsageError(t("Name at least one folder to watch."))
    if watch and json:
        raise UsageError(t("With --watch there is no end to write one object at: use --jsonl."))
    pages = apart(paths or ())[1]
    if watch and pages:
        raise UsageError(t("{url} cannot be watched. Leave it out, or --watch.", url=pages[0]))
    if pages and not web:
        raise SourceError(
            t(
                "{url} is on the web, and nothing is fetched without --web. Add it, or save the "
                "page and index that.",
                url=pages[0],
            )
        )


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
    web_hosts: Sequence[str] = (),
) -> Failed:
    """Index, showing each report; tells whether some or all files failed. What is named by its
    address is fetched, within the own network only from ``web_hosts``."""
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
                yield _added(collection, paths, include, exclude, prune, web_hosts, progress)

        for report in reports():
            terminal.index_report(report)
            if report.failed:
                done = report.added + report.updated + report.unchanged
                failed = "some" if done else "all"
    return failed


def _added(
    collection: "Collection",
    paths: Sequence[str],
    include: Sequence[str],
    exclude: Sequence[str],
    prune: bool,
    web_hosts: Sequence[str],
    progress: "Report | None",
) -> IndexReport:
    files, urls = apart(paths)
    pages = fetched_items(urls, frozenset(web_hosts), progress)
    return collection.add(
        files, include=include, exclude=exclude, prune=prune, progress=progress, others=pages
    )
