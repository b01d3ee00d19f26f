"""A person at the page, in a real browser: from an upload to a cited answer."""

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from agents.doors.service import Service
from tests.http.browsing import Seen, ask, back, new_context, script, visiting, watched
from tests.http.chatting import ChatServer, quoting
from tests.http.serving import CHINESE, NAME, Running, opened, running

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Page

CLIPBOARD = ["clipboard-read", "clipboard-write"]
QUESTION = "How long is a second of waggling in kilometres?"
PROPOLIS = "Propolis is a resin that bees gather from the buds of poplars."


@pytest.fixture
def page(browser: "Browser", server: Running) -> "Iterator[Page]":
    """The page, with the collection `bees` chosen."""
    with visiting(browser, server.url) as page:
        yield page


def test_from_an_upload_to_a_cited_answer(page: "Page", server: Running) -> None:
    seen = watched(page)
    page.evaluate(script("drop"), f"# Propolis\n\n{PROPOLIS}\n")
    page.get_by_role("button", name="Propolis", exact=True).wait_for()
    page.locator(".upload.ready").wait_for()
    ask(page, "What is propolis?")
    page.locator(".source").wait_for()
    answer = page.locator(".answer .prose")
    assert PROPOLIS.removesuffix(".") in answer.inner_text()
    page.locator(".prose .mark").first.click()
    assert page.locator(".reader mark").inner_text() in PROPOLIS
    assert page.locator(".reader h2").inner_text() == "Propolis"
    assert seen.mistakes == []
    assert seen.elsewhere(server.url, "blob:") == []


def test_a_file_that_cannot_be_read_says_why(page: "Page") -> None:
    page.locator('input[type="file"]').set_input_files(
        {"name": "empty.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.4 nothing"}
    )
    state = page.locator(".upload.bad .state")
    state.wait_for()
    assert len(state.inner_text()) > 10


def test_an_answer_is_seen_while_it_is_written(page: "Page", chat_server: ChatServer) -> None:
    chat_server.reply = lambda body: (
        "Yes" if quoting(body) == "Yes" else f"{quoting(body)} {'And so on and on. ' * 60}"
    )
    chat_server.pause = 0.05
    ask(page, QUESTION)
    page.locator(".prose .mark").first.wait_for()
    assert page.locator(".answer").get_attribute("aria-busy") == "true"
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("Stopped.").wait_for()
    assert chat_server.left.wait(2)
    assert page.locator(".answer").get_attribute("aria-busy") == "false"
    page.get_by_role("button", name="Send").wait_for()


def test_one_of_several_answers_is_chosen(page: "Page", service: Service) -> None:
    page.get_by_label("Answers side by side").select_option("3")
    ask(page, QUESTION)
    page.locator(".choose").nth(2).wait_for()
    page.get_by_role("group", name="Answer B").get_by_text("Choose this one").click()
    page.get_by_text("Thank you, noted.").wait_for(state="attached")
    (line,) = service.feedback.kept()
    assert (line["kind"], line["question"], len(line["others"])) == ("chosen", QUESTION, 2)
    assert page.locator(".candidate.chosen").count() == 1
    assert page.locator(".candidate.passed").count() == 2


def test_what_is_copied_and_liked_is_known(browser: "Browser", server: Running) -> None:
    with visiting(browser, server.url, permissions=CLIPBOARD) as page:
        ask(page, QUESTION)
        page.get_by_role("button", name="Copy", exact=True).click()
        page.get_by_role("button", name="Copied").wait_for()
        copied = page.evaluate("navigator.clipboard.readText()")
        assert copied.endswith("[1] The waggle dance")
        page.get_by_text("Thank you, noted.").wait_for(state="attached")
        with page.expect_response("**/api/feedback"):
            page.get_by_role("button", name="Not helpful").click()
    assert [line["kind"] for line in server.service.feedback.kept()] == ["copied", "unhelpful"]


def test_the_model_server_fails_and_comes_back(page: "Page", chat_server: ChatServer) -> None:
    chat_server.status = 500
    ask(page, QUESTION)
    failure = page.locator(".failure")
    failure.wait_for()
    assert len(failure.inner_text()) > 20
    chat_server.status = 200
    page.get_by_role("button", name="Try again").click()
    page.locator(".source").wait_for()
    assert page.locator(".question").count() == 1


def test_the_keyboard_is_enough(page: "Page") -> None:
    page.locator("h1").click()
    page.keyboard.press("/")
    page.keyboard.type(QUESTION)
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("?")
    page.keyboard.press("Enter")
    page.locator(".source").wait_for()
    assert page.locator(".question").inner_text().endswith(f"{QUESTION}\n?")
    page.locator(".prose .mark").first.focus()
    page.keyboard.press("Enter")
    page.locator(".reader mark").wait_for()
    assert page.evaluate("document.activeElement.closest('.reader') !== null")
    page.keyboard.press("Escape")
    assert page.locator(".reader").is_hidden()
    assert page.evaluate("document.activeElement.classList.contains('mark')")


def test_the_page_speaks_chinese(browser: "Browser", server: Running) -> None:
    with visiting(browser, server.url, locale="zh-CN") as page:
        page.get_by_text("向您的文档提问", exact=True).wait_for()
        assert page.locator("html").get_attribute("lang") == "zh"
        page.get_by_role("button", name="English").click()
        page.get_by_text("Ask your documents", exact=True).wait_for()
        page.get_by_role("button", name="中文").click()
        page.get_by_text("向您的文档提问", exact=True).wait_for()
        ask(page, "椴树什么时候开花？")
        page.locator(".source").wait_for()
        page.locator(".prose .mark").first.click()
        assert page.locator(".reader mark").inner_text() in CHINESE


def test_a_phone_shows_everything(browser: "Browser", server: Running) -> None:
    phone = {"width": 360, "height": 740}
    with visiting(browser, server.url, viewport=phone, has_touch=True) as page:
        assert not page.locator("button.document").first.is_visible()
        ask(page, QUESTION)
        page.locator(".source").wait_for()
        page.locator(".prose .mark").first.tap()
        page.locator(".reader mark").wait_for()
        page.get_by_role("button", name="Close").last.tap()
        page.get_by_role("button", name="Documents and settings").tap()
        page.locator("button.document").first.tap()
        page.locator(".reader .page").get_by_text("waggle").first.wait_for()
        page.keyboard.press("Escape")  # the button that opened it is hidden again
        assert page.evaluate("document.activeElement.classList.contains('menu')")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_key_is_asked_for_and_kept(
    browser: "Browser", home: "Path", chat_server: ChatServer
) -> None:
    with opened(home, chat_server.url, require_key=True) as service, running(service) as server:
        record, secret = service.keys.new("reader", ("read",), collections=(NAME,))
        context = new_context(browser)
        page = context.new_page()
        page.goto(server.url)
        field = page.get_by_label("Access key")
        field.fill("wgl_wrong")
        page.keyboard.press("Enter")
        page.get_by_text("This key is not known here.").wait_for()
        field.fill(secret)
        page.keyboard.press("Enter")
        page.locator("button.document").first.wait_for()
        assert page.locator(".drop, .modes").count() == 0  # it may only read
        back(page)
        assert secret not in page.content()
        service.keys.revoke(record.id)
        page.reload()
        page.get_by_text("This key is not known here.").wait_for()
        context.close()


def test_the_theme_is_chosen_and_kept(page: "Page") -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    before = page.evaluate(ground)
    page.get_by_role("button", name=re.compile("^Colours")).click()
    page.get_by_role("button", name="Colours: Light").click()
    page.get_by_role("button", name="Colours: Dark").wait_for()
    assert page.evaluate(ground) != before
    back(page)
    assert page.evaluate(ground) != before


def test_nothing_is_asked_of_the_network(page: "Page", server: Running) -> None:
    seen: Seen = watched(page)
    back(page)
    assert seen.requests
    assert seen.elsewhere(server.url) == []
    assert json.dumps(seen.mistakes) == "[]"
