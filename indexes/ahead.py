"""Work done a little ahead of its use, in threads."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

_AHEAD = 32

T = TypeVar("T")
R = TypeVar("R")


def ahead(
    work: Callable[[T], R], items: Iterable[T], workers: int, depth: int = _AHEAD
) -> Generator[R, None, None]:
    """``work`` of each item, in order. ``workers`` threads are up to ``depth`` items ahead of the
    one that takes the results; ``items`` is read by the latter alone."""
    waiting: deque[Future[R]] = deque()
    rest = iter(items)
    executor = ThreadPoolExecutor(workers, thread_name_prefix="ahead")
    try:
        for item in islice(rest, depth):
            waiting.append(executor.submit(work, item))
        while waiting:
            result = waiting.popleft().result()
            waiting.extend(executor.submit(work, item) for item in islice(rest, 1))
            yield result
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
