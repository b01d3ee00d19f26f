"""Calls in whatever form a model writes them, and text that only speaks of calls."""

import json
import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.loop.replies import Call, Choice, answer_begun, calls_in, step_in
from rag.models.structured_json import Unfit

NAMES = ("search_documents", "calculate", "today", "shop.find")
SEARCH = Call("search_documents", {"query": "bees", "k": 3})
ARGUMENTS = {"query": "bees", "k": 3}
BARE = {"name": "search_documents", "arguments": ARGUMENTS}
TEXT = json.dumps(BARE)


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        f"```json\n{TEXT}\n```",
        f"I will look it up.\n\n```json\n{TEXT}\n```\nThis finds the passages.",
        f"```\n[{TEXT}]\n```",
        f"<tool_call>\n{TEXT}\n</tool_call>",
        f"Let me see. <tool_call>{TEXT}",
        f"<function_call> {TEXT} </function_call>",
        f"[TOOL_CALLS] [{TEXT}]",
        f"<|tool_call|>{TEXT}<|/tool_call|>",
        f"<|python_tag|>{TEXT}",
        f"I will look it up. {TEXT}",
        f"{TEXT} That should do.",
        json.dumps({"type": "function", "function": BARE}),
        json.dumps({"tool_calls": [{"id": "1", "type": "function", "function": BARE}]}),
        json.dumps({"name": "search_documents", "arguments": json.dumps(ARGUMENTS)}),
        json.dumps({"name": "search_documents", "parameters": ARGUMENTS}),
        json.dumps({"thought": "hm", "action": "search_documents", "action_input": ARGUMENTS}),
        json.dumps({"tool": "searchDocuments", "args": ARGUMENTS}),
        '{"name": "search_documents", "arguments": {"query": "bees", "k": 3,},}',
        'search_documents(query="bees", k=3)',
        '```python\nsearch_documents(query="bees", k=3)\n```',
        "I will call the tool:\nsearch_documents(query='bees', k=3)",
        "[search_documents(query='bees', k=3)]",
        "<function=search_documents>\n<parameter=query>\nbees\n</parameter>\n"
        "<parameter=k>\n3\n</parameter>\n</function>",
        "<tool_call><function=search_documents><parameter=query>bees</parameter>"
        "<parameter=k>3</parameter></function></tool_call>",
    ],
)
def test_a_call_is_found_in_every_form(text: str) -> None:
    [call] = calls_in(text, NAMES).calls
    assert call.tool == "search_documents"
    assert {name: str(value) for name, value in call.arguments.items()} == {
        "query": "bees",
        "k": "3",
    }


def test_several_calls_stay_several() -> None:
    two = f'{TEXT}\n{{"name": "today", "arguments": {{}}}}'
    for text in (two, f"<tool_call>{TEXT}</tool_call><tool_call>{two[len(TEXT):]}</tool_call>",
                 "[search_documents(query='bees', k=3), today()]"):  # fmt: skip
        assert calls_in(text, NAMES).calls == (SEARCH, Call("today", {}))


def test_what_stands_before_a_call_is_its_thought() -> None:
    assert calls_in(f"I look.\n```json\n{TEXT}\n```", NAMES).thought == "I look."
    assert calls_in(f"<tool_call>{TEXT}</tool_call>", NAMES).thought == ""


def test_a_name_with_a_dot_and_a_tool_by_another_spelling() -> None:
    assert calls_in("shop.find(query='x')", NAMES).calls == (Call("shop.find", {"query": "x"}),)
    assert calls_in("shop_find(query='x')", NAMES).calls == (Call("shop.find", {"query": "x"}),)


def test_a_marked_call_of_an_unknown_tool_is_a_call_all_the_same() -> None:
    marked = '<tool_call>{"name": "fly", "arguments": {}}</tool_call>'
    assert calls_in(marked, NAMES).calls == (Call("fly", {}),)


@pytest.mark.parametrize(
    "text",
    [
        "The bees dance. [1]",
        "Use calculate(expression='2+2') if you need a sum.",
        'The file says {"name": "search_documents", "arguments": {}} and then goes on.',
        '```json\n{"name": "Maja", "arguments": {"age": 3}}\n```',
        '{"name": "today", "arguments": {}, "price": 3}',
        '{"name": "today", "kind": "worker"}',
        '[{"name": "today", "arguments": {}}, {"name": "Maja", "arguments": {}}]',
        "```python\nprint('x')\n```",
        "calculate(expression=__import__('os').getcwd())",
        "calculate(expression=open)",
        "search_documents(*['x'])",
        "search_documents(query={'x'})",
        "len({1, 2, 3})",
        "f({[1]: 2})",
        "",
        "```json\n{broken\n```",
        "{" * 5000,
        "[" * 5000,
        "calculate(" + "(" * 3000 + ")",
    ],
)
def test_text_that_speaks_of_calls_is_an_answer(text: str) -> None:
    assert calls_in(text, NAMES) == Choice(answer=text.strip())


# -- steps ---------------------------------------------------------------------------------------


def step(action: Any, thought: str = "hm") -> str:
    return json.dumps({"thought": thought, "action": action}, ensure_ascii=False)


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        (step({"tool": "search_documents", "arguments": ARGUMENTS}), Choice("hm", (SEARCH,))),
        (step({"answer": "Yes."}), Choice("hm", (), "Yes.")),
        (step({"tool": "today", "arguments": {}}), Choice("hm", (Call("today", {}),))),
        (step({"tool": "today"}), Choice("hm", (Call("today", {}),))),
        ('{"thought": "hm", "answer": "Yes."}', Choice("hm", (), "Yes.")),
        ('{"thought": "hm", "tool": "today", "arguments": {}}', Choice("hm", (Call("today", {}),))),
        (step({"tool": "final_answer", "arguments": {"text": "Yes."}}), Choice("hm", (), "Yes.")),
        (step({"answer": 42}), Choice("hm", (), "42")),
        (f"Here:\n```json\n{step({'answer': 'Yes.'})}\n```", Choice("hm", (), "Yes.")),
        (f"{step({'answer': 'Yes.'})}\n{step({'answer': 'Yes.'})}", Choice("hm", (), "Yes.")),
        ("search_documents(query='bees', k=3)", Choice("", (SEARCH,))),
    ],
)
def test_a_step_is_read_in_every_shape(text: str, choice: Choice) -> None:
    assert step_in(text, NAMES) == choice


def test_of_a_step_and_what_the_model_makes_up_behind_it_the_step_counts() -> None:
    invented = "\nResult: 42 bees\n" + step({"answer": "42 bees"})
    text = step({"tool": "search_documents", "arguments": ARGUMENTS}) + invented
    assert step_in(text, NAMES).calls == (SEARCH,)


@pytest.mark.parametrize(
    "answer",
    [
        "[search_documents(query='bees', k=3)]",
        "search_documents(query='bees', k=3)",
        "[search_documents(query='bees', k=3)]\nThe bees dance. [1]\n1) They dance.",
    ],
)
def test_a_call_in_the_place_of_the_answer_is_a_call(answer: str) -> None:
    """What the model goes on to make up as its result is no answer."""
    assert step_in(step({"answer": answer}), NAMES).calls == (SEARCH,)


@pytest.mark.parametrize(
    "answer",
    [
        "Call it so:\nsearch_documents(query='bees', k=3)",
        "search_documents(query='bees', k=3)\nis what the first line of the file says. [1]",
        "```python\nsearch_documents(query='bees', k=3)\n```\nWrite this into your script.",
        "[print(x=1)]\nThis prints.",
        "[1] search_documents(query='bees', k=3)",
        "[1, 2]",
        TEXT,
        f"<tool_call>{TEXT}</tool_call> is how it is written.",
    ],
)
def test_an_answer_that_shows_a_call_stays_one(answer: str) -> None:
    assert step_in(step({"answer": answer}), NAMES) == Choice("hm", (), answer)


def test_where_no_tool_is_offered_an_answer_is_one() -> None:
    answer = "[search_documents(query='bees', k=3)]"
    assert step_in(step({"answer": answer}), ()) == Choice("hm", (), answer)


@pytest.mark.parametrize("text", ["", "  ", '{"thought": "hm"}', '{"a": 1}', '{"tool": ""}', "{x"])
def test_what_is_no_step_is_sent_back(text: str) -> None:
    with pytest.raises(Unfit):
        step_in(text, NAMES)
    with pytest.raises(Unfit):
        step_in(text, NAMES, last=True)


def test_prose_is_an_answer_when_nothing_else_comes() -> None:
    with pytest.raises(Unfit):
        step_in("The bees dance.", NAMES)
    assert step_in("The bees dance.", NAMES, last=True) == Choice(answer="The bees dance.")


def test_of_an_answer_that_was_cut_off_the_beginning_stays() -> None:
    whole = step({"answer": 'He said "bees" \\ 蜜蜂.\nEnd'})
    start = whole.index('"answer": "') + len('"answer": "')
    for end in range(start, len(whole) - 3):
        begun = answer_begun(whole[:end])
        assert begun is not None
        assert 'He said "bees" \\ 蜜蜂.\nEnd'.startswith(begun)
    assert answer_begun(step({"tool": "today", "arguments": {}})[:40]) is None


@pytest.mark.parametrize("text", ["[" * 16_000, "{" * 16_000, '{"a":' * 4000, "[{" * 8000])
def test_a_model_that_runs_wild_is_read_in_no_time(text: str) -> None:
    started = time.monotonic()
    assert calls_in(text, NAMES).answer == text
    with suppress(Unfit):
        step_in(text, NAMES, last=True)
    assert time.monotonic() - started < 5


@given(st.text(alphabet="{}[]()\"'`,:=<>\\\n ab1", max_size=60))
def test_no_text_breaks_the_reader(text: str) -> None:
    choice = calls_in(text, NAMES)
    assert choice.calls or choice.answer == text.strip()
    answer_begun(text)
    with suppress(Unfit):
        step_in(text, NAMES, last=True)


@given(
    st.dictionaries(
        st.text(max_size=8),
        st.none() | st.booleans() | st.integers() | st.text(max_size=20),
        max_size=4,
    ),
    st.text(max_size=20),
)
def test_every_step_that_was_written_is_read_back(arguments: Any, thought: str) -> None:
    text = step({"tool": "calculate", "arguments": arguments}, thought)
    assert step_in(text, NAMES) == Choice(thought, (Call("calculate", arguments),))
