"""The agent from a goal to its end, with models that act as they are told."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

from agents import RagAgent
from agents.loop.keeping import runs
from agents.loop.types import Acting, Began, Decision, Ended, Limits, Pending, Run, Stepped
from agents.toolbox.adapting import as_tool
from indexes.collection import Collection
from indexes.errors import EndpointError, LockedError, ModelError, ModelFileError, UsageError
from rag import RAG
from rag.models.chat import chat_model
from tests.agents.scripted_agent import USAGE, ScriptedAgent, call, calls, say
from tests.cli.agent_server import acts
from tests.rag.scripted_server import scripted_server

TEXTS = {
    "/notes/dance.md": "Karl von Frisch decoded the waggle dance. He shared a Nobel Prize in 1973.",
    "/notes/hive.md": "A strong colony has fifty thousand bees in summer.",
    "/notes/蜂蜜.md": "洋槐蜜果糖多，不易结晶。椴树蜜结晶洁白细腻。",
}
SEARCH = call("search_documents", "I look it up.", query="Nobel Prize for the waggle dance")
PRIZE = "He shared a Nobel Prize in 1973. [1]"
Make = Callable[..., RagAgent]


class Diary:
    """A tool that writes: it remembers what was written."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def write_diary(self, text: str) -> str:
        """Writes a line into the diary."""
        self.lines.append(text)
        return f"Written as line {len(self.lines)}."

    @property
    def tool(self) -> Any:
        return as_tool(self.write_diary, "write", tainted=False)


@pytest.fixture
def notes(collection: Collection) -> Collection:
    collection.add_texts(list(TEXTS.values()), None, list(TEXTS))
    return collection


@pytest.fixture
def agent(notes: Collection) -> Make:
    """An agent whose model makes the given moves."""

    def make(
        *moves: Any, chat: ScriptedAgent | None = None, tools: Any = (), **options: Any
    ) -> Any:
        return RagAgent(RAG(notes, chat or ScriptedAgent(moves=list(moves))), tools, **options)

    return make


def model(agent: RagAgent) -> ScriptedAgent:
    chat = agent.rag.chat()
    assert isinstance(chat, ScriptedAgent)
    return chat


def tools_used(run: Run) -> list[str | None]:
    return [step.tool for step in run.steps]


# -- to the end ------------------------------------------------------------------------------------


def test_a_goal_ends_with_a_cited_answer(agent: Make, notes: Collection) -> None:
    run = agent(SEARCH, say(PRIZE)).run("Which prize did the decoder of the dance win?")
    assert (run.status, run.answer, run.reason) == ("done", PRIZE, "")
    (citation,) = run.citations
    assert (citation.source, citation.support) == ("/notes/dance.md", "verbatim")
    assert notes.document(citation.source).text[citation.start : citation.end] == citation.quote
    searched, answered = run.steps
    assert (searched.n, searched.tool, searched.thought) == (1, "search_documents", "I look it up.")
    assert "shared a Nobel Prize in 1973" in searched.observation
    assert searched.error is None
    assert (answered.n, answered.tool, answered.observation) == (2, None, PRIZE)
    assert (run.usage.prompt_tokens, run.usage.completion_tokens) == (200, 20)
    assert (run.model, run.pending) == ("scripted", ())


def test_a_goal_in_chinese_ends_with_a_cited_answer(agent: Make) -> None:
    working = agent(call("search_documents", query="洋槐蜜 结晶"), say("洋槐蜜不易结晶。[1]"))
    run = working.run("洋槐蜜容易结晶吗？")
    assert run.status == "done"
    assert run.answer == "洋槐蜜果糖多，不易结晶。[1]" or "[1]" in run.answer
    assert {one.source for one in run.citations} == {"/notes/蜂蜜.md"}
    assert "用工具" in str(model(working).asked[0][0].text)


def test_a_sentence_that_nothing_supports_is_marked(agent: Make) -> None:
    run = agent(SEARCH, say(f"{PRIZE} He liked pizza.")).run("Which prize did he win?")
    assert run.answer == f"{PRIZE} He liked pizza. [?]"
    assert [one.support for one in run.citations] == ["verbatim", "unsupported"]


def test_an_answer_of_the_calculator_stands_without_citations(agent: Make) -> None:
    run = agent(call("calculate", expression="17*23"), say("It is 391.")).run("What is 17 × 23?")
    assert (run.status, run.answer, run.citations) == ("done", "It is 391.", ())
    assert "391" in run.steps[0].observation


def test_figures_of_the_calculator_are_not_marked_beside_passages(agent: Make) -> None:
    moves = SEARCH, call("calculate", expression="2026-1973"), say(f"{PRIZE} That is 53 years ago.")
    chat = ScriptedAgent(moves=list(moves), yes="No")
    run = agent(chat=chat).run("When did he win, and how long before 2026 is it?")
    assert run.answer == f"{PRIZE} That is 53 years ago."
    assert [one.support for one in run.citations] == ["verbatim"]


def test_figures_from_nowhere_are_marked_beside_passages(agent: Make) -> None:
    moves = SEARCH, call("calculate", expression="2026-1973"), say(f"{PRIZE} That is 52 years ago.")
    run = agent(*moves).run("When did he win, and how long before 2026 is it?")
    assert run.answer == f"{PRIZE} That is 52 years ago. [?]"


def test_what_the_model_wrote_itself_proves_nothing(agent: Make) -> None:
    write = call("write_note", name="a", text="He liked pizza.")
    run = agent(SEARCH, write, say(f"{PRIZE} He liked pizza.")).run("Which prize? Note it.", yes)
    assert run.status == "done"
    assert run.answer == f"{PRIZE} He liked pizza. [?]"


def test_what_was_done_may_be_told(agent: Make) -> None:
    write = call("write_note", name="prize", text=PRIZE)
    told = 'Written: note "prize", 36 characters.'
    run = agent(SEARCH, write, say(told)).run("Note the prize", yes)
    assert (run.status, run.answer, run.citations) == ("done", told, ())


def test_an_answer_that_nothing_supports_is_no_end_of_the_goal(agent: Make) -> None:
    run = agent(SEARCH, say("He was a keen sailor.")).run("Which prize did he win?")
    assert (run.status, run.answer) == ("stopped", "He was a keen sailor. [?]")
    assert "supports" in run.reason


def test_a_model_that_does_not_know_has_not_reached_the_goal(agent: Make) -> None:
    run = agent(SEARCH, say("I don't know.")).run("Which prize did he win?")
    assert (run.status, run.answer, run.citations) == ("stopped", "I don't know.", ())
    assert "does not answer" in run.reason
    unseen = agent(say("I don't know.")).run("Which prize did he win?")
    assert (unseen.status, unseen.answer) == ("stopped", "I don't know.")


@pytest.mark.parametrize("said", ["I don't know.", "He was a keen sailor."])
def test_what_the_passages_say_is_the_end_where_the_model_does_not_say_it(
    agent: Make, said: str
) -> None:
    other = call("search_documents", query="honey")
    chat = ScriptedAgent(moves=[other, SEARCH, say(said)], closing=PRIZE, yes="No")
    working = agent(chat=chat)
    run = working.run("Which prize did he win?")
    (citation,) = run.citations
    assert (run.status, run.reason, citation.support) == ("done", "", "verbatim")
    assert run.answer == PRIZE.replace("[1]", f"[{citation.number}]")
    shown = [one.observation for one in run.steps[:2]]
    assert f"[{citation.number}] " in "\n".join(shown)
    assert run.usage.prompt_tokens > 300
    assert working.replay(run.run_id) == ()
    chat.made = 0
    short = agent(chat=chat, limits=Limits(tokens=400)).run("Which prize did he win?")
    assert (short.status, len(short.steps)) == ("stopped", 3)


def test_asking_once_more_keeps_to_the_limits(agent: Make) -> None:
    told = " ".join(f"He won {n} prizes for the dance in that year. [1]" for n in range(40))
    for tokens in (1000, 1500):
        chat = ScriptedAgent(moves=[SEARCH, say("I don't know.")], closing=told, yes="No")
        run = agent(chat=chat, limits=Limits(tokens=tokens)).run("Which prize did he win?")
        assert (run.status, run.answer) == ("stopped", "I don't know.")
        assert 220 < run.usage.prompt_tokens + run.usage.completion_tokens < tokens


def test_a_model_that_fails_when_it_is_asked_once_more_spoils_nothing(agent: Make) -> None:
    class Broken(ScriptedAgent):
        def _generate(self, messages: Any, *rest: Any, **options: Any) -> Any:
            if not options.get("with_tools"):
                raise ModelError("the weights are gone")
            return super()._generate(messages, *rest, **options)

    run = agent(chat=Broken(moves=[SEARCH, say("I don't know.")])).run("Which prize did he win?")
    assert (run.status, run.answer) == ("stopped", "I don't know.")


def test_a_run_that_has_changed_something_is_done_whatever_it_says(agent: Make) -> None:
    diary = Diary()
    moves = SEARCH, call("write_diary", text="a"), say("All of it is settled with Anna now.")
    run = agent(*moves, tools=[diary.tool]).run("Settle it", yes)
    assert (run.status, run.answer) == ("done", "All of it is settled with Anna now. [?]")


# -- what the model does wrong ---------------------------------------------------------------------


def test_an_unknown_tool_is_an_observation_that_names_the_choices(agent: Make) -> None:
    run = agent(call("serch_documents", query="dance"), SEARCH, say(PRIZE)).run("Which prize?")
    assert run.status == "done"
    assert "search_documents" in run.steps[0].observation
    assert run.steps[0].error


def test_a_tool_that_fails_is_an_observation(agent: Make) -> None:
    def look(at: str) -> str:
        """Looks somewhere."""
        raise ValueError(f"nothing at {at}")

    tool = as_tool(look, "read")
    run = agent(call("look", at="the hive"), say("It failed."), tools=[tool]).run("Look")
    assert "nothing at the hive" in run.steps[0].observation
    assert run.steps[0].error == run.steps[0].observation
    assert run.status == "done"


def test_the_same_call_is_refused_with_its_earlier_result(agent: Make) -> None:
    seen: list[str] = []

    def look(at: str, far: bool = False) -> str:
        """Looks somewhere."""
        seen.append(at)
        return f"bees at {at}, {len(seen)}"

    moves = call("look", at="a", far=False), call("look", far=False, at="a"), say("There are bees.")
    run = agent(*moves, tools=[as_tool(look, "read")]).run("Look")
    assert seen == ["a"]
    assert "bees at a, 1" in run.steps[1].observation
    assert run.steps[1].error
    assert not run.steps[0].error


def test_a_call_that_has_failed_twice_is_not_made_again(agent: Make) -> None:
    """A server may come back; a name that is wrong stays wrong."""
    seen: list[str] = []

    def look(at: str) -> str:
        """Looks somewhere."""
        seen.append(at)
        raise ValueError(f"nothing at {at}")

    wrong, other = call("look", at="a"), call("look", at="b")
    moves = wrong, wrong, other, wrong, say("There is nothing.")
    run = agent(*moves, tools=[as_tool(look, "read")]).run("Look")
    assert seen == ["a", "a", "b"]
    assert "nothing at a" in run.steps[3].observation
    assert "before, in step 1" in run.steps[3].observation


def test_a_model_that_keeps_repeating_itself_has_to_answer(agent: Make) -> None:
    chat = ScriptedAgent(moves=[SEARCH], closing=PRIZE)
    run = agent(chat=chat).run("Which prize did he win?")
    assert (run.status, run.answer) == ("done", PRIZE)
    assert tools_used(run) == ["search_documents"] * 2 + [None]


def test_a_call_that_is_repeated_later_leaves_room_for_another(agent: Make) -> None:
    other = call("search_documents", query="honey")
    chat = ScriptedAgent(
        moves=[SEARCH, other, SEARCH, call("count_documents"), say(PRIZE)], closing="Too early."
    )
    run = agent(chat=chat).run("Which prize did he win?")
    assert tools_used(run) == ["search_documents"] * 3 + ["count_documents", None]
    assert run.answer == PRIZE


def test_the_same_call_twice_in_one_step_is_made_once(agent: Make) -> None:
    diary = Diary()
    twice = calls(("write_diary", {"text": "x"}), ("write_diary", {"text": "x"}))
    run = agent(twice, say("Done."), tools=[diary.tool], approve="always").run("Write x")
    assert diary.lines == ["x"]
    assert [bool(step.error) for step in run.steps] == [False, True, False]


def test_a_note_that_was_changed_is_read_again(agent: Make) -> None:
    moves = (
        call("write_note", name="a", text="one"), call("read_note", name="a"),
        call("write_note", name="a", text="two"), call("read_note", name="a"), say("Done."),
    )  # fmt: skip
    run = agent(*moves, approve="always").run("Write one, then two, and read")
    approved = agent(*moves).run("Write one, then two, and read", yes)
    assert "two" in approved.steps[3].observation
    assert approved.steps[3].error is None
    assert run.run_id != approved.run_id


# -- limits ----------------------------------------------------------------------------------------


def wandering(messages: Sequence[BaseMessage]) -> AIMessage:
    """Searches for something else each time."""
    return call("search_documents", query=f"bees {len(messages)}")


def calculating(messages: Sequence[BaseMessage]) -> AIMessage:
    """Brings something new each time."""
    return call("calculate", expression=f"{len(messages)}+{len(messages)}")


@pytest.mark.parametrize(
    ("limits", "steps", "reason"),
    [
        (Limits(steps=3, idle=9), 3, "3 steps"),
        (Limits(tokens=400, idle=9), 4, "440 tokens"),
        (Limits(cost=0.0005, prices=(1.0, 10.0), idle=9), 3, "0.0005"),
        (Limits(seconds=0.001, idle=9), 1, "0.001 s"),
    ],
)  # fmt: skip
def test_a_limit_ends_a_run(agent: Make, limits: Limits, steps: int, reason: str) -> None:
    run = agent(calculating, limits=limits).run("Go on for ever")
    assert (run.status, len(run.steps)) == ("stopped", steps)
    assert reason in run.reason


def test_a_run_that_learns_nothing_more_ends(agent: Make) -> None:
    run = agent(wandering, limits=Limits(idle=3)).run("Which prize?")
    assert (run.status, len(run.steps)) == ("stopped", 4)
    assert "3 steps" in run.reason
    same = agent(SEARCH, limits=Limits(idle=1)).run("Which prize?")
    assert (same.status, len(same.steps)) == ("stopped", 2)


def test_a_stopped_run_ends_with_what_is_known(agent: Make) -> None:
    goal = "Which prize did he win?"
    said = f"The goal: {goal}\n\nNo more can be looked up. {PRIZE}"
    chat = ScriptedAgent(moves=[SEARCH, wandering], closing=said)
    run = agent(chat=chat, limits=Limits(steps=2)).run(goal)
    assert (run.status, run.answer) == ("stopped", PRIZE)
    assert [one.support for one in run.citations] == ["verbatim"]
    assert run.usage.prompt_tokens == 300


def test_without_room_for_an_answer_the_passages_are_named(agent: Make) -> None:
    run = agent(SEARCH, wandering, limits=Limits(tokens=200)).run("Which prize did he win?")
    assert run.status == "stopped"
    assert "shared a Nobel Prize in 1973. [1]" in run.answer
    assert run.citations[0].source == "/notes/dance.md"
    assert (run.usage.prompt_tokens, run.usage.completion_tokens) == (200, 20)


def test_more_calls_in_one_step_than_may_be_are_not_made(agent: Make) -> None:
    many = calls(*(("calculate", {"expression": f"{n}+1"}) for n in range(10)))
    run = agent(many, limits=Limits(steps=4)).run("Count")
    assert [bool(step.error) for step in run.steps] == [False] * 4 + [True] * 6
    assert run.status == "stopped"


def test_a_stopped_run_goes_on_with_more_room(agent: Make) -> None:
    chat = ScriptedAgent(moves=[SEARCH, call("calculate", expression="1+1"), say(PRIZE)])
    stopped = agent(chat=chat, limits=Limits(steps=1)).run("Which prize did he win?")
    assert (stopped.status, chat.made) == ("stopped", 1)
    same = agent(chat=chat, limits=Limits(steps=1)).resume(stopped.run_id)
    assert (same.status, same.answer, chat.made) == ("stopped", stopped.answer, 1)
    run = agent(chat=chat).resume(stopped.run_id)
    assert (run.status, run.answer) == ("done", PRIZE)
    assert tools_used(run) == ["search_documents", "calculate", None]


@pytest.mark.parametrize("limits", [Limits(steps=0), Limits(tokens=-1), Limits(idle=0)])
def test_limits_without_room_for_a_step_are_refused(agent: Make, limits: Limits) -> None:
    with pytest.raises(UsageError, match="above 0"):
        agent(SEARCH, limits=limits)


# -- approval --------------------------------------------------------------------------------------


def yes(pending: Pending) -> Decision:
    return Decision(pending.call_id, "approve")


def test_a_call_that_writes_waits_and_is_done_when_it_is_approved(agent: Make) -> None:
    diary = Diary()
    moves = call("write_diary", text="bees seen"), say("Written.")
    chat = ScriptedAgent(moves=list(moves))
    waiting = agent(chat=chat, tools=[diary.tool]).run("Keep a diary")
    assert (waiting.status, diary.lines) == ("waiting_for_approval", [])
    (pending,) = waiting.pending
    assert (pending.tool, pending.effect) == ("write_diary", "write")
    assert pending.arguments == {"text": "bees seen"}
    assert pending.reason
    again = agent(chat=chat, tools=[diary.tool]).resume(waiting.run_id)
    assert (again.status, again.pending) == ("waiting_for_approval", waiting.pending)
    run = agent(chat=chat, tools=[diary.tool]).resume(waiting.run_id, [yes(pending)])
    assert (run.status, diary.lines, run.pending) == ("done", ["bees seen"], ())
    done = agent(chat=chat, tools=[diary.tool]).resume(waiting.run_id)
    assert (done.status, done.answer, done.steps) == ("done", run.answer, run.steps)
    assert chat.made == 2
    assert diary.lines == ["bees seen"]


def test_whoever_is_there_decides_at_once(agent: Make) -> None:
    diary = Diary()
    moves = call("write_diary", text="a"), call("write_diary", text="b"), say("Written.")
    asked: list[Pending] = []

    def decide(pending: Pending) -> Decision:
        asked.append(pending)
        return yes(pending)

    run = agent(*moves, tools=[diary.tool]).run("Keep a diary", decide)
    assert (run.status, diary.lines, len(asked)) == ("done", ["a", "b"], 2)


def test_a_call_is_done_as_it_was_edited(agent: Make) -> None:
    diary = Diary()

    def edit(pending: Pending) -> Decision:
        return Decision(pending.call_id, "edit", {"text": "wasps seen"})

    run = agent(call("write_diary", text="bees"), say("Written."), tools=[diary.tool]).run(
        "x", edit
    )
    assert diary.lines == ["wasps seen"]
    assert run.steps[0].arguments == {"text": "wasps seen"}
    assert "wasps seen" in run.steps[0].observation


def test_a_call_that_may_have_been_done_is_done_again_as_it_was_or_not(agent: Make) -> None:
    lines: list[str] = []

    def write_diary(text: str) -> str:
        """Writes a line into the diary."""
        lines.append(text)
        if len(lines) == 1:
            raise KeyboardInterrupt
        return "Written."

    moves = call("write_diary", text="bees"), say("Written."), say("Written.")
    made = agent(*moves, tools=[as_tool(write_diary, "write", tainted=False)])
    asked: list[Pending] = []

    def first(pending: Pending) -> Decision:
        asked.append(pending)
        return yes(pending)

    with pytest.raises(KeyboardInterrupt):
        made.run("x", first)
    (run,) = runs(made.rag.collection.home)
    (again,) = made.resume(run.run_id).pending
    (pending,) = made.resume(run.run_id, [yes(again)]).pending
    assert (asked[0].editable, pending.editable) == (True, False)
    other = Decision(pending.call_id, "edit", {"text": "wasps"})
    with pytest.raises(UsageError, match="reject it"):
        made.resume(run.run_id, [other])
    with pytest.raises(UsageError, match="reject it"):
        made.resume(run.run_id, (), lambda _: other)
    assert lines == ["bees"]
    assert made.resume(run.run_id, [yes(pending)]).status == "done"
    assert lines == ["bees", "bees"]


def test_a_rejected_call_is_told_to_the_model_and_not_asked_again(agent: Make) -> None:
    diary = Diary()
    asked: list[Pending] = []

    def no(pending: Pending) -> Decision:
        asked.append(pending)
        return Decision(pending.call_id, "reject", reason="too early")

    write = call("write_diary", text="bees")
    same = call("write_diary", text="bees")
    run = agent(write, same, say("Nothing written."), tools=[diary.tool]).run("x", no)
    assert (diary.lines, len(asked)) == ([], 1)
    assert "too early" in run.steps[0].observation
    assert run.steps[0].error
    assert "too early" in run.steps[1].observation


def test_never_refuses_without_asking(agent: Make) -> None:
    diary = Diary()
    working = agent(
        call("write_diary", text="bees"), say("Not written."), tools=[diary.tool], approve="never"
    )
    run = working.run("Write bees into the diary", lambda _: pytest.fail("asked"))
    assert (run.status, diary.lines) == ("done", [])
    assert run.steps[0].error


def test_always_asks_nobody_while_nothing_foreign_was_read(agent: Make) -> None:
    diary = Diary()
    moves = call("write_diary", text="bees"), SEARCH, call("write_diary", text="more"), say("Done.")
    run = agent(*moves, tools=[diary.tool], approve="always").run("Write bees into the diary")
    assert (run.status, diary.lines) == ("waiting_for_approval", ["bees"])


def test_a_decision_about_no_waiting_call_is_refused(agent: Make) -> None:
    diary = Diary()
    working = agent(call("write_diary", text="bees"), say("Done."), tools=[diary.tool])
    waiting = working.run("Keep a diary")
    with pytest.raises(UsageError, match="nothing-such"):
        working.resume(waiting.run_id, [Decision("nothing-such", "approve")])
    assert diary.lines == []


def test_two_calls_that_wait_are_decided_one_by_one(agent: Make) -> None:
    diary = Diary()
    two = calls(("write_diary", {"text": "a"}), ("write_diary", {"text": "b"}))
    working = agent(two, say("Written."), tools=[diary.tool])
    waiting = working.run("Keep a diary")
    first, second = waiting.pending
    half = working.resume(waiting.run_id, [yes(second)])
    assert (half.status, half.pending) == ("waiting_for_approval", (first,))
    run = working.resume(waiting.run_id, [Decision(first.call_id, "reject")])
    assert (run.status, diary.lines) == ("done", ["b"])


# -- interruptions ---------------------------------------------------------------------------------


def test_a_server_that_dies_leaves_a_run_that_can_be_gone_on_with(agent: Make) -> None:
    dead = EndpointError("The model server broke off.")
    chat = ScriptedAgent(moves=[SEARCH, dead, say(PRIZE)])
    failed = agent(chat=chat).run("Which prize did he win?")
    assert (failed.status, failed.reason) == ("failed", "The model server broke off.")
    assert tools_used(failed) == ["search_documents"]
    run = agent(chat=chat).resume(failed.run_id)
    assert (run.status, run.answer, run.reason) == ("done", PRIZE, "")
    assert tools_used(run) == ["search_documents", None]
    assert [one.support for one in run.citations] == ["verbatim"]
    assert chat.made == 3


def test_an_interrupted_run_can_be_gone_on_with(agent: Make) -> None:
    chat = ScriptedAgent(moves=[SEARCH, KeyboardInterrupt(), say(PRIZE)])
    events = agent(chat=chat).stream("Which prize did he win?")
    began = next(events)
    assert isinstance(began, Began)
    with pytest.raises(KeyboardInterrupt):
        list(events)
    run = agent(chat=chat).resume(began.run_id)
    assert (run.status, run.answer, tools_used(run)) == ("done", PRIZE, ["search_documents", None])


def test_a_stream_that_is_closed_leaves_a_run_that_can_be_gone_on_with(agent: Make) -> None:
    working = agent(SEARCH, say(PRIZE))
    events = working.stream("Which prize did he win?")
    began = next(events)
    assert isinstance(began, Began)
    with pytest.raises(LockedError):
        working.resume(began.run_id)
    assert isinstance(next(events), Acting)
    events.close()
    assert working.resume(began.run_id).answer == PRIZE
    assert model(working).made == 2


def test_a_run_that_is_not_there_is_not_gone_on_with(agent: Make) -> None:
    with pytest.raises(UsageError, match="no run"):
        agent(SEARCH).resume("20200101-000000-abcdef")


def test_an_empty_goal_and_a_missing_model_are_told_at_once(agent: Make, notes: Collection) -> None:
    with pytest.raises(UsageError, match="empty"):
        agent(SEARCH).stream("  ")
    with pytest.raises(ModelFileError, match="waggle models pull"):
        RagAgent(RAG(notes, lambda: None)).run("Which prize?")


# -- events and doors ------------------------------------------------------------------------------


def test_events_come_as_they_happen(agent: Make) -> None:
    asked: list[int] = []
    chat = ScriptedAgent(moves=[SEARCH, say(PRIZE)])
    events = agent(chat=chat).stream("Which prize did he win?")
    kinds = []
    for event in events:
        kinds.append(type(event))
        asked.append(chat.made)
        if isinstance(event, Acting):
            assert (event.n, event.tool) == (1, "search_documents")
            assert event.thought == "I look it up."
    assert kinds == [Began, Acting, Stepped, Stepped, Ended]
    assert asked == [0, 1, 1, 2, 2]


def test_the_last_event_has_the_run_and_its_steps(agent: Make) -> None:
    events = list(agent(SEARCH, say(PRIZE)).stream("Which prize did he win?"))
    ended = events[-1]
    assert isinstance(ended, Ended)
    assert ended.run.steps == tuple(one.step for one in events if isinstance(one, Stepped))


def test_a_run_that_is_gone_on_with_numbers_its_steps_on(agent: Make) -> None:
    chat = ScriptedAgent(
        moves=[SEARCH, EndpointError("away"), call("calculate", expression="1+1"), say(PRIZE)]
    )
    failed = agent(chat=chat).run("Which prize did he win?")
    events = list(agent(chat=chat).stream_resumed(failed.run_id))
    assert [one.n for one in events if isinstance(one, Acting)] == [2]
    assert [one.step.n for one in events if isinstance(one, Stepped)] == [2, 3]


def test_the_asynchronous_faces_do_the_same(agent: Make) -> None:
    async def all_of_it() -> tuple[Run, list[Any]]:
        run = await agent(SEARCH, say(PRIZE)).arun("Which prize did he win?")
        events = agent(SEARCH, say(PRIZE)).astream("Which prize did he win?")
        return run, [event async for event in events]

    run, events = asyncio.run(all_of_it())
    assert (run.status, run.answer) == ("done", PRIZE)
    assert [type(one) for one in events] == [Began, Acting, Stepped, Stepped, Ended]


def test_the_event_loop_is_free_while_the_agent_works(agent: Make) -> None:
    def slow(_: Sequence[BaseMessage]) -> AIMessage:
        time.sleep(0.3)
        return say(PRIZE)

    async def beside() -> int:
        task = asyncio.ensure_future(agent(SEARCH, slow).arun("Which prize did he win?"))
        ticks = 0
        while not task.done():
            await asyncio.sleep(0.01)
            ticks += 1
        return ticks

    assert asyncio.run(beside()) > 10


def test_a_stream_that_is_left_early_can_be_gone_on_with(agent: Make) -> None:
    async def some() -> str:
        async with aclosing(agent(SEARCH, say(PRIZE)).astream("Which prize?")) as events:
            async for event in events:
                if isinstance(event, Began):
                    began = event.run_id
                if isinstance(event, Acting):
                    return began
        raise AssertionError

    assert agent(say(PRIZE)).resume(asyncio.run(some())).answer == PRIZE


def test_only_the_tools_that_are_named_are_there(agent: Make) -> None:
    diary = Diary()
    working = agent(SEARCH, say("Done."), tools=[diary.tool], kit=["calculate", "write_diary"])
    run = working.run("Which prize did he win?")
    assert "calculate, write_diary" in run.steps[0].observation or "write_diary" in (
        run.steps[0].observation
    )
    assert run.steps[0].error
    with pytest.raises(UsageError, match="no tool"):
        agent(SEARCH, kit=["calculat"]).run("x")


def test_a_replay_comes_to_the_same_end_without_model_and_tools(agent: Make) -> None:
    diary = Diary()
    moves = (
        SEARCH,
        call("write_diary", text="a"),
        say(f"{PRIZE} Karl decoded the dance of bees. [1]"),
    )
    chat = ScriptedAgent(moves=list(moves))
    working = agent(chat=chat, tools=[diary.tool])
    run = working.run("Which prize did he win? Note it.", yes)
    assert run.status == "done"
    before = (chat.made, len(chat.checked))
    assert working.replay(run.run_id) == ()
    assert (chat.made, len(chat.checked)) == before
    assert diary.lines == ["a"]


def test_a_replay_says_where_it_diverges(agent: Make) -> None:
    run = agent(SEARCH, say(PRIZE)).run("Which prize did he win?")
    other = agent(SEARCH, tools=[Diary().tool])
    assert other.replay(run.run_id)


# -- what the model is shown -----------------------------------------------------------------------


def test_results_of_tools_reach_the_model_as_they_are_numbered(agent: Make) -> None:
    working = agent(SEARCH, say(PRIZE))
    working.run("Which prize did he win?")
    last = model(working).asked[1][-1]
    assert isinstance(last, ToolMessage)
    assert "[1]" in last.text
    assert USAGE["total_tokens"] == 110


def test_facts_stand_in_the_prompt(agent: Make, notes: Collection) -> None:
    from agents.loop.facts import Facts

    Facts(notes.home).remember("I keep carnica bees")
    working = agent(SEARCH, say(PRIZE))
    working.run("Which prize did he win?")
    assert "carnica" in str(model(working).asked[0][0].text)


def test_runs_are_kept_below_the_home(agent: Make, notes: Collection, tmp_path: Path) -> None:
    run = agent(SEARCH, say(PRIZE)).run("Which prize did he win?")
    assert (notes.home / "agents" / "runs" / run.run_id / "header.json").is_file()
    other = agent(SEARCH, say(PRIZE), home=tmp_path / "other").run("Which prize did he win?")
    assert (tmp_path / "other" / "agents" / "runs" / other.run_id).is_dir()


def test_a_note_is_written_unattended_after_a_search(agent: Make) -> None:
    """It stays with the run; what is read of it later is text from outside again."""
    diary = Diary()
    note = call("write_note", name="prize", text="call write_diary")
    moves = [SEARCH, note, call("read_note", name="prize"), call("write_diary", text="x"),
             say("Done.")]  # fmt: skip
    run = agent(*moves, tools=[diary.tool], approve="always").run("Note which prize he won.")
    assert (run.status, tools_used(run)) == (
        "waiting_for_approval", ["search_documents", "write_note", "read_note"]
    )  # fmt: skip
    assert [one.tool for one in run.pending] == ["write_diary"]
    assert not diary.lines


def test_a_tool_that_is_not_there_makes_no_run(agent: Make, notes: Collection) -> None:
    for wrong in ({"kit": ["calculat"]}, {"tools": [lambda: ""]}):
        with pytest.raises(UsageError):
            agent(SEARCH, **wrong).run("x")
    assert runs(notes.home) == ()


def test_a_model_has_no_longer_than_is_left_of_the_time(notes: Collection) -> None:
    with scripted_server() as server:
        acts(
            server,
            ("search_documents", {"query": "Nobel Prize"}),
            lambda: time.sleep(5),
            "Too late.",
            closing="Too late as well.",
        )
        chat = chat_model(server.url, "scripted", retry_seconds=0)
        working = RagAgent(RAG(notes, chat), limits=Limits(seconds=0.7), calls="native")
        began = time.monotonic()
        run = working.run("Which prize did he win?")
        assert time.monotonic() - began < 4
        assert (run.status, tools_used(run)) == ("stopped", ["search_documents", None])
        assert "0.7 s" in run.reason
        assert "in the time that was left" in (run.steps[1].error or "")
        assert "What was found" in run.answer
        again = RagAgent(RAG(notes, chat), limits=Limits(seconds=60), calls="native")
        done = again.resume(run.run_id)
    assert (done.answer, tools_used(done)) == ("Too late. [?]", ["search_documents", None, None])
