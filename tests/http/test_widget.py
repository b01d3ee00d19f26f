"""The widget on the pages of others: it works where the key allows it, and nowhere else."""

from typing import TYPE_CHECKING

from tests.http.browsing import watched
from tests.http.serving import Running
from tests.http.widgets import PAGE, visited

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


def converse(page: "Page") -> None:
    page.get_by_role("button", name="Ask the bees").click()
    page.get_by_text("What would you like to know?").wait_for()
    page.get_by_role("textbox", name="Your question").fill("How long is a second of waggling?")
    page.keyboard.press("Enter")
    page.locator(".source").wait_for()


def test_the_widget_answers_on_a_foreign_page(browser: "Browser", keyed: Running) -> None:
    with visited(browser, keyed, PAGE) as (page, origin):
        seen = watched(page)
        page.goto(origin)
        converse(page)
        page.locator(".prose .mark").first.click()
        assert "waggling" in page.locator(".reader mark").inner_text()
        page.keyboard.press("Escape")
        page.keyboard.press("Escape")
        assert page.locator(".panel").is_hidden()
        assert seen.mistakes == []
        assert seen.elsewhere(origin, keyed.url) == []


def test_page_and_widget_leave_each_other_alone(browser: "Browser", keyed: Running) -> None:
    with visited(browser, keyed, PAGE) as (page, origin):
        page.goto(origin)
        converse(page)
        styles = "(e) => [getComputedStyle(e).fontSize, getComputedStyle(e).color]"
        assert page.locator(".answer .prose").evaluate(styles) != ["40px", "rgb(255, 0, 0)"]
        assert page.locator("h1").first.evaluate(styles) == ["40px", "rgb(255, 0, 0)"]


def test_a_page_with_a_strict_policy_can_have_it(browser: "Browser", keyed: Running) -> None:
    policy = (f"default-src 'none'; script-src {keyed.url}; connect-src {keyed.url}; "
              "require-trusted-types-for 'script'; trusted-types 'none'")  # fmt: skip
    headers = (("Content-Security-Policy", policy),)
    with visited(browser, keyed, PAGE.replace("<style", "<x-style"), headers) as (page, origin):
        page.goto(origin)
        converse(page)


def test_a_page_that_no_key_names_gets_nothing(browser: "Browser", keyed: Running) -> None:
    with visited(browser, keyed, PAGE) as (page, origin):
        stranger = origin.replace("127.0.0.1", "localhost")
        with page.expect_event("requestfailed"):
            page.goto(stranger)
        assert page.locator("waggle-assistant").count() == 0


def test_another_pages_key_is_of_no_use(browser: "Browser", keyed: Running) -> None:
    with visited(browser, keyed, PAGE) as (page, origin):
        stranger = origin.replace("127.0.0.1", "localhost")
        keyed.service.keys.new("other", ("read",), (), (stranger,))
        page.goto(stranger)
        page.get_by_role("button", name="Ask the bees").click()
        page.get_by_role("textbox", name="Your question").fill("How long?")
        page.keyboard.press("Enter")
        page.locator(".failure").wait_for()
        assert page.locator(".source").count() == 0


def test_the_widget_is_dark_where_the_system_is(browser: "Browser", keyed: Running) -> None:
    ground = "(e) => getComputedStyle(e).backgroundColor"
    seen = []
    for scheme in ("light", "dark"):
        with visited(browser, keyed, PAGE) as (page, origin):
            page.emulate_media(color_scheme=scheme)
            page.goto(origin)
            page.get_by_role("button", name="Ask the bees").click()
            seen.append(page.locator(".panel").evaluate(ground))
    assert seen == ["rgb(251, 250, 247)", "rgb(23, 20, 16)"]
