"""Planned runs that are killed: what their processes do. Imported before they are forked."""

import json
import os
from pathlib import Path
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult

from agents.loop.acting import RagAgent
from agents.loop.keeping import runs
from agents.loop.types import Decision, Limits, Pending
from indexes.collection import Collection
from rag.answering import RAG
from tests.agents.kept_runs import ASKED, EFFECTS, Person, line, lines, tools
from tests.indexes.hash_embedder import HashEmbedder

GOAL = "Write down what the bees did"
TASKS = ["Find the honey", "Write: one", "Write: two"]
HONEY = "The bees made 7 kg of honey. [1]"
REPLIES = (
    ('"tasks"', {"tasks": TASKS[:2]}),
    ('"drop"', {"drop": [], "add": [TASKS[2]]}),
    ('"met"', {"met": True, "missing": []}),
)


class Planner(BaseChatModel):
    """Plans, and works on each task with one call; says the same in every process. It names its
    calls anew each time that it is asked, and notes that it was."""

    home: Path

    @property
    def _llm_type(self) -> str:
        return "planner"

    def bind_tools(self, tools: Any, **_: Any) -> Any:
        return self.bind(with_tools=True)

    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **options: Any
    ) -> ChatResult:
        line(self.home / ASKED, messages[-1].type)
        message = self._acting(messages) if options.get("with_tools") else self._said(messages)
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _said(self, messages: list[BaseMessage]) -> AIMessage:
        text = str(messages[-1].text)
        for sign, reply in REPLIES:
            if sign in text:
                return AIMessage(json.dumps(reply))
        return AIMessage(HONEY)

    def _acting(self, messages: list[BaseMessage]) -> AIMessage:
        last, begun = messages[-1], str(messages[1].text)
        if isinstance(last, ToolMessage):
            return AIMessage(HONEY if last.name == "search_documents" else "It was written.")
        written = [one.removeprefix("Write: ") for one in TASKS if f"now: {one}" in begun]
        name, arguments = "write", {"text": written[0]}
        if "now: Find" in begun:
            name, arguments = "search_documents", {"query": "honey"}
        return AIMessage(
            "", tool_calls=[{"name": name, "args": arguments, "id": os.urandom(4).hex()}]
        )


def work(_say: Any, home: Path, person: Person) -> dict[str, Any]:
    """Go on with the planned run that is there, else begin one; to its end, and replay it."""

    def decide(pending: Pending) -> Decision:
        why = "unknown" if pending.reason.startswith("The run ended while") else "writes"
        said = person(home, {"why": why, "arguments": dict(pending.arguments)})
        return Decision(pending.call_id, "approve" if said else "reject")

    with Collection.open("kept", home=home, embedder=HashEmbedder(), create=False) as collection:
        agent = RagAgent(
            RAG(collection, Planner(home=home)), tools(home), mode="plan", calls="native",
            kit=("search_documents", "look", "write"), limits=Limits(steps=18),
        )  # fmt: skip
        known = runs(home)
        run = agent.resume(known[0].run_id, (), decide) if known else agent.run(GOAL, decide)
        diverges = agent.replay(run.run_id)
    return {
        "answer": run.answer,
        "status": run.status,
        "effects": lines(home / EFFECTS),
        "plan": [(one.n, one.text, one.status, one.finding) for one in run.plan],
        "steps": [(one.n, one.task, one.tool) for one in run.steps],
        "errors": [one.error for one in run.steps if one.error],
        "diverges": [one.what for one in diverges],
    }
