"""What people say of answers: ``HOME/feedback.jsonl``, one JSON object a line.

Unlike the audit log it holds questions and answers, for prompts and models to be judged by. It
stays in the home; nothing sends it anywhere.
"""

import json
import os
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

Kind = Literal["chosen", "copied", "helpful", "unhelpful"]

_MOST_BYTES = 32_000_000


@dataclass(frozen=True, slots=True)
class Opinion:
    """What somebody did with an answer. ``others`` are those beside which it was ``chosen``;
    ``prompt`` and ``model`` made it."""

    kind: Kind
    collection: str
    question: str
    answer: str
    others: tuple[str, ...] = ()
    model: str = ""
    prompt: str = ""


class Feedback:
    """Keeps opinions below ``home``. Safe to use from several threads. A file with more than
    ``most_bytes`` becomes ``feedback.1.jsonl``, in place of the one before."""

    def __init__(self, home: Path, most_bytes: int = _MOST_BYTES) -> None:
        self._path, self._most_bytes = home / "feedback.jsonl", most_bytes
        self._older = self._path.with_name("feedback.1.jsonl")
        self._lock = threading.Lock()

    def keep(self, key: str, opinion: Opinion) -> None:
        """Add an opinion of whoever has the key with this id."""
        when = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"when": when, "key": key, **asdict(opinion)}, ensure_ascii=False)
        data = (line + "\n").encode(errors="replace")
        with self._lock:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            if self._path.exists() and self._path.stat().st_size + len(data) > self._most_bytes:
                self._path.replace(self._older)
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                os.write(handle, data)
            finally:
                os.close(handle)

    def kept(self) -> Iterator[dict[str, Any]]:
        """The lines, the oldest first, without one that was cut off by a crash."""
        for path in (self._older, self._path):
            if not path.exists():
                continue
            with path.open(encoding="utf-8") as lines:
                for line in lines:
                    if line.endswith("\n"):
                        yield json.loads(line)

    def close(self) -> None:
        """Nothing is held open."""
