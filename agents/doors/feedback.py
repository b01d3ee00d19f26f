"""What people say of answers: ``HOME/feedback.jsonl``, one JSON object a line.

Unlike the audit log it holds questions and answers, for prompts and models to be judged by. It
stays in the home; nothing sends it anywhere.
"""

import json
import os
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from indexes.embedding.files import write_atomically
from indexes.errors import UsageError
from indexes.i18n import t

Kind = Literal["chosen", "copied", "helpful", "unhelpful"]

_MOST_BYTES = 32_000_000
_LONGEST_BYTES = 64_000


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
    """Keeps opinions below ``home``. Safe to use from several threads.

    A file with more than ``most_bytes`` goes into ``feedback.1.jsonl``, which has no more bytes
    either: there each key keeps its latest opinions, up to an equal share, and what some do not
    need is for the others.
    """

    def __init__(self, home: Path, most_bytes: int = _MOST_BYTES) -> None:
        self._path, self._most_bytes = home / "feedback.jsonl", most_bytes
        self._older = self._path.with_name("feedback.1.jsonl")
        self._lock = threading.Lock()

    def keep(self, key: str, opinion: Opinion) -> None:
        """Add an opinion of whoever has the key with this id. Raises `UsageError` for one that is
        too long."""
        when = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"when": when, "key": key, **asdict(opinion)}, ensure_ascii=False)
        data = (line + "\n").encode(errors="replace")
        if len(data) > _LONGEST_BYTES:
            raise UsageError(
                t("An opinion may hold at most {most} bytes. Send less of the answers.",
                  most=_LONGEST_BYTES)
            )  # fmt: skip
        with self._lock:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            if self._path.exists() and self._path.stat().st_size + len(data) > self._most_bytes:
                self._make_room()
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                os.write(handle, data)
            finally:
                os.close(handle)

    def kept(self) -> Iterator[dict[str, Any]]:
        """The lines, the oldest first, without one that was cut off by a crash."""
        for _, said in self._lines():
            yield said

    def _lines(self) -> Iterator[tuple[bytes, dict[str, Any]]]:
        for path in (self._older, self._path):
            if not path.exists():
                continue
            with path.open("rb") as lines:
                for line in lines:
                    with suppress(ValueError):
                        yield line, json.loads(line)

    def _make_room(self) -> None:
        """All that is kept goes into the older file, but for the oldest of those that say much."""
        sizes: Counter[str] = Counter()
        for line, said in self._lines():
            sizes[said["key"]] += len(line)
        spare = {key: sizes[key] - share for key, share in _shares(sizes, self._most_bytes).items()}
        left: list[bytes] = []
        for line, said in self._lines():
            if spare[said["key"]] > 0:
                spare[said["key"]] -= len(line)
            else:
                left.append(line)
        write_atomically(self._older, b"".join(left))
        self._path.unlink()

    def close(self) -> None:
        """Nothing is held open."""


def _shares(sizes: Mapping[str, int], total: int) -> dict[str, int]:
    """How much each may keep of ``total``: what it has, or an equal part of what is left by those
    that have less."""
    shares: dict[str, int] = {}
    for number, key in enumerate(sorted(sizes, key=lambda key: sizes[key])):
        shares[key] = min(sizes[key], total // (len(sizes) - number))
        total -= shares[key]
    return shares
