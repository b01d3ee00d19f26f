"""Cases that are goals: worked on by the agent as users have it, in runs that are not kept."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from agents.loop.acting import RagAgent
from agents.loop.evidence import Evidence
from agents.loop.keeping import open_run
from agents.loop.saving import saver
from agents.loop.types import Approval, Decision, Limits, Pending, Run
from agents.measuring.types import Bench, Done
from indexes.collection import Collection
from indexes.types import SearchResult
from rag.answering import RAG
from rag.models.chat import key_of, list_models, server_of

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.tools import BaseTool

    from agents.loop.calling import Way

_SHOWN = 2_000
"""Characters of a text that stand in the line of a case."""


@dataclass(frozen=True, slots=True)
class Workshop:
    """Where goals are worked on: runs go below ``home``, which is empty at first, so that neither
    facts nor earlier runs of the user's count."""

    rag: RAG
    home: Path
    calls: "Way"

    def run(
        self,
        goal: str,
        kit: Sequence[str],
        limits: Limits,
        *,
        tools: "Sequence[BaseTool]" = (),
        approve: Approval = "never",
        decide: Callable[[Pending], Decision] | None = None,
    ) -> Run:
        """The goal's run, with the tools of these names and no others. Raises ``EndpointError``
        where the model's server is away."""
        agent = RagAgent(
            self.rag, tools, limits=limits, approve=approve, kit=kit, calls=self.calls,
            home=self.home,
        )  # fmt: skip
        run = agent.run(goal, decide)
        if run.status == "failed":
            _check_server(self.rag.chat())
        return run

    def passages(self, run: Run) -> tuple[SearchResult, ...]:
        """All passages that the run's model has seen, in the order in which they came."""
        config: Any = {"configurable": {"thread_id": run.run_id}}
        with open_run(self.home, run.run_id) as kept, saver(kept.folder) as saved:
            found = saved.get_tuple(config)
        evidence = Evidence()
        evidence.recall(found.checkpoint["channel_values"].get("messages", ()) if found else ())
        return evidence.contexts


@contextmanager
def workshop(bench: Bench, collection: Collection | None = None) -> Iterator[Workshop]:
    """A workshop over ``collection``, by default one without documents."""
    calls: Way = "auto" if bench.way == "both" else bench.way
    with TemporaryDirectory(prefix="waggle-measure-") as folder:
        if collection is not None:
            yield Workshop(RAG(collection, bench.chat), Path(folder), calls)
            return
        with Collection.open("empty", home=folder) as empty:
            yield Workshop(RAG(empty, bench.chat), Path(folder), calls)


def done(run: Run, figures: dict[str, float], **detail: Any) -> Done:
    """What came of a case, with all steps of its run to be read by eye."""
    steps = [
        {"thought": one.thought, "tool": one.tool, "arguments": dict(one.arguments),
         "observation": one.observation[:_SHOWN], "error": one.error}
        for one in run.steps
    ]  # fmt: skip
    shown = {"goal": run.goal[:_SHOWN], "status": run.status, "answer": run.answer, **detail}
    return Done(
        {**figures, "steps": float(len(run.steps))}, run.usage, run.seconds,
        {**shown, "steps": steps}, run.reason if run.status == "failed" else "",
    )  # fmt: skip


def _check_server(chat: "BaseChatModel | None") -> None:
    """A run fails where the model makes no step, which is an outcome, and where its server is away,
    which is none. Raises ``EndpointError`` in that case."""
    server = server_of(chat) if chat is not None else None
    if chat is not None and server is not None:
        list_models(server[0], key_of(chat))
