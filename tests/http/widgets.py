"""Pages of others with the widget."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.http.browsing import new_context, script, web_page
from tests.http.serving import NAME, Running

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PAGE = """<!doctype html><html lang="en"><head><title>Linden Lane</title>
<style>* {{ font: 40px serif !important; color: red !important; }}
button {{ display: none; }}</style>
</head><body><h1>Linden Lane Apiary</h1>
<script src="{url}/widget.js" data-collection="{collection}" data-key="{key}"
  data-title="Ask the bees" data-greeting="What would you like to know?"></script></body></html>"""


@contextmanager
def visited(
    browser: "Browser", server: Running, html: str, headers: tuple[tuple[str, str], ...] = ()
) -> "Iterator[tuple[Page, str]]":
    """The page of somebody else with the widget, and its origin, which the widget's key names."""
    pages: dict[str, str] = {}
    with web_page(html, headers, pages) as (origin, _):
        _, secret = server.service.keys.new("site", ("read",), (NAME,), (origin,))
        pages["/"] = html.format(url=server.url, collection=NAME, key=secret)
        context = new_context(browser)
        context.add_init_script(script("open_shadows"))
        page = context.new_page()
        yield page, origin
        context.close()
