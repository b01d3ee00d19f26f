"""A service for tests: its home, its opening, and a real server for it."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from fastapi import FastAPI

from agents.doors.service import Service, open_service
from agents.doors.settings import ServeSettings
from agents.http.app import create_app
from agents.http.connections import protocol
from indexes.collection import Collection
from rag.models.chat import chat_model
from tests.indexes.hash_embedder import HashEmbedder

ENGLISH = """# The waggle dance

A forager that has found flowers dances on the comb. The waggle run points to the flowers, and its
length tells the distance: one second of waggling stands for about a kilometre.

## The round dance

Food within fifty metres of the hive is told by a round dance, which gives no direction.
"""
CHINESE = """蜜源与花期

洋槐在五月初开花，花期约十天。椴树在七月开花，椴树蜜色浅味浓。
秋天的最后一种蜜源是枇杷，它在十一月开花。
"""
NAME = "bees"


def fill_home(home: Path, *names: str) -> None:
    """Make the collections, each with the same two documents, `dance.md` and `花期.txt`."""
    for name in names:
        folder = home / "documents" / name
        folder.mkdir(parents=True)
        (folder / "dance.md").write_text(ENGLISH, "utf-8")
        (folder / "花期.txt").write_text(CHINESE, "utf-8")
        with Collection.open(name, home=home, embedder=HashEmbedder()) as collection:
            collection.add([folder])


@contextmanager
def opened(home: Path, url: str | None, **settings: Any) -> Iterator[Service]:
    """The service of ``home``, whose chat model answers at ``url``; without one there is none."""

    def chat() -> Any:
        return chat_model(url, "scripted", retry_seconds=0) if url else None

    service = open_service(home, ServeSettings(**settings), chat, embedder=HashEmbedder())
    try:
        yield service
    finally:
        service.close()


@dataclass(frozen=True)
class Running:
    """A server that listens: ``url`` without a path, such as ``http://127.0.0.1:40001``."""

    url: str
    service: Service


@contextmanager
def running(service: Service, app: FastAPI | None = None) -> Iterator[Running]:
    """A real server on the loopback, in a thread of its own; with an ``app`` of the test's."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            app or create_app(service), http=protocol(service), log_config=None,
            access_log=False, timeout_graceful_shutdown=1,
        )  # fmt: skip
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive(), "the server did not start"
                time.sleep(0.005)
            yield Running(f"http://127.0.0.1:{listening.getsockname()[1]}", service)
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def connected(server: Running) -> Iterator[socket.socket]:
    """A bare connection to it."""
    parts = urlsplit(server.url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), 10) as connection:
        yield connection
