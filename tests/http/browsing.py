"""A headless Chromium for the tests of the page, and pages of others."""

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
PATIENCE_MS = 20_000


def script(name: str) -> str:
    """JavaScript of the tests."""
    return (Path(__file__).parent / "scripts" / f"{name}.js").read_text("utf-8")


@contextmanager
def chromium() -> "Iterator[Browser]":
    """The machine's Chromium; the test is skipped where there is none."""
    api = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
    path = next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        pytest.skip("needs Chromium")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Seen:
    """What a page did that a person would not see: requests, mistakes, dialogs."""

    requests: list[str] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)

    def elsewhere(self, *homes: str) -> list[str]:
        """Requests that went to none of ``homes``."""
        return [url for url in self.requests if not url.startswith(homes)]


def new_context(browser: "Browser", **options: Any) -> "BrowserContext":
    """A browser without a past, in English, that does not move things."""
    context = browser.new_context(
        **{"locale": "en-GB", "reduced_motion": "reduce",
           "viewport": {"width": 1280, "height": 800}, **options}
    )  # fmt: skip
    context.set_default_timeout(PATIENCE_MS)
    return context


@contextmanager
def visiting(browser: "Browser", address: str, **options: Any) -> "Iterator[Page]":
    """A new browser at an address of the service, its documents listed."""
    context = new_context(browser, **options)
    try:
        page = context.new_page()
        page.goto(address)
        page.locator("button.document").first.wait_for(state="attached")
        yield page
    finally:
        context.close()


def ask(page: "Page", question: str) -> None:
    """Write the question, or the goal, and send it."""
    page.locator("#question").fill(question)
    page.keyboard.press("Enter")


def back(page: "Page") -> None:
    """Load the page again."""
    page.reload()
    page.locator("button.document").first.wait_for(state="attached")


def watched(page: "Page") -> Seen:
    """What the page does from now on."""
    seen = Seen()
    page.on("request", lambda request: seen.requests.append(request.url))
    page.on("pageerror", lambda error: seen.mistakes.append(str(error)))

    def refuse(dialog: Any) -> None:
        seen.mistakes.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    page.on("dialog", refuse)
    return seen


@contextmanager
def web_page(
    html: str, headers: tuple[tuple[str, str], ...] = (), pages: dict[str, str] | None = None
) -> Iterator[tuple[str, list[str]]]:
    """A page of others at an origin of its own: the origin, and the paths that it was asked for.
    ``pages`` may be filled later, by path; everything else is ``html``."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            data = (pages or {}).get(self.path, html).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            for name, value in headers:
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()
