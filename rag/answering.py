"""A question becomes a cited answer: retrieve → prompt → generate → cite and verify."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import aclosing, closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from indexes.clock import timed
from indexes.collection import Collection
from indexes.embedding.base import well_formed
from indexes.errors import ContextOverflowError, EndpointError, UsageError
from indexes.i18n import t
from indexes.types import SearchResult
from rag.reranking import Reranker, reranker_of
from rag.types import Answer, AnswerStatus, Citation, Event, Finished, Retrieved, Token, Usage

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessageChunk, BaseMessage
    from langchain_core.tools import BaseTool

    from rag.models.tokens import PromptBudget

ChatFactory = Callable[[], "BaseChatModel | None"]

DEFAULT_PASSAGES = 5
_CHECK_TOKENS = 4


class RAG:
    """Answers questions from a collection.

    ``chat`` is a LangChain chat model, or a function that makes one when it is first needed and
    returns ``None`` where there is none. By default the settings decide: the endpoint they name,
    else the embedded engine if its model is here. They also name the ``reranker``, if there is one.
    """

    def __init__(
        self,
        collection: Collection,
        chat: "BaseChatModel | ChatFactory | None" = None,
        reranker: Reranker | None = None,
    ) -> None:
        self.collection = collection
        self.reranker = reranker or reranker_of()
        self._chat: BaseChatModel | None = None
        self._budget: PromptBudget | None = None
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
    ) -> Generator[Event]:
        """The same as a stream of events: `Retrieved`, then `Token`s, at last `Finished`. Closed
        before its end, it closes the model's stream, and the server stops writing."""
        run = _Run(self, question)
        yield Retrieved(run.retrieve(k, where))
        chat = self._model() if run.contexts else None
        if run.contexts and chat is None:
            yield Finished(run.finish("no_model"))
            return
        if chat is not None:
            run.fit(chat, self._budget)
            with closing(run.generate(chat)) as pieces:
                for piece in pieces:
                    yield Token(piece)
        yield Finished(run.cite_and_verify(chat))

    async def aask(
        self, question: str, *, k: int = DEFAULT_PASSAGES, where: str | None = None
    ) -> Answer:
        """`ask` without blocking the event loop."""
        async with aclosing(self.astream(question, k=k, where=where)) as events:
            async for event in events:
                if isinstance(event, Finished):
                    return event.answer
        raise AssertionError("a stream ends with Finished")

    async def astream(
        self, question: str, *, k: int = DEFAULT_PASSAGES, where: str | None = None
    ) -> AsyncGenerator[Event]:
        """`stream` without blocking the event loop. Closed or cancelled, it closes the model's
        stream at once, even while the model is still silent."""
        run = _Run(self, question)
        yield Retrieved(await asyncio.to_thread(run.retrieve, k, where))
        chat = await asyncio.to_thread(self._model) if run.contexts else None
        if run.contexts and chat is None:
            yield Finished(run.finish("no_model"))
            return
        if chat is not None:
            await asyncio.to_thread(run.fit, chat, self._budget)
            async with aclosing(run.agenerate(chat)) as pieces:
                async for piece in pieces:
                    yield Token(piece)
        yield Finished(await asyncio.to_thread(run.cite_and_verify, chat))

    def as_tool(self) -> "BaseTool":
        """A LangChain tool that answers a question from the collection, with its sources."""
        from rag.tool import answer_tool

        return answer_tool(self)

    def _model(self) -> "BaseChatModel | None":
        from rag.models.tokens import PromptBudget

        if self._chat is None:
            self._chat = self._make_chat()
        if self._chat is not None and self._budget is None:
            self._budget = PromptBudget.of(self._chat)
        return self._chat


class _Run:
    """One question on its way; holds what the steps hand to each other."""

    def __init__(self, rag: RAG, question: str) -> None:
        if not question.strip():
            raise UsageError(t("The question is empty."))
        self.rag, self.question = rag, well_formed(question).strip()
        self.contexts: tuple[SearchResult, ...] = ()
        self._asked: Sequence[BaseMessage] = ()
        self._draft, self._model, self._usage = "", "", Usage()
        self._generation = 0
        self._thinks = False
        self._notices: list[str] = []
        self._timings: dict[str, float] = {}
        self._started = time.perf_counter()

    def retrieve(self, k: int, where: str | None) -> tuple[SearchResult, ...]:
        """The best passages; one that stands in several documents is taken once."""
        reranker = self.rag.reranker
        wanted = max(2 * k, reranker.candidates if reranker else 0)
        with timed(self._timings, "retrieve"):
            found = self.rag.collection.search(self.question, wanted, where=where)
        distinct = {result.text: result for result in reversed(found.results)}
        passages = sorted(distinct.values(), key=lambda result: result.rank)
        if reranker:
            with timed(self._timings, "rerank"):
                passages = self._reranked(reranker, passages, k)
        self.contexts = tuple(replace(r, rank=rank) for rank, r in enumerate(passages[:k], 1))
        self._generation = found.generation
        return self.contexts

    def _reranked(
        self, reranker: Reranker, passages: list[SearchResult], k: int
    ) -> list[SearchResult]:
        """An answer from the order of the search is better than none."""
        try:
            return reranker.rerank(self.question, passages, k)
        except EndpointError as error:
            self._note(str(error))
            return passages

    def fit(self, chat: "BaseChatModel", budget: "PromptBudget | None") -> None:
        """Build the prompt, without the last passages where the model cannot read them all."""
        from rag.models.chat import model_name
        from rag.prompts import answer_messages

        def prompt(passages: int) -> "Sequence[BaseMessage]":
            return answer_messages(self.question, self.contexts[:passages])

        self._model = model_name(chat)
        if budget is not None:
            fitted = budget.fit(prompt, len(self.contexts))
            self.contexts = self.contexts[: fitted.passages]
            self._notices.extend(fitted.notices)
        self._asked = prompt(len(self.contexts))

    def generate(self, chat: "BaseChatModel") -> Generator[str]:
        from rag.models.chat import endpoint_errors

        stream = cast("Generator[AIMessageChunk]", chat.stream(self._asked))
        with endpoint_errors(chat), closing(stream):
            for chunk in stream:
                if piece := self._take(chunk):
                    yield piece
        self._drafted()

    async def agenerate(self, chat: "BaseChatModel") -> AsyncGenerator[str]:
        from rag.models.chat import endpoint_errors

        stream = cast("AsyncGenerator[AIMessageChunk]", chat.astream(self._asked))
        with endpoint_errors(chat):
            async with aclosing(stream):
                async for chunk in stream:
                    if piece := self._take(chunk):
                        yield piece
        self._drafted()

    def _take(self, chunk: "AIMessageChunk") -> str:
        """What a chunk adds to the answer: its text, without what a reasoning model thinks."""
        piece = str(chunk.text)
        if piece and "first_token" not in self._timings:
            self._timings["first_token"] = self._elapsed()
        self._draft += piece
        self._usage += Usage.of(chunk)
        self._thinks = self._thinks or _is_thought(chunk)
        return piece

    def _drafted(self) -> None:
        self._timings["generate"] = self._elapsed()
        if self._thinks and not self._draft.strip():
            self._note(
                t("The model thought and never came to an answer. Raise max_tokens in [chat].")
            )

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
        # A model that thinks first needs its whole room for that, or it never comes to a yes.
        limit: dict[str, Any] = {} if self._thinks else {"max_tokens": _CHECK_TOKENS}

        def check(number: int, claim: str) -> bool:
            messages = check_messages(self._asked, self._draft, number, claim, lang)
            try:
                with endpoint_errors(chat):
                    reply = chat.invoke(messages, **limit)
            except ContextOverflowError:
                self._note(t("Some claims could not be checked: the prompt became too long."))
                return False
            self._usage += Usage.of(reply)
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
            self._usage, self._timings, tuple(self._notices),
        )  # fmt: skip

    def _note(self, sentence: str) -> None:
        if sentence not in self._notices:
            self._notices.append(sentence)

    def _elapsed(self) -> float:
        return round((time.perf_counter() - self._started) * 1000, 2)


def _is_thought(chunk: "AIMessageChunk") -> bool:
    kept_apart = chunk.additional_kwargs.get("reasoning_content")
    return bool(kept_apart) or any(block["type"] == "reasoning" for block in chunk.content_blocks)


def _from_settings(collection: Collection) -> "BaseChatModel | None":
    from rag.models.resolve import resolve_chat

    return resolve_chat(collection.home)
