"""Answers, documents, file names and tools that try to run, to look like something else, or to
carry data out: a canary server must see no request, also while the answer is being written."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexes.collection import Collection
from tests.http.browsing import new_context, script, watched, web_page
from tests.http.chatting import ChatServer, quoting
from tests.http.serving import NAME, opened, running
from tests.indexes.hash_embedder import HashEmbedder

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

FACT = "The stripes of zebras confuse horse flies."
UNSEEN = "\u202egnp.egami\u202c \u200bzero\u200bwidth \U000e0041\U000e0042"
CORPUS = (Path(__file__).parent / "attacks.md").read_text("utf-8") + UNSEEN
ALLOWED = (
    "A ARTICLE BLOCKQUOTE BR BUTTON CODE DIV EM H3 H4 H5 H6 HR LI OL P PATH PRE S SPAN STRONG SVG "
    "TABLE TBODY TD TH THEAD TR UL"
)
ATTRIBUTES = {"dir", "start", "tabindex", "class", "data-language", "href", "target", "rel"}
LINKS = "[...document.querySelectorAll('.answer a')].map((a) => [a.protocol, a.rel])"


def infested(home: Path, corpus: str) -> None:
    """Put the corpus into a document of the collection, under a name that is an attack, too."""
    source = "/tmp/<img src=x onerror=window.pwned=20>.md"
    metadata = {"title": "<img src=x onerror=window.pwned=21>\u202e"}
    with Collection.open(NAME, home=home, embedder=HashEmbedder()) as collection:
        collection.add_texts([f"{FACT}\n{corpus}"], [metadata], [source])


def test_nothing_leaves_the_page(browser: "Browser", home: Path, chat_server: ChatServer) -> None:
    with web_page("") as (canary, asked):
        corpus = CORPUS.replace("CANARY", canary.removeprefix("http://"))
        infested(home, corpus)
        chat_server.reply = lambda body: (
            "Yes" if quoting(body) == "Yes" else f"{FACT} [1]\n{corpus} [1]"
        )
        chat_server.pause = 0.002
        with opened(home, chat_server.url) as service, running(service) as server:
            context = new_context(browser)
            page = context.new_page()
            seen = watched(page)
            page.goto(server.url)
            page.locator("button.document").first.wait_for()
            page.locator("#question").fill("What do the stripes of zebras do?")
            page.keyboard.press("Enter")
            page.locator(".actions").wait_for()
            assert "onerror" in page.locator(".prose").inner_text()  # it is there, as text
            page.locator(".source").first.click()
            page.locator(".reader mark").wait_for()
            page.locator("#question").fill(corpus)
            page.keyboard.press("Enter")
            page.locator(".answer[aria-busy=false]").nth(1).wait_for()
            _harmless(page)
            assert seen.elsewhere(server.url) == []
            assert seen.mistakes == []
            context.close()
        assert asked == []


def _harmless(page: "Page") -> None:
    assert page.evaluate("window.pwned") is None
    tags = page.evaluate(
        "[...document.querySelectorAll('.answer *')].map((e) => e.tagName.toUpperCase())"
    )
    assert set(tags) <= set(ALLOWED.split())
    links = page.evaluate(LINKS)
    assert links
    assert {protocol for protocol, _ in links} <= {"http:", "https:", "mailto:"}
    assert {rel for _, rel in links} == {"noopener noreferrer nofollow"}
    handlers = """[...document.querySelectorAll("body *")].flatMap((e) => [...e.attributes])
        .filter((a) => a.name.startsWith("on") || a.name === "style" && a.value.includes("url"))
        .map((a) => a.name)"""
    assert page.evaluate(handlers) == []
    shown = page.evaluate("document.body.innerText")
    assert not {"\u202e", "\u202c", "\u200b", "\U000e0041"} & set(shown)


@pytest.fixture(scope="module")
def drawing(browser: "Browser", tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Page]":
    """A page of the service's origin in which Markdown can be drawn."""
    home = tmp_path_factory.mktemp("drawing")
    with opened(home, None) as service, running(service) as server:
        context = new_context(browser)
        page = context.new_page()
        page.goto(server.url)
        page.evaluate(script("drawing"))
        yield page
        context.close()


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("Plain & <b>raw</b>", '<p>Plain &amp; &lt;b&gt;raw&lt;/b&gt;</p>'),
        ("**bold** *so* ~~on~~", "<p><strong>bold</strong> <em>so</em> <s>on</s></p>"),
        ("snake_case_word 2 * 3 * 4", '<p>snake_case_word 2 * 3 * 4</p>'),
        ("So it is. [1][2] No. [?]", '<p>So it is. <button>1</button><button>2</button> No. '
         "<button>?</button></p>"),
        ("甲。[1，2]", '<p>甲。<button>1</button><button>2</button></p>'),
        ("# One\ntext", '<h3>One</h3><p>text</p>'),
        ("- a\n- b\n  - c", '<ul><li>a</li><li>b<ul><li>c</li></ul></li></ul>'),
        ("3. a\n4. b", '<ol start="3"><li>a</li><li>b</li></ol>'),
        ("> said\n> so", '<blockquote><p>said<br>so</p></blockquote>'),
        ("`a *b*` ``c`d``", '<p><code>a *b*</code> <code>c`d</code></p>'),
        ("```py\nx = [1]\n```", '<pre tabindex="0" data-language="py"><code>x = [1]</code></pre>'),
        ("![a bee](https://example.org/b.png)", '<p>a bee</p>'),
        ("[x](javascript:alert(1))", '<p>[x](javascript:alert(1))</p>'),
    ],
)  # fmt: skip
def test_markdown_is_drawn(drawing: "Page", text: str, html: str) -> None:
    drawn = drawing.evaluate("(text) => draw(text).innerHTML", text)
    assert drawn.replace(' dir="auto"', "") == html


def test_a_link_says_where_it_leads(drawing: "Page") -> None:
    shown = drawing.evaluate(
        "(text) => draw(text).innerText", "[bank.example](https://evil.example/x)"
    )
    assert shown == "bank.example (evil.example)"


PIECES = [
    *("*", "_", "`", "```\n", "[", "]", "(", ")", "!", "<", ">", "|", "|-|-|\n", "- ", "1. ", "# "),
    *("\n", "\n\n", "  ", "a", "蜂", "😀", "[1]", "[?]", "https://e.org/", "javascript:"),
    *("<img src=x>", "~~", "\\", "&lt;", "\u202e", "    "),
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=40).map("".join)
LONG = [
    "*",
    "[",
    "![",
    "`",
    "[a](",
    "**a",
    "> ",
    "- ",
    "<",
    "|",
    "a_",
    "(((",
    "\\",
    "1. ",
    "~~",
    "[1,",
]
SPENT = "(text) => { const from = performance.now(); draw(text); return performance.now() - from; }"


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from(PIECES), max_size=40).map("".join), min_size=20, max_size=20)
)
def test_any_text_is_drawn_safely_and_alike_while_it_grows(
    drawing: "Page", texts: list[str]
) -> None:
    for drawn in drawing.evaluate(script("compared"), texts):
        assert drawn["alike"], json.dumps(drawn)
        assert set(drawn["tags"]) <= set(ALLOWED.split())
        assert set(drawn["names"]) <= ATTRIBUTES
        assert set(drawn["links"]) <= {"http:", "https:", "mailto:"}


@pytest.mark.parametrize("piece", LONG)
def test_a_long_text_does_not_hang_the_page(drawing: "Page", piece: str) -> None:
    text = piece * (20_000 // len(piece))
    spent = drawing.evaluate(SPENT, text)
    assert spent < 10_000
