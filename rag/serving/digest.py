"""What of vLLM's log is worth a person's attention."""

import re
import time
from collections.abc import Callable
from pathlib import Path

from indexes.i18n import t
from rag.serving.plan import ServePlan

_LINE = re.compile(
    r"(?:\([^)]*\) )?(?P<level>INFO|WARNING|ERROR|CRITICAL) [\d-]+ [\d:.]+ \[[^\]]*\] (?P<text>.*)"
)
_WEIGHTS = re.compile(r"checkpoint shards: +(?P<percent>\d+)%")
_FETCHING = re.compile(r"^(?P<file>[\w./-]+\.(?:safetensors|bin|json|model)): +(?P<percent>\d+)%")
_ROOM = re.compile(
    r"KV cache size: (?P<tokens>[\d,]+) tokens.*?"
    r"concurrency for (?P<context>[\d,]+) tokens per request: (?P<times>[\d.]+)x"
)
_LOAD = re.compile(
    r"generation throughput: (?P<speed>[\d.]+) tokens/s, "
    r"Running: (?P<running>\d+) reqs, Waiting: (?P<waiting>\d+) reqs"
)
_SHOWN = 70


class Digest:
    """Follows ``log``: ``progress`` is told what is being done, with the seconds so far, ``tell``
    the sentences worth keeping."""

    def __init__(
        self,
        plan: ServePlan,
        log: Path,
        tell: Callable[[str], None],
        progress: Callable[[str], None],
    ) -> None:
        self._model = plan.model.name
        self._log = log
        self._tell = tell
        self._progress = progress
        self._offset = 0
        self._rest = ""
        self._begun = time.monotonic()
        self._doing = ""

    def read(self, *, loading: bool) -> bool:
        """Take note of what was written since the last call; tells whether that was anything."""
        with self._log.open("rb") as file:
            file.seek(self._offset)
            fresh = file.read()
        self._offset += len(fresh)
        # Bars are redrawn after a carriage return.
        *lines, self._rest = re.split(r"[\r\n]+", self._rest + fresh.decode("utf-8", "replace"))
        for line in lines:
            self._note(line, loading)
        if loading:
            self._progress(
                t(
                    "Loading {model} ({seconds:.0f} s): {what}",
                    model=self._model,
                    seconds=time.monotonic() - self._begun,
                    what=self._doing or t("starting"),
                )
            )
        return bool(fresh)

    def _note(self, line: str, loading: bool) -> None:
        if bar := _WEIGHTS.search(line):
            self._doing = t("weights {percent} %", percent=bar["percent"])
        elif bar := _FETCHING.match(line):
            self._doing = t(
                "fetching {file}, {percent} %", file=bar["file"], percent=bar["percent"]
            )
        elif found := _LINE.match(line):
            if loading:
                self._note_loading(found["text"])
            else:
                self._note_serving(found["level"], found["text"])

    def _note_loading(self, text: str) -> None:
        if room := _ROOM.search(text):
            self._tell(
                t(
                    "There is room for {tokens} tokens: {times} requests of {context} tokens at a "
                    "time.",
                    **room.groupdict(),
                )
            )
        elif text.strip():
            self._doing = " ".join(text.split())[:_SHOWN]

    def _note_serving(self, level: str, text: str) -> None:
        if load := _LOAD.search(text):
            self._progress(
                t(
                    "{model}: {running} requests running, {waiting} waiting, {speed} tokens/s",
                    model=self._model,
                    **load.groupdict(),
                )
            )
        elif level in ("ERROR", "CRITICAL") and text[:1].strip() and "Traceback" not in text:
            self._tell(" ".join(text.split())[:300])
