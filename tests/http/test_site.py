"""The static page of `apps/site`, served as it is, with the widget of a service elsewhere."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

from tests.http.browsing import new_context, script, watched
from tests.http.chatting import ChatServer
from tests.http.serving import fill_home, opened, running

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SITE = Path(__file__).parents[2] / "apps" / "site"
SERVICE = "http://127.0.0.1:8400"


class Handler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The folder on a port of its own: its origin."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_the_static_page_answers_with_its_sources(
    browser: "Browser", tmp_path: Path, chat_server: ChatServer
) -> None:
    fill_home(tmp_path / "home", "default")
    site = tmp_path / "site"
    site.mkdir()
    html = (SITE / "index.html").read_text("utf-8")
    assert html.count(SERVICE) == 1
    with (
        served(site) as origin,
        opened(tmp_path / "home", chat_server.url, origins=(origin,)) as service,
        running(service) as server,
    ):
        (site / "index.html").write_text(html.replace(SERVICE, server.url), "utf-8")
        context = new_context(browser)
        context.add_init_script(script("open_shadows"))
        page = context.new_page()
        seen = watched(page)
        page.goto(origin)
        page.get_by_role("button", name="Ask the assistant").click()
        page.get_by_role("textbox", name="Your question").fill("How long is a second of waggling?")
        page.keyboard.press("Enter")
        page.locator(".source").wait_for()
        page.locator(".prose .mark").first.click()
        assert "waggling" in page.locator(".reader mark").inner_text()
        assert seen.mistakes == []
        assert seen.elsewhere(origin, server.url) == []
        context.close()
