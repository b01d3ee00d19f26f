"""What the records of a run come to, and whether the bars hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from benchmarks.load.asking import Asked

OVERHEAD_MS: Final = 50.0
LEAVE_SECONDS: Final = 1.0
RECOVERY_SECONDS: Final = 10.0
SOAK_MB_PER_HOUR: Final = 20.0
SHORTEST_SOAK: Final = 5.0
"""Minutes; what grows is not told by less."""
NORMAL: Final = 1.5
"""How many times as long as before a question may take when the service is back to normal."""


@dataclass(frozen=True, slots=True)
class Streams:
    """Questions of so many ``users`` at a time, and what became of them.

    ``overhead`` is, for each answer, the milliseconds a token by which it took longer, from the
    question to the last byte, than its tokens at the stub's pace; p50 and p95 of the answers.
    ``delay`` is, for each sentence, the milliseconds from the stub's last token of it to the
    client's receipt of it, ``first`` the seconds until the first text came. ``cpu_ms`` is the
    service's processor time for an answer.
    """

    label: str
    users: int
    answers: int
    dropped: int
    incomplete: int
    uncited: int
    tokens: float
    seconds: float
    overhead: tuple[float, float]
    delay: tuple[float, float]
    first: tuple[float, float]
    cpu_ms: float
    late: float

    def row(self) -> list[str]:
        """As a line of the table."""
        return [
            self.label, f"{self.users}", f"{self.answers}", f"{self.dropped}",
            *(f"{value:.1f}" for value in self.overhead), *(f"{value:.0f}" for value in self.delay),
            *(f"{value:.1f}" for value in self.first), f"{self.cpu_ms:.0f}",
        ]  # fmt: skip


def streams(
    label: str, users: int, asked: Sequence[Asked], seen: Sequence[Mapping[str, Any]], pace: float,
    cpu_seconds: float,
) -> Streams:  # fmt: skip
    """The figures of a run, whose stub had ``seen`` its answers being written at ``pace``."""
    known = {one["ref"]: one for one in seen}
    good = [one for one in asked if one.status == 200 and one.whole and one.ref in known]
    if not good:
        reasons = {one.error or f"status {one.status}" for one in asked}
        raise SystemExit(f"{label}: no answer came. {sorted(reasons)[:3]}")
    over = [_overhead(one, known[one.ref], pace) for one in good]
    delays = [delay for one in good for delay in sentence_delays(one, known[one.ref])]
    first = [one.pieces[0][0] - one.sent for one in good if one.pieces]
    whole = [one for one in good if all(s in one.text for s in known[one.ref]["sentences"])]
    late = [(k["done"] - k["began"]) / (k["tokens"] * pace) - 1 for k in _known(good, known)]
    return Streams(
        label, users, len(good), len(asked) - len(good), len(good) - len(whole),
        sum(not one.cited for one in good),
        float(np.mean([known[one.ref]["tokens"] for one in good])),
        max(one.ended for one in asked) - min(one.sent for one in asked),
        _quantiles(over), _quantiles(delays), _quantiles(first), cpu_seconds / len(good) * 1000,
        float(np.median(late)),
    )  # fmt: skip


def sentence_delays(asked: Asked, seen: Mapping[str, Any]) -> list[float]:
    """Milliseconds from the stub's last token of each sentence to the client's receipt of it."""
    found, start = [], 0
    for sentence, sent in zip(seen["sentences"], seen["sent"], strict=False):
        at = asked.text.find(sentence, start)
        if at < 0:
            continue
        start = at + len(sentence)
        came = next(when for when, length in asked.pieces if length >= start)
        found.append((came - sent) * 1000)
    return found


def _overhead(asked: Asked, seen: Mapping[str, Any], pace: float) -> float:
    tokens: int = seen["tokens"]
    return ((asked.ended - asked.sent) - tokens * pace) / tokens * 1000


def _known(good: Sequence[Asked], known: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [known[one.ref] for one in good if known[one.ref]["done"] is not None]


def _quantiles(values: Sequence[float]) -> tuple[float, float]:
    if not values:
        return (float("nan"), float("nan"))
    middle, late = np.quantile(values, [0.5, 0.95])
    return float(middle), float(late)


@dataclass(frozen=True, slots=True)
class Indexing:
    """Documents that were uploaded while streams ran, how many of them were indexed and the
    seconds from the first upload to the last one's being found."""

    uploaded: int
    indexed: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Leaving:
    """So many ``clients`` left at once: seconds until the last slot was free, by the service's own
    metric, and until the model server's last connection was closed."""

    clients: int
    slots: float
    model: float


@dataclass(frozen=True, slots=True)
class Overload:
    """``asked`` at once, with fewer slots: statuses and how often each came; refusals without
    ``Retry-After``; the slowest `/healthz` meanwhile; seconds of a lone question ``before``; and
    seconds from the last answer until one took no more than `NORMAL` times that, with what it
    took (``after``)."""

    slots: int
    queue: int
    asked: int
    statuses: Mapping[int, int]
    silent: int
    health: float
    before: float
    after: float
    recovery: float


@dataclass(frozen=True, slots=True)
class Sample:
    """Of a process: seconds since the start, MB of memory, open files, threads, temporary files."""

    at: float
    memory: float
    files: int
    threads: int
    temporary: int


@dataclass(frozen=True, slots=True)
class Soak:
    """A long run: ``slope`` is that of the memory after a third of the time, in MB an hour (median
    of the slopes of all pairs of samples); growth is that of the medians of the last third over
    those of the middle one."""

    minutes: float
    users: int
    answers: int
    dropped: int
    slope: float
    memory: tuple[float, float]
    files: float
    threads: float
    temporary: float


def soaked(samples: Sequence[Sample], minutes: float, users: int, asked: Sequence[Asked]) -> Soak:
    """The figures of a soak."""
    third = len(samples) // 3
    middle, last = samples[third : 2 * third], samples[2 * third :]
    good = sum(one.status == 200 and one.whole and one.cited for one in asked)

    def growth(name: str) -> float:
        ends = [float(np.median([getattr(s, name) for s in part])) for part in (middle, last)]
        return ends[1] - ends[0]

    return Soak(
        minutes, users, good, len(asked) - good, slope(samples[third:]) * 3600,
        (middle[0].memory, samples[-1].memory), growth("files"), growth("threads"),
        growth("temporary"),
    )  # fmt: skip


def slope(samples: Sequence[Sample]) -> float:
    """MB a second: the median of the slopes between samples half the time apart (Theil and Sen),
    which single leaps do not move."""
    half = len(samples) // 2
    pairs = zip(samples[:half], samples[len(samples) - half :], strict=True)
    return float(np.median([(b.memory - a.memory) / (b.at - a.at) for a, b in pairs]))


@dataclass(frozen=True, slots=True)
class Bar:
    """Something that must hold, and what was found."""

    name: str
    held: bool
    found: str

    def line(self) -> str:
        """For the terminal."""
        return f"{'pass' if self.held else 'FAIL'}  {self.name}: {self.found}"


@dataclass(frozen=True, slots=True)
class Result:
    """All that was measured; what was not is ``None``."""

    streams: Sequence[Streams] = ()
    indexing: Indexing | None = None
    leaving: Leaving | None = None
    overload: Overload | None = None
    soak: Soak | None = None

    def last(self, name: str) -> object:
        """What a scenario has found."""
        if name in ("streams", "indexing", "peers", "slower"):
            return self.streams[-1] if self.streams else None
        return getattr(self, name)

    def bars(self) -> list[Bar]:
        """Those of what was measured of Waggle."""
        found: list[Bar] = []
        for one in (s for s in self.streams if s.label.startswith("Waggle")):
            found.append(_none_lost(one))
            found.append(Bar(
                f"{one.label}: overhead per token p95 ≤ {OVERHEAD_MS:g} ms",
                one.overhead[1] <= OVERHEAD_MS, f"{one.overhead[1]:.1f} ms",
            ))  # fmt: skip
        if self.indexing:
            i = self.indexing
            found.append(Bar("all uploads indexed meanwhile", i.indexed == i.uploaded > 0,
                             f"{i.indexed} of {i.uploaded}"))  # fmt: skip
        if self.leaving:
            worst = max(self.leaving.slots, self.leaving.model)
            found.append(Bar(f"who leaves frees the slot within {LEAVE_SECONDS:g} s",
                             worst <= LEAVE_SECONDS, f"{worst:.2f} s"))  # fmt: skip
        if self.overload:
            found += _overload_bars(self.overload)
        if self.soak:
            found += _soak_bars(self.soak)
        return found


def _none_lost(one: Streams) -> Bar:
    lost = one.dropped + one.incomplete + one.uncited
    return Bar(
        f"{one.label}: no stream dropped, all complete and cited", lost == 0,
        f"{one.dropped} dropped, {one.incomplete} incomplete, {one.uncited} without citations",
    )  # fmt: skip


def _overload_bars(one: Overload) -> list[Bar]:
    told = ", ".join(f"{count} × {status}" for status, count in sorted(one.statuses.items()))
    only = set(one.statuses) <= {200, 429} and not one.silent
    return [
        Bar("overload: nothing but 200, and 429 with Retry-After", only, told),
        Bar(f"overload: back to normal within {RECOVERY_SECONDS:g} s",
            one.recovery <= RECOVERY_SECONDS, f"{one.recovery:.1f} s"),
    ]  # fmt: skip


def _soak_bars(one: Soak) -> list[Bar]:
    found = [Bar("soak: no stream dropped", one.dropped == 0, f"{one.dropped} of {one.answers}")]
    if one.minutes < SHORTEST_SOAK:
        return found
    flat = max(one.files, one.threads, one.temporary) <= 1
    return [
        *found,
        Bar(f"soak: memory grows by less than {SOAK_MB_PER_HOUR:g} MB an hour",
            one.slope < SOAK_MB_PER_HOUR, f"{one.slope:+.1f} MB an hour"),
        Bar("soak: open files, threads and temporary files do not grow", flat,
            f"{one.files:+.0f}, {one.threads:+.0f}, {one.temporary:+.0f}"),
    ]  # fmt: skip
