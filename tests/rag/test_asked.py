"""What can be asked for besides an answer: counting, plans, prompts, candidates, strictness."""

from collections.abc import Callable
from typing import Any

import pytest

from indexes.collection import Collection
from indexes.errors import UsageError
from rag import RAG
from rag.retrieval.types import Turn
from rag.types import Answer, Event, Finished, Retrieved, Token

TEXTS = {
    "/notes/dance.md": "Karl von Frisch decoded the waggle dance. He shared a Nobel Prize in 1973.",
    "/notes/honey.md": "Honey keeps for years. Lime honey sets to fine white crystals.",
    "/notes/蜂蜜.md": "洋槐蜜果糖多，不易结晶。椴树蜜结晶洁白细腻。",
}
Make = Callable[..., Any]


@pytest.fixture
def notes(collection: Collection) -> Collection:
    collection.add_texts(list(TEXTS.values()), None, list(TEXTS))
    return collection


def finished(events: list[Event]) -> Answer:
    last = events[-1]
    assert isinstance(last, Finished)
    return last.answer


def shown(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Token))


# -- questions about the documents -------------------------------------------------------------


def test_counting_needs_no_model_and_cites_each_document(notes: Collection) -> None:
    events = list(RAG(notes, lambda: None).stream('How many documents mention "honey"?'))
    assert [type(event) for event in events] == [Token, Finished]
    answer = finished(events)
    assert answer.status == "answered"
    assert shown(events) == answer.text
    assert answer.text.startswith("1 document mentions «honey»")
    (citation,) = answer.citations
    document = notes.document(citation.source)
    assert document.text[citation.start : citation.end] == citation.quote == "Honey"
    assert answer.contexts[citation.number - 1].source == "/notes/honey.md"


def test_the_users_filter_holds_for_counting(notes: Collection) -> None:
    rag = RAG(notes, lambda: None)
    assert rag.ask("How many documents are there?").text.startswith("3 ")
    assert rag.ask("How many documents are there?", where='lang = "zh"').text.startswith("1 ")


def test_documents_are_counted_within_a_conversation_as_well(notes: Collection) -> None:
    turn = Turn("What is honey?", "Honey keeps for years. [1]")
    answer = RAG(notes, lambda: None).ask("How many documents are there?", history=[turn])
    assert answer.text.startswith("3 ")


# -- techniques --------------------------------------------------------------------------------


def test_a_follow_up_is_searched_for_as_it_stands_alone(notes: Collection, scripted: Make) -> None:
    chat = scripted(
        draft="Karl von Frisch decoded the waggle dance. [1]",
        checks=['{"question": "Who decoded the waggle dance?"}'],
    )
    turn = Turn("What is the waggle dance?", "A sign of where food is. [1]")
    answer = RAG(notes, chat).ask("And who decoded it?", k=1, history=[turn])
    assert [context.source for context in answer.contexts] == ["/notes/dance.md"]
    assert str(chat.asked[-1][-1].content).endswith("Who decoded the waggle dance?")
    assert [step.step for step in answer.steps][:2] == ["condense", "retrieve"]
    assert answer.usage.prompt_tokens == 3 + 11


def test_an_answer_names_its_plan_and_prompt(notes: Collection, scripted: Make) -> None:
    rag = RAG(notes, scripted(draft="Karl von Frisch decoded the waggle dance. [1]"))
    answer = rag.ask("Who decoded the waggle dance?", plan="window", prompt="role")
    assert answer.plan == "window"
    assert answer.prompt.startswith("role@")
    assert (answer.precision, answer.recall) == (1.0, 1.0)


@pytest.mark.parametrize(
    "option", [{"plan": "nonsense"}, {"prompt": "nonsense"}, {"prompt": "check"}]
)
def test_what_is_not_known_is_refused_at_once(
    notes: Collection, scripted: Make, option: dict[str, Any]
) -> None:
    chat = scripted(draft="Anything. [1]")
    with pytest.raises(UsageError, match=r"nonsense|check"):
        RAG(notes, chat).ask("Who decoded the waggle dance?", **option)
    assert chat.asked == []


def test_of_several_candidates_the_most_frequent_counts(notes: Collection, scripted: Make) -> None:
    right = "Karl von Frisch decoded the waggle dance. [1]"
    wrong = "Honey keeps for years. [2]"
    chat = scripted(checks=[wrong, right, right])
    answer = RAG(notes, chat).ask("Who decoded the waggle dance?", candidates=3)
    assert answer.text == right
    assert len(chat.asked) == 3


def test_candidates_do_not_go_with_every_prompt(notes: Collection, scripted: Make) -> None:
    rag = RAG(notes, scripted())
    with pytest.raises(UsageError, match="--candidates"):
        rag.ask("Who decoded it?", candidates=2, prompt="quote-first")
    with pytest.raises(UsageError, match="at least 1"):
        rag.ask("Who decoded it?", candidates=0)


# -- sentences that no passage holds -----------------------------------------------------------

MIXED = "Karl von Frisch decoded the waggle dance. [1] He was born in Vienna in 1886. [1]"


def test_a_sentence_without_support_is_marked(notes: Collection, scripted: Make) -> None:
    events = list(RAG(notes, scripted(draft=MIXED)).stream("Who decoded the waggle dance?"))
    answer = finished(events)
    assert answer.text == shown(events)
    assert answer.text.endswith("He was born in Vienna in 1886. [?]")
    assert [c.support for c in answer.citations] == ["verbatim", "unsupported"]
    assert (answer.precision, answer.recall) == (0.5, 0.5)


def test_under_strict_it_is_left_out(notes: Collection, scripted: Make) -> None:
    events = list(
        RAG(notes, scripted(draft=MIXED)).stream("Who decoded the waggle dance?", strict=True)
    )
    answer = finished(events)
    assert answer.text == shown(events).strip() == "Karl von Frisch decoded the waggle dance. [1]"
    assert isinstance(events[0], Retrieved)


def test_an_object_is_checked_like_a_text(notes: Collection, scripted: Make) -> None:
    reply = (
        '{"passage": 1, "quote": "Karl von Frisch decoded the waggle dance.", '
        '"short": "Karl von Frisch", "answer": "Karl von Frisch decoded the waggle dance."}'
    )
    rag = RAG(notes, scripted(checks=[reply]))
    answer = rag.ask("Who decoded the waggle dance?", prompt="quote-first")
    assert answer.short == "Karl von Frisch"
    assert [c.support for c in answer.citations] == ["verbatim"]
