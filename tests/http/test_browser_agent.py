"""An agent's run on the page: its steps, and the calls that a person approves or rejects."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.http.browsing import new_context, watched
from tests.http.chatting import ChatServer
from tests.http.serving import Running
from tests.http.test_runs import ANSWER, NOTE, SEARCH, WRITE, acting, say

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture
def page(browser: "Browser", server: Running) -> "Iterator[Page]":
    """The page, where the agent is to be given a goal."""
    context = new_context(browser)
    page = context.new_page()
    page.goto(server.url)
    page.locator("button.document").first.wait_for()
    page.get_by_role("radio", name="Agent").check()
    page.locator("#question").fill("What does the waggle run point to?")
    yield page
    context.close()


def written(home: Path) -> list[str]:
    return [note.read_text("utf-8") for note in (home / "agents" / "runs").glob("*/notes/*.md")]


def test_the_steps_and_the_cited_answer_are_shown(page: "Page", chat_server: ChatServer) -> None:
    seen = watched(page)
    chat_server.message = acting(SEARCH, ANSWER)
    page.keyboard.press("Enter")
    page.locator(".source").wait_for()
    assert page.locator(".step.good .tool code").all_inner_texts() == ["search_documents"]
    page.locator(".step summary", has_text="Arguments").click()
    assert "waggle run" in page.locator(".step pre").first.inner_text()
    page.locator(".prose .mark").click()
    assert "points to the flowers" in page.locator(".reader mark").inner_text()
    assert seen.mistakes == []


def test_nothing_is_done_before_it_is_approved(
    page: "Page", chat_server: ChatServer, home: Path
) -> None:
    chat_server.message = acting(WRITE, say("Written."))
    page.keyboard.press("Enter")
    asked = page.locator(".approval")
    asked.wait_for()
    assert NOTE["text"] in asked.inner_text()
    page.keyboard.press("Enter")  # what is typed at that moment is no decision
    page.keyboard.press("Space")
    assert asked.is_visible()
    assert written(home) == []
    page.get_by_role("button", name="Approve").click()
    page.get_by_text("Written.").wait_for()
    assert written(home) == [NOTE["text"]]


def test_a_rejected_call_is_not_done_and_its_reason_is_told(
    page: "Page", chat_server: ChatServer, home: Path
) -> None:
    chat_server.message = acting(WRITE, say("Not written."))
    page.keyboard.press("Enter")
    page.get_by_label("Why not?").fill("Not today, please.")
    page.get_by_role("button", name="Reject").click()
    page.get_by_text("Not written.").wait_for()
    assert "Not today, please." in json.dumps(chat_server.requests[-1])
    assert written(home) == []


def test_a_run_can_be_left_waiting(page: "Page", chat_server: ChatServer, home: Path) -> None:
    chat_server.message = acting(WRITE, say("Written."))
    page.keyboard.press("Enter")
    page.locator(".approval").wait_for()
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("still waits for a decision").wait_for()
    assert page.locator(".approval").count() == 0
    assert written(home) == []
