"""All that the doors share, opened and closed together."""

import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agents.doors.audit import Audit
from agents.doors.feedback import Feedback
from agents.doors.gate import Gate
from agents.doors.keys import Keys
from agents.doors.metrics import Metrics
from agents.doors.settings import ServeSettings
from agents.doors.shelf import Shelf
from agents.doors.uploads import Uploads
from indexes.collection import Notice
from rag.answering import ChatFactory


@dataclass(frozen=True, slots=True)
class Service:
    """What a door works with. ``ending`` is set from the moment on at which the service is told to
    end and lets nobody in any more."""

    home: Path
    settings: ServeSettings
    shelf: Shelf
    keys: Keys
    gate: Gate
    audit: Audit
    uploads: Uploads
    feedback: Feedback
    metrics: Metrics
    ending: threading.Event = field(default_factory=threading.Event)

    def close(self) -> None:
        """Stop the work in the background, and close the collections."""
        self.ending.set()
        self.uploads.close()
        self.feedback.close()
        self.shelf.close()


def open_service(
    home: Path,
    settings: ServeSettings,
    chat: ChatFactory,
    notice: Notice | None = None,
    embedder: Any | None = None,
) -> Service:
    """Open the service of ``home``, whose uploads begin to be indexed. Close it at the end.

    ``chat`` makes the chat model when it is first needed. ``embedder`` is an `Embedder`, by default
    that of the settings; ``notice`` is told when something slow begins.
    """
    metrics = Metrics()
    shelf = Shelf(home, chat, notice, embedder, heard=metrics.answered)
    service = Service(
        home, settings, shelf, Keys(home), Gate(settings), Audit(home),
        Uploads(home, shelf, settings), Feedback(home), metrics,
    )  # fmt: skip
    _watch(service)
    service.uploads.start()
    return service


def _watch(service: Service) -> None:
    """What the metrics tell of the service's parts."""
    metrics, gate, shelf = service.metrics, service.gate, service.shelf
    metrics.watch("waggle_answering", "Requests that hold a slot.", lambda: gate.running)
    metrics.watch("waggle_queue", "Requests that wait for a slot.", lambda: gate.waiting)
    metrics.watch_each(
        "waggle_index_generation", "Generation of the index of each open collection.",
        "collection",
        lambda: _generations(shelf),
    )  # fmt: skip


def _generations(shelf: Shelf) -> dict[str, float]:
    known: dict[str, float] = {}
    for rag in shelf.opened():
        with suppress(Exception):  # it is damaged, or being closed: the figures of others are told
            known[rag.collection.name] = rag.collection.generation()
    return known
