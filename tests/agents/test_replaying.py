"""What a run did, written down and done again from that."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent

from agents.loop.journal import Journal, read_journal
from agents.loop.keeping import HEADER, Kept, runs, runs_folder
from agents.loop.recording import Recording
from agents.loop.replaying import Divergence, RecordEnds, Replaying, replay
from agents.loop.types import Pending, Run
from indexes import failpoints
from indexes.errors import DamagedError, UsageError
from tests.agents import kept_runs
from tests.agents.kept_runs import ASKED, EFFECTS, act, lines, one_who_looks, perform

NOBODY: Callable[..., Any] = lambda **_: None  # noqa: E731


def again(home: Path) -> Callable[[Kept, Replaying], Run]:
    """The run, as it is done again."""

    def doing(kept: Kept, replaying: Replaying) -> Run:
        def decide(asked: dict[str, Any]) -> bool:
            pending = Pending(asked["id"], asked["tool"], asked["arguments"], "write", "")
            decided = replaying.decide(pending)
            return decided is not None and decided.verdict == "approve"

        return perform(home, kept, replaying, decide)

    return doing


@pytest.fixture
def done(tmp_path: Path) -> tuple[Path, str]:
    """A run that is done: its home, its name."""
    act(NOBODY, tmp_path, one_who_looks)
    return tmp_path, runs(tmp_path)[0].run_id


def test_a_run_comes_to_the_same_end_and_does_nothing(done: tuple[Path, str]) -> None:
    home, run_id = done
    before = (lines(home / EFFECTS), lines(home / ASKED))
    stored = (runs_folder(home) / run_id / "record.jsonl").read_bytes()
    assert replay(home, run_id, again(home)) == ()
    assert (lines(home / EFFECTS), lines(home / ASKED)) == before
    assert (runs_folder(home) / run_id / "record.jsonl").read_bytes() == stored
    assert len(runs(home)) == 1


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"system_prompt": "Play."}, "the instructions are different"),
        ({"tools": "one more"}, "the tools are different"),
    ],
)
def test_what_is_different_is_told_once(
    done: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any], what: str
) -> None:
    home, run_id = done

    def other(model: Any, tools: list[Any], **options: Any) -> Any:
        more = [_more] if "tools" in changed else []
        instead = {name: value for name, value in changed.items() if name != "tools"}
        return create_agent(model, [*tools, *more], **{**options, **instead})

    monkeypatch.setattr(kept_runs, "create_agent", other)
    assert replay(home, run_id, again(home)) == (Divergence(1, what),)


def _more(text: str) -> str:
    """One more tool."""
    return text


def test_another_goal_is_another_message(done: tuple[Path, str]) -> None:
    home, run_id = done

    def doing(kept: Kept, replaying: Replaying) -> Run:
        kept.header = kept.header.model_copy(update={"goal": "Write something else"})
        return again(home)(kept, replaying)

    assert replay(home, run_id, doing) == (
        Divergence(1, "message 1 of what the model is shown is different"),
    )


def test_a_decision_that_is_not_there_shows_where_it_matters(done: tuple[Path, str]) -> None:
    home, run_id = done

    def doing(kept: Kept, replaying: Replaying) -> Run:
        return perform(home, kept, replaying, lambda asked: asked["arguments"]["text"] != "two")

    assert [one.step for one in replay(home, run_id, doing)] == [4]


def test_a_run_that_asks_on_is_told(done: tuple[Path, str]) -> None:
    home, run_id = done
    kept_folder = runs_folder(home) / run_id
    whole = read_journal(kept_folder)
    models = [n for n, line in enumerate(whole) if line.kind == "model"]
    (kept_folder / "record.jsonl").unlink()
    journal = Journal(kept_folder)
    for line in whole[: models[-1]]:
        journal.write(line.kind, **line.values)
    journal.close()
    assert replay(home, run_id, again(home)) == (
        Divergence(5, "the model is asked more than is recorded"),
    )


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"answer": "42"}, "the answer is another one"),
        ({"status": "stopped"}, "it ends with «done», and ended with «stopped»"),
    ],
)
def test_another_end_is_told(done: tuple[Path, str], changed: dict[str, str], what: str) -> None:
    home, run_id = done
    file = runs_folder(home) / run_id / HEADER
    file.write_text(json.dumps({**json.loads(file.read_text()), **changed}))
    assert replay(home, run_id, again(home)) == (Divergence(5, what),)


def test_a_killed_run_has_no_more_to_say(done: tuple[Path, str]) -> None:
    home, run_id = done
    header = runs_folder(home) / run_id / HEADER
    header.write_text(json.dumps({**json.loads(header.read_text()), "status": None}))
    record = header.with_name("record.jsonl")
    data = record.read_bytes().splitlines(keepends=True)
    record.write_bytes(b"".join(data[:6]))
    assert runs(home)[0].state == "interrupted"
    assert replay(home, run_id, again(home)) == ()


def test_a_run_that_cannot_be_read(done: tuple[Path, str]) -> None:
    home, run_id = done
    with pytest.raises(UsageError):
        replay(home, "20260101-000000-abcdef", again(home))
    (runs_folder(home) / run_id / "record.jsonl").write_bytes(b"{}\n")
    with pytest.raises(DamagedError):
        replay(home, run_id, again(home))


def test_what_is_asked_outside_of_the_loop_is_remembered(tmp_path: Path) -> None:
    made: list[int] = []

    def make() -> dict[str, int]:
        made.append(1)
        return {"made": len(made)}

    recording = Recording(Journal(tmp_path))
    assert recording.remembered("plan", {"goal": "bees"}, make) == {"made": 1}
    assert recording.remembered("plan", {"goal": "bees"}, make) == {"made": 2}
    later = Recording(Journal(tmp_path))
    assert later.remembered("plan", {"goal": "bees"}, make) == {"made": 1}
    assert later.remembered("plan", {"goal": "ants"}, make) == {"made": 3}
    assert later.remembered("check", {"goal": "bees"}, make) == {"made": 4}

    replaying = Replaying(read_journal(tmp_path))
    assert replaying.remembered("plan", {"goal": "bees"}, make) == {"made": 1}
    assert replaying.remembered("plan", {"goal": "wasps"}, make) == {"made": 2}
    assert replaying.divergences == [Divergence(0, "«plan» is asked with something else")]
    with pytest.raises(RecordEnds, match="there is no record of «facts»"):
        replaying.remembered("facts", {}, make)
    assert len(made) == 4


def test_a_tool_that_failed_fails_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_runs, "Asking", _Forgiving)
    failpoints.plan("effect.before=full@1")
    try:
        act(NOBODY, tmp_path, one_who_looks)
    finally:
        failpoints.plan("")
    run_id = runs(tmp_path)[0].run_id
    assert "No space left" in runs(tmp_path)[0].header.answer  # type: ignore[union-attr]
    assert replay(tmp_path, run_id, again(tmp_path)) == ()


class _Forgiving(kept_runs.Asking):
    """Tells the model about a failure."""

    def wrap_tool_call(self, request: Any, handler: Any) -> Any:
        from langchain_core.messages import ToolMessage

        try:
            return super().wrap_tool_call(request, handler)
        except Exception as error:
            if type(error).__name__ == "GraphInterrupt":
                raise
            return ToolMessage(str(error), tool_call_id=request.tool_call["id"])
