"""A TCP proxy that spoils each connection the way a test planned it."""

import re
import select
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Literal

_RESET = struct.pack("ii", 1, 0)  # close() then sends RST, see SO_LINGER in socket(7)
_TICK = 0.02


@dataclass(frozen=True, slots=True)
class Plan:
    """What happens to one connection; by default nothing.

    ``delay`` seconds pass before the first byte of the answer, which then runs at ``rate`` bytes a
    second. When ``after`` bytes of it have passed, or that text has, ``then`` happens. ``instead``
    is sent in place of what the server would say.
    """

    delay: float = 0.0
    rate: float | None = None
    after: int | bytes | None = None
    then: Literal["silence", "cut", "reset"] = "cut"
    instead: bytes | None = None


class FaultyProxy:
    """Listens on the loopback and takes each connection by the next of ``plans``; the last one
    holds for all that follow."""

    def __init__(self, target: int) -> None:
        self.plans: deque[Plan] = deque([Plan()])
        self.connections = 0
        self._target = target
        self._closing = threading.Event()
        self._listener = _listen(0)
        self.port = int(self._listener.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}/v1"
        self._accepting = threading.Thread(target=self._accept, args=(self._listener,))
        self._accepting.start()

    def plan(self, *plans: Plan) -> None:
        """From now on."""
        self.plans = deque(plans)

    def refuse(self, seconds: float) -> threading.Timer:
        """Nobody listens for so long, as while a server restarts."""
        self._listener.close()
        self._accepting.join()
        timer = threading.Timer(seconds, self._listen_again)
        timer.start()
        return timer

    def close(self) -> None:
        """Also ends what is silent."""
        self._closing.set()
        self._listener.close()
        self._accepting.join()

    def _listen_again(self) -> None:
        if not self._closing.is_set():
            self._listener = _listen(self.port)
            self._accepting = threading.Thread(target=self._accept, args=(self._listener,))
            self._accepting.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            self.connections += 1
            plan = self.plans.popleft() if len(self.plans) > 1 else self.plans[0]
            threading.Thread(target=self._serve, args=(client, plan), daemon=True).start()

    def _serve(self, client: socket.socket, plan: Plan) -> None:
        with client, suppress(OSError):
            client.settimeout(None)
            if plan.instead is not None:
                _read_request(client)
                self._send(client, plan.instead, plan)
                return
            if plan.after == 0:
                _read_request(client)
                self._then(client, plan)
                return
            with socket.create_connection(("127.0.0.1", self._target)) as server:
                done = threading.Event()
                back = threading.Thread(target=_pump, args=(client, server, done), daemon=True)
                back.start()
                try:
                    self._answer(server, client, plan)
                finally:  # a socket that another thread reads is not closed yet by close()
                    done.set()
                    back.join()

    def _answer(self, server: socket.socket, client: socket.socket, plan: Plan) -> None:
        passed = b""
        time.sleep(plan.delay)
        while data := server.recv(1 << 16):
            allowed = _allowed(passed + data, plan.after) - len(passed)
            self._send(client, data[:allowed], plan)
            passed += data
            if allowed < len(data) or _reached(passed, plan.after):
                self._then(client, plan)
                return

    def _send(self, client: socket.socket, data: bytes, plan: Plan) -> None:
        if plan.rate is None:
            client.sendall(data)
            return
        step = max(1, int(plan.rate * _TICK))
        for at in range(0, len(data), step):
            client.sendall(data[at : at + step])
            if self._closing.wait(step / plan.rate):
                return

    def _then(self, client: socket.socket, plan: Plan) -> None:
        if plan.then == "silence":
            self._closing.wait()
        elif plan.then == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        else:
            client.shutdown(socket.SHUT_RDWR)


def _listen(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen()
    listener.settimeout(_TICK)  # so that closing it from another thread ends accept()
    return listener


def _allowed(data: bytes, after: int | bytes | None) -> int:
    if after is None:
        return len(data)
    if isinstance(after, int):
        return min(after, len(data))
    at = data.find(after)
    return len(data) if at < 0 else at + len(after)


def _reached(data: bytes, after: int | bytes | None) -> bool:
    return after is not None and (len(data) >= after if isinstance(after, int) else after in data)


def _pump(client: socket.socket, server: socket.socket, done: threading.Event) -> None:
    """Passes the request on, and the news that the client has left."""
    with suppress(OSError):
        while not done.is_set():
            if select.select([client], [], [], _TICK)[0]:
                data = client.recv(1 << 16)
                if not data:
                    server.shutdown(socket.SHUT_RDWR)
                    return
                server.sendall(data)


def _read_request(client: socket.socket) -> None:
    """All of it: closing a socket with unread bytes resets the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = client.recv(1 << 16)
        if not more:
            raise ConnectionError("the client left")
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    while length and len(body) < int(length[1]):
        more = client.recv(1 << 16)
        if not more:
            raise ConnectionError("the client left")
        body += more


@contextmanager
def faulty_proxy(target: int) -> Iterator[FaultyProxy]:
    """A proxy before the port ``target`` of the loopback."""
    proxy = FaultyProxy(target)
    try:
        yield proxy
    finally:
        proxy.close()
