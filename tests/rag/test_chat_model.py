"""A small LangChain app over a collection: its chat model, its retriever and its tool are ours."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder

from indexes.collection import Collection
from indexes.errors import UsageError
from rag import RAG
from rag.chat_model import AnsweringModel
from rag.retrieval.types import Turn

TEXT = "Karl von Frisch decoded the waggle dance. He shared a Nobel Prize in 1973."
QUESTION = "Which prize did the decoder of the dance win?"
ANSWER = "He shared a Nobel Prize in 1973. [1]"
Make = Callable[..., Any]


@pytest.fixture
def rag(collection: Collection, scripted: Make) -> RAG:
    collection.add_texts([TEXT], None, ["dance"])
    return RAG(collection, scripted(draft=ANSWER))


def test_a_chain_whose_model_answers_from_the_documents(rag: RAG) -> None:
    prompt = ChatPromptTemplate.from_messages(
        [("system", "Be brief."), MessagesPlaceholder("said"), ("human", "{question}")]
    )
    chain = prompt | rag.as_chat_model(plan="plain") | StrOutputParser()
    assert chain.invoke({"said": [], "question": QUESTION}) == ANSWER
    assert "".join(chain.stream({"said": [], "question": QUESTION})) == ANSWER


def test_where_it_stands_is_beside_the_text(rag: RAG) -> None:
    reply = rag.as_chat_model().invoke(QUESTION)
    (citation,) = reply.response_metadata["citations"]
    assert (citation["source"], citation["support"]) == ("dance", "verbatim")
    assert TEXT[citation["start"] : citation["end"]] == citation["quote"]
    assert reply.response_metadata["status"] == "answered"
    assert reply.usage_metadata == {"input_tokens": 11, "output_tokens": 7, "total_tokens": 18}


def test_the_same_on_an_event_loop_and_as_a_stream(rag: RAG) -> None:
    model = rag.as_chat_model()
    whole = model.invoke(QUESTION)

    async def both() -> tuple[AIMessage, list[Any]]:
        return await model.ainvoke(QUESTION), [piece async for piece in model.astream(QUESTION)]

    awaited, pieces = asyncio.run(both())
    streamed = pieces[0]
    for piece in pieces[1:]:
        streamed += piece
    for message in (awaited, streamed):
        assert message.text == whole.text
        assert message.usage_metadata == whole.usage_metadata
        assert message.response_metadata["citations"] == whole.response_metadata["citations"]


def test_what_was_said_before_is_the_conversation(rag: RAG) -> None:
    messages = [
        SystemMessage("You are a bee."),
        HumanMessage("Who decoded the dance?"),
        AIMessage("Karl von Frisch. [1]"),
        HumanMessage([{"type": "text", "text": "What did he win?"}]),
    ]
    seen: dict[str, Any] = {}
    ask = rag.ask
    rag.ask = lambda question, **options: seen.update(options) or ask(question)  # type: ignore[method-assign]
    rag.as_chat_model(k=2).invoke(messages)
    turns = (Turn("Who decoded the dance?", "Karl von Frisch."),)
    assert seen == {"k": 2, "history": turns, "instructions": "You are a bee."}


@pytest.mark.parametrize(
    "messages", [[], [SystemMessage("x")], [HumanMessage("?"), AIMessage("!")]]
)
def test_without_a_question_it_says_so(rag: RAG, messages: list[Any]) -> None:
    with pytest.raises(UsageError, match="question"):
        rag.as_chat_model().invoke(messages)


def test_an_answer_cannot_be_cut(rag: RAG) -> None:
    with pytest.raises(UsageError, match="stop"):
        rag.as_chat_model().invoke(QUESTION, stop=["Nobel"])


def test_it_says_which_collection_it_is(rag: RAG) -> None:
    model = rag.as_chat_model()
    assert isinstance(model, AnsweringModel)
    assert model._identifying_params["collection"] == "test"
