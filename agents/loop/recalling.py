"""A run that is kept, as far as it came, without going on with it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langgraph.graph.message import add_messages

from agents.loop.finishing import Outcome
from agents.loop.keeping import Header, open_run
from agents.loop.observing import steps_of, usage_of
from agents.loop.planning import marked, task_thread
from agents.loop.saving import Saver, saver
from agents.loop.types import Pending, Run
from indexes.i18n import t
from rag.types import Usage

if TYPE_CHECKING:
    from langgraph.checkpoint.base import CheckpointTuple


def recall(home: Path, run_id: str) -> Run:
    """The run ``run_id`` with its steps. Raises `UsageError` where there is none of that name,
    `LockedError` while a process works on it, `DamagedError` where it cannot be read."""
    with open_run(home, run_id) as kept, saver(kept.folder) as saved:
        found = _saved(saved, run_id)
        values = _values(found)
        if thread := task_thread(run_id, values):
            found = _saved(saved, thread)
            task = int(thread.rpartition("#")[2])
            new: Any = marked(_values(found).get("messages", ()), task)
            values["messages"] = add_messages(values.get("messages", []), new)
    return _run(kept.header, values, tuple(_pending(found)))


def _saved(saved: Saver, thread: str) -> "CheckpointTuple | None":
    return saved.get_tuple({"configurable": {"thread_id": thread}})


def _values(found: "CheckpointTuple | None") -> dict[str, Any]:
    return dict(found.checkpoint["channel_values"]) if found else {}


def _pending(found: "CheckpointTuple | None") -> Iterator[Pending]:
    for _, channel, value in (found.pending_writes if found else None) or ():
        if channel == "__interrupt__":
            for one in value:
                yield Pending(**{**one.value, "tainted": tuple(one.value["tainted"])})


def _run(header: Header, values: Mapping[str, Any], pending: tuple[Pending, ...]) -> Run:
    messages, stored = values.get("messages", ()), values.get("outcome")
    outcome = Outcome.of(stored) if stored else None
    usage = usage_of(messages) + (outcome.usage if outcome else Usage())
    return Run(
        header.run_id, header.goal, header.status or "stopped", header.answer,
        outcome.citations if outcome else (), steps_of(messages),
        tuple(values.get("tasks", ())), usage, header.model,
        header.reason if header.status else t("It was interrupted."),
        pending if header.status == "waiting_for_approval" else (), header.seconds,
    )  # fmt: skip
