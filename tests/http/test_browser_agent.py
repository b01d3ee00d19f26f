"""An agent's run on the page: its steps, and what a person approves, changes or rejects."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.http.browsing import ask, back, script, visiting, watched
from tests.http.chatting import ANSWER, GOAL, NOTE, SEARCH, WRITE, ChatServer, acting, say
from tests.http.serving import NAME, Running

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route


@pytest.fixture
def page(browser: "Browser", server: Running) -> "Iterator[Page]":
    """The page, where the agent is to be given a goal."""
    with visiting(browser, server.url) as page:
        page.get_by_role("radio", name="Agent").check()
        page.locator("#question").fill(GOAL)
        yield page


@pytest.fixture
def waiting(page: "Page", chat_server: ChatServer) -> "Page":
    """The page with a call that waits for a decision."""
    chat_server.message = acting(WRITE, say("Written."))
    page.keyboard.press("Enter")
    page.locator(".approval").wait_for()
    return page


def ended(page: "Page", text: str) -> None:
    page.locator(".prose").get_by_text(text).wait_for()


def has_begun(page: "Page") -> None:
    """Wait until the page knows the run."""
    page.wait_for_function(
        "() => Object.values(sessionStorage).some((kept) => kept.includes('\"run\"'))"
    )


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


def test_nothing_is_done_before_it_is_approved(waiting: "Page", home: Path) -> None:
    assert NOTE["text"] in waiting.locator(".approval").inner_text()
    waiting.keyboard.press("Enter")  # what is typed at that moment is no decision
    waiting.keyboard.press("Space")
    assert waiting.locator(".approval").is_visible()
    assert written(home) == []
    waiting.get_by_role("button", name="Approve").click()
    ended(waiting, "Written.")
    assert written(home) == [NOTE["text"]]


def test_a_rejected_call_is_not_done_and_its_reason_is_told(
    waiting: "Page", chat_server: ChatServer, home: Path
) -> None:
    chat_server.message = acting(WRITE, say("Not written."))
    waiting.get_by_label("Why not?").fill("Not today, please.")
    waiting.get_by_role("button", name="Reject").click()
    ended(waiting, "Not written.")
    assert "Not today, please." in json.dumps(chat_server.requests[-1])
    assert written(home) == []


def test_a_call_is_done_as_it_was_changed(waiting: "Page", home: Path) -> None:
    waiting.get_by_role("button", name="Edit").click()
    text = waiting.get_by_label("text", exact=True)
    assert text.input_value() == NOTE["text"]
    text.fill("To the \u202eflowers,\nand «far».")
    waiting.get_by_role("button", name="Approve as changed").click()
    ended(waiting, "Written.")
    assert written(home) == ["To the flowers,\nand «far»."]


def test_a_change_can_be_left(waiting: "Page", home: Path) -> None:
    waiting.get_by_role("button", name="Edit").click()
    waiting.get_by_label("text", exact=True).fill("Something else.")
    waiting.keyboard.press("Escape")
    assert waiting.evaluate("document.activeElement.textContent") == "Edit"
    waiting.get_by_role("button", name="Approve").click()
    ended(waiting, "Written.")
    assert written(home) == [NOTE["text"]]


def test_a_change_that_the_tool_does_not_take_is_asked_for_again(
    waiting: "Page", home: Path
) -> None:
    def spoil(route: "Route") -> None:
        body = json.loads(route.request.post_data or "")
        del body["decisions"][0]["arguments"]["name"]
        route.continue_(post_data=json.dumps(body))

    waiting.route("**/decisions", spoil, times=1)
    waiting.get_by_role("button", name="Edit").click()
    waiting.get_by_label("text", exact=True).fill("Changed.")
    waiting.get_by_role("button", name="Approve as changed").click()
    problem = waiting.get_by_role("alert").filter(has_text="write_note(name: string")
    problem.wait_for()
    assert waiting.get_by_label("text", exact=True).input_value() == "Changed."
    assert written(home) == []
    waiting.get_by_role("button", name="Approve as changed").click()
    ended(waiting, "Written.")
    assert written(home) == ["Changed."]


def test_arguments_that_are_no_text_are_changed_as_json(page: "Page") -> None:
    page.evaluate(
        script("deciding"), {"values": {"n": 3, "names": ["a", "b"], "same": {"x": None}}}
    )
    page.get_by_role("button", name="Edit").click()
    field = page.get_by_label("names", exact=True)
    field.fill('["a", ')
    page.get_by_role("button", name="Approve as changed").click()
    assert "not JSON" in page.locator(".argument .error:not(:empty)").inner_text()
    assert field.get_attribute("aria-invalid") == "true"
    assert page.evaluate("document.activeElement.value") == '["a", '
    assert page.evaluate("window.decisions") is None
    field.fill('["a\\u200bb"]')
    page.get_by_role("button", name="Approve as changed").click()
    assert page.evaluate("window.decisions") == [
        {"call_id": "call_1", "verdict": "edit",
         "arguments": {"n": 3, "names": ["ab"], "same": {"x": None}}}
    ]  # fmt: skip


def test_a_change_of_nothing_is_an_approval(page: "Page") -> None:
    page.evaluate(script("deciding"), {"values": {"n": 3, "text": "one\r\ntwo"}})
    page.get_by_role("button", name="Edit").click()
    page.get_by_role("button", name="Approve as changed").click()
    assert page.evaluate("window.decisions") == [{"call_id": "call_1", "verdict": "approve"}]


def test_a_number_that_the_browser_rounds_is_not_sent_changed(page: "Page") -> None:
    values = {"text": "one", "ids": {"a": [float(2**53), 0.5]}}
    page.evaluate(script("deciding"), {"values": values})  # as it reads 9007199254740993
    page.get_by_role("button", name="Edit").click()
    page.get_by_label("text", exact=True).fill("two")
    page.get_by_role("button", name="Approve as changed").click()
    assert "too large" in page.locator(".argument .error:not(:empty)").inner_text()
    assert page.evaluate("window.decisions") is None
    page.get_by_label("ids", exact=True).fill('{"a": [7, 0.5]}')
    page.get_by_role("button", name="Approve as changed").click()
    (decided,) = page.evaluate("window.decisions")
    assert decided["arguments"] == {"text": "two", "ids": {"a": [7, 0.5]}}


def test_a_call_that_may_have_been_done_is_not_changed(page: "Page") -> None:
    page.evaluate(script("deciding"), {"values": {"n": 3}, "editable": False})
    page.get_by_role("button", name="Approve").wait_for()
    assert page.get_by_role("button", name="Edit").count() == 0


def test_other_things_can_be_asked_while_a_call_waits(
    waiting: "Page", chat_server: ChatServer, home: Path
) -> None:
    waiting.get_by_role("radio", name="Ask").check()
    ask(waiting, GOAL)
    waiting.locator(".source").wait_for()
    assert waiting.locator(".approval").is_visible()
    waiting.get_by_role("button", name="Approve").click()
    ended(waiting, "Written.")
    assert written(home) == [NOTE["text"]]


def test_a_call_still_waits_when_the_page_is_loaded_again(waiting: "Page", home: Path) -> None:
    back(waiting)
    waiting.locator(".approval").wait_for()
    assert waiting.locator(".question").inner_text().endswith(GOAL)
    assert waiting.locator(".waiting").is_hidden()  # it is in sight
    waiting.get_by_role("button", name="Approve").click()
    ended(waiting, "Written.")
    assert written(home) == [NOTE["text"]]


def test_a_run_that_was_begun_elsewhere_is_listed_and_decided(
    page: "Page", server: Running, chat_server: ChatServer, home: Path
) -> None:
    chat_server.message = acting(WRITE, say("Written."))
    body = {"collection": NAME, "goal": "Note where it points.", "stream": False}
    httpx.post(f"{server.url}/api/agent/runs", json=body, timeout=30).raise_for_status()
    back(page)
    page.locator(".waiting summary").click()
    page.get_by_role("button", name="Note where it points. waits for your decision").click()
    page.get_by_label("Why not?").fill("No.")
    page.get_by_role("button", name="Reject").click()
    ended(page, "Written.")
    assert written(home) == []
    back(page)  # and it is part of this conversation now
    ended(page, "Written.")


def test_a_run_that_waits_is_deleted(waiting: "Page", home: Path) -> None:
    waiting.get_by_role("button", name="New conversation").click()
    waiting.on("dialog", lambda dialog: dialog.accept())
    waiting.locator(".waiting summary").click()
    waiting.get_by_role("button", name="Delete the run").click()
    waiting.locator(".waiting").wait_for(state="hidden")
    assert list((home / "agents" / "runs").iterdir()) == []


def test_what_was_decided_elsewhere_is_shown(waiting: "Page", server: Running, home: Path) -> None:
    (run,) = httpx.get(f"{server.url}/api/agent/runs").json()["runs"]
    path = f"{server.url}/api/agent/runs/{run['run_id']}"
    call_id = httpx.get(path).json()["pending"][0]["call_id"]
    decisions = [{"call_id": call_id, "verdict": "reject"}]
    httpx.post(f"{path}/decisions", json={"decisions": decisions, "stream": False}, timeout=30)
    waiting.get_by_role("button", name="Approve").click()
    ended(waiting, "Written.")
    assert waiting.locator(".approval").count() == 0
    assert written(home) == []


def test_a_run_that_was_stopped_goes_on(page: "Page", chat_server: ChatServer) -> None:
    chat_server.message = acting(SEARCH, ANSWER)
    chat_server.going.clear()
    page.keyboard.press("Enter")
    has_begun(page)
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("button", name="Go on").wait_for()
    chat_server.going.set()
    page.get_by_role("button", name="Go on").click()
    page.locator(".source").wait_for()
    assert page.locator(".step").count() == 2


def test_a_run_that_was_cut_off_by_a_reload_goes_on(
    page: "Page", chat_server: ChatServer, server: Running
) -> None:
    chat_server.message = acting(SEARCH, ANSWER)
    chat_server.going.clear()
    page.keyboard.press("Enter")
    has_begun(page)
    back(page)
    chat_server.going.set()
    page.get_by_role("button", name="Go on").click()
    page.locator(".source").wait_for()


def test_a_run_that_could_not_be_shown_goes_on_as_it_stands_now(
    page: "Page", chat_server: ChatServer
) -> None:
    chat_server.message = acting(SEARCH, ANSWER)
    chat_server.going.clear()
    page.keyboard.press("Enter")
    has_begun(page)
    page.route("**/api/agent/runs**", lambda route: route.abort(), times=2)
    back(page)
    chat_server.going.set()
    page.get_by_role("button", name="Try again").click()
    page.get_by_role("button", name="Go on").click()
    page.locator(".source").wait_for()
