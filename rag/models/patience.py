"""How long a request is repeated when the server is away, overloaded or not ready."""

import random
import time
from collections.abc import Callable

from rag.models.failures import as_endpoint_error, tried_again
from rag.models.faults import is_passing, retry_after

Waiting = Callable[[float, str], None]
"""Gets the seconds since the first attempt, and a sentence that says what is waited for."""

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 8.0


class Patience:
    """Decides, for one request, whether and when it is made again.

    Pauses double and are drawn at random from their upper half, so that the clients of a server
    that comes back do not all arrive at once.
    """

    def __init__(
        self, url: str, seconds: float, most: int | None = None, waiting: Waiting | None = None
    ) -> None:
        self._url, self._seconds, self._most, self._waiting = url, seconds, most, waiting
        self._began = time.monotonic()
        self._repeats = 0

    def pause(self, error: Exception, partial: str | None = None) -> float:
        """The seconds to wait before the next attempt.

        Raises ``error`` as an `EndpointError` if there is none: the fault does not pass, the time
        is up or would be before the server wants to be asked again, or ``partial``, a piece of the
        answer, has been handed out.
        """
        failure = as_endpoint_error(error, self._url, partial)
        waited = time.monotonic() - self._began
        left = self._seconds - waited
        asked = retry_after(error)
        spent = self._most is not None and self._repeats >= self._most
        if partial is not None or spent or not is_passing(error) or left <= (asked or 0.0):
            raise (tried_again(failure, waited) if self._repeats else failure) from error
        if self._waiting:
            self._waiting(waited, str(failure))
        longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(self._repeats, 10))
        self._repeats += 1
        return min(left, max(asked or 0.0, random.uniform(longest / 2, longest)))
