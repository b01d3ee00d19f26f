"""What the tests of the HTTP door share: a home with one small collection, a chat server that
quotes, and the service over both, in this process and behind a real socket."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from agents.doors.service import Service
from agents.http.app import create_app
from tests.http.browsing import chromium
from tests.http.chatting import ChatServer, chatting
from tests.http.serving import NAME, Running, fill_home, opened, running

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="session")
def filled_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the collection `bees`; read only."""
    home = tmp_path_factory.mktemp("filled") / "home"
    fill_home(home, NAME)
    return home


@pytest.fixture
def home(filled_home: Path, tmp_path: Path) -> Path:
    """A home of the test's own, with the collection `bees`."""
    return Path(shutil.copytree(filled_home, tmp_path / "home"))


@pytest.fixture
def chat_server() -> Iterator[ChatServer]:
    """A chat server that quotes its first passage."""
    with chatting() as script:
        yield script


@pytest.fixture
def service(home: Path, chat_server: ChatServer) -> Iterator[Service]:
    """The service of `home`, on the loopback, so without a key."""
    with opened(home, chat_server.url) as service:
        yield service


@pytest.fixture
def app(service: Service) -> FastAPI:
    return create_app(service)


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    """A client in this process; what is streamed comes as a whole. Use `server` for streams."""
    with TestClient(app, base_url="http://127.0.0.1:8400") as client:
        yield client


@pytest.fixture
def server(service: Service) -> Iterator[Running]:
    """The same service behind a real socket."""
    with running(service) as server:
        yield server


@pytest.fixture
def keyed(home: Path, chat_server: ChatServer) -> Iterator[Running]:
    """A service that wants a key."""
    with (
        opened(home, chat_server.url, require_key=True) as service,
        running(service) as server,
    ):
        yield server


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """Chromium, for all tests of a module."""
    with chromium() as browser:
        yield browser
