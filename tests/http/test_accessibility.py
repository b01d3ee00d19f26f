"""The page and the widget for everybody: audited by axe, used without a mouse, heard."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.http.browsing import ask, script, visiting
from tests.http.chatting import ANSWER, GOAL, SEARCH, WRITE, ChatServer, acting, quoting, say
from tests.http.serving import NAME, Running
from tests.http.widgets import PAGE, visited

if TYPE_CHECKING:
    from playwright.sync_api import Browser, FilePayload, Page

QUESTION = "How long is a second of waggling in kilometres?"
PHONE = {"viewport": {"width": 360, "height": 740}}
LOOKS: list[dict[str, Any]] = [
    {"color_scheme": "light"}, {"color_scheme": "dark"}, PHONE | {"color_scheme": "dark"},
    {"color_scheme": "light", "locale": "zh-CN"},
]  # fmt: skip
UPLOADS: "list[FilePayload]" = [
    {"name": "empty.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.4 nothing"},
    {"name": "bees.txt", "mimeType": "text/plain", "buffer": b"Bees sleep."},
]
TABLE = "| a | b |\n|-|-|\n| 1 | 2 |"
AUDIT = """async () => {
    const found = await axe.run(document, { resultTypes: ["violations"] });
    return found.violations.flatMap((one) => one.nodes.map((node) =>
        `${one.id} (${one.impact}): ${node.target.flat()} ${node.failureSummary}`));
}"""


@cache
def axe() -> str:
    """The auditing script."""
    package = pytest.importorskip("axe_playwright_python", reason="needs axe-playwright-python")
    return (Path(package.__path__[0]) / "axe.min.js").read_text("utf-8")


def audit(page: "Page") -> None:
    """Nothing of the page is out of anybody's reach, as far as axe can tell."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(axe())
    found = page.evaluate(AUDIT)
    assert not found, "\n".join(found)


@pytest.fixture(params=LOOKS, ids=["light", "dark", "phone", "chinese"])
def looks(request: pytest.FixtureRequest) -> dict[str, Any]:
    """A way the page looks."""
    return dict(request.param)


def test_an_answer_and_its_source(
    browser: "Browser", server: Running, chat_server: ChatServer, looks: dict[str, Any]
) -> None:
    chat_server.reply = lambda body: (
        "Yes" if quoting(body) == "Yes" else f"## So\n\n{quoting(body)}\n\n{TABLE}"
    )
    with visiting(browser, server.url, **looks) as page:
        audit(page)
        ask(page, QUESTION)
        page.locator(".actions").wait_for()
        audit(page)
        page.locator(".prose .mark").first.click()
        page.locator(".reader mark").wait_for()
        audit(page)


def test_several_answers_uploads_and_a_failure(
    browser: "Browser", server: Running, chat_server: ChatServer, looks: dict[str, Any]
) -> None:
    with visiting(browser, server.url, **looks) as page:
        page.locator(".composer select").select_option("2")
        ask(page, QUESTION)
        page.locator(".choose").nth(1).click()
        page.locator('input[type="file"]').set_input_files(UPLOADS)
        page.locator(".upload.bad").wait_for(state="attached")
        chat_server.status = 500
        ask(page, QUESTION)
        page.locator(".failure").last.wait_for()
        if page.locator(".menu").is_visible():
            page.locator(".menu").click()
        audit(page)


def test_a_run_that_waits(
    browser: "Browser", server: Running, chat_server: ChatServer, looks: dict[str, Any]
) -> None:
    chat_server.message = acting(WRITE, ANSWER)
    body = {"collection": NAME, "goal": GOAL, "stream": False}
    httpx.post(f"{server.url}/api/agent/runs", json=body, timeout=60).raise_for_status()
    chat_server.message = acting(SEARCH, WRITE, ANSWER)
    with visiting(browser, server.url, **looks) as page:
        page.locator('[name="mode"][value="agent"]').check()
        ask(page, GOAL)
        page.locator(".approval").wait_for()
        page.locator(".step summary").first.click()
        page.locator(".waiting summary").click()
        audit(page)
        page.locator(".verdicts button").nth(1).click()
        audit(page)
        page.locator(".editing .button").first.click()
        page.locator(".actions").wait_for()
        audit(page)


def test_the_widget(browser: "Browser", keyed: Running) -> None:
    html = PAGE.replace("<style>", "<style media=print>")
    html = html.replace("<h1>", "<main><h1>").replace("</h1>", "</h1></main>")
    for scheme in ("light", "dark"):
        with visited(browser, keyed, html) as (page, at):
            page.emulate_media(color_scheme=scheme)
            page.goto(at)
            page.get_by_role("button", name="Ask the bees").click()
            audit(page)
            page.get_by_role("textbox", name="Your question").fill(QUESTION)
            page.keyboard.press("Enter")
            page.locator(".actions").wait_for()
            page.locator(".prose .mark").first.click()
            page.locator(".reader mark").wait_for()
            audit(page)


def test_a_key_is_asked_for_accessibly(browser: "Browser", keyed: Running) -> None:
    for scheme in ("light", "dark"):
        context = browser.new_context(color_scheme=scheme)
        page = context.new_page()
        page.goto(keyed.url)
        page.locator(".key-dialog").wait_for()
        audit(page)
        context.close()


@contextmanager
def by_keyboard(browser: "Browser", server: Running, **options: Any) -> "Iterator[Page]":
    """A page that knows what cannot be seen of the focus, in ``window.lost``."""
    with visiting(browser, server.url, **options) as page:
        page.evaluate(script("focus"))
        yield page


def tab_to(page: "Page", name: str, *, back: bool = False) -> None:
    """Go to the control of that name with the Tab key, the focus in sight all the way."""
    for _ in range(60):
        page.keyboard.press("Shift+Tab" if back else "Tab")
        if str(page.evaluate("focused()")).startswith(name):
            break
    else:
        raise AssertionError(f"no way to {name}")
    assert page.evaluate("lost") == []


def test_a_whole_path_without_a_mouse(
    browser: "Browser", server: Running, chat_server: ChatServer
) -> None:
    chat_server.message = acting(WRITE, say("Written."))
    with by_keyboard(browser, server) as page:
        tab_to(page, "New collection")  # around, from the question to the beginning
        page.keyboard.press("Enter")
        page.keyboard.type("letters")
        page.keyboard.press("Enter")
        page.get_by_role("option", name="letters").wait_for(state="attached")
        page.wait_for_function("() => focused() === 'Collection'")
        page.keyboard.press("b")  # as one chooses in a list: by its first letter
        page.locator("button.document").first.wait_for()
        tab_to(page, "The waggle dance")
        page.keyboard.press("Enter")
        page.locator(".reader .page").wait_for()
        page.keyboard.press("Escape")
        assert page.evaluate("focused()") == "The waggle dance"
        page.keyboard.press("/")
        page.keyboard.type(QUESTION)
        page.keyboard.press("Enter")
        page.locator(".actions").wait_for()
        tab_to(page, "Passage 1", back=True)
        page.keyboard.press("Enter")
        page.locator(".reader mark").wait_for()
        tab_to(page, "Close")
        page.keyboard.press("Enter")
        assert page.evaluate("focused()").startswith("Passage 1")
        tab_to(page, "Helpful")
        page.keyboard.press("Enter")
        tab_to(page, "Ask")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("/")
        page.keyboard.type(GOAL)
        page.keyboard.press("Enter")
        page.locator(".approval:focus").wait_for()
        tab_to(page, "Edit")
        page.keyboard.press("Enter")
        assert page.evaluate("focused()") == "name"
        page.keyboard.press("Escape")
        assert page.evaluate("focused()") == "Edit"
        tab_to(page, "Approve", back=True)
        page.keyboard.press("Enter")
        page.locator(".prose").get_by_text("Written.").wait_for()
        assert page.evaluate("document.activeElement.matches('.run')")
        assert page.locator(".question span").last.inner_text() == GOAL
        assert page.evaluate("lost") == []


def test_an_answer_is_said_once_and_not_word_by_word(browser: "Browser", server: Running) -> None:
    with by_keyboard(browser, server) as page:
        ask(page, QUESTION)
        page.locator(".actions").wait_for()
        heard = page.evaluate("heard")
        (answer,) = [words for words in heard if words.startswith("Answer:")]
        assert "kilometre" in answer
        assert "[1]" not in answer
        assert len(heard) <= 3, heard  # the search, and the answer


def test_an_upload_is_said_when_it_is_there(browser: "Browser", server: Running) -> None:
    with by_keyboard(browser, server) as page:
        page.locator('input[type="file"]').set_input_files(
            {"name": "bees.txt", "mimeType": "text/plain", "buffer": b"Bees sleep."}
        )
        page.locator(".upload.ready").wait_for()
        assert page.evaluate("heard") == ["bees.txt can be found now."]
