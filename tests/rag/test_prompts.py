"""What the prompts about the same passages have in common, to the byte."""

import os
import subprocess
import sys
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import BaseMessage

from indexes.types import SearchResult
from rag.prompts import (
    answer_messages,
    check_messages,
    prompt_language,
    shared_prefix,
    task_messages,
)


def passage(number: int, text: str, title: str = "Bees", heading: str = "Dance") -> SearchResult:
    return SearchResult(number, 0.5, f"c{number}", f"/{number}.md", title, None, (heading,), 0,
                        len(text), text, {})  # fmt: skip


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
passages = st.lists(st.tuples(texts, texts, texts), min_size=1, max_size=4).map(
    lambda entries: tuple(passage(n, *entry) for n, entry in enumerate(entries, 1))
)
questions = texts.filter(str.strip)


def rendered(messages: Sequence[BaseMessage]) -> str:
    """As a chat template does it: turn after turn."""
    return "".join(f"<|{message.type}|>{message.text}" for message in messages)


@given(passages, questions, questions)
def test_two_questions_share_everything_up_to_the_question(
    contexts: tuple[SearchResult, ...], first: str, second: str
) -> None:
    one, other = (rendered(answer_messages(q, contexts)) for q in (first, second))
    if prompt_language(first) == prompt_language(second):
        assert one[: len(one) - len(first)] == other[: len(other) - len(second)]
    assert one.endswith(first)
    assert one == rendered(answer_messages(first, tuple(contexts)))


@given(passages, st.sampled_from(["en", "zh"]), questions, texts)
def test_every_task_begins_with_the_shared_prefix(
    contexts: tuple[SearchResult, ...], lang: str, question: str, task: str
) -> None:
    instructions, before = shared_prefix(contexts, lang)
    system, user = task_messages(contexts, lang, task)
    assert (system.text, user.text) == (instructions, before + task)
    asked = answer_messages(question, contexts)
    if prompt_language(question) == lang:
        assert asked[0].text == instructions
        assert asked[1].text.startswith(before)


@given(passages, questions, texts, st.lists(st.tuples(st.integers(1, 9), texts), max_size=3))
def test_a_check_continues_the_conversation(
    contexts: tuple[SearchResult, ...], question: str, draft: str, claims: list[tuple[int, str]]
) -> None:
    asked = answer_messages(question, contexts)
    begun = rendered(asked)
    for number, claim in claims:
        check = rendered(check_messages(asked, draft, number, claim, prompt_language(question)))
        assert check.startswith(begun)
        assert check[len(begun) :].startswith(f"<|ai|>{draft}")


def test_another_process_writes_the_same_bytes() -> None:
    program = """
from rag.prompts import answer_messages
from tests.rag.test_prompts import passage, rendered
print(ascii(rendered(answer_messages("Wer? 谁？", [passage(1, "a"), passage(2, "蜂")]))))
"""
    written = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(written) == 1
