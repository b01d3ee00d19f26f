"""The loop as a graph: model → tools → model, and what stands around each of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware

from agents.loop.calling import Calling, Way
from agents.loop.condensing import Condensing
from agents.loop.evidence import Evidence
from agents.loop.finishing import Finishing
from agents.loop.guarding import Guarding
from agents.loop.ledger import Ledger
from agents.loop.limits import Limiting
from agents.loop.modes import Modes
from agents.loop.policy import Policy
from agents.loop.recording import Recording
from agents.loop.replaying import Replaying
from agents.loop.tracing import Tracing
from agents.loop.types import Limits
from agents.loop.wording import Wording, system_prompt

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.tools import BaseTool
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

    from rag.answering import RAG


@dataclass(frozen=True, slots=True)
class Means:
    """What a run works with. ``ledger`` is ``None`` where nothing is really done. ``facts`` is what
    the user asked to be remembered, as it stands in the prompt, ``today`` the day in it, and
    ``window`` how many tokens the model reads and writes at once; they stay the same when the run
    is gone on with."""

    rag: "RAG"
    chat: "BaseChatModel"
    goal: str
    tools: Sequence["BaseTool"]
    evidence: Evidence
    limits: Limits
    policy: Policy
    modes: Modes
    recording: Recording | Replaying
    tracing: Tracing
    ledger: Ledger | None
    calls: Way
    today: date
    facts: str
    window: int | None
    answer_tokens: int


def loop_graph(
    means: Means, saver: "BaseCheckpointSaver[Any] | None" = None
) -> "CompiledStateGraph[Any, Any, Any, Any]":
    """The loop on the goal, to its checked end (`FinishState`)."""
    ending = Finishing(
        means.rag, means.chat, means.goal, means.evidence, means.limits, means.recording
    )
    return _graph(means, means.goal, means.limits, [ending], saver)


def task_graph(
    means: Means,
    task: str,
    limits: Limits,
    saver: "BaseCheckpointSaver[Any] | None" = None,
) -> "CompiledStateGraph[Any, Any, Any, Any]":
    """The loop on a part of the goal, with limits of its own, whose answer is not checked yet
    (`LimitState`)."""
    return _graph(means, task, limits, [], saver)


def _graph(
    means: Means,
    task: str,
    limits: Limits,
    ending: Sequence[AgentMiddleware[Any, Any, Any]],
    saver: "BaseCheckpointSaver[Any] | None",
) -> "CompiledStateGraph[Any, Any, Any, Any]":
    wording = Wording(means.goal)
    around: list[AgentMiddleware[Any, Any, Any]] = [
        *ending,
        Limiting(limits, wording),
        Condensing(means.window, means.answer_tokens),
        means.tracing,
        Guarding(means.tools, means.policy, means.ledger, wording),
        means.recording,
        Calling(means.chat, means.modes, means.calls),
    ]
    return create_agent(
        means.chat,
        list(means.tools),
        system_prompt=system_prompt(task, means.facts, means.today),
        middleware=around,
        checkpointer=saver,
    )
