"""What a retrieval has at hand, and what it leaves behind step by step."""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Concatenate, ParamSpec

from indexes.errors import (
    ContextOverflowError,
    EndpointError,
    ModelError,
    StructuredOutputError,
)
from indexes.i18n import t
from rag.prompting.library import PromptLibrary
from rag.reranking import Reranker
from rag.retrieval.cross_encoder import CrossEncoder, cross_encoder_of
from rag.retrieval.plan import RetrievalPlan
from rag.retrieval.types import Outcome, Passages, Retrieval, T, Tools
from rag.steps import Steps, work
from rag.types import Trace, Usage

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

P = ParamSpec("P")

_MILLISECONDS = 1000


class Trail:
    """One retrieval: each technique is a step of it, with its trace, its time and its tokens."""

    def __init__(self, tools: Tools, plan: RetrievalPlan, k: int, where: str | None) -> None:
        self.tools, self.plan, self.k, self.where = tools, plan, k, where
        self.generation = 0
        self._lost: ModelError | None = None
        self._in_vain = Usage()
        self._traces: list[Trace] = []
        self._notices: list[str] = []
        self._timings: dict[str, float] = {}

    @cached_property
    def reranker(self) -> "Reranker | CrossEncoder | None":
        """What puts a score on each passage, where the plan wants that. Raises `UsageError` where
        it wants a cross-encoder and none is set."""
        if self.plan.rerank == "cross-encoder" and self.tools.reranker is None:
            return cross_encoder_of()
        return self.tools.reranker if self.plan.rerank in ("served", "cross-encoder") else None

    @property
    def wanted(self) -> int:
        """How many passages a search is asked for."""
        own = self.reranker.candidates if self.reranker else 0
        return max(2 * self.k, self.plan.candidates or own)

    def step(self, name: str, way: Steps[Outcome[T]]) -> Steps[T]:
        """What ``way`` comes to; how long that took is kept with it."""
        started = time.perf_counter()
        try:
            outcome = yield from way
        finally:
            seconds = time.perf_counter() - started
            spent = self._timings.get(name, 0.0) + seconds * _MILLISECONDS
            self._timings[name] = round(spent, 2)
        self._traces.append(Trace(name, outcome.detail, outcome.found, seconds, outcome.usage))
        return outcome.value

    def ask(
        self,
        name: str,
        otherwise: T,
        technique: "Callable[Concatenate[BaseChatModel, PromptLibrary, P], Steps[Outcome[T]]]",
        *args: P.args,
        **options: P.kwargs,
    ) -> Steps[T]:
        """A step that needs the chat model. Where there is none, or it fails, the retrieval goes on
        with ``otherwise`` and says so. A server that has failed is not asked again."""
        try:
            if self._lost is not None:
                raise self._lost
            chat = yield from work(self.tools.chat)
            if chat is None:
                self.note(t("The step {name} was left out: there is no chat model.", name=name))
                return otherwise
            way = technique(chat, self.tools.prompts, *args, **options)
            return (yield from self.step(name, way))
        except ModelError as error:
            if isinstance(error, EndpointError) and not isinstance(error, ContextOverflowError):
                self._lost = error
            if isinstance(error, StructuredOutputError):
                self._in_vain += Usage(*error.tokens)
            self.note(t("The step {name} was left out. {reason}", name=name, reason=error))
            return otherwise

    def record(self, name: str, detail: str, found: Passages) -> None:
        """A trace of something that takes no time."""
        self._traces.append(Trace(name, detail, found, 0.0))

    def note(self, sentence: str) -> None:
        """Say once what the answer lacks."""
        if sentence not in self._notices:
            self._notices.append(sentence)

    def retrieval(self, question: str, contexts: Passages) -> Retrieval:
        """The end of it: the first ``k`` of the passages."""
        usage = sum((trace.usage for trace in self._traces), self._in_vain)
        return Retrieval(
            question, ranked(contexts[: self.k]), self.generation,
            tuple(self._traces), usage, tuple(self._notices), self._timings,
        )  # fmt: skip


def ranked(passages: Passages) -> Passages:
    """The passages with their ranks counted anew."""
    return tuple(replace(passage, rank=rank) for rank, passage in enumerate(passages, 1))
