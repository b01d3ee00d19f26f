"""How much is done at a time: requests a minute of each key, requests at a time, a short queue."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from agents.doors.rights import LOCAL, Caller
from agents.doors.settings import ServeSettings
from indexes.errors import BusyError
from indexes.i18n import t

_FULL_RETRY = 1.0


@dataclass(slots=True, eq=False)
class _Waiting:
    caller: Caller
    turn: "asyncio.Future[None]"


@dataclass(slots=True)
class _Bucket:
    """How many requests a key has left at ``since``, in seconds of the clock."""

    left: float
    since: float


class Gate:
    """Lets requests in, or says when to come again. Lives on one event loop at a time."""

    def __init__(
        self, settings: ServeSettings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings, self._clock = settings, clock
        self._running: Counter[str] = Counter()
        self._queue: list[_Waiting] = []
        self._buckets: dict[str, _Bucket] = {}
        self._closed = False

    @property
    def running(self) -> int:
        """Requests that are being answered."""
        return self._running.total()

    @property
    def waiting(self) -> int:
        """Requests that wait for their turn."""
        return len(self._queue)

    def count(self, caller: Caller) -> None:
        """One more request. Raises `BusyError` where its key has had too many in this minute."""
        rate = self._settings.rate if caller.rate is None else caller.rate
        if rate == 0 or caller is LOCAL:
            return
        now = self._clock()
        bucket = self._buckets.setdefault(caller.key, _Bucket(rate, now))
        left = min(rate, bucket.left + (now - bucket.since) * rate / 60)
        if left < 1:
            raise BusyError(
                t("This key may send {rate} requests a minute. Send fewer, or wait.", rate=rate),
                (1 - left) * 60 / rate,
            )
        bucket.left, bucket.since = left - 1, now

    def look(self, caller: Caller) -> None:
        """Raises `BusyError` where there is not even a place to wait. Takes none: it is for saying
        so before the request is read."""
        if not self._fits(caller):
            self._check_queue(caller)

    @asynccontextmanager
    async def slot(self, caller: Caller) -> AsyncGenerator[None]:
        """A place among those that are answered at a time. Raises `BusyError` where the queue for
        one is full, or moves too slowly."""
        await self._enter(caller)
        try:
            yield
        finally:
            self._leave(caller)

    def close(self) -> None:
        """Let nobody in any more; those that wait are sent away."""
        self._closed = True
        for one in self._queue:
            if not one.turn.done():
                one.turn.set_exception(_ending())
        self._queue.clear()

    async def _enter(self, caller: Caller) -> None:
        if self._closed:
            raise _ending()
        if self._fits(caller):  # none of those that wait does: whoever did had its turn
            self._running[caller.key] += 1
            return
        self._check_queue(caller)
        one = _Waiting(caller, asyncio.get_running_loop().create_future())
        self._queue.append(one)
        try:
            async with asyncio.timeout(self._settings.queue_seconds):
                await one.turn
        except BaseException as error:
            self._give_up(one)
            if isinstance(error, TimeoutError):
                raise _full(self._settings.queue_seconds) from None
            raise

    def _give_up(self, one: _Waiting) -> None:
        """Its turn may have come in the very moment in which it stopped to wait."""
        if one in self._queue:
            self._queue.remove(one)
        elif one.turn.done() and not one.turn.cancelled() and one.turn.exception() is None:
            self._leave(one.caller)

    def _check_queue(self, caller: Caller) -> None:
        """No key takes more than half of the queue, so that there is room for another one."""
        mine = sum(one.caller.key == caller.key for one in self._queue)
        most = self._settings.queue if caller is LOCAL else -(-self._settings.queue // 2)
        if len(self._queue) >= self._settings.queue or mine >= most:
            raise _full(_FULL_RETRY)

    def _fits(self, caller: Caller) -> bool:
        most = caller.concurrency or self._settings.key_concurrency or self._settings.concurrency
        return (
            self._running.total() < self._settings.concurrency and self._running[caller.key] < most
        )

    def _leave(self, caller: Caller) -> None:
        self._running[caller.key] -= 1
        if not self._running[caller.key]:
            del self._running[caller.key]
        self._call()

    def _call(self) -> None:
        """Whoever waits and fits has its turn; the key that has the least running comes first."""
        while fitting := [one for one in self._queue if self._fits(one.caller)]:
            one = min(fitting, key=lambda one: self._running[one.caller.key])
            self._queue.remove(one)
            if not one.turn.done():
                self._running[one.caller.key] += 1
                one.turn.set_result(None)


def _full(retry_after: float) -> BusyError:
    return BusyError(t("The service is at its limit. Ask again a little later."), retry_after)


def _ending() -> BusyError:
    return BusyError(t("The service is about to end. Ask again a little later."), 5.0)
