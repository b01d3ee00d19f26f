"""A run at work: its folder open, its graph going, its events told."""

import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from agents.loop.arguments import BadCall, check_call
from agents.loop.condensing import ANSWER_TOKENS
from agents.loop.evidence import Evidence
from agents.loop.facts import Facts, fact_tools
from agents.loop.finishing import Outcome
from agents.loop.graph import Means, loop_graph
from agents.loop.keeping import Kept, begin_run, new_id, notes_of, open_run, read_header
from agents.loop.ledger import Ledger
from agents.loop.limits import reached
from agents.loop.modes import Modes
from agents.loop.observing import steps_of, usage_of
from agents.loop.planning import plan_graph
from agents.loop.policy import Policy
from agents.loop.recording import Recording
from agents.loop.replaying import Replaying, replay
from agents.loop.saving import in_memory, saver
from agents.loop.taint import foreign_words
from agents.loop.telling import Telling
from agents.loop.tracing import Tracing
from agents.loop.types import Began, Decision, Ended, Pending, Run, RunEvent
from agents.loop.wording import language_of
from agents.toolbox.adapting import as_tool
from agents.toolbox.kit import toolkit
from agents.toolbox.tables import has_tables
from indexes.embedding.base import well_formed
from indexes.errors import ModelError, ModelFileError, UsageError
from indexes.i18n import t
from rag.models.chat import model_name

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import BaseMessage
    from langchain_core.tools import BaseTool
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.types import Interrupt, StateSnapshot

    from agents.loop.acting import Decide, RagAgent
    from agents.loop.replaying import Divergence

Events = Generator[RunEvent, None, Run]
FOLDER: Final = "agents"


def begun(agent: "RagAgent", goal: str, decide: "Decide | None") -> Events:
    """A new run of ``goal``. Raises as `RagAgent.run`."""
    goal = well_formed(goal).strip()
    if not goal:
        raise UsageError(t("The goal is empty."))
    return _begun(agent, _chat(agent), goal, decide)


def resumed(
    agent: "RagAgent", run_id: str, decisions: Sequence[Decision], decide: "Decide | None"
) -> Events:
    """The run ``run_id``, gone on with. Raises as `RagAgent.resume`."""
    read_header(agent.home, run_id)
    return _resumed(agent, _chat(agent), run_id, decisions, decide)


def replayed(agent: "RagAgent", run_id: str) -> "tuple[Divergence, ...]":
    """Where a replay of the run leaves it. Raises as `RagAgent.replay`."""
    from langchain_core.language_models import FakeListChatModel

    chat = agent.rag.chat() or FakeListChatModel(responses=[])

    def again(kept: Kept, replaying: Replaying) -> Run:
        equipment = Equipment.of(agent, kept.header.goal, kept.header.options, kept.notes)
        working = Working(agent, chat, kept, in_memory(), equipment, replaying)
        return ended(working.events((), replaying.decide))

    return replay(agent.home, run_id, again)


def ended(events: Events) -> Run:
    """The run that the events come to."""
    while True:
        try:
            next(events)
        except StopIteration as end:
            return cast("Run", end.value)


def _begun(agent: "RagAgent", chat: "BaseChatModel", goal: str, decide: "Decide | None") -> Events:
    options, run_id = _options(agent, goal), new_id()
    equipment = Equipment.of(agent, goal, options, notes_of(agent.home, run_id))
    beginning = begin_run(
        agent.home, goal, run_id, model=model_name(chat), mode=agent.mode, **options
    )
    with beginning as kept, saver(kept.folder) as saved:
        return (yield from Working(agent, chat, kept, saved, equipment).events((), decide))


def _options(agent: "RagAgent", goal: str) -> dict[str, Any]:
    """What stays as it is now when the run is gone on with."""
    budget, facts = agent.rag.budget(), Facts(agent.home)
    return {
        "today": datetime.now().astimezone().date().isoformat(),
        "facts": facts.prompt(language_of(goal)),
        "learned": [one.text for one in facts.all() if not one.own],
        "window": budget.window() if budget else None,
        "answer_tokens": budget.answer_tokens if budget else ANSWER_TOKENS,
        "kit": None if agent.kit is None else list(agent.kit),
        "web": agent.web,
        "tables": has_tables(agent.rag.collection),
        "collection": agent.rag.collection.name,
        "limits": asdict(agent.limits),
        "approve": agent.approve,
    }


def _resumed(
    agent: "RagAgent",
    chat: "BaseChatModel",
    run_id: str,
    decisions: Sequence[Decision],
    decide: "Decide | None",
) -> Events:
    with open_run(agent.home, run_id) as kept, saver(kept.folder) as saved:
        equipment = Equipment.of(agent, kept.header.goal, kept.header.options, kept.notes)
        return (yield from Working(agent, chat, kept, saved, equipment).events(decisions, decide))


def _chat(agent: "RagAgent") -> "BaseChatModel":
    chat = agent.rag.chat()
    if chat is None:
        raise ModelFileError(
            t(
                "There is no chat model for the agent. Name a server ([chat] url in waggle.toml, "
                "or WAGGLE_CHAT_URL), or fetch a model: waggle models pull."
            )
        )
    return chat


@dataclass(frozen=True, slots=True)
class Equipment:
    """The tools of a run, and what they have found."""

    tools: "tuple[BaseTool, ...]"
    evidence: Evidence

    @classmethod
    def of(
        cls, agent: "RagAgent", goal: str, options: Mapping[str, Any], notes: Path
    ) -> "Equipment":
        """Those for the goal, with notes in that folder. Raises `UsageError` where there is no tool
        of a name that is wanted."""
        evidence = Evidence(goal)
        given = map(as_tool, agent.tools)
        own = (*fact_tools(Facts(agent.home), goal), *given)
        tools = toolkit(
            agent.rag, evidence, notes, own, names=options["kit"], web=options["web"],
            tables=options.get("tables", True), notice=agent.notice,
        )  # fmt: skip
        return cls(tools, evidence)


class Working:
    """The run in ``kept``, whose state is ``saved``; with ``replaying`` nothing is really done."""

    def __init__(
        self,
        agent: "RagAgent",
        chat: "BaseChatModel",
        kept: Kept,
        saved: "BaseCheckpointSaver[Any]",
        equipment: Equipment,
        replaying: Replaying | None = None,
    ) -> None:
        self._agent, self._chat, self._kept, self._replaying = agent, chat, kept, replaying
        self._equipment, self._tracing = equipment, Tracing(chat, kept.run_id)
        means = self._means()
        self._policy = means.policy
        planned = kept.header.mode == "plan"
        self._graph: Any = plan_graph(means, saved) if planned else loop_graph(means, saved)
        self._config: Any = {"configurable": {"thread_id": kept.run_id}, "max_concurrency": 1}
        self._started = time.perf_counter()

    def events(self, decisions: Sequence[Decision], decide: "Decide | None") -> Events:
        """All that happens, from here to the end."""
        with self._tracing.run(self._kept.header.goal) as told:
            run = yield from self._events(decisions, decide)
            told(run)
            return run

    def _events(self, decisions: Sequence[Decision], decide: "Decide | None") -> Events:
        state = self._state()
        _check(state.interrupts, decisions, self._equipment.tools)
        yield Began(self._kept.run_id, self._kept.header.goal, model_name(self._chat))
        self._equipment.evidence.recall(_messages(state))
        self._policy.wait_for(one.value["call_id"] for one in state.interrupts)
        given = self._first(state, decisions)
        if not (state.tasks or given) and state.values:
            run = self._run()
        else:
            self._kept.going_on()
            try:
                yield from self._worked(given, decide)
                run = self._run()
            except ModelError as error:
                run = self._run(failed=str(error))
        self._kept.ended(run)
        yield Ended(run)
        return run

    def _worked(self, given: Any, decide: "Decide | None") -> Generator[RunEvent]:
        """Go on until the end, or until somebody must decide who does not."""
        from langgraph.types import Command

        while True:
            state = self._state()
            if not state.interrupts or isinstance(given, Command):
                telling = Telling(_messages(state), state.values.get("tasks", ()))
                for update in self._graph.stream(
                    given, self._config, stream_mode="updates", durability="sync"
                ):
                    yield from telling.events(update)
                state = self._state()
            answers = _asked(state.interrupts, decide)
            if not answers:
                return
            given = Command(resume=answers)

    def _first(self, state: "StateSnapshot", decisions: Sequence[Decision]) -> Any:
        """What the graph is given at first: nothing where it is to go on from where it stands."""
        from langchain_core.messages import HumanMessage
        from langgraph.types import Command

        if not state.values:
            return {"messages": [HumanMessage(self._kept.header.goal)]}
        if decisions:
            by_call = {one.call_id: one for one in decisions}
            found = [(one, by_call.get(one.value["call_id"])) for one in state.interrupts]
            return Command(resume={one.id: asdict(said) for one, said in found if said})
        if not state.tasks and self._has_room(state.values):
            return {"messages": [], "outcome": None, "stopped": ""}
        return None

    def _has_room(self, values: Mapping[str, Any]) -> bool:
        """Whether a run that was stopped may go on, since there is more room for it now."""
        stopped = values.get("stopped")
        return bool(stopped) and not reached(self._agent.limits, values["messages"])

    def _run(self, failed: str = "") -> Run:
        """The run as it stands."""
        state = self._state()
        messages = _messages(state)
        stored = state.values.get("outcome")
        outcome = Outcome.of(stored) if stored else Outcome("failed", failed, "")
        pending = tuple(Pending(**_plain(one.value)) for one in state.interrupts)
        if pending and not failed:
            outcome = Outcome("waiting_for_approval", t("A call waits for a decision."), "")
        header = self._kept.header
        return Run(
            self._kept.run_id, header.goal, outcome.status, outcome.answer, outcome.citations,
            steps_of(messages), tuple(state.values.get("tasks", ())),
            usage_of(messages) + outcome.usage, model_name(self._chat), outcome.reason, pending,
            round(header.seconds + time.perf_counter() - self._started, 3),
        )  # fmt: skip

    def _state(self) -> "StateSnapshot":
        state: StateSnapshot = self._graph.get_state(self._config)
        return state

    def _means(self) -> Means:
        agent, goal, journal = self._agent, self._kept.header.goal, self._kept.journal
        options, tools = self._kept.header.options, self._equipment.tools
        return Means(
            agent.rag, self._chat, goal, tools, self._equipment.evidence, agent.limits,
            Policy(agent.approve, (goal,), (*foreign_words(tools), *options["learned"])),
            Modes(agent.rag.collection.home / FOLDER),
            self._replaying or Recording(journal), self._tracing,
            None if self._replaying else Ledger(journal),
            agent.calls, date.fromisoformat(options["today"]), options["facts"],
            options["window"], options["answer_tokens"],
        )  # fmt: skip


def _messages(state: "StateSnapshot") -> "Sequence[BaseMessage]":
    messages: Sequence[BaseMessage] = state.values.get("messages", ())
    return messages


def _asked(interrupts: "Sequence[Interrupt]", decide: "Decide | None") -> dict[str, Any]:
    """What somebody decides about the calls that wait."""
    if decide is None:
        return {}
    answers = {}
    for one in interrupts:
        pending = Pending(**_plain(one.value))
        if (decision := decide(pending)) is not None:
            _check_verdict(pending, decision)
            answers[one.id] = asdict(decision)
    return answers


def _check_verdict(pending: Pending, decision: Decision) -> None:
    """Raises `UsageError` for other arguments of a call that may have been carried out."""
    if decision.verdict == "edit" and not pending.editable:
        raise UsageError(
            t("Whether this call was carried out is not known, so that it cannot be changed: "
              "approve it, to do it again as it was, or reject it.")
        )  # fmt: skip


def _check(
    interrupts: "Sequence[Interrupt]", decisions: Sequence[Decision], tools: "Sequence[BaseTool]"
) -> None:
    """Somebody's mistake is theirs to mend, and nothing is done before. Raises `UsageError`."""
    waiting = {one.value["call_id"]: Pending(**_plain(one.value)) for one in interrupts}
    for decision in decisions:
        if decision.call_id not in waiting:
            raise UsageError(
                t(
                    "No call «{name}» waits for a decision. There are: {known}.",
                    name=decision.call_id,
                    known=", ".join(waiting) or "–",
                )
            )
        pending = waiting[decision.call_id]
        _check_verdict(pending, decision)
        if decision.verdict == "edit":
            try:
                check_call(tools, pending.tool, decision.arguments or {})
            except BadCall as bad:
                raise UsageError(bad.observation) from bad


def _plain(value: Mapping[str, Any]) -> dict[str, Any]:
    return {**value, "tainted": tuple(value["tainted"])}
