"""What the page keeps of conversations, where, and how long; and the addresses of places."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import quote

import httpx
import pytest

from agents.doors.rights import LOCAL
from agents.mcp_door.places import Place
from tests.http.browsing import ask, back, visiting, watched
from tests.http.chatting import ChatServer
from tests.http.serving import CHINESE, ENGLISH, NAME, Running, fill_home, opened, running

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Page

QUESTION = "How long is a second of waggling in kilometres?"
SPAN = ENGLISH.index("The waggle run"), ENGLISH.index(", and its")


@pytest.fixture
def page(browser: "Browser", server: Running) -> "Iterator[Page]":
    """The page with an answer."""
    with visiting(browser, server.url) as page:
        ask(page, QUESTION)
        page.locator(".actions").wait_for()
        yield page


def kept(page: "Page") -> str:
    """All that the browser keeps of the page."""
    return str(page.evaluate("JSON.stringify([{...sessionStorage}, {...localStorage}])"))


def test_the_conversation_outlives_a_reload(page: "Page", chat_server: ChatServer) -> None:
    shown = page.locator(".log").inner_text()
    back(page)
    assert page.locator(".log").inner_text() == shown
    page.locator(".prose .mark").first.click()
    page.locator(".reader mark").wait_for()
    ask(page, "And how far is that?")
    page.locator(".actions").nth(1).wait_for()
    told = json.dumps([request["messages"] for request in chat_server.requests[1:]])
    assert QUESTION in told  # it is what the next question is asked after


def test_several_answers_and_the_choice_are_kept(page: "Page") -> None:
    page.get_by_label("Answers side by side").select_option("2")
    ask(page, QUESTION)
    page.get_by_role("group", name="Answer B").get_by_text("Choose this one").click()
    back(page)
    chosen = page.locator(".candidate.chosen")
    assert chosen.get_attribute("aria-label") == "Answer B"
    assert page.locator(".candidate.passed").count() == 1


def test_a_new_conversation_forgets_the_old(page: "Page") -> None:
    page.get_by_role("button", name="New conversation").click()
    assert QUESTION not in kept(page)
    back(page)
    page.get_by_text("Ask your documents", exact=True).wait_for()


def test_nothing_is_kept_where_it_is_not_wanted(page: "Page") -> None:
    assert QUESTION in kept(page)
    page.get_by_role("button", name="Conversations are kept until").click()
    assert QUESTION not in kept(page)
    back(page)
    ask(page, QUESTION)
    page.locator(".actions").wait_for()
    assert QUESTION not in kept(page)
    page.get_by_role("button", name="Conversations are not kept").click()
    assert QUESTION in kept(page)


def test_what_another_tab_does_not_want_kept_is_forgotten(page: "Page", server: Running) -> None:
    other = page.context.new_page()
    other.goto(server.url)
    other.get_by_role("button", name="Conversations are kept until").click()
    page.get_by_role("button", name="Conversations are not kept").wait_for()
    assert QUESTION not in kept(page)
    page.evaluate("(turns) => sessionStorage.setItem('waggle.talk.bees', turns)",
                  json.dumps([{"question": QUESTION}]))  # fmt: skip
    back(page)
    page.get_by_text("Ask your documents", exact=True).wait_for()
    assert QUESTION not in kept(page)


def test_an_answer_that_a_reload_cut_off_is_asked_for_again(
    page: "Page", chat_server: ChatServer
) -> None:
    chat_server.going.clear()
    ask(page, "What is a round dance?")
    page.locator(".answer[aria-busy=true]").wait_for()
    back(page)
    chat_server.going.set()
    page.get_by_text("The answer broke off.").wait_for()
    page.get_by_role("button", name="Try again").click()
    page.locator(".actions").nth(1).wait_for()
    assert page.locator(".question").count() == 2


def test_where_there_is_no_room_the_latest_is_kept(page: "Page") -> None:
    page.evaluate("""() => {
        let size = 4_000_000;
        for (let at = 0; size > 500; at++)
            try { sessionStorage.setItem(`filled${at}`, "x".repeat(size)); }
            catch { size = Math.floor(size / 2); }
        delete sessionStorage.filled0;
    }""")
    page.evaluate("() => sessionStorage.setItem('filled0', 'x'.repeat(3_990_000))")
    for number in range(8):
        ask(page, f"{QUESTION} {number}")
        page.locator(".actions").nth(number + 1).wait_for()
    back(page)
    questions = page.locator(".question").all_inner_texts()
    assert 1 <= len(questions) < 9
    assert questions[-1].endswith("7")


def test_each_collection_has_its_conversation_and_the_key_is_in_none(
    browser: "Browser", tmp_path: "Path", chat_server: ChatServer
) -> None:
    fill_home(tmp_path, NAME, "wasps")
    with (
        opened(tmp_path, chat_server.url, require_key=True) as service,
        running(service) as server,
    ):
        secrets = [service.keys.new(name, ("read",), (NAME, "wasps"))[1] for name in "ab"]

        context = browser.new_context(locale="en-GB")
        page = context.new_page()

        def enter(secret: str) -> None:
            page.get_by_label("Access key").fill(secret)
            page.keyboard.press("Enter")
            page.locator("button.document").first.wait_for()

        page.goto(server.url)
        enter(secrets[0])
        ask(page, QUESTION)
        page.locator(".actions").wait_for()
        page.get_by_label("Collection", exact=True).select_option("wasps")
        page.locator(".log").get_by_text(QUESTION).wait_for(state="detached")
        page.get_by_label("Collection", exact=True).select_option(NAME)
        page.locator(".log").get_by_text(QUESTION).wait_for()
        talks = page.evaluate(
            "Object.keys(sessionStorage).filter((n) => n !== 'waggle.key')"
            ".map((n) => sessionStorage[n]).join()"
        )
        assert QUESTION in talks
        assert secrets[0] not in talks
        page.evaluate("sessionStorage.removeItem('waggle.key')")
        page.reload()
        enter(secrets[1])  # somebody else, in the same tab
        page.get_by_text("Ask your documents", exact=True).wait_for()
        assert QUESTION not in kept(page)
        ask(page, QUESTION)
        page.locator(".actions").wait_for()
        page.get_by_role("button", name="Forget the key").click()
        page.get_by_label("Access key").wait_for()
        assert QUESTION not in kept(page)
        context.close()


def test_a_key_that_another_tab_forgets_is_forgotten(
    browser: "Browser", tmp_path: "Path", chat_server: ChatServer
) -> None:
    fill_home(tmp_path, NAME)
    with (
        opened(tmp_path, chat_server.url, require_key=True) as service,
        running(service) as server,
    ):
        secret = service.keys.new("a", ("read",), (NAME,))[1]
        context = browser.new_context(locale="en-GB")
        first, second = context.new_page(), context.new_page()
        first.goto(server.url)
        first.get_by_label("Access key").fill(secret)
        first.get_by_role("checkbox").check()
        first.get_by_role("button", name="Continue").click()
        first.locator("button.document").first.wait_for()
        ask(first, QUESTION)
        first.locator(".actions").wait_for()
        second.goto(server.url)
        second.get_by_role("button", name="Forget the key").click()
        first.get_by_label("Access key").wait_for()
        assert QUESTION not in kept(first)
        context.close()


def address(source: str, start: int, end: int, name: str = NAME) -> str:
    return f"/#/{name}/document/{quote(source, safe='')}?span={start}:{end}"


def source_of(server: Running, title: str) -> str:
    collection = server.service.shelf.collection(LOCAL, NAME)
    return next(one.source for one, _ in collection.documents() if one.source.endswith(title))


def test_an_address_opens_the_place(browser: "Browser", server: Running) -> None:
    place = address(source_of(server, "dance.md"), *SPAN)
    with visiting(browser, server.url + place) as page:
        mark = page.locator(".reader mark")
        assert mark.inner_text() == ENGLISH[slice(*SPAN)]
        assert page.locator(".reader h2").inner_text() == "The waggle dance"
        page.keyboard.press("Escape")
        assert page.evaluate("document.activeElement.id") == "question"
        assert page.evaluate("location.hash") == ""
        another = address(source_of(server, "花期.txt"), 0, 5)
        page.evaluate("(to) => (location.hash = to)", another[1:])
        page.locator(".reader h2").get_by_text("花期").wait_for()
        assert mark.inner_text() == CHINESE[:5]


def test_a_place_that_is_shown_can_be_passed_on(browser: "Browser", server: Running) -> None:
    clipboard = ["clipboard-read", "clipboard-write"]
    with visiting(browser, server.url, permissions=clipboard) as page:
        ask(page, QUESTION)
        page.locator(".prose .mark").first.click()
        quote = page.locator(".reader mark").inner_text()
        page.get_by_role("button", name="Copy a link to this place").click()
        page.get_by_text("The link is copied.").wait_for(state="attached")
        link = page.evaluate("navigator.clipboard.readText()")
    with visiting(browser, link) as page:
        assert page.locator(".reader mark").inner_text() == quote


def test_what_an_assistant_finds_opens_here(browser: "Browser", server: Running) -> None:
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {"name": "search", "arguments": {"query": QUESTION, "k": 1}}}  # fmt: skip
    takes = {"Accept": "application/json, text/event-stream"}
    said = httpx.post(f"{server.url}/mcp", json=call, headers=takes, timeout=30).text
    told = json.loads(said[said.index("{") :].splitlines()[0])
    (found,) = told["result"]["structuredContent"]["results"]
    assert found["url"].startswith(f"{server.url}/#/{NAME}/document/")
    with visiting(browser, found["url"]) as page:
        assert page.locator(".reader mark").inner_text() == found["text"]


def test_an_address_that_names_no_place_opens_none(browser: "Browser", server: Running) -> None:
    wrong = ["#", "#/", "#/bees", "#/bees/document/", "#/bees/document/%E0%A4%A?span=1:2",
             "#/bees/document/x?span=2", "#/bees/document/x?span=-1:2&around=9",
             "#/../document/x/y"]  # fmt: skip
    with visiting(browser, f"{server.url}/{wrong[4]}") as page:
        seen = watched(page)
        for there in wrong:
            page.evaluate("(to) => (location.hash = to)", there)
            assert page.locator(".reader").is_hidden(), there
        assert seen.mistakes == []
        assert not [url for url in seen.requests if "/text?" in url]


def test_the_page_reads_the_addresses_that_are_given_out(
    browser: "Browser", server: Running
) -> None:
    places = [Place(NAME, source, span)
              for source in ("a b/ü?#%25.md", "https://e.org/?q=1&r=2#3", "蜂 😀", ".", "..", "/")
              for span in (None, (0, 9), (7, 4_000_000_000))]  # fmt: skip
    with visiting(browser, server.url) as page:
        read = page.evaluate(
            """async (all) => {
            const { placeIn, addressOf } = await import("/assets/address.js");
            return all.map((one) => [placeIn(one), placeIn(addressOf(placeIn(one)))]);
        }""",
            [place.fragment for place in places],
        )
    for place, (once, twice) in zip(places, read, strict=True):
        start, end = place.span or (0, 0)
        assert once == twice
        assert once == {
            "collection": NAME, "source": place.source, "start": start, "end": end
        }  # fmt: skip


def test_an_address_of_what_is_not_there_says_so(browser: "Browser", server: Running) -> None:
    for there in (address("<img src=x onerror=alert(1)>", 0, 9), address("x", 0, 1, "wasps")):
        with visiting(browser, server.url) as page:
            seen = watched(page)
            page.evaluate("(to) => (location.hash = to)", there[1:])
            page.locator(".reader .failure").wait_for()
            assert seen.mistakes == []
