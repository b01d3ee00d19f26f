"""Texts on their way out, conversations on their way in, marks, and names of models."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.http.openai.naming import Target, target_of
from agents.http.openai.writing import Written
from indexes.errors import UnknownCollectionError, UsageError
from rag.conversing import TURNS, Said, conversation_of
from rag.marks import placed, without_marks
from rag.types import Citation, Support

LETTERS = st.text("ab \n。[1]", max_size=12)


@given(st.lists(LETTERS, max_size=6), st.lists(st.text("ab ", max_size=3), max_size=3))
def test_what_is_sent_is_the_text_up_to_the_first_stop(pieces: list[str], stops: list[str]) -> None:
    text, written = "".join(pieces), Written(stops)
    sent = "".join([*map(written.take, pieces), written.finish(text)])
    ends = [at for stop in stops if stop and (at := text.find(stop)) >= 0]
    assert sent == written.text == text[: min(ends, default=len(text))].rstrip()


@given(st.lists(LETTERS, min_size=1, max_size=6))
def test_nothing_waits_that_is_certain(pieces: list[str]) -> None:
    written = Written()
    sent = "".join(map(written.take, pieces))
    assert sent == "".join(pieces).rstrip()


def test_an_answer_that_is_taken_back_follows_what_was_said() -> None:
    written = Written()
    assert written.take("It is so. ") == "It is so."
    assert written.finish("I don't know.") == "\n\nI don't know."
    assert written.text == "It is so.\n\nI don't know."


ROLES: Any = st.sampled_from(["system", "user", "assistant"])


@given(st.lists(st.builds(Said, ROLES, st.text("ab", min_size=1, max_size=3)), max_size=30))
def test_the_last_message_of_the_user_is_the_question(messages: list[Said]) -> None:
    users = [message.text for message in messages if message.role == "user"]
    if not users:
        with pytest.raises(UsageError):
            conversation_of(messages)
        return
    made = conversation_of(messages)
    assert made.question == users[-1]
    assert [turn.question for turn in made.history] == users[:-1][-TURNS:]
    wanted = dict.fromkeys(message.text for message in messages if message.role == "system")
    assert made.instructions == "\n\n".join(wanted)


def test_turns_are_the_question_and_all_that_was_answered() -> None:
    messages = [
        Said("assistant", "Hello!"), Said("user", "One?"), Said("assistant", "1 [1]."),
        Said("assistant", "Sure [?]."), Said("user", "x" * 9000), Said("user", "Two?"),
    ]  # fmt: skip
    made = conversation_of(messages)
    assert [turn.answer for turn in made.history] == ["1.\nSure.", ""]
    assert len(made.history[1].question) == 2000


def citation(number: int, support: Support = "verbatim") -> Citation:
    return Citation(number, "", "s", "", None, 0, 0, "", support)


@given(st.lists(st.tuples(st.text("ab. ", max_size=5), st.integers(1, 12), st.booleans())))
def test_each_citation_stands_at_its_mark(parts: list[tuple[str, int, bool]]) -> None:
    text, places = "", []
    citations = []
    for words, number, held in parts:
        text += words
        places.append(len(text))
        text += f"[{number}]" if held else "[?]"
        citations.append(citation(number, "entailed" if held else "unsupported"))
    assert [index for index, _ in placed(text, citations)] == places
    assert "[" not in without_marks(text)


def test_a_citation_without_a_mark_stands_at_the_end() -> None:
    assert [at for at, _ in placed("Three.", [citation(1), citation(2)])] == [6, 6]


@given(st.from_regex(r"[^\W_][\w.-]{0,63}", fullmatch=True), st.booleans())
def test_the_name_of_a_model_tells_its_collection(name: str, agent: bool) -> None:
    assert target_of(Target(name, agent).model) == Target(name, agent)


@given(st.text("waggle/NAMEnt", max_size=30) | st.sampled_from(["waggle//agent", "waggle/a/b"]))
def test_whatever_is_no_name_of_ours_is_unknown(model: str) -> None:
    try:
        target = target_of(model)
    except UnknownCollectionError:
        return
    assert target.model == model
    assert target.collection
    assert "/" not in target.collection
