"""A goal planned, worked on task by task, and reported on."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import Field

from agents import RagAgent
from agents.loop.types import Acting, Decision, Limits, Pending, Planned, Run, Stepped, Task
from agents.toolbox.adapting import as_tool
from indexes.collection import Collection
from rag import RAG
from tests.agents.scripted_agent import USAGE, ScriptedAgent, call, say
from tests.indexes.hash_embedder import HashEmbedder

TEXTS = {
    "/offers/a.md": "Alder & Co. offers the roof for 4200 euros, within five weeks.",
    "/offers/b.md": "Birch Ltd offers the roof for 3900 euros. Its guarantee is two years.",
    "/offers/竹.md": "竹子公司报价三千八百欧元，八周内完成。",
}
GOAL = "Compare the offers of Alder and Birch"
TWO = {"tasks": ["Find the offer of Alder", "Find the offer of Birch"]}
KEEP: dict[str, list[str]] = {"drop": [], "add": []}
MET = {"met": True, "missing": []}
ALDER = "Alder & Co. offers the roof for 4200 euros. [1]"
BIRCH = "Birch Ltd offers the roof for 3900 euros. [2]"
Make = Callable[..., RagAgent]


class Planning(ScriptedAgent):
    """Plans as a test says; works on the task that it reads: searches for it, then says what
    ``findings`` has for it."""

    plans: list[Any] = Field(default_factory=list)
    revisions: list[Any] = Field(default_factory=list)
    reflections: list[Any] = Field(default_factory=list)
    findings: dict[str, Any] = Field(default_factory=dict)
    thought_of: list[str] = Field(default_factory=list)

    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **options: Any
    ) -> ChatResult:
        text = str(messages[-1].text)
        for said, sign in (
            (self.plans, '"tasks"'), (self.revisions, '"drop"'), (self.reflections, '"met"'),
        ):  # fmt: skip
            if sign in text and not options.get("with_tools"):
                kind = sign.strip('"')
                self.thought_of.append(kind)
                seen = self.thought_of.count(kind)
                object_ = said[min(seen, len(said)) - 1]
                if isinstance(object_, BaseException):
                    raise object_
                reply = say(object_ if isinstance(object_, str) else json.dumps(object_))
                return ChatResult(generations=[ChatGeneration(message=reply)])
        return super()._generate(messages, stop, run_manager, **options)


def planning(**scripts: Any) -> Planning:
    given = {
        "plans": [TWO],
        "revisions": [KEEP],
        "reflections": [MET],
        "closing": "Birch is cheaper.",
    }
    chat = Planning(**{**given, **scripts})
    if not chat.moves:
        chat.moves.append(lambda messages: work_on(chat, messages))
    return chat


def work_on(chat: Planning, messages: Sequence[BaseMessage]) -> AIMessage:
    """Searches for the task at the beginning of the conversation, then answers."""
    task = str(next(one for one in messages if one.type == "human").text)
    last = messages[-1]
    found = [(key, value) for key, value in chat.findings.items() if key in task]
    wanted = found[0][1] if found else None
    key = "Alder" if "now: Find the offer of Alder" in task else "Birch"
    if last.type == "human":
        if isinstance(wanted, AIMessage):
            return wanted.model_copy(deep=True)
        return call("search_documents", f"I look for {key}.", query=f"roof offer of {key}")
    if isinstance(wanted, str):
        return say(wanted)
    return say(ALDER if key == "Alder" else BIRCH)


@pytest.fixture
def offers(tmp_path: Path) -> Iterator[Collection]:
    with Collection.open("test", home=tmp_path / "home", embedder=HashEmbedder()) as opened:
        opened.add_texts(list(TEXTS.values()), None, list(TEXTS))
        yield opened


@pytest.fixture
def agent(offers: Collection) -> Make:
    def make(chat: Planning | None = None, tools: Any = (), **options: Any) -> RagAgent:
        return RagAgent(RAG(offers, chat or planning()), tools, mode="plan", **options)

    return make


def chat_of(agent: RagAgent) -> Planning:
    chat = agent.rag.chat()
    assert isinstance(chat, Planning)
    return chat


def statuses(run: Run) -> list[tuple[str, str]]:
    return [(one.text, one.status) for one in run.plan]


# -- to the end ------------------------------------------------------------------------------------


def test_a_goal_is_planned_worked_on_and_reported(agent: Make) -> None:
    run = agent().run(GOAL)
    assert (run.status, run.reason) == ("done", "")
    assert run.plan == (
        Task(1, "Find the offer of Alder", "done", ALDER),
        Task(2, "Find the offer of Birch", "done", BIRCH),
    )
    assert [(step.n, step.tool, step.task) for step in run.steps] == [
        (1, "search_documents", 1), (2, None, 1), (3, "search_documents", 2), (4, None, 2),
    ]  # fmt: skip


def test_a_section_tells_of_its_task_alone(agent: Make) -> None:
    """What nothing supports is marked; no answer to the whole goal takes its place."""
    findings = {"now: Find the offer of Alder": "Alder charges 7777 dollars. [1]"}
    chat = planning(findings=findings, closing="Birch Ltd offers the roof for 3900 euros. [1]")
    chat.yes = "No"
    run = agent(chat).run(GOAL)
    assert "## Find the offer of Alder\n\nAlder charges 7777 dollars. [?]" in run.answer


def test_the_report_is_markdown_with_sources(agent: Make) -> None:
    run = agent(planning(closing="## Result\nBirch Ltd offers the roof for 3900 euros. [1]")).run(
        GOAL
    )
    lead, first, second, sources = run.answer.split("\n\n## ")
    assert lead == BIRCH  # its passage has number 2 among all that were seen
    assert first == f"Find the offer of Alder\n\n{ALDER}"
    assert second == f"Find the offer of Birch\n\n{BIRCH}"
    assert sources.splitlines()[0] == "Sources"
    assert [line.partition(" (")[2] for line in sources.splitlines()[2:]] == [
        "/offers/a.md)", "/offers/b.md)",
    ]  # fmt: skip
    assert {one.support for one in run.citations} == {"verbatim"}


def test_each_task_has_a_context_of_its_own(agent: Make) -> None:
    chat = planning()
    agent(chat).run(GOAL)
    second = chat.asked[2]
    assert [one.type for one in second] == ["system", "human"]
    assert ALDER in str(second[1].text), "the finding of the first task"
    assert "within five weeks" not in str(second[1].text), "the passage that it read"


def test_what_no_passage_says_is_marked_in_the_report(agent: Make) -> None:
    chat = planning(
        findings={"now: Find the offer of Birch": "Birch Ltd charges 9999 dollars. [2]"}
    )
    chat.yes = "No"
    run = agent(chat).run(GOAL)
    assert "Birch Ltd charges 9999 dollars. [?]" in run.answer.replace(
        "dollars [?].", "dollars. [?]"
    )


def test_the_events_tell_of_the_tasks(agent: Make) -> None:
    events = list(agent().stream(GOAL))
    kinds = [type(one).__name__ for one in events]
    assert kinds[:4] == ["Began", "Planned", "Acting", "Stepped"]
    assert kinds[-1] == "Ended"
    assert [one.n for one in events if isinstance(one, Acting)] == [1, 3]
    assert [one.step.n for one in events if isinstance(one, Stepped)] == [1, 2, 3, 4]
    assert [one.step.task for one in events if isinstance(one, Stepped)] == [1, 1, 2, 2]
    lists = [one.tasks for one in events if isinstance(one, Planned)]
    assert [one.status for one in lists[0]] == ["open", "open"]
    assert [one.status for one in lists[-1]] == ["done", "done"]
    assert len(lists) == len(set(lists)), "the same list is told once"


# -- weak planners ---------------------------------------------------------------------------------


@pytest.mark.parametrize("plan", [{"tasks": []}, {"tasks": [GOAL, GOAL]}, "no idea", ""])
def test_a_plan_that_is_none_works_on_the_goal(agent: Make, plan: Any) -> None:
    chat = planning(plans=[plan])
    run = agent(chat).run(GOAL)
    assert statuses(run) == [(GOAL, "done")]
    assert str(chat.asked[0][1].text) == GOAL
    assert run.status == "done"
    assert run.answer.startswith(BIRCH.replace("[2]", "[1]"))
    assert run.answer.count("## ") == 1, "the sources only"


def test_few_steps_allow_one_task_only(agent: Make) -> None:
    chat = planning()
    run = agent(chat, limits=Limits(steps=4)).run(GOAL)
    assert chat.thought_of == []
    assert statuses(run) == [(GOAL, "done")]


def test_the_plan_is_revised_by_what_was_learned(agent: Make) -> None:
    both = f"{ALDER} One can find the offer of Birch in the same folder."
    chat = planning(
        revisions=[{"drop": [2], "add": ["Find the offer of Birch in writing"]}],
        findings={"now: Find the offer of Alder": both},
    )
    run = agent(chat).run(GOAL)
    assert statuses(run) == [
        ("Find the offer of Alder", "done"),
        ("Find the offer of Birch", "dropped"),
        ("Find the offer of Birch in writing", "done"),
    ]
    assert "Find the offer of Birch\n" not in run.answer


def test_a_reflection_adds_one_round_and_no_more(agent: Make) -> None:
    chat = planning(reflections=[{"met": False, "missing": ["Find the guarantee"]}])
    run = agent(chat).run(GOAL)
    assert statuses(run)[2:] == [("Find the guarantee", "done")]
    assert chat.thought_of.count("met") == 1


def test_a_model_that_never_stops_planning_is_stopped(agent: Make) -> None:
    chat = planning(
        revisions=[{"drop": [], "add": [f"Find thing {n}", f"Find item {n}"]} for n in range(40)],
        reflections=[{"met": False, "missing": [f"Find rest {n}"]} for n in range(40)],
    )
    run = agent(chat, limits=Limits(steps=40)).run(GOAL)
    assert len([one for one in run.plan if one.status == "done"]) <= 7
    assert len(run.steps) <= 40


# -- limits ----------------------------------------------------------------------------------------


def test_the_steps_are_shared_and_end_the_run(agent: Make) -> None:
    chat = planning()
    n = iter(range(100))
    chat.moves[0] = lambda _: call("search_documents", query=f"roof {next(n)}")
    run = agent(chat, limits=Limits(steps=8, idle=50)).run(GOAL)
    assert len(run.steps) <= 8
    assert {step.task for step in run.steps} == {1, 2}
    assert run.status == "stopped"
    assert "8 steps" in run.reason
    assert run.answer


def test_the_tokens_of_the_planner_count(agent: Make) -> None:
    run = agent(limits=Limits(tokens=150)).run(GOAL)
    assert run.status == "stopped"
    assert run.usage.prompt_tokens + run.usage.completion_tokens >= 150
    spent = agent().run(GOAL).usage
    calls = 4 + 1 + 1 + 1 + 1  # steps, plan, revision, reflection, conclusion
    assert spent.prompt_tokens >= calls * USAGE["input_tokens"]


def test_a_run_stopped_by_a_limit_goes_on_with_more(agent: Make) -> None:
    first = agent(limits=Limits(steps=6, tokens=450))
    run = first.run(GOAL)
    assert run.status == "stopped"
    again = agent(chat_of(first)).resume(run.run_id)
    assert again.status == "done"
    assert [status for _, status in statuses(again)] == ["done", "done"]


# -- approvals -------------------------------------------------------------------------------------


class Diary:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def write_diary(self, text: str) -> str:
        """Writes a line into the diary."""
        self.lines.append(text)
        return f"Written as line {len(self.lines)}."

    @property
    def tool(self) -> Any:
        return as_tool(self.write_diary, "write", tainted=False)


def writing() -> Planning:
    plan = {"tasks": ["Find the offer of Alder", "Write the price into the diary"]}
    write = call("write_diary", "I write it.", text="Alder & Co. offers the roof for 4200 euros")
    return planning(plans=[plan], findings={"now: Write the price": write})


def test_a_call_within_a_task_waits_and_goes_on(agent: Make) -> None:
    diary, chat = Diary(), writing()
    waiting = agent(chat, (diary.tool,)).run(GOAL)
    assert waiting.status == "waiting_for_approval"
    assert diary.lines == []
    assert [one.tool for one in waiting.pending] == ["write_diary"]
    assert [step.task for step in waiting.steps] == [1, 1]
    done = agent(chat, (diary.tool,)).resume(
        waiting.run_id, [Decision(waiting.pending[0].call_id, "approve")]
    )
    assert done.status == "done"
    assert diary.lines == ["Alder & Co. offers the roof for 4200 euros"]
    assert [step.tool for step in done.steps] == ["search_documents", None, "write_diary", None]
    assert chat.thought_of.count("tasks") == 1, "planned once"


def test_a_rejection_reaches_the_task(agent: Make) -> None:
    diary, chat = Diary(), writing()

    def decide(pending: Pending) -> Decision:
        return Decision(pending.call_id, "reject", reason="not today")

    run = agent(chat, (diary.tool,)).run(GOAL, decide)
    assert diary.lines == []
    assert "not today" in (run.steps[2].error or "")


def test_what_an_earlier_task_read_still_needs_approval(agent: Make) -> None:
    """The second task has a context of its own, but what it is told comes from documents."""
    diary, chat = Diary(), writing()
    run = agent(chat, (diary.tool,), approve="always").run(GOAL)
    assert run.status == "waiting_for_approval"
    assert diary.lines == []
    assert run.pending[0].tainted == ("text",)


def test_a_conclusion_that_knows_nothing_does_not_meet_the_goal(agent: Make) -> None:
    run = agent(planning(closing="I don't know.")).run(GOAL)
    assert run.status == "stopped"
    assert ALDER in run.answer


def test_a_task_before_anything_was_read_needs_none(agent: Make) -> None:
    diary = Diary()
    chat = planning(
        plans=[{"tasks": ["Write hello into the diary", "Find the offer of Birch"]}],
        findings={"now: Write hello": call("write_diary", "", text="hello")},
    )
    run = agent(chat, (diary.tool,), approve="always").run("Write hello, then find Birch")
    assert diary.lines == ["hello"]
    assert run.status == "done"


# -- gone on with ----------------------------------------------------------------------------------


def test_numbers_of_passages_stay_when_a_task_is_gone_on_with(agent: Make) -> None:
    """The task that waits has seen a passage of its own."""
    diary = Diary()
    seen = call("search_documents", "", query="roof offer of Birch")
    write = call("write_diary", "", text="x")

    def moves(messages: Sequence[BaseMessage]) -> AIMessage:
        task, last = str(messages[1].text), messages[-1]
        if "now: Find the offer of Alder" in task:
            return work_on(chat, messages)
        if last.type == "human":
            return seen.model_copy(deep=True)
        return write.model_copy(deep=True) if "Birch" in str(last.text) else say(BIRCH)

    chat = planning(moves=[moves])
    waiting = agent(chat, (diary.tool,)).run(GOAL)
    assert [step.tool for step in waiting.steps] == ["search_documents", None, "search_documents"]
    decisions = [Decision(waiting.pending[0].call_id, "approve")]
    done = agent(chat, (diary.tool,)).resume(waiting.run_id, decisions)
    assert done.status == "done"
    assert BIRCH in done.answer
    assert {(one.number, one.source) for one in done.citations} == {
        (1, "/offers/a.md"), (2, "/offers/b.md"),
    }  # fmt: skip


def test_a_replay_reads_its_state_without_a_warning(
    agent: Make, caplog: pytest.LogCaptureFixture
) -> None:
    working = agent()
    run = working.run(GOAL)
    caplog.clear()
    assert working.replay(run.run_id) == ()
    assert not caplog.records
