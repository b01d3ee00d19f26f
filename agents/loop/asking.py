"""A goal put to the passages that its run has seen, as a question is put to those that a search
finds: small models find what is needed, and then say what does not stand in it."""

import re
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

from agents.loop.leaving import performed
from indexes.errors import EndpointError
from indexes.types import SearchResult
from rag.answering import RAG, answer
from rag.asked import Asked
from rag.models.chat import within
from rag.prompts import ANSWER
from rag.retrieval.plan import plan_of, without_chat
from rag.steps import Ask, Steps, Write
from rag.types import Citation, Usage

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

T = TypeVar("T")

PASSAGES: Final = 5
"""How many of the passages are asked about, those that are nearest to the goal."""
CALLS: Final = 5
"""About how many requests that takes."""
_SEARCHED: Final = 100
_MARK: Final = re.compile(r"\[(\d+)\]")


class Seen(Asked):
    """A goal, asked about the passages ``seen``."""

    def __init__(self, rag: RAG, goal: str, seen: Sequence[SearchResult]) -> None:
        super().__init__(
            rag, goal, k=len(seen), where=None, plan=without_chat(plan_of(None)), prompt=ANSWER,
            candidates=1, strict=False, min_confidence=None, history=(),
        )  # fmt: skip
        self._seen = tuple(seen)

    def counted(self) -> None:
        """The run has counted by itself, if there was something to count."""

    def retrieve(self) -> Steps[tuple[SearchResult, ...]]:
        """The passages that are there."""
        self.contexts = self._seen
        return self.contexts
        yield


def nearest(rag: RAG, goal: str, contexts: Sequence[SearchResult]) -> list[int]:
    """The places of the `PASSAGES` that a search for the goal finds first, then of the others as
    they came."""
    found = rag.collection.search(goal, _SEARCHED).results
    ranks = {one.chunk_id: n for n, one in enumerate(found)}
    places = range(len(contexts))
    order = sorted(places, key=lambda n: (ranks.get(contexts[n].chunk_id, len(found)), n))
    return order[:PASSAGES]


def asked_again(
    rag: RAG, chat: "BaseChatModel", goal: str, contexts: Sequence[SearchResult],
    deadline: float | None,
) -> dict[str, Any]:  # fmt: skip
    """The answer that the passages give, as plain values: its ``text``, empty where they give none,
    its ``citations``, numbered as in ``contexts``, and what it cost. A server that fails, or does
    not reply by the ``deadline``, gives none: there is an end of the run without it."""
    places = nearest(rag, goal, contexts)
    # Of its own, for nobody is to be told of this answer but as a part of the run.
    asking = Seen(RAG(rag.collection, chat, rag.reranker), goal, [contexts[n] for n in places])
    try:
        given = performed(_in_time(answer(asking), chat, deadline))
    except EndpointError:
        return {"text": "", "citations": [], **asdict(Usage())}
    numbers = {n: place + 1 for n, place in enumerate(places, 1)}
    text = _MARK.sub(lambda mark: f"[{numbers.get(int(mark[1]), mark[1])}]", given.text)
    cited = [asdict(replace(one, number=numbers[one.number])) for one in given.citations]
    return {"text": text * (given.status == "answered"), "citations": cited, **asdict(given.usage)}


def citations_of(stored: Sequence[dict[str, Any]]) -> tuple[Citation, ...]:
    """The citations that `asked_again` has stored."""
    return tuple(Citation(**one) for one in stored)


def _in_time(way: Steps[T], chat: "BaseChatModel", deadline: float | None) -> Steps[T]:
    """The way, each of whose replies must be there at the ``deadline``."""
    came: Any = None
    error: Exception | None = None
    while True:
        try:
            step = way.send(came) if error is None else way.throw(error)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        came = error = None
        if isinstance(step, Ask | Write):
            step = replace(step, options={**step.options, **within(chat, deadline)})
        try:
            came = yield step
        except Exception as problem:  # noqa: BLE001 - handed on, not caught
            error = problem
