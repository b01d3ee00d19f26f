"""Each technique with a chat model that says what is written for it."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatResult
from pydantic import Field

from indexes.embedding import LocalEmbedder
from indexes.errors import StructuredOutputError
from indexes.types import SearchResult
from rag.prompting.library import built_in
from rag.prompting.techniques import (
    MORE_PASSAGES,
    MOST_ADDED,
    Draft,
    Task,
    draft_of,
    first_messages,
)
from rag.prompts import is_refusal
from rag.steps import Steps, arun, ask, run
from rag.types import Usage
from tests.rag.conftest import ScriptedChat
from tests.rag.prompting.passages import BEES, passage

QUESTION = "Which prize did the decoder of the dance win?"
LIBRARY = built_in()


class Sampler(ScriptedChat):
    """Keeps the temperatures at which it was asked."""

    temperatures: list[float | None] = Field(default_factory=list)
    options: list[dict[str, Any]] = Field(default_factory=list)
    cut: set[int] = Field(default_factory=set)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **options: Any,
    ) -> ChatResult:
        self.temperatures.append(options.get("temperature"))
        self.options.append(options)
        result = super()._generate(messages, stop, run_manager)
        if len(self.options) in self.cut:
            result.generations[0].message.response_metadata["finish_reason"] = "length"
        return result


def nothing(query: str) -> Sequence[SearchResult]:
    return ()


def task(
    name: str, replies: list[str],
    search: Callable[[str], Sequence[SearchResult]] = nothing, question: str = QUESTION,
) -> tuple[Task, ScriptedChat]:  # fmt: skip
    chat = Sampler(checks=replies)
    lang = "zh" if "？" in question else "en"
    return Task(chat, LIBRARY.get(name, lang), question, BEES, search), chat


def draft(
    name: str, *replies: str, search: Callable[[str], Sequence[SearchResult]] = nothing,
    question: str = QUESTION,
) -> tuple[Draft, ScriptedChat]:  # fmt: skip
    work, chat = task(name, list(replies), search, question)
    made = run(draft_of(work))
    assert not chat.checks, "not all replies were asked for"
    return made, chat


def users(chat: ScriptedChat) -> list[str]:
    return [str(messages[-1].text) for messages in chat.asked]


@pytest.mark.parametrize("name", ["answer", "role", "few-shot"])
def test_one_prompt_one_answer(name: str) -> None:
    made, chat = draft(name, "He won a Nobel Prize. [2]")
    assert (made.text, made.short, made.contexts) == ("He won a Nobel Prize. [2]", "", BEES)
    assert list(made.asked) == chat.asked[0]
    assert made.usage == Usage(3, 1)
    assert users(chat)[0].endswith(QUESTION)


def test_the_answer_is_written_as_the_caller_wishes() -> None:
    shown: list[str] = []

    def write(chat: Any, messages: Sequence[BaseMessage]) -> Steps[BaseMessage]:
        reply = yield from ask(chat, messages)
        shown.append(str(reply.text))
        return reply

    for name, replies in (("answer", ["A. [1]"]), ("step-back", ["G?", "P.", "A. [1]"])):
        work, chat = task(name, replies)
        seen = Task(chat, work.prompt, QUESTION, BEES, nothing, write=write)
        assert run(draft_of(seen)).text == "A. [1]"
    assert shown == ["A. [1]", "A. [1]"]


def test_short_has_the_answer_in_few_words() -> None:
    assert draft("short", "Nobel Prize [2]")[0].short == "Nobel Prize"
    refused, _ = draft("short", "I don't know.")
    assert (refused.text, refused.short) == ("I don't know.", "")


def test_a_chain_of_thought_does_not_show_its_reasons() -> None:
    made, _ = draft(
        "chain-of-thought", "Reason: von Frisch, 2.\nAnswer: A prize. [2]\nShort: prize"
    )
    assert (made.text, made.short) == ("A prize. [2]", "prize")


def test_of_several_samples_the_most_frequent_answer_counts() -> None:
    replies = [
        f"Reason: r\nAnswer: It is {short}. [2]\nShort: {short}"
        for short in ("1971", "1973", "1973.", "1972", "1973")
    ]
    made, chat = draft("self-consistency", *replies)
    assert (made.text, made.short) == ("It is 1973. [2]", "1973")
    assert (made.votes[0].short, made.votes[0].count) == ("1973", 3)
    assert {v.short for v in made.votes[1:]} == {"1971", "1972"}
    assert isinstance(chat, Sampler)
    assert chat.temperatures == [0.7] * 5
    assert made.usage == Usage(15, 5)
    assert len(set(users(chat))) == 1


def test_samples_are_written_as_the_request_says() -> None:
    work, chat = task("self-consistency", ["It is 1973. [2]"] * 5)
    assert isinstance(chat, Sampler)
    told = {"temperature": 0.1, "max_tokens": 9, "top_p": 0.5, "seed": 7}
    run(draft_of(replace(work, options=told)))
    assert [one.pop("seed") for one in chat.options] == [7, 6, 5, 4, 3]
    del told["seed"]
    assert chat.options == [told] * 5
    work, chat = task("self-consistency", ["It is 1973. [2]"] * 5)
    assert isinstance(chat, Sampler)
    run(draft_of(replace(work, options={"max_tokens": 9})))
    assert chat.options == [{"temperature": 0.7, "max_tokens": 9}] * 5


@pytest.mark.parametrize(("cut", "ended"), [({1, 2}, False), ({1, 2, 3, 4, 5}, True)])
def test_the_sample_that_counts_may_have_been_cut(cut: set[int], ended: bool) -> None:
    texts = ["A. [1]\nShort: a", "B. [1]\nShort: b", *["It is 1973. [2]\nShort: 1973"] * 3]
    work, chat = task("self-consistency", [f"Answer: {text}" for text in texts])
    assert isinstance(chat, Sampler)
    chat.cut = cut
    made = run(draft_of(replace(work, options={"seed": 1})))
    assert (made.text, made.cut) == ("It is 1973. [2]", ended)


@pytest.mark.parametrize("name", ["chain-of-thought", "reflexion"])
def test_what_may_be_the_answer_is_written_as_the_caller_wishes(name: str) -> None:
    def write(chat: Any, messages: Sequence[BaseMessage]) -> Steps[BaseMessage]:
        return (yield from ask(chat, messages, max_tokens=9))

    work, chat = task(name, ["Answer: A. [1]", '{"correct": true, "problem": ""}'])
    assert isinstance(chat, Sampler)
    assert run(draft_of(replace(work, write=write))).text == "A. [1]"
    assert chat.options[0] == {"max_tokens": 9}


def test_refusals_are_one_answer_however_they_are_worded() -> None:
    made, _ = draft("self-consistency", "I don't know.", "Answer: It is A.\nShort: A",
                    "I do not know that.", "Answer: It is B.\nShort: B", "不知道。")  # fmt: skip
    assert (made.short, made.votes[0].count) == ("", 3)
    assert is_refusal(made.text)


def found(*numbers: int) -> Callable[[str], Sequence[SearchResult]]:
    def search(query: str) -> Sequence[SearchResult]:
        return [*BEES, *(passage(n, f"{query} {n}") for n in numbers)]

    return search


def test_a_step_back_finds_the_ground_first() -> None:
    made, chat = draft("step-back", "Which prizes\nare there?", "There are prizes. [3]", "A. [1]",
                       search=found(11, 12, 13))  # fmt: skip
    wider, ground, answer = users(chat)
    assert wider.endswith(QUESTION)
    assert ground.endswith("Question: Which prizes are there?")
    assert "[3] Bees › Dance\nWhich prizes are there? 11\n" in ground
    assert "[4] " in ground
    assert "[5] " not in ground, f"more than {MORE_PASSAGES}"
    assert "Which prizes are there?\nThere are prizes. [3]" in answer
    assert [c.chunk_id for c in made.contexts] == ["c1", "c2", "c11", "c12"]
    assert list(made.asked) == chat.asked[-1]


def test_from_least_to_most_each_part_knows_those_before() -> None:
    made, chat = draft(
        "least-to-most", '{"questions": ["Who decoded it?", "", "What did he win?"]}',
        "Von Frisch. [1]", "A Nobel\nPrize. [2]", "He won a prize. [2]", search=found(11),
    )  # fmt: skip
    _, first, second, last = users(chat)
    assert first.endswith("Question: Who decoded it?")
    assert "Von Frisch" not in first
    assert "- Who decoded it? Von Frisch. [1]" in second
    assert "- What did he win? A Nobel Prize. [2]" in last
    assert made.text == "He won a prize. [2]"


def test_react_searches_until_nothing_is_missing() -> None:
    made, chat = draft(
        "react", '{"thought": "who?", "search": "prize"}', '{"thought": "enough", "search": ""}',
        "A prize. [3]", search=found(11),
    )  # fmt: skip
    first, second, last = users(chat)
    assert "[3]" not in first
    assert "[3] Bees › Dance\nprize 11\n" in second
    assert "- who? → «prize»: +1" in second
    assert "[3] Bees › Dance\nprize 11\n" in last
    assert (made.text, len(made.contexts)) == ("A prize. [3]", 3)


def test_react_comes_to_an_end() -> None:
    again = '{"thought": "more", "search": "Prize"}'
    draft("react", again, again.lower(), "A. [1]")
    turns = [f'{{"thought": "more", "search": "prize {n}"}}' for n in range(3)]
    made, _ = draft("react", *turns, "A. [1]", search=found(*range(10, 30)))
    assert len(made.contexts) == len(BEES) + min(MOST_ADDED, 3 * MORE_PASSAGES)


def test_a_draft_without_fault_stands() -> None:
    made, chat = draft("reflexion", "A prize. [2]", '{"problem": "", "correct": true}')
    assert made.text == "A prize. [2]"
    assert list(made.asked) == chat.asked[0]
    assert "A prize. [2]" in users(chat)[1]


def test_a_draft_with_a_fault_is_mended() -> None:
    fault = '{"problem": "It was another.", "correct": false}'
    made, chat = draft("reflexion", "A prize. [1]", fault, "Another. [2]")
    assert made.text == "Another. [2]"
    assert "A prize. [1]" in users(chat)[2]
    assert "It was another." in users(chat)[2]
    assert list(made.asked) == chat.asked[-1]


@pytest.mark.parametrize(
    ("name", "reply", "text", "short"),
    [
        ("quote-first", '{"passage": 2, "quote": "He", "short": "Nobel", "answer": "A Nobel."}',
         "A Nobel. [2]", "Nobel"),
        ("quote-first", '{"passage": 0, "quote": "", "short": "", "answer": "A Nobel."}',
         "I don't know: the documents do not say.", ""),
        ("quote-first", '{"passage": 7, "quote": "He", "short": "x", "answer": "A Nobel."}',
         "I don't know: the documents do not say.", ""),
        ("quote-first", '{"passage": 1, "quote": "He", "short": "x", "answer": "I don\'t know."}',
         "I don't know: the documents do not say.", ""),
        ("structured", '{"found": true, "passages": [2, 2, 1], "short": "N", "answer": "A Nobel."}',
         "A Nobel. [2][1]", "N"),
        ("structured", '{"found": false, "passages": [2], "short": "N", "answer": "A Nobel."}',
         "I don't know: the documents do not say.", ""),
    ],
)  # fmt: skip
def test_an_object_becomes_a_cited_draft(name: str, reply: str, text: str, short: str) -> None:
    made, chat = draft(name, reply)
    assert (made.text, made.short) == (text, short)
    assert made.asked
    assert users(chat)[0].startswith(str(made.asked[-1].text))


def test_an_object_that_is_none_is_asked_for_again_and_then_an_error() -> None:
    good = '{"passage": 2, "quote": "He", "short": "N", "answer": "A Nobel."}'
    assert draft("quote-first", "A Nobel.", good)[0].usage == Usage(6, 2)
    with pytest.raises(StructuredOutputError):
        draft("quote-first", "a", "b", "c")


def test_a_chinese_question_has_chinese_prompts() -> None:
    made, chat = draft("chain-of-thought", "理由：二。\n答案：诺贝尔奖。[2]\n简答：诺贝尔奖",
                       question="他得了什么奖？")  # fmt: skip
    assert (made.text, made.short) == ("诺贝尔奖。[2]", "诺贝尔奖")
    assert "资料：\n" in users(chat)[0]
    refused, _ = draft("quote-first", '{"passage": 0, "quote": "", "short": "", "answer": ""}',
                       question="他得了什么奖？")  # fmt: skip
    assert refused.text == "不知道：文档里没有写。"


def test_the_way_is_the_same_on_an_event_loop() -> None:
    work, _ = task("step-back", ["G?", "P.", "A. [1]"], found(11))
    assert asyncio.run(arun(draft_of(work))).text == "A. [1]"


@pytest.mark.parametrize("prompt", [p for p in LIBRARY.shelf().prompts if p.task == "answer"],
                         ids=lambda p: f"{p.name}.{p.language}")  # fmt: skip
def test_the_first_messages_are_those_that_are_sent_first(prompt: Any) -> None:
    chat = Sampler(checks=['{"x": 1}'] * 20)
    try:
        run(draft_of(Task(chat, prompt, QUESTION, BEES, nothing)))
    except StructuredOutputError:
        assert len(chat.asked) > 1
    shown = first_messages(prompt, QUESTION, BEES)
    assert [m.type for m in shown] == ["system", "human"]
    assert chat.asked[0][0].text == shown[0].text
    assert chat.asked[0][1].text.startswith(shown[1].text)


def test_the_examples_are_those_nearest_to_the_question(embedder: LocalEmbedder) -> None:
    few = LIBRARY.get("few-shot", "en")
    text = str(first_messages(few, "Who was the architect of the bridge?", BEES, embedder)[1].text)
    assert "Anna Holm designed the old bridge. [1]" in text
    assert text.count("\nAnswer: ") == few.shots == 3
    assert text.index("hotel" if "hotel" in text else "Passages") < text.index("Anna Holm designed")
    nearest_last = text[: text.index("Now answer this")].rstrip().rsplit("Question: ", 1)[1]
    assert nearest_last.startswith("Who designed the old bridge?")
    first = str(first_messages(few, "Who was the architect of the bridge?", BEES)[1].text)
    assert "municipal library" in first


def test_examples_are_data_too() -> None:
    few = LIBRARY.get("few-shot", "en")
    message = first_messages(few, "{examples} {question}", BEES)[1]
    assert str(message.text).endswith("Question: {examples} {question}")


def test_a_reply_without_text_is_an_empty_draft() -> None:
    made, _ = draft("answer", "")
    assert (made.text, made.asked[-1].type) == ("", "human")
