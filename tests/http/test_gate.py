"""The gate: so many at a time, so many a minute, a short queue, and room for other keys."""

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.doors.gate import Gate
from agents.doors.rights import LOCAL, Caller
from agents.doors.settings import ServeSettings
from indexes.errors import BusyError

READ = frozenset({"read"})


def caller(key: str, **more: Any) -> Caller:
    return Caller(key, READ, **more)  # type: ignore[arg-type]


class Clock:
    """Seconds that pass when the test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_rate_is_of_a_minute_and_of_each_key() -> None:
    clock = Clock()
    gate = Gate(ServeSettings(rate=3), clock)
    for _ in range(3):
        gate.count(caller("a"))
    with pytest.raises(BusyError) as busy:
        gate.count(caller("a"))
    assert busy.value.retry_after == pytest.approx(20)
    gate.count(caller("b"))
    gate.count(caller("c", rate=1))
    with pytest.raises(BusyError):
        gate.count(caller("c", rate=1))
    clock.now = 20.5
    gate.count(caller("a"))
    with pytest.raises(BusyError):
        gate.count(caller("a"))
    for _ in range(100):
        gate.count(LOCAL)
        gate.count(caller("free", rate=0))


def _refused(gate: Gate) -> float | None:
    try:
        gate.count(caller("a"))
    except BusyError as busy:
        return busy.retry_after
    return None


@settings(max_examples=50)
@given(st.integers(1, 50), st.lists(st.floats(0, 30), max_size=200))
def test_no_minute_has_more_than_twice_the_rate(rate: int, pauses: list[float]) -> None:
    """A bucket that begins full lets through at most its content and what flows in meanwhile."""
    clock, passed = Clock(), 0
    gate = Gate(ServeSettings(rate=rate), clock)
    for pause in pauses:
        clock.now += pause
        retry_after = _refused(gate)
        passed += retry_after is None
        assert retry_after is None or 0 < retry_after <= 60 / rate + 1e-6
        assert passed <= rate + clock.now * rate / 60 + 1e-6


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 10))


def test_one_waits_for_its_turn_and_one_more_is_sent_away() -> None:
    async def work() -> None:
        gate = Gate(ServeSettings(concurrency=1, queue=1))
        order: list[str] = []

        async def one(name: str) -> None:
            async with gate.slot(LOCAL):
                order.append(name)

        async with gate.slot(LOCAL):
            waiting = asyncio.create_task(one("second"))
            await asyncio.sleep(0)
            assert (gate.running, gate.waiting) == (1, 1)
            with pytest.raises(BusyError):
                await one("third")
            assert order == []
        await waiting
        assert order == ["second"]
        assert (gate.running, gate.waiting) == (0, 0)

    run(work())


def test_a_queue_that_does_not_move_sends_away() -> None:
    async def work() -> None:
        gate = Gate(ServeSettings(concurrency=1, queue=5, queue_seconds=0.02))
        async with gate.slot(LOCAL):
            with pytest.raises(BusyError) as busy:
                async with gate.slot(LOCAL):
                    pass
            assert busy.value.retry_after == pytest.approx(0.02)
            assert gate.waiting == 0
        assert gate.running == 0

    run(work())


def test_a_look_tells_that_there_is_no_place_and_takes_none() -> None:
    async def work() -> None:
        gate = Gate(ServeSettings(concurrency=1, queue=0))
        gate.look(LOCAL)
        assert gate.running == 0
        async with gate.slot(LOCAL):
            with pytest.raises(BusyError):
                gate.look(LOCAL)
        gate.look(LOCAL)

    run(work())


def test_a_key_at_its_limit_does_not_hold_up_another() -> None:
    async def work() -> None:
        gate = Gate(ServeSettings(concurrency=3, queue=4))
        greedy, modest = caller("greedy", concurrency=1), caller("modest")
        async with gate.slot(greedy):
            more = asyncio.create_task(_hold(gate, greedy))
            await asyncio.sleep(0)
            assert gate.waiting == 1
            async with gate.slot(modest):
                assert gate.running == 2
        await more

    run(work())


def test_a_queue_of_keys_at_their_limits_sends_nobody_away_who_fits() -> None:
    async def work() -> None:
        gate = Gate(ServeSettings(concurrency=3, queue=2))
        greedy = [caller(key, concurrency=1) for key in "ab"]
        async with AsyncExitStack() as stack:
            for one in greedy:
                await stack.enter_async_context(gate.slot(one))
            waiting = [asyncio.create_task(_hold(gate, one)) for one in greedy]
            await asyncio.sleep(0)
            assert gate.waiting == 2
            async with gate.slot(caller("modest")):
                assert gate.running == 3
                with pytest.raises(BusyError):
                    await _hold(gate, caller("late"))
        await asyncio.gather(*waiting)
        assert gate.running == 0

    run(work())


async def _hold(gate: Gate, who: Caller) -> None:
    async with gate.slot(who):
        await asyncio.sleep(0)


def test_whoever_has_least_comes_first_and_none_fills_the_queue() -> None:
    async def work() -> None:
        gate = Gate(ServeSettings(concurrency=2, queue=4))
        greedy, modest = caller("greedy"), caller("modest")
        order: list[str] = []

        async def one(who: Caller) -> None:
            async with gate.slot(who):
                order.append(who.key)

        async with AsyncExitStack() as stack:
            for _ in range(2):
                await stack.enter_async_context(gate.slot(greedy))
            waiting = [asyncio.create_task(one(greedy)) for _ in range(2)]
            await asyncio.sleep(0)
            with pytest.raises(BusyError):
                await one(greedy)
            waiting.append(asyncio.create_task(one(modest)))
            await asyncio.sleep(0)
            assert gate.waiting == 3
        await asyncio.gather(*waiting)
        assert order[0] == "modest"

    run(work())


def test_whoever_leaves_the_queue_takes_no_slot_along() -> None:
    async def work() -> None:
        gate = Gate(ServeSettings(concurrency=1, queue=9))
        async with gate.slot(LOCAL):
            waiting = [asyncio.create_task(_hold(gate, LOCAL)) for _ in range(6)]
            await asyncio.sleep(0)
            for one in waiting[::2]:
                one.cancel()
        waiting[1].cancel()  # its turn has just come
        await asyncio.gather(*waiting, return_exceptions=True)
        assert (gate.running, gate.waiting) == (0, 0)
        async with gate.slot(LOCAL):
            pass

    run(work())


def test_closed_it_lets_nobody_in_and_what_runs_goes_on() -> None:
    async def work() -> None:
        gate = Gate(ServeSettings(concurrency=1, queue=5))
        async with gate.slot(LOCAL):
            waiting = asyncio.create_task(_hold(gate, LOCAL))
            await asyncio.sleep(0)
            gate.close()
            with pytest.raises(BusyError, match="about to end"):
                await waiting
            with pytest.raises(BusyError, match="about to end"):
                await _hold(gate, LOCAL)
            assert gate.running == 1
        assert gate.running == 0

    run(work())


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 4), st.integers(0, 4),
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3), st.booleans()), max_size=25),
)  # fmt: skip
def test_the_limits_hold_in_any_order(
    concurrency: int, queue: int, visits: list[tuple[str, int, bool]]
) -> None:
    async def work() -> None:
        gate = Gate(ServeSettings(concurrency=concurrency, queue=queue, key_concurrency=2))
        inside: list[str] = []

        async def visit(key: str, turns: int) -> None:
            async with gate.slot(caller(key)):
                inside.append(key)
                try:
                    assert len(inside) <= concurrency
                    assert inside.count(key) <= 2
                    for _ in range(turns):
                        await asyncio.sleep(0)
                finally:
                    inside.remove(key)

        tasks = []
        for key, turns, leaves in visits:
            tasks.append(asyncio.create_task(visit(key, turns)))
            await asyncio.sleep(0)
            assert gate.waiting <= queue
            if leaves:
                tasks[-1].cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            assert outcome is None or isinstance(outcome, BusyError | asyncio.CancelledError)
        assert (gate.running, gate.waiting) == (0, 0)

    run(work())
