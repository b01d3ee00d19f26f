"""Thoughts that the server leaves in the text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexes.errors import EndpointError
from rag.models.thinking import ThinkSplitter
from tests.rag.asking import ask, chat, last
from tests.rag.scripted_server import (
    Script,
    delta,
    events,
    reply,
    whole,
)

THOUGHT = "<think>2 + 2 < 5\n</think>\n\nFour."


def test_thoughts_in_the_text_are_kept_apart(server: Script) -> None:
    server.answers(reply(200, whole(content=THOUGHT)))
    answer = chat(server.url).invoke("?")
    assert answer.text == answer.content == "Four."
    assert answer.additional_kwargs["reasoning_content"] == "2 + 2 < 5\n"


@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_streamed_thoughts_are_kept_apart(server: Script, size: int) -> None:
    pieces = [THOUGHT[at : at + size] for at in range(0, len(THOUGHT), size)]
    server.answers(events(*[delta(content=piece) for piece in pieces], last()))
    chunks = list(chat(server.url).stream("?"))
    total = sum(chunks[1:], start=chunks[0])
    assert total.text == "".join(chunk.text for chunk in chunks) == "Four."
    assert total.additional_kwargs["reasoning_content"] == "2 + 2 < 5\n"


def test_the_text_before_a_failure_includes_what_was_held_back(server: Script) -> None:
    server.answers(events(delta(reasoning="x"), delta(content="<thin"), end="break"))
    with pytest.raises(EndpointError) as raised:
        ask(chat(server.url), "stream")
    assert raised.value.partial == "<thin"


def split(pieces: list[str]) -> tuple[str, str]:
    splitter = ThinkSplitter()
    parts = [splitter.feed(piece) for piece in pieces] + [splitter.finish()]
    return "".join(thought for thought, _ in parts), "".join(answer for _, answer in parts)


@pytest.mark.parametrize(
    ("text", "thought", "answer"),
    [
        ("", "", ""),
        ("Four.", "", "Four."),
        ("  Four.", "", "  Four."),
        ("<think>a</think>b", "a", "b"),
        (" \n<think>a</think>\n\n b ", "a", "b "),
        ("<think></think>b", "", "b"),
        ("<think>a", "a", ""),
        ("<think>a</thin", "a</thin", ""),
        ("<think>a</think> \n", "a", ""),
        ("<thin", "", "<thin"),
        ("<thinking>a", "a", ""),
        ("<thinking>a</thinking>\nb", "a", "b"),
        ("<thinkin>a", "", "<thinkin>a"),
        ("<think>a</thinking>b", "a", "b"),
        ("a<think>b</think>c", "", "a<think>b</think>c"),
        ("<think>a</think>b<think>c</think>", "a", "b<think>c</think>"),
        ("<think>a<think>b</think>c", "a<think>b", "c"),
        ("<think>a<</</think>c", "a<</", "c"),
    ],
)
def test_only_a_leading_block_is_thought(text: str, thought: str, answer: str) -> None:
    assert split([text]) == (thought, answer)
    assert split(list(text)) == (thought, answer)


TEXTS = st.lists(
    st.sampled_from(
        [
            "<think>",
            "</think>",
            "<thinking>",
            "</thinking>",
            "<thi",
            "n",
            "ing>",
            "</",
            "<",
            ">",
            "k",
            " ",
            "\n",
            "思",
            "a",
        ]
    ),
    max_size=9,
).map("".join)


@given(text=TEXTS, data=st.data())
def test_it_does_not_matter_where_a_text_is_cut(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    thought, answer = split(pieces)
    assert (thought, answer) == split([text])
    if not text.lstrip().startswith(("<think>", "<thinking>")):
        assert (thought, answer) == ("", text)
    else:
        assert "</think>" not in thought
        assert text.endswith(answer)


@given(text=TEXTS)
def test_nothing_certain_is_held_back(text: str) -> None:
    splitter = ThinkSplitter()
    _, answer = splitter.feed("Well: " + text)
    assert answer == "Well: " + text
