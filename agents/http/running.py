"""The server around the app: how it listens, what it logs, and how it ends."""

import asyncio
import gc
import importlib
import logging
import socket
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from types import FrameType

import uvicorn

from agents.doors.keys import Keys
from agents.doors.service import Service
from agents.doors.settings import ServeSettings
from agents.http.app import create_app
from agents.http.connections import allow_files, protocol
from agents.http.observing import JsonLines
from agents.loop.tracing import export_spans
from indexes.errors import UsageError, WaggleError
from indexes.i18n import t
from rag.models.wire import stay

_THREADS = 32
_LAST_SECONDS = 2
_BACKLOG = 2048


class Server(uvicorn.Server):
    """Ends in two steps. From the first signal on, `/readyz` says no and nobody is let in, while
    what was begun goes on, at most ``drain_seconds``; then the sockets are closed. A second signal
    ends it at once."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service
        self._until: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._until is not None:
            super().handle_exit(sig, frame)
            self.force_exit = True
            return
        self._until = time.monotonic() + self._service.settings.drain_seconds
        self._service.ending.set()

    async def on_tick(self, counter: int) -> bool:
        if self._until is not None:
            self._service.gate.close()
            if time.monotonic() >= self._until or not self._service.metrics.under_way:
                self.should_exit = True
        return await super().on_tick(counter)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(_THREADS, "waggle"))
        stay(loop)
        await super().startup(sockets)


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises `UsageError` where the port is taken, or not ours to take."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host.strip("[]"), port))
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise UsageError(
            t("Nobody can listen at {host}:{port}: {reason}. Choose another with --host or --port.",
              host=host, port=port, reason=error.strerror or error)
        ) from error  # fmt: skip
    return listening


def address(listening: socket.socket) -> str:
    """Where a browser finds it."""
    host, port = listening.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{host}:{port}"


def serve(service: Service, listening: socket.socket, notice: Callable[[str], None]) -> None:
    """Answer requests until a signal ends it; the caller closes the service."""
    export_spans(notice)
    _log_to_stderr(service.settings.log)
    allow_files()
    threading.Thread(target=_load, args=(service,), daemon=True).start()
    config = uvicorn.Config(
        create_app(service),
        http=protocol(service),
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",
        lifespan="on",
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=_LAST_SECONDS,
    )
    Server(config, service).run(sockets=[listening])


def check_keys(keys: Keys, settings: ServeSettings) -> None:
    """Nobody serves the world without a key. Raises `UsageError`."""
    if not settings.open and not keys.any():
        raise UsageError(
            t("Whoever can reach {host} could read and change everything, for there is no key yet. "
              "Make one before, with: waggle serve --new-key NAME", host=settings.host)
        )  # fmt: skip


def _load(service: Service) -> None:
    """What the first question would wait for; it also tells what is wrong with it. All that is
    there then lasts as long as the process: the collector of garbage need not look at it again and
    again, while every answer waits."""
    with suppress(WaggleError):
        service.shelf.embedder()
    importlib.import_module("rag.models.endpoint_chat")
    gc.collect()
    gc.freeze()


def _log_to_stderr(level: str) -> None:
    """One JSON object a line, of the service and of the server below it."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    levels = {"info": logging.INFO, "warning": logging.WARNING, "none": logging.CRITICAL}
    for name, least in (("waggle", logging.INFO), ("uvicorn", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(max(least, levels[level]))
