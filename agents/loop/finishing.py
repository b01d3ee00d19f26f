"""The end of a run: its answer, each sentence looked up in what was seen.

A run that was stopped ends with what is known: one more request, without tools, where the limits
leave room for it, else the best passages themselves.
"""

import functools
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, NotRequired

from langchain.agents.middleware import AgentMiddleware
from langchain_core.messages import AIMessage, BaseMessage

from agents.loop.asking import NO_ANSWER, Within, asked_again, citations_of
from agents.loop.evidence import Evidence
from agents.loop.leaving import performed
from agents.loop.limits import LimitState, room_for, seconds_left
from agents.loop.observing import Called, calls_of, extras, late
from agents.loop.recording import Recording
from agents.loop.replaying import Replaying
from agents.loop.types import Limits, RunStatus
from agents.loop.wording import Wording, without_request
from indexes.errors import ContextOverflowError, EndpointError
from indexes.i18n import t
from indexes.types import SearchResult
from rag.models.chat import within
from rag.models.thinking import without_thoughts
from rag.prompting.fencing import as_data
from rag.prompts import answer_messages, check_messages, is_refusal, task_messages
from rag.settings import load_verify_settings
from rag.steps import Steps, ask, run, work
from rag.types import Citation, Usage
from rag.verifying import UNSUPPORTED, Check, Verifying
from rag.verifying.checking import checker
from rag.verifying.quantities import claimed, stated

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langgraph.runtime import Runtime

    from rag.answering import RAG

_NAMED: Final = 3
"""Passages that are named where no answer could be written."""
_QUOTED: Final = 300
"""Characters of such a passage."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended; plain values, as they are stored. ``usage`` is what the end itself cost."""

    status: RunStatus
    reason: str
    answer: str
    citations: tuple[Citation, ...] = ()
    usage: Usage = field(default_factory=Usage)

    def plain(self) -> dict[str, Any]:
        """The values, to be stored."""
        return {**asdict(self), "citations": [asdict(one) for one in self.citations]}

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> "Outcome":
        """What was stored."""
        usage = Usage(**stored["usage"])
        citations = citations_of(stored["citations"])
        return cls(stored["status"], stored["reason"], stored["answer"], citations, usage)


class FinishState(LimitState):
    """``outcome`` is that of `Outcome.plain`, once the run is over."""

    outcome: NotRequired[dict[str, Any] | None]


class Finishing(AgentMiddleware[FinishState, Any, Any]):
    """Ends the run of a goal."""

    state_schema = FinishState

    def __init__(
        self,
        rag: "RAG",
        chat: "BaseChatModel",
        goal: str,
        evidence: Evidence,
        limits: Limits,
        recording: Recording | Replaying,
    ) -> None:
        super().__init__()
        self._evidence = evidence
        self._ending = functools.partial(Ending, rag, chat, goal, limits, recording)

    def after_agent(
        self,
        state: FinishState,
        runtime: "Runtime[Any]",  # noqa: ARG002
    ) -> dict[str, Any]:
        """Check the answer, or write one from what is known."""
        messages, reason = state["messages"], state.get("stopped") or ""
        self._evidence.recall(messages)
        ending = self._ending(self._evidence.contexts, messages)
        return {"outcome": run(ending.outcome(reason)).plain()}


class Ending:
    """What can be said at the end of ``messages`` about a goal."""

    def __init__(
        self,
        rag: "RAG",
        chat: "BaseChatModel",
        goal: str,
        limits: Limits,
        recording: Recording | Replaying,
        contexts: Sequence[SearchResult],
        messages: Sequence[BaseMessage],
    ) -> None:
        self._rag, self._chat, self._goal = rag, chat, goal
        self._limits, self._recording = limits, recording
        self._contexts, self._messages = contexts, messages
        self._wording = Wording(goal)
        self._results = _results(calls_of(messages))
        self._usage = Usage()
        left = seconds_left(limits, messages)
        self._deadline = None if left is None else time.monotonic() + left

    def outcome(self, reason: str) -> Steps[Outcome]:
        """How the run ended; ``reason`` says why it was stopped, if it was."""
        written = _last_answer(self._messages) if not reason else ""
        if not written:
            reason = reason or t("The model wrote no answer.")
            written = yield from self._closing()
        if not written:
            return self._named(reason)
        outcome = yield from self.verified(written)
        if reason:
            outcome = replace(outcome, status="stopped", reason=reason)
        elif outcome.status == "stopped" and not self._acted:
            outcome = (yield from self._asked_again()) or outcome
        return replace(outcome, usage=self._usage)

    def checked(self, text: str) -> Steps[Outcome]:
        """A part of what is said at the end, and what it cost to look it up."""
        outcome = yield from self.verified(text)
        return replace(outcome, usage=self._usage)

    def verified(self, text: str) -> Steps[Outcome]:
        """A text whose sentences are looked up in the passages that were seen. Those that rest on
        what tools of our own returned have no source, and no mark either."""
        if is_refusal(text):
            return Outcome("stopped", t("What was found does not answer the goal."), text)
        if not self._contexts:
            return Outcome("done", "", text)
        known = len(self._contexts)
        verifying = Verifying(
            self._goal, [*self._contexts, *self._results], self._check(),
            quoted=load_verify_settings().quoted(known),
        )  # fmt: skip
        yield from verifying.take(text)
        verdict = yield from verifying.finish()
        figures = Figures(self._goal, self._results)
        kept = [one for one in verdict.citations if not figures.state(one) and one.number <= known]
        shown = figures.unmarked(verdict.text or verdict.held, verdict.citations)
        for number in range(known + 1, known + len(self._results) + 1):
            shown = shown.replace(f" [{number}]", "").replace(f"[{number}]", "")
        grounded = verdict.supported or len(kept) < len(verdict.citations)
        if grounded or self._acted or not verdict.citations:
            return Outcome("done", "", shown.strip(), tuple(kept))
        reason = t("Nothing that was found supports the answer.")
        return Outcome("stopped", reason, shown.strip(), tuple(kept))

    def _asked_again(self) -> Steps[Outcome | None]:
        """What the passages that were seen say, where the model has not said it; ``None`` where
        they do not answer the goal either, or the limits leave no room to ask."""
        contexts = self._contexts
        if not contexts:
            return None

        def room(asked: "Sequence[BaseMessage]", spent: Usage) -> bool:
            return room_for(self._limits, self._messages, asked, self._usage + spent)

        def made() -> dict[str, Any]:
            within = Within(self._chat, self._deadline, room)
            return asked_again(self._rag, self._chat, self._goal, contexts, within)

        request = [self._goal, [[one.source, one.start, one.end] for one in contexts]]
        remembered = functools.partial(self._recording.remembered, otherwise=NO_ANSWER)
        said = yield from work(lambda: remembered("ask", request, made))
        self._usage += Usage(said["prompt_tokens"], said["completion_tokens"])
        if not said["text"]:
            return None
        return Outcome("done", "", said["text"], citations_of(said["citations"]))

    @property
    def _acted(self) -> bool:
        """Whether the run has changed something: then its answer also tells of that."""
        done = [one.message for one in calls_of(self._messages) if one.message and not one.error]
        return any(extras(one).get("effect") != "read" for one in done)

    def _closing(self) -> Steps[str]:
        """An answer from what is known; empty where there is nothing, or no room for it."""
        results = [as_data(one.text) for one in self._results]
        if not self._contexts and not results:
            return ""
        contexts = self._contexts
        task = self._wording.closing(self._goal, results)

        def asked(passages: int) -> "list[BaseMessage]":
            return task_messages(contexts[:passages], self._wording.lang, task)

        try:
            if contexts and (budget := self._rag.budget()) is not None:
                contexts = contexts[: budget.fit(asked, len(contexts)).passages]
            messages = asked(len(contexts))
            if not room_for(self._limits, self._messages, messages):
                return ""
            said = yield from self._said("closing", messages)
            return without_request(said, self._goal)
        except ContextOverflowError:
            return ""

    def _said(self, name: str, messages: Sequence[BaseMessage], **options: Any) -> Steps[str]:
        """The model's reply, which is written down like those of the loop."""

        def made() -> dict[str, Any]:
            timed = {**options, **within(self._chat, self._deadline)}
            try:
                reply = performed(ask(self._chat, messages, **timed))
            except EndpointError:
                if self._deadline is None or time.monotonic() < self._deadline:
                    raise
                reply = late()
            return {"text": str(reply.text), **asdict(Usage.of(reply))}

        request = [[one.type, str(one.text)] for one in messages]
        said = yield from work(lambda: self._recording.remembered(name, request, made))
        self._usage += Usage(said["prompt_tokens"], said["completion_tokens"])
        return without_thoughts(said["text"]).strip()

    def _named(self, reason: str) -> Outcome:
        """The best passages in place of an answer."""
        if not self._contexts:
            return Outcome("stopped", reason, "\n".join(one.text for one in self._results[-1:]),
                           usage=self._usage)  # fmt: skip
        cited = [_quoted(n, one) for n, one in enumerate(self._contexts[:_NAMED], 1)]
        lines = [f"- {' '.join(one.quote.split())} [{one.number}]" for one in cited]
        answer = "\n".join([self._wording.found(), *lines])
        return Outcome("stopped", reason, answer, tuple(cited), self._usage)

    def _check(self) -> Check:
        """Asks the entailment model, else the chat model while the limits leave room for it."""
        contexts = [*self._contexts, *self._results]

        def said(number: int, claim: str, options: Mapping[str, Any]) -> Steps[str | None]:
            asked = answer_messages(self._goal, [contexts[number - 1]])
            messages = check_messages(asked, f"{claim} [1]", 1, claim, self._wording.lang)
            if not room_for(self._limits, self._messages, messages, self._usage):
                return None
            return (yield from self._said("check", messages, **options))

        return checker(contexts, said, self._wording.lang)


class Figures:
    """The figures that tools of our own have found, such as results of the calculator."""

    def __init__(self, goal: str, results: Sequence[SearchResult]) -> None:
        self._given = stated(goal)
        self._found = frozenset().union(*(stated(one.text) for one in results))

    def state(self, citation: Citation) -> bool:
        """Whether each figure of a claim that no passage holds was found or given, one at least
        found."""
        values = claimed(citation.claim)
        return (
            citation.support == "unsupported"
            and any(keys & self._found for keys in values)
            and all(keys & (self._found | self._given) for keys in values)
        )

    def unmarked(self, text: str, citations: Sequence[Citation]) -> str:
        """The text without the marks behind such claims."""
        for one in citations:
            if self.state(one):
                for space in (" ", ""):
                    marked = f"{one.claim}{space}{UNSUPPORTED}"
                    text = text.replace(marked, one.claim, 1)
        return text


def _last_answer(messages: Sequence[BaseMessage]) -> str:
    last = messages[-1] if messages else None
    if not isinstance(last, AIMessage) or last.tool_calls:
        return ""
    return without_thoughts(str(last.text)).strip()


def _results(calls: Sequence[Called]) -> list[SearchResult]:
    """What tools of our own returned beside passages, each as a passage to look things up in, with
    what they were asked; what was given to one that writes proves nothing."""
    found = []
    for one in calls:
        message = one.message
        if message is None or one.error or extras(message).get("tainted", True):
            continue
        if isinstance(message.artifact, Mapping) and message.artifact.get("passages"):
            continue
        told = extras(message)
        asked = told.get("arguments", {}).values() if told.get("effect") == "read" else ()
        text = "\n".join([*map(str, asked), str(message.text)])
        source = f"{one.tool}:{one.n}"
        found.append(
            SearchResult(one.n, 1.0, source, source, one.tool, None, (), 0, len(text), text, {})
        )
    return found


def _quoted(number: int, context: SearchResult) -> Citation:
    quote = context.text[:_QUOTED]
    return Citation(
        number, quote, context.source, context.title, context.page, context.start,
        context.start + len(quote), quote, "verbatim",
    )  # fmt: skip
