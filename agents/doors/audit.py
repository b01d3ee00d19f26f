"""Who changed what, and who was refused: ``HOME/audit.jsonl``, one JSON object a line.

No secret, no question and no text stands in it: a line has the id of a key, the name of a route or
tool, the name of a collection and an outcome.
"""

import json
import os
import threading
from datetime import UTC, datetime
from pathlib import Path

_MOST_BYTES = 10_000_000
_KEPT = 5


class Audit:
    """Appends to the audit log of ``home``. Safe to use from several threads."""

    def __init__(self, home: Path, most_bytes: int = _MOST_BYTES) -> None:
        self._path, self._most_bytes = home / "audit.jsonl", most_bytes
        self._lock = threading.Lock()

    def write(self, key: str, what: str, outcome: str, collection: str = "") -> None:
        """Add a line: the id of the key, what it wanted (a route's pattern, a tool's name), what
        came of it («done», or why not) and the collection it was about, if any."""
        line = {
            "when": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "key": key, "what": what, "collection": collection, "outcome": outcome,
        }  # fmt: skip
        data = (json.dumps(line, ensure_ascii=False) + "\n").encode(errors="replace")
        with self._lock:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._make_room(len(data))
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                os.write(handle, data)
            finally:
                os.close(handle)

    def _make_room(self, size: int) -> None:
        """A file that is full gets a number; the oldest ones go."""
        if not self._path.exists() or self._path.stat().st_size + size <= self._most_bytes:
            return
        for number in range(_KEPT, 0, -1):
            older = self._path.with_name(f"audit.{number}.jsonl")
            newer = self._path.with_name(f"audit.{number - 1}.jsonl") if number > 1 else self._path
            if newer.exists():
                newer.replace(older)
