"""Who changed what, and who was refused: ``HOME/audit.jsonl``, one JSON object a line; and
``HOME/refused.jsonl`` of those that have no key, as anybody can fill that one.

No secret, no question and no text stands in it: a line has the id of a key, the name of a route or
tool, the name of a collection and an outcome.
"""

import json
import os
import threading
from datetime import UTC, datetime
from pathlib import Path

_MOST_BYTES = 10_000_000
_KEPT = {"audit": 5, "refused": 1}
"""Full files that are kept beside the one that is written."""


class Audit:
    """Appends to the logs of ``home``. Safe to use from several threads."""

    def __init__(self, home: Path, most_bytes: int = _MOST_BYTES) -> None:
        self._home, self._most_bytes = home, most_bytes
        self._lock = threading.Lock()

    def write(self, key: str, what: str, outcome: str, collection: str = "") -> None:
        """Add a line: the id of the key, what it wanted (a route's pattern, a tool's name), what
        came of it («done», or why not) and the collection it was about, if any."""
        self._append("audit", key, what, outcome, collection)

    def refused(self, key: str, what: str, outcome: str, collection: str = "") -> None:
        """The same of a request that was refused and that no key stands behind."""
        self._append("refused", key, what, outcome, collection)

    def _append(self, log: str, key: str, what: str, outcome: str, collection: str) -> None:
        line = {
            "when": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "key": key, "what": what, "collection": collection, "outcome": outcome,
        }  # fmt: skip
        data = (json.dumps(line, ensure_ascii=False) + "\n").encode(errors="replace")
        with self._lock:
            self._home.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._make_room(log, len(data))
            handle = os.open(self._path(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                os.write(handle, data)
            finally:
                os.close(handle)

    def _path(self, log: str, number: int = 0) -> Path:
        return self._home / (f"{log}.{number}.jsonl" if number else f"{log}.jsonl")

    def _make_room(self, log: str, size: int) -> None:
        """A file that is full gets a number; the oldest ones go."""
        path = self._path(log)
        if not path.exists() or path.stat().st_size + size <= self._most_bytes:
            return
        for number in range(_KEPT[log], 0, -1):
            older, newer = self._path(log, number), self._path(log, number - 1)
            if newer.exists():
                newer.replace(older)
