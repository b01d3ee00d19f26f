"""A goal put to the passages that its run has seen, as a question is put to those that a search
finds: small models find what is needed, and then say what does not stand in it."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

from agents.loop.leaving import performed
from indexes.errors import EndpointError, ModelError
from indexes.i18n import t
from indexes.types import SearchResult
from rag.answering import RAG, answer
from rag.asked import Asked
from rag.marks import renumbered
from rag.models.chat import within
from rag.prompts import ANSWER
from rag.retrieval.plan import plan_of, without_chat
from rag.steps import Ask, Read, Step, Steps, Write, through
from rag.types import Citation, Event, Usage

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import BaseMessage

T = TypeVar("T")

PASSAGES: Final = 5
"""How many of the passages are asked about, those that are nearest to the goal."""
NO_ANSWER: Final[dict[str, Any]] = {"text": "", "citations": [], **asdict(Usage())}
"""What is stored where the passages give none."""
_SEARCHED: Final = 100


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
    rag: RAG, chat: "BaseChatModel", goal: str, contexts: Sequence[SearchResult], within: "Within"
) -> dict[str, Any]:
    """The answer that the passages give, as plain values: its ``text``, empty where they give none,
    its ``citations``, numbered as in ``contexts``, and what it cost. A model that fails, or has no
    room left ``within`` the limits, gives none: there is an end of the run without it."""
    try:
        places = nearest(rag, goal, contexts)
        # Of its own, for nobody is to be told of this answer but as a part of the run.
        asking = Seen(RAG(rag.collection, chat, rag.reranker), goal, [contexts[n] for n in places])
        given = performed(within.limits(answer(asking)))
    except ModelError:
        return {**NO_ANSWER, **asdict(within.spent)}
    numbers = {n: place + 1 for n, place in enumerate(places, 1)}
    text = renumbered(given.text, numbers)
    cited = [asdict(replace(one, number=numbers[one.number])) for one in given.citations]
    if given.status != "answered":
        text, cited = "", []
    return {"text": text, "citations": cited, **asdict(within.spent)}


def citations_of(stored: Sequence[dict[str, Any]]) -> tuple[Citation, ...]:
    """The citations that `asked_again` has stored."""
    return tuple(Citation(**one) for one in stored)


class Within:
    """Limits of what is asked of ``chat``: each reply must be there at the ``deadline``, and before
    each request there must be ``room`` for it, beside what has been ``spent``."""

    def __init__(
        self,
        chat: "BaseChatModel",
        deadline: float | None,
        room: "Callable[[Sequence[BaseMessage], Usage], bool]",
    ) -> None:
        self._chat, self._deadline, self._room = chat, deadline, room
        self.spent = Usage()

    def limits(self, way: Steps[T]) -> Steps[T]:
        """The way within the limits. Raises `EndpointError` where they are reached."""
        return through(way, self._taken)

    def _taken(self, step: Step | Event) -> Steps[Any]:
        came: Any = yield self._limited(step)
        if isinstance(step, Ask | Read) and came is not None:
            replies = came if isinstance(came, tuple) else (came,)
            self.spent = sum(map(Usage.of, replies), self.spent)
        return came

    def _limited(self, step: Step | Event) -> Step | Event:
        if not isinstance(step, Ask | Write):
            return step
        many = step.many if isinstance(step, Ask) else (step.messages,)
        if not self._room([message for one in many for message in one], self.spent):
            raise EndpointError(t("The limits leave no room for it."))
        return replace(step, options={**step.options, **within(self._chat, self._deadline)})
