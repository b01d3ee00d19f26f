"""Runs that are killed: what their processes do. Imported before they are forked."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import tool
from langgraph.types import Command, interrupt

from agents.loop import working
from agents.loop.acting import RagAgent
from agents.loop.keeping import Kept, begin_run, open_run, runs
from agents.loop.ledger import Ledger, Unknown
from agents.loop.recording import Recording
from agents.loop.replaying import Replaying
from agents.loop.saving import saver
from agents.loop.types import Decision, Pending, Run
from agents.toolbox.effects import declared
from indexes.collection import Collection
from indexes.failpoints import reach
from rag.answering import RAG
from rag.models import endpoint_chat
from rag.types import Usage
from tests.indexes.hash_embedder import HashEmbedder

# What a process would otherwise load when the agent begins is loaded once, before it is forked.
PRELOADED = (endpoint_chat, working)
GOAL = "Write what you see"
EFFECTS, ASKED = "effects.txt", "asked.txt"
SCRIPT: Sequence[Sequence[tuple[str, dict[str, Any]]]] = (
    [("look", {"at": "hive"})],
    [("write", {"text": "one"})],
    [("write", {"text": "two"}), ("look", {"at": "field"})],
    [("write", {"text": "three"})],
)
Person = Callable[[Path, dict[str, Any]], bool]


def line(file: Path, text: str) -> None:
    """Add a line to a file, and see it onto the disk."""
    with file.open("a", encoding="utf-8") as out:
        out.write(f"{text}\n")
        out.flush()
        os.fsync(out.fileno())


def lines(file: Path) -> list[str]:
    return file.read_text("utf-8").splitlines() if file.exists() else []


class Scripted(BaseChatModel):
    """Makes the calls of ``script``, then says ``answer``, or else what came of them. It names its
    calls anew each time that it is asked, and notes that it was."""

    home: Path
    script: Any = SCRIPT
    answer: str = ""

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Any, **_: Any) -> Any:
        return self

    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **options: Any
    ) -> ChatResult:
        if "max_tokens" in options:
            line(self.home / ASKED, "whether a passage states a claim")
            return ChatResult(generations=[ChatGeneration(message=AIMessage("Yes"))])
        done = sum(isinstance(message, AIMessage) for message in messages)
        line(self.home / ASKED, str(done))
        if done < len(self.script):
            calls = [
                {"name": name, "args": arguments, "id": f"{os.urandom(4).hex()}-{n}"}
                for n, (name, arguments) in enumerate(self.script[done])
            ]
            message = AIMessage("", tool_calls=calls)
        elif self.answer:
            message = AIMessage(self.answer)
        else:
            seen = [m.text for m in messages if isinstance(m, ToolMessage)]
            message = AIMessage(f"Done: {'; '.join(seen)}.")
        return ChatResult(generations=[ChatGeneration(message=message)])


def tools(home: Path) -> list[Any]:
    @tool
    def look(at: str) -> str:
        """Look at something."""
        return f"There are bees at the {at}"

    @tool
    def write(text: str) -> str:
        """Write a line."""
        reach("effect.before")
        line(home / EFFECTS, text)
        reach("effect.after")
        return f"{text} is line {len(lines(home / EFFECTS))}"

    return [declared(look, "read", tainted=False), write]


class Asking(AgentMiddleware[Any, Any, Any]):
    """Asks before each call that writes, and does it by the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self._ledger = ledger

    def wrap_tool_call(self, request: Any, handler: Any) -> Any:
        call = request.tool_call
        effect: Any = "read" if call["name"] == "look" else "write"
        pending = Pending(call["id"], call["name"], call["args"], effect, "")
        if effect == "write":
            said = interrupt({"why": "writes", **_plain(pending)})
            self._ledger.decided(pending, Decision(call["id"], "approve" if said else "reject"))
            if not said:
                return ToolMessage("It was rejected", tool_call_id=call["id"], status="error")

        def again(_: str) -> bool:
            return bool(interrupt({"why": "unknown", **_plain(pending)}))

        try:
            return self._ledger.once(
                call["id"], call["name"], call["args"], effect, lambda: handler(request), again
            )
        except Unknown:
            return ToolMessage("Nobody knows", tool_call_id=call["id"], status="error")


def _plain(pending: Pending) -> dict[str, Any]:
    return {"tool": pending.tool, "arguments": dict(pending.arguments), "id": pending.call_id}


def one_who_looks(home: Path, asked: dict[str, Any]) -> bool:
    """Approves what writes; has done again what was not done."""
    return bool(asked["why"] == "writes") or asked["arguments"]["text"] not in lines(home / EFFECTS)


def one_who_gives_up(home: Path, asked: dict[str, Any]) -> bool:
    """Approves what writes; has nothing done again."""
    return bool(asked["why"] == "writes")


def one_who_repeats(home: Path, asked: dict[str, Any]) -> bool:
    """Approves what writes, and has all of it done again."""
    return True


def act(_say: Any, home: Path, person: Person) -> dict[str, Any]:
    """Go on with the run that is there, else begin one; to its end."""
    known = runs(home)
    opened = open_run(home, known[0].run_id) if known else begin_run(home, GOAL, model="scripted")
    with opened as kept:
        run = perform(home, kept, Recording(kept.journal), lambda asked: person(home, asked))
        kept.ended(run)
    return {"answer": run.answer, "effects": lines(home / EFFECTS)}


def perform(
    home: Path, kept: Kept, recording: Recording | Replaying, decide: Callable[[Any], bool]
) -> Run:
    """The run in ``kept``, to its end."""
    kept.going_on()
    with saver(kept.folder) as saved:
        graph = create_agent(
            Scripted(home=home),
            tools(home),
            system_prompt="Work.",
            middleware=[Asking(Ledger(kept.journal)), recording],
            checkpointer=saved,
        )
        config: Any = {"configurable": {"thread_id": kept.run_id}}
        state = graph.get_state(config)
        given: Any = None if state.values else {"messages": [HumanMessage(kept.header.goal)]}
        while True:
            if not state.interrupts or given is not None:
                graph.invoke(given, config, durability="sync")
                state = graph.get_state(config)
            if not state.interrupts:
                break
            answers = {one.id: decide(one.value) for one in state.interrupts}
            given = Command(resume=answers)
    answer = state.values["messages"][-1].text
    return Run(kept.run_id, kept.header.goal, "done", answer, (), (), (), Usage())


SEARCHED = ([("search_documents", {"query": "honey"})], *SCRIPT)
KIT = ("search_documents", "look", "write")


def prepare(_say: Any, home: Path) -> None:
    """A collection, in which the agent looks."""
    with Collection.open("kept", home=home, embedder=HashEmbedder()) as collection:
        collection.add_texts([f"The bees made 7 kg of honey at {GOAL}."], sources=["honey.txt"])


def work(_say: Any, home: Path, person: Person) -> dict[str, Any]:
    """As `act`, with the agent itself; tells also where a replay leaves the run."""

    def decide(pending: Pending) -> Decision:
        why = "unknown" if pending.reason.startswith("The run ended while") else "writes"
        said = person(home, {"why": why, **_plain(pending)})
        return Decision(pending.call_id, "approve" if said else "reject")

    with Collection.open("kept", home=home, embedder=HashEmbedder(), create=False) as collection:
        model = Scripted(home=home, script=SEARCHED, answer="The bees made 7 kg of honey [1].")
        agent = RagAgent(RAG(collection, model), tools(home), kit=KIT, calls="native")
        known = runs(home)
        run = agent.resume(known[0].run_id, (), decide) if known else agent.run(GOAL, decide)
        diverges = agent.replay(run.run_id)
    return {
        "answer": run.answer,
        "status": run.status,
        "effects": lines(home / EFFECTS),
        "quotes": [one.quote for one in run.citations],
        "tools": [one.tool for one in run.steps],
        "errors": [one.error for one in run.steps if one.error],
        "diverges": [one.what for one in diverges],
    }
