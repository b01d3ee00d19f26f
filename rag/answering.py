"""A question becomes a cited answer: retrieve → prompt → generate → cite and verify."""

from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from typing import TYPE_CHECKING, TypedDict, Unpack, cast

from indexes.collection import Collection
from rag.asked import DEFAULT_PASSAGES, Asked
from rag.assessing import Assessor
from rag.prompting.library import PromptLibrary
from rag.prompts import ANSWER
from rag.reranking import Reranker, reranker_of
from rag.retrieval.plan import RetrievalPlan, plan_of
from rag.retrieval.types import Turn
from rag.steps import Steps, adrive, arun, drive, run, work
from rag.types import Answer, Event, Finished, Retrieved, Sampling, Token

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.tools import BaseTool

    from rag.models.tokens import PromptBudget

__all__ = ["DEFAULT_PASSAGES", "RAG", "AskOptions", "answer"]

ChatFactory = Callable[[], "BaseChatModel | None"]


class AskOptions(TypedDict, total=False):
    """How a question is answered.

    From the ``k`` best passages among those that the filter ``where`` lets through, found by
    ``plan`` (see `rag.retrieval.plan`), with ``prompt`` from the library. ``candidates`` above 1
    are that many drafts of which the most frequent counts. ``strict`` drops the sentences that no
    passage holds, which are marked otherwise. ``min_confidence``, 0 to 1, is the
    `Answer.confidence` from which on an answer is given, by default the one that was fitted to the
    model (`rag.thresholds`). ``history`` is the conversation so far.
    ``attribute`` finds out which passages the answer leans on (`rag.attribution`), which costs two
    calls or three, and one more for each passage. ``instructions`` are what an application wants of
    every answer, such as its language; they follow the rules of the prompt. ``sampling`` is how the
    model writes it.
    """

    k: int
    where: str | None
    plan: RetrievalPlan | str | None
    prompt: str
    candidates: int
    strict: bool
    min_confidence: float | None
    history: Sequence[Turn]
    attribute: bool
    instructions: str
    sampling: Sampling


class RAG:
    """Answers questions from a collection.

    ``chat`` is a LangChain chat model, or a function that makes one when it is first needed and
    returns ``None`` where there is none. By default the settings decide: the endpoint they name,
    else the embedded engine if its model is here. They also name the ``reranker``, if there is one.
    ``heard`` is told each answer before it is handed out.
    """

    def __init__(
        self,
        collection: Collection,
        chat: "BaseChatModel | ChatFactory | None" = None,
        reranker: Reranker | None = None,
        heard: Callable[[Answer], None] = lambda _: None,
    ) -> None:
        self.collection = collection
        self.heard = heard
        self.reranker = reranker or reranker_of()
        self.prompts = PromptLibrary.of(collection.home)
        self.assessor = Assessor()
        self._chat: BaseChatModel | None = None
        self._budget: PromptBudget | None = None
        self._make_chat: ChatFactory = lambda: _from_settings(collection)
        if chat is not None and hasattr(chat, "invoke"):
            self._chat = cast("BaseChatModel", chat)
        elif chat is not None:
            self._make_chat = chat

    def ask(self, question: str, **options: Unpack[AskOptions]) -> Answer:
        """Answer ``question``. Raises `UsageError` for an empty question, `EndpointError` where the
        model server fails."""
        return run(answer(self._asked(question, options)))

    def stream(
        self, question: str, **options: Unpack[AskOptions]
    ) -> Generator[Event, None, Answer]:
        """The same as a stream of events: `Retrieved`, then `Token`s, at last `Finished`. Closed
        before its end, it closes the model's stream, and the server stops writing."""
        return drive(answer(self._asked(question, options)))

    async def aask(self, question: str, **options: Unpack[AskOptions]) -> Answer:
        """`ask` without blocking the event loop."""
        return await arun(answer(self._asked(question, options)))

    def astream(self, question: str, **options: Unpack[AskOptions]) -> AsyncGenerator[Event]:
        """`stream` without blocking the event loop. Closed or cancelled, it closes the model's
        stream at once, even while the model is still silent."""
        return adrive(answer(self._asked(question, options)))

    def as_tool(self) -> "BaseTool":
        """A LangChain tool that answers a question from the collection, with its sources."""
        from rag.tool import answer_tool

        return answer_tool(self)

    def as_chat_model(self, **options: Unpack[AskOptions]) -> "BaseChatModel":
        """A LangChain chat model whose answers are those of `ask`, with ``options``."""
        from rag.chat_model import AnsweringModel

        return AnsweringModel(rag=self, options=dict(options))

    def chat(self) -> "BaseChatModel | None":
        """The chat model, made when it is first needed."""
        if self._chat is None:
            self._chat = self._make_chat()
        return self._chat

    def budget(self) -> "PromptBudget | None":
        """What the chat model reads at once, where its server can say so."""
        from rag.models.tokens import PromptBudget

        if self._budget is None and self._chat is not None:
            self._budget = PromptBudget.of(self._chat)
        return self._budget

    def _asked(self, question: str, options: AskOptions) -> Asked:
        return Asked(
            self,
            question,
            k=options.get("k", DEFAULT_PASSAGES),
            where=options.get("where"),
            plan=plan_of(options.get("plan")),
            prompt=options.get("prompt", ANSWER),
            candidates=options.get("candidates", 1),
            strict=options.get("strict", False),
            min_confidence=options.get("min_confidence"),
            history=tuple(options.get("history", ())),
            attribute=options.get("attribute", False),
            instructions=options.get("instructions", ""),
            sampling=options.get("sampling"),
        )


def answer(asked: Asked) -> Steps[Answer]:
    """The way of a question: retrieve → prompt → generate → cite and verify."""
    return (yield from asked.spans.whole(asked.question, _answered(asked)))


def _answered(asked: Asked) -> Steps[Answer]:
    finished = yield from work(asked.counted)
    if finished is not None:
        yield Token(finished.text)
    else:
        contexts = yield from asked.retrieve()
        yield Retrieved(contexts)
        chat = (yield from work(asked.rag.chat)) if contexts else None
        if chat is None:
            finished = asked.finish("no_model" if contexts else "unanswerable")
        else:
            task = yield from work(lambda: asked.task(chat))
            sure = yield from asked.assessed(task)
            if sure is None:
                finished = asked.finish("unanswerable")
            else:
                draft = yield from asked.drafted(sure)
                finished = yield from asked.cite_and_verify(draft)
            if asked.attribute:
                finished = yield from asked.attributed(chat, finished)
    asked.rag.heard(finished)
    yield Finished(finished)
    return finished


def _from_settings(collection: Collection) -> "BaseChatModel | None":
    from rag.models.resolve import resolve_chat

    return resolve_chat(collection.home)
