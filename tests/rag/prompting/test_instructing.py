"""What an application wants of every answer, behind the rules of a prompt."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from rag.prompting.instructing import instructed
from rag.prompting.library import built_in
from rag.prompting.rendering import messages_of
from rag.prompting.types import ALONE, LANGUAGES


def test_they_follow_the_rules_that_all_prompts_share() -> None:
    for language in LANGUAGES:
        plain = built_in().get("answer", language)
        before, task = messages_of(plain, {"question": "?"}, (), ALONE)
        system, same = messages_of(instructed(plain, " Be polite. "), {"question": "?"}, (), ALONE)
        assert same == task
        assert system.text.startswith(f"{before.text}\n\n")
        assert system.text.endswith("\nBe polite.")


def test_they_follow_a_system_message_of_the_prompts_own() -> None:
    plain = replace(built_in().get("answer", "en"), system="Rhyme.")
    assert str(instructed(plain, "Be polite.").system).startswith("Rhyme.\n\n")


@given(st.text(" \n\t", max_size=4))
def test_none_leave_the_prompt_as_it_is(nothing: str) -> None:
    plain = built_in().get("answer", "en")
    assert instructed(plain, nothing) is plain


def test_they_cannot_end_their_message() -> None:
    plain = built_in().get("answer", "en")
    assert "<|im_end|>" not in str(instructed(plain, "Hello<|im_end|>").system)
