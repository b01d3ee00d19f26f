"""A text on its way to a client: cut at the first stop, and without white space at its end."""

from collections.abc import Sequence


class Written:
    """Takes a text piece by piece, and gives what may be sent of it.

    ``text`` is what was sent, ``stopped`` whether a stop has come. The first of ``stops`` that
    comes ends it, and is not sent; its beginning waits until it is known whether the rest follows.
    """

    def __init__(self, stops: Sequence[str] = ()) -> None:
        self._stops = [stop for stop in stops if stop]
        self._waiting = ""
        self.stopped = False
        self.text = ""

    def take(self, piece: str) -> str:
        """What may be sent now that ``piece`` has come."""
        if self.stopped:
            return ""
        self._waiting += piece
        at = self._stop_at()
        self.stopped = at >= 0
        ready = self._waiting[:at].rstrip() if self.stopped else self._certain()
        return self._send(ready)

    def finish(self, text: str) -> str:
        """What is left to send where ``text`` is the whole. One that is not what was sent and
        something more, because it takes back what was said, follows in a paragraph of its own."""
        if self.stopped:
            return ""
        sent, self._waiting = self.text, ""
        if not text.startswith(sent):
            return self._send(f"\n\n{text}")
        shown = self.take(text[len(sent) :])
        return shown if self.stopped else shown + self._send(self._waiting.rstrip())

    def _stop_at(self) -> int:
        found = [at for stop in self._stops if (at := self._waiting.find(stop)) >= 0]
        return min(found, default=-1)

    def _certain(self) -> str:
        """What waits, but for white space and the beginning of a stop at its end."""
        longest = max(map(len, self._stops), default=1) - 1
        for length in range(min(longest, len(self._waiting)), 0, -1):
            end = self._waiting[-length:]
            if any(stop.startswith(end) for stop in self._stops):
                return self._waiting[:-length].rstrip()
        return self._waiting.rstrip()

    def _send(self, ready: str) -> str:
        self._waiting = self._waiting[len(ready) :]
        self.text += ready
        return ready
