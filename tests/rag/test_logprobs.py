"""What a server tells of log-probabilities, and how sure of yes it was."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage

from rag.models.logprobs import prompt_logprobs, token_logprobs, yes_probability
from tests.rag.asking import chat
from tests.rag.scripted_server import Script, reply, whole

YES, NO = ("yes", "是"), ("no", "不是", "否")


def entry(token: str, logprob: float | None, **more: Any) -> dict[str, Any]:
    return {"token": token, "bytes": list(token.encode()), "logprob": logprob, **more}


def message(*tops: list[dict[str, Any]]) -> AIMessage:
    """A reply whose tokens are the first of each of ``tops``."""
    content = [{**top[0], "top_logprobs": top} for top in tops]
    return AIMessage("…", response_metadata={"logprobs": {"content": content}})


def test_a_server_tells_tokens_and_what_else_might_have_come(server: Script) -> None:
    tops = [entry("No", math.log(0.7)), entry("Yes", math.log(0.2)), entry("I", -3.0)]
    answer = whole(content="No")
    given = {"content": [{"id": 7, **tops[0], "top_logprobs": tops}]}
    answer["choices"][0]["logprobs"] = given  # type: ignore[index]
    server.probabilities = reply(200, answer)
    said = chat(server.url).invoke("?", logprobs=True, top_logprobs=3)
    (token,) = token_logprobs(said) or ()
    assert (token.token, token.data, token.id) == ("No", b"No", 7)
    assert token.logprob == pytest.approx(math.log(0.7))
    assert [one.token for one in token.top] == ["No", "Yes", "I"]
    assert yes_probability(said, YES, NO) == pytest.approx(2 / 9)


def test_the_prompts_log_probabilities_come_through(server: Script) -> None:
    given = [None, {"5": {"logprob": -1.5, "rank": 3, "decoded_token": "Hi"}}]
    server.answers(reply(200, {**whole(content="."), "prompt_logprobs": given}))
    said = chat(server.url).invoke("?")
    (token,) = prompt_logprobs(said) or ()
    assert (token.token, token.logprob) == ("Hi", -1.5)
    assert prompt_logprobs(AIMessage("Hi")) is None


@pytest.mark.parametrize(
    ("tokens", "probability"),
    [
        ({"yes": 0.6, "no": 0.2}, 0.75),
        ({" Yes": 0.3, "YES": 0.3, "No.": 0.2}, 0.75),
        ({"ye": 0.6, "n": 0.2}, 0.75),
        ({"是": 0.6, "不": 0.1, "否": 0.1}, 0.75),
        ({"yes": 0.6, "yesterday": 0.3, "not": 0.05, "no": 0.2}, 0.75),
        ({"yes": 0.5}, 1.0),
        ({"no": 0.5, "maybe": 0.4}, 0.0),
        ({"Maybe": 0.9}, None),
        ({"": 0.5, " ": 0.4}, None),
    ],
)
def test_yes_against_no(tokens: dict[str, float], probability: float | None) -> None:
    said = message([entry(token, math.log(value)) for token, value in tokens.items()])
    found = yes_probability(said, YES, NO)
    assert found == (None if probability is None else pytest.approx(probability))


def test_what_begins_both_counts_for_neither() -> None:
    said = message([entry("a", -0.1), entry("all", -1.0), entry("any", -1.0)])
    assert yes_probability(said, ["all"], ["any"]) == pytest.approx(0.5)


def test_the_first_piece_of_a_character() -> None:
    piece = {"token": "�", "bytes": list("是".encode()[:2]), "logprob": math.log(0.3)}
    said = message([entry("no", math.log(0.1)), piece])
    assert yes_probability(said, YES, NO) == pytest.approx(0.75)


def test_blank_tokens_before_the_answer_are_passed_over() -> None:
    said = message([entry("\n", -0.1), entry("no", -3.0)], [entry("yes", -0.2)])
    assert yes_probability(said, YES, NO) == 1.0


@pytest.mark.parametrize("never", [None, -math.inf, -9999.0, -3.4e38])
def test_however_a_server_says_never(never: float | None) -> None:
    said = message([entry("yes", -0.0), entry("no", never)])
    assert yes_probability(said, YES, NO) == 1.0


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=3) | st.integers(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["content", "token", "logprob", "bytes", "top_logprobs"]), inner
            )
        ),
        max_leaves=12,
    )
)
def test_garbage_is_no_log_probability(given: Any) -> None:
    said = AIMessage("x", response_metadata={"logprobs": given, "prompt_logprobs": given})
    token_logprobs(said)
    prompt_logprobs(said)
    found = yes_probability(said, YES, NO)
    assert found is None or 0.0 <= found <= 1.0
