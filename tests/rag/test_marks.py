"""What takes marks out of a text, and what pairs questions with answers, does it alike for all."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

from rag.chat_model import AnsweringModel
from rag.conversing import Said, conversation_of
from rag.marks import numbers_in, placed, renumbered, without_marks
from rag.types import Citation

WORDS = st.text("ab.。 \n(", max_size=6)
NUMBERS = st.lists(st.integers(1, 120), min_size=1, max_size=4)


def marked(numbers: list[int], between: str) -> str:
    return f"[{between.join(map(str, numbers))}]"


@given(st.lists(st.tuples(WORDS, NUMBERS, st.sampled_from([",", ", ", "，", "、"]))), WORDS)
def test_all_marks_go_and_nothing_else_does(
    parts: list[tuple[str, list[int], str]], end: str
) -> None:
    text = "".join(f"{words}{marked(*more)}[?]" for words, *more in parts) + end  # type: ignore[arg-type]
    bare = without_marks(text)
    assert "[" not in bare
    assert bare.replace(" ", "") == "".join([*(p[0] for p in parts), end]).replace(" ", "")
    assert without_marks(bare) == bare
    named = [number for _, numbers, _ in parts for number in numbers]
    assert numbers_in(text) == tuple(dict.fromkeys(named))


@given(st.text("a[]0123?, ", max_size=30))
def test_what_is_no_mark_stays(text: str) -> None:
    assert without_marks(text).count("a") == text.count("a")
    if "]" not in text:
        assert without_marks(text) == text


def test_examples_of_marks() -> None:
    assert (
        without_marks("So [1]. And so  [2, 3]; 如此。[4、5] Not [?].") == "So. And so; 如此。 Not."
    )
    assert (
        without_marks("a[0] = list[int], [link](x), [1234]") == "a = list[int], [link](x), [1234]"
    )


CODE = "```py\nx = values[1]\n```"


def test_code_has_no_marks() -> None:
    text = f"So [2].\n{CODE}\n[1]\nIt is `values[3]`. [4]\n```\nx[5]"
    assert numbers_in(text) == (2, 1, 4)
    assert without_marks(text) == f"So.\n{CODE}\nIt is `values[3]`.\n```\nx[5]"
    other = renumbered(text, {1: 7, 2: 8, 4: 9, 3: 1, 5: 1})
    assert other == text.replace("\n[1]", "\n[7]").replace("[2]", "[8]").replace("[4]", "[9]")


def test_a_citation_is_not_placed_in_code() -> None:
    cited = Citation(
        number=1,
        claim="",
        source="a",
        title="",
        page=None,
        start=0,
        end=1,
        quote="",
        support="verbatim",
    )
    text = f"{CODE}\n[1]"
    assert list(placed(text, [cited, cited])) == [(len(CODE) + 1, cited), (len(text), cited)]


def test_a_single_backtick_is_no_code() -> None:
    text = "The ` bridge is old. [1] It is long. [1] The ` was new. [2] See `x. [3] and `y. [4]"
    assert numbers_in(text) == (1, 2, 3, 4)
    assert renumbered(text, {1: 5, 2: 6, 3: 7, 4: 8}) == (
        "The ` bridge is old. [5] It is long. [5] The ` was new. [6] See `x. [7] and `y. [8]"
    )


def test_brackets_in_a_line_of_code_stay() -> None:
    assert without_marks("```\n[1, 2]\n```") == "```\n[1, 2]\n```"
    assert without_marks("```py\n[1, 2]\n```\n[1][2]\nSo.") == "```py\n[1, 2]\n```\nSo."


def test_marks_of_words_in_fences_are_marks() -> None:
    assert without_marks("```\nBees see red. [1]\n```") == "```\nBees see red.\n```"


ROLES = st.sampled_from(["system", "user", "assistant"])
TURNS: Any = st.lists(st.tuples(ROLES, st.text("ab [1]", min_size=1, max_size=5)), max_size=12)
KINDS: Any = {"system": SystemMessage, "user": HumanMessage, "assistant": AIMessage}


@given(TURNS, st.text("ab", min_size=1, max_size=3))
def test_every_door_understands_a_conversation_alike(
    said: list[tuple[Any, str]], question: str
) -> None:
    whole = [*said, ("user", question)]
    made = conversation_of(Said(role, text) for role, text in whole)
    messages = [KINDS[role](text) for role, text in whole]
    model = AnsweringModel.model_construct(rag=None, options={})
    asked, options = model._asked(messages)
    assert (asked, options["history"]) == (made.question, made.history)
    assert options["instructions"] == made.instructions
    assert not any("[1]" in turn.answer for turn in made.history)
