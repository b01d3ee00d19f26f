"""A question becomes a cited answer: retrieve → prompt → generate → cite and verify."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from indexes.clock import timed
from indexes.collection import Collection
from indexes.errors import UsageError
from indexes.i18n import t
from indexes.types import SearchResult
from rag.types import Answer, AnswerStatus, Citation, Event, Finished, Retrieved, Token, Usage

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import BaseMessage
    from langchain_core.tools import BaseTool

ChatFactory = Callable[[], "BaseChatModel | None"]

DEFAULT_PASSAGES = 5
_CHECK_TOKENS = 4


class RAG:
    """Answers questions from a collection.

    ``chat`` is a LangChain chat model, or a function that makes one when it is first needed and
    returns ``None`` where there is none. By default the settings decide: the endpoint they name,
    else the embedded engine if its model is here.
    """

    def __init__(
        self, collection: Collection, chat: "BaseChatModel | ChatFactory | None" = None
    ) -> None:
        self.collection = collection
        self._chat: BaseChatModel | None = None
        self._make_chat: ChatFactory = lambda: _from_settings(collection)
        if chat is not None and hasattr(chat, "invoke"):
            self._chat = cast("BaseChatModel", chat)
        elif chat is not None:
            self._make_chat = chat

    def ask(self, question: str, *, k: int = DEFAULT_PASSAGES, where: str | None = None) -> Answer:
        """Answer ``question`` from the ``k`` best passages. Raises `UsageError` for an empty
        question, `EndpointError` where the model server fails."""
        for event in self.stream(question, k=k, where=where):
            if isinstance(event, Finished):
                return event.answer
        raise AssertionError("a stream ends with Finished")

    def stream(
        self, question: str, *, k: int = DEFAULT_PASSAGES, where: str | None = None
    ) -> Iterator[Event]:
        """The same as a stream of events: `Retrieved`, then `Token`s, at last `Finished`."""
        run = _Run(self, question)
        yield Retrieved(run.retrieve(k, where))
        chat = self._model() if run.contexts else None
        if run.contexts and chat is None:
            yield Finished(run.finish("no_model"))
            return
        if chat is not None:
            for piece in run.generate(chat):
                yield Token(piece)
        yield Finished(run.cite_and_verify(chat))

    async def aask(
        self, question: str, *, k: int = DEFAULT_PASSAGES, where: str | None = None
    ) -> Answer:
        """`ask` without blocking the event loop."""
        return await asyncio.to_thread(self.ask, question, k=k, where=where)

    async def astream(
        self, question: str, *, k: int = DEFAULT_PASSAGES, where: str | None = None
    ) -> AsyncIterator[Event]:
        """`stream` without blocking the event loop."""
        events = self.stream(question, k=k, where=where)
        end = object()
        while (event := await asyncio.to_thread(next, events, end)) is not end:
            yield event  # type: ignore[misc]

    def as_tool(self) -> "BaseTool":
        """A LangChain tool that answers a question from the collection, with its sources."""
        from rag.tool import answer_tool

        return answer_tool(self)

    def _model(self) -> "BaseChatModel | None":
        if self._chat is None:
            self._chat = self._make_chat()
        return self._chat


class _Run:
    """One question on its way; holds what the steps hand to each other."""

    def __init__(self, rag: RAG, question: str) -> None:
        if not question.strip():
            raise UsageError(t("The question is empty."))
        self.rag, self.question = rag, question.strip()
        self.contexts: tuple[SearchResult, ...] = ()
        self._asked: Sequence[BaseMessage] = ()
        self._draft, self._model, self._usage = "", "", Usage()
        self._generation = 0
        self._timings: dict[str, float] = {}
        self._started = time.perf_counter()

    def retrieve(self, k: int, where: str | None) -> tuple[SearchResult, ...]:
        """The best passages; one that stands in several documents is taken once."""
        with timed(self._timings, "retrieve"):
            found = self.rag.collection.search(self.question, 2 * k, where=where)
        distinct = {result.text: result for result in reversed(found.results)}
        kept = sorted(distinct.values(), key=lambda result: result.rank)[:k]
        self.contexts = tuple(replace(r, rank=rank) for rank, r in enumerate(kept, 1))
        self._generation = found.generation
        return self.contexts

    def generate(self, chat: "BaseChatModel") -> Iterator[str]:
        from rag.models.chat import endpoint_errors, model_name
        from rag.prompts import answer_messages

        self._model = model_name(chat)
        self._asked = answer_messages(self.question, self.contexts)
        with endpoint_errors(chat):
            for chunk in chat.stream(self._asked):
                piece = chunk.text
                if piece and "first_token" not in self._timings:
                    self._timings["first_token"] = self._elapsed()
                self._draft += piece
                self._usage += _usage(chunk)
                if piece:
                    yield piece
        self._timings["generate"] = self._elapsed()

    def cite_and_verify(self, chat: "BaseChatModel | None") -> Answer:
        """An answer none of whose claims is supported by its passages is not given."""
        from rag.citations import cite
        from rag.prompts import is_refusal

        if chat is None or is_refusal(self._draft):
            return self.finish("unanswerable")
        with timed(self._timings, "verify"):
            citations = cite(self.question, self._draft, self.contexts, self._checker(chat))
        if not any(c.support != "unsupported" for c in citations):
            return self.finish("unanswerable")
        return self.finish("answered", citations)

    def _checker(self, chat: "BaseChatModel") -> Callable[[int, str], bool]:
        from rag.models.chat import endpoint_errors
        from rag.prompts import check_messages, is_yes, prompt_language

        lang = prompt_language(self.question)

        def check(number: int, claim: str) -> bool:
            messages = check_messages(self._asked, self._draft, number, claim, lang)
            with endpoint_errors(chat):
                reply = chat.invoke(messages, max_tokens=_CHECK_TOKENS)
            self._usage += _usage(reply)
            return is_yes(reply.text, lang)

        return check

    def finish(self, status: AnswerStatus, citations: tuple[Citation, ...] = ()) -> Answer:
        from rag.citations import with_marks
        from rag.prompts import ANSWER, unknown

        text = {
            "answered": with_marks(self._draft.strip(), citations),
            "unanswerable": unknown(self.question),
        }
        self._timings["total"] = self._elapsed()
        return Answer(
            self.question, text.get(status, ""), status, citations, self.contexts,
            self._model, ANSWER, self.rag.collection.name, self._generation,
            self._usage, self._timings,
        )  # fmt: skip

    def _elapsed(self) -> float:
        return round((time.perf_counter() - self._started) * 1000, 2)


def _usage(message: Any) -> Usage:
    counted = getattr(message, "usage_metadata", None) or {}
    return Usage(counted.get("input_tokens", 0), counted.get("output_tokens", 0))


def _from_settings(collection: Collection) -> "BaseChatModel | None":
    from rag.models.resolve import resolve_chat

    return resolve_chat(collection.home)
