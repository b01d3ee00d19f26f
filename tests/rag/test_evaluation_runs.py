"""Runs: asked over a real socket, kept line by line, gone on with, asked again, compared."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexes.errors import (
    DamagedError,
    EndpointError,
    LockedError,
    SourceError,
    UnknownSourceError,
    UsageError,
)
from rag.evaluation.comparing import changed_bindings, compare, divergences
from rag.evaluation.evaluator import Plan, bind, evaluate, prepared
from rag.evaluation.records import Outcome
from rag.evaluation.runs import Run, Runs
from rag.evaluation.scoring import Scores, score
from rag.models.chat import chat_model
from rag.prompting.library import built_in
from rag.thresholds import UNFITTED, Threshold, keep_thresholds
from tests.rag.evaluation_server import Pupil, pupil_server

SMALL = Path(__file__).resolve().parents[1] / "data" / "evaluation"
DRAFTS = {
    "Which wood does the potter fire": "The potter fires the kiln with beech wood. [1]",
    "Who repaired the wheel": "The miller Agnes Tarn repaired the wheel after the flood. [1]",
    "How many times a day": "The ferry crosses the lake six times a day. [1]",
    "How many arches": "The stone bridge has five arches. [1]",
    "How many pear trees": "The orchard was planted with forty pear trees. [1]",
    "陶工用什么木头": "陶工用榉木烧窑。[1]",
    "谁修好了": "磨坊主唐安修好了水轮。[1]",
}
SHORTS = {"Which wood": "beech wood", "Who repaired the wheel": "Agnes Tarn",
          "How many times": "six", "How many arches": "five arches", "How many pear": "forty",
          "陶工": "榉木", "谁修好了": "唐安"}  # fmt: skip
MEMORY = {"How many arches": "Seven."}


@pytest.fixture(autouse=True)
def _small_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAGGLE_EVAL_DATA", str(SMALL))


@pytest.fixture
def pupil() -> Iterator[Pupil]:
    with pupil_server() as server:
        server.drafts, server.shorts, server.memory = dict(DRAFTS), dict(SHORTS), dict(MEMORY)
        yield server


def run(
    home: Path, pupil: Pupil, plan: Plan, resume: str | None = None, *, runs: Runs | None = None
) -> Run:
    chat = chat_model(pupil.url, retry_seconds=0)
    with prepared(plan, home) as ready:
        runs = runs or Runs(home)
        return evaluate(ready, bind(ready, chat, runs), chat, runs, resume)


def squad(**changes: object) -> Plan:
    return replace(Plan("squad_en", limit=None, half="all"), **changes)  # type: ignore[arg-type]


def figures(scores: Scores) -> dict[str, float]:
    return {figure.name: figure.value for figure in scores.figures}


def by_pipeline(done: Run) -> dict[str, Scores]:
    return {s.pipeline: s for s in score(done.outcomes, done.header.scoring)}


# -- what is measured ------------------------------------------------------------------------------


def test_figures_of_all_pipelines_are_those_computed_by_hand(home: Path, pupil: Pupil) -> None:
    done = run(home, pupil, squad(baseline=True, concurrency=3))
    assert done.complete
    assert len(done.outcomes) == 27
    scores = by_pipeline(done)
    naive, waggle, closed = (figures(scores[n]) for n in ("naive", "waggle", "closed-book"))
    # Six answerable: four exactly right, «five arches» for «five» (F1 2/3), one refused.
    assert naive["EM"] == pytest.approx(4 / 6)
    assert naive["F1"] == pytest.approx((4 + 2 / 3) / 6)
    assert naive["EM of the whole text"] == 0
    assert naive["refused wrongly"] == pytest.approx(1 / 6)
    # Three without an answer, all refused; the first three with one beside them.
    assert naive["refusal recall"] == 1
    assert naive["balanced accuracy"] >= (1 + 2 / 3) / 2
    assert naive["citation names gold"] == naive["citation precision"] == 1
    assert waggle["EM"] == naive["EM"]
    assert waggle["citation names gold"] == 1
    # By heart it knows of the arches, whose short form is extracted as «five arches» again.
    assert closed["EM"] == 0
    assert closed["F1"] == pytest.approx(2 / 3 / 6)
    assert closed["F1 of the whole text"] == 0
    assert "citation names gold" not in closed
    assert "gold among passages" not in closed
    assert naive["prompt tokens"] == 30
    assert naive["calls"] == 1
    assert naive["R@1"] > 0.8


def test_an_outcome_holds_what_is_needed_to_judge_it(home: Path, pupil: Pupil) -> None:
    done = run(home, pupil, squad(limit=6))
    outcome = next(o for o in done.outcomes if o.question.id == "e1")
    reply = outcome.reply
    assert reply.text == DRAFTS["Which wood does the potter fire"]
    assert (reply.short, reply.short_by) == ("beech wood", "extraction")
    assert reply.citations[0].source == "kiln"
    assert "beech wood" in reply.citations[0].quote
    assert reply.contexts[0].source == "kiln"
    assert reply.calls[0].reply == reply.text
    assert len(reply.short_calls) == 1
    assert reply.calls[0].prompt != reply.short_calls[0].prompt
    header = done.header
    assert (header.model, header.half, header.options["k"]) == ("pupil", "all", 3)
    assert "as few words as possible" in header.prompts["naive.en"]
    assert header.settings["temperature"] == 0
    assert list(header.collections.values()) == [1]


def test_chinese_without_its_paragraph_is_searched_without_it(home: Path, pupil: Pupil) -> None:
    done = run(home, pupil, Plan("cmrc2018_zh", limit=None, half="all"))
    removed = [o for o in done.outcomes if not o.question.answerable]
    assert len(removed) == 5
    for outcome in removed:
        assert not {p.source for p in outcome.reply.contexts} & set(outcome.question.gold)
    asked = next(o for o in done.outcomes if o.question.id == "z1")
    assert asked.reply.short == "榉木"
    (scores,) = score(done.outcomes, "short")
    assert figures(scores)["EM"] == pytest.approx(2 / 5)


def test_a_prompt_that_is_too_long_fails_that_question_alone(home: Path, pupil: Pupil) -> None:
    pupil.too_long = "How many arches"
    done = run(home, pupil, squad(baseline=True))
    assert done.complete
    failed = [o for o in done.outcomes if o.reply.status == "failed"]
    assert {o.question.id for o in failed} == {"e4"}
    assert "naive" in {o.pipeline for o in failed}
    assert all(o.reply.error for o in failed)
    assert figures(by_pipeline(done)["naive"])["EM"] == pytest.approx(4 / 6)


def test_the_search_alone_needs_no_model(home: Path) -> None:
    plan = squad(retrieval_only=True)
    with prepared(plan, home) as ready:
        done = evaluate(ready, bind(ready, None, Runs(home)), None, Runs(home))
    (scores,) = score(done.outcomes, "short")
    assert scores.questions == 6
    assert figures(scores)["R@5"] == 1
    some = [
        one.model_copy(update={"question": replace(one.question, refusal=True, answerable=odd)})
        for odd, one in zip((True, False) * 3, done.outcomes, strict=True)
    ]
    for outcomes in (done.outcomes, some):
        changes = compare(outcomes, outcomes, "short")
        assert {change.name for change in changes} == {"seconds"}
    with prepared(squad(), home) as ready, pytest.raises(UsageError, match="--retrieval-only"):
        bind(ready, None, Runs(home))


def test_the_sets_collection_is_made_once(home: Path, pupil: Pupil) -> None:
    first, second = run(home, pupil, squad(limit=1)), run(home, pupil, squad(limit=1))
    assert first.header.collections == second.header.collections
    assert first.header.run != second.header.run
    assert len(list((home / "evaluations" / "collections").iterdir())) == 1
    assert not (home / "collections").exists()


def test_ones_own_questions_about_ones_own_collection(
    home: Path, pupil: Pupil, tmp_path: Path
) -> None:
    from indexes.collection import Collection

    kiln = tmp_path / "notes" / "kiln.txt"
    kiln.parent.mkdir()
    kiln.write_text("The potter fires the kiln with beech wood.", "utf-8")
    with Collection.open("mine", home=home) as collection:
        collection.add([kiln])
    file = tmp_path / "mine.jsonl"
    question = "Which wood does the potter fire the kiln with?"
    file.write_text(json.dumps({"question": question, "answers": ["beech wood"],
                                "gold": ["kiln.txt"]}), "utf-8")  # fmt: skip
    done = run(home, pupil, Plan(str(file), "mine"))
    assert done.outcomes[0].question.gold == (str(kiln),)
    (scores,) = score(done.outcomes, "short")
    assert figures(scores)["EM"] == figures(scores)["citation names gold"] == 1
    again = Plan.of(done.header, 1)
    assert (again.dataset, again.collection, again.half) == (str(file), "mine", "all")
    file.write_text(json.dumps({"question": question, "gold": ["nothing.txt"]}), "utf-8")
    with pytest.raises(UnknownSourceError):
        run(home, pupil, Plan(str(file), "mine"))


# -- stopped and gone on with ----------------------------------------------------------------------


def test_a_run_whose_server_went_away_goes_on(home: Path, pupil: Pupil) -> None:
    pupil.fails_after = 7
    with pytest.raises(EndpointError):
        run(home, pupil, squad())
    runs = Runs(home)
    (name,) = runs.names()
    begun = runs.read(name)
    assert 0 < len(begun.outcomes) < begun.wanted
    assert runs.unfinished(begun.header) is not None
    pupil.fails_after = None
    before = len(pupil.bodies)
    done = run(home, pupil, Plan.of(begun.header, 1), resume=name)
    assert done.complete
    assert done.outcomes[: len(begun.outcomes)] == begun.outcomes
    asked = "".join(json.dumps(body) for body in pupil.bodies[before:])
    assert begun.outcomes[0].question.text not in asked
    assert runs.unfinished(begun.header) is None


def test_a_torn_line_is_asked_again(home: Path, pupil: Pupil) -> None:
    done = run(home, pupil, squad(limit=3))
    runs = Runs(home)
    file = runs.folder / f"{done.header.run}.jsonl"
    whole = file.read_bytes()
    for torn in (whole[:-20], whole[:-1], whole[:-20] + b"\0" * 50, whole + b"\0" * 9 + b"\n"):
        file.write_bytes(torn)
        expected = len(done.outcomes) - (torn[:-20] != whole[:-20] or len(torn) < len(whole))
        assert len(runs.read(done.header.run).outcomes) in (expected, len(done.outcomes))
        again = run(home, pupil, Plan.of(done.header, 1), resume=done.header.run)
        assert again.complete
        assert {o.question.id for o in again.outcomes} == {o.question.id for o in done.outcomes}
        assert file.read_bytes().count(b"\n") == len(done.outcomes) + 1


@pytest.fixture(scope="module")
def lines(
    tmp_path_factory: pytest.TempPathFactory, models_folder: Path
) -> tuple[bytes, tuple[Outcome, ...]]:
    """The file of a run, and its outcomes."""
    home = tmp_path_factory.mktemp("run")
    (home / "models").symlink_to(models_folder)
    with pytest.MonkeyPatch.context() as patch, pupil_server() as pupil:
        patch.setenv("WAGGLE_EVAL_DATA", str(SMALL))
        done = run(home, pupil, squad(limit=2))
    return (Runs(home).folder / f"{done.header.run}.jsonl").read_bytes(), done.outcomes


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(share=st.floats(0, 1))
def test_wherever_a_file_ends_what_is_whole_is_read(
    lines: tuple[bytes, tuple[Outcome, ...]], tmp_path: Path, share: float
) -> None:
    data, outcomes = lines
    runs = Runs(tmp_path)
    runs.folder.mkdir(parents=True, exist_ok=True)
    end = round(share * len(data))
    (runs.folder / "cut.jsonl").write_bytes(data[:end])
    whole = data[:end].count(b"\n")
    if whole:
        assert runs.read("cut").outcomes == outcomes[: whole - 1]
    else:
        with pytest.raises(DamagedError):
            runs.read("cut")


def test_a_run_about_something_else_does_not_go_on(home: Path, pupil: Pupil) -> None:
    done = run(home, pupil, squad(limit=1))
    with pytest.raises(UsageError, match="limit, questions"):
        run(home, pupil, squad(limit=2), resume=done.header.run)
    with pytest.raises(SourceError, match=done.header.run):
        run(home, pupil, squad(limit=1), resume="another")
    with pytest.raises(UsageError, match="name of a run"):
        run(home, pupil, squad(limit=1), resume="../../etc/passwd")


def test_one_writer_at_a_time(home: Path, pupil: Pupil) -> None:
    done = run(home, pupil, squad(limit=1))
    runs = Runs(home)
    with runs.continuing(done.header.run, done.header), pytest.raises(LockedError):
        run(home, pupil, squad(limit=1), resume=done.header.run)


@pytest.mark.parametrize("damage", [b"", b"[]\n", b'{"kind": "run"}\n', b"\xff\n", b"3\n4\n"])
def test_a_file_that_holds_no_run(tmp_path: Path, damage: bytes) -> None:
    runs = Runs(tmp_path)
    runs.folder.mkdir(parents=True)
    (runs.folder / "odd.jsonl").write_bytes(damage)
    with pytest.raises(DamagedError, match=r"odd\.jsonl does not hold a run") as caught:
        runs.read("odd")
    assert "\n" not in str(caught.value)


# -- beside each other -----------------------------------------------------------------------------


def test_asking_again_the_same_way_diverges_nowhere(home: Path, pupil: Pupil) -> None:
    old = run(home, pupil, squad(baseline=True, limit=3))
    new = run(home, pupil, Plan.of(old.header, 2))
    assert divergences(old.outcomes, new.outcomes) == ()
    assert old.header.binding() == new.header.binding()


def test_a_run_is_bound_to_how_passages_are_found(
    home: Path, pupil: Pupil, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the plan after the settings, and by those of the user's prompts that it puts."""
    own = built_in().get("search-reword", "en").text.replace("---\n", "---\nIn verse, please. ")
    own = own.replace("---\nIn verse, please. ", "---\n", 1)
    (home / "prompts").mkdir()
    (home / "prompts" / "search-reword.en.md").write_text(own, "utf-8")
    done = run(home, pupil, squad(limit=1, options={"k": 5, "plan": "rewordings"}))
    assert (done.header.plan["name"], done.header.plan["rewordings"]) == ("rewordings", 3)
    assert "In verse, please." in done.header.prompts["search-reword.en"]
    assert "search-next.en" not in done.header.prompts
    assert any("In verse, please." in json.dumps(body) for body in pupil.bodies)
    plain = run(home, pupil, squad(limit=1))
    assert not any(name.startswith("search-") for name in plain.header.prompts)
    monkeypatch.setenv("WAGGLE_RETRIEVAL_DIVERSITY", "0.5")
    other = run(home, pupil, squad(limit=1))
    assert changed_bindings(plain.header, other.header) == ("plan",)
    with pytest.raises(UsageError, match="plan"):
        run(home, pupil, squad(limit=1), resume=plain.header.run)
    monkeypatch.setenv("WAGGLE_RERANK_URL", pupil.url)
    monkeypatch.setenv("WAGGLE_RERANK_MODEL", "orderly")
    with prepared(squad(limit=1), home) as ready:
        assert bind(ready, chat_model(pupil.url), Runs(home)).plan["reranker"] == "orderly"
    with prepared(squad(limit=1, retrieval_only=True), home) as ready:
        assert bind(ready, None, Runs(home)).plan == {}


def test_a_run_is_bound_to_how_sure_an_answer_must_be(home: Path, pupil: Pupil) -> None:
    """The threshold lies in the user's home; the collection of the set has one of its own."""
    before = run(home, pupil, squad(limit=1))
    assert before.header.settings["min_confidence.en"] == UNFITTED
    assert {"extract.en", "exact.zh"} <= before.header.prompts.keys()
    keep_thresholds(home, "pupil", {"en": Threshold(
        threshold=0.9, rate=0.1, wrong=0.0, given=0.5, balanced=None, questions=9, run="r",
    )})  # fmt: skip
    after = run(home, pupil, squad(limit=1))
    assert changed_bindings(before.header, after.header) == ("settings",)
    pupil.sure = 0.8
    answered = run(home, pupil, squad(limit=1, options={"k": 3, "min_confidence": 0.0}))
    refused = run(home, pupil, squad(limit=1))
    statuses = [{o.reply.status for o in one.outcomes} for one in (answered, refused)]
    assert statuses == [{"answered", "unanswerable"}, {"unanswerable"}]
    assert sorted(o.reply.confidence or 0 for o in refused.outcomes) == [0, pytest.approx(0.8)]


def test_where_a_run_diverges_is_told(home: Path, pupil: Pupil) -> None:
    old = run(home, pupil, squad())
    pupil.drafts["How many arches"] = "The third arch carries the mark of a mason. [1]"
    pupil.shorts["How many pear"] = "forty trees"
    new = run(home, pupil, squad())
    found = {d.question: (d.step, d.call) for d in divergences(old.outcomes, new.outcomes)}
    assert found["e4"] == ("answer", 1)
    assert found["e5"][0] == "answer"
    assert set(found) == {"e4", "e5"}

    def changed(outcome: Outcome, **reply: object) -> Outcome:
        return outcome.model_copy(update={"reply": outcome.reply.model_copy(update=reply)})

    one = old.outcomes[0]
    call = one.reply.calls[0].model_copy(update={"prompt": "other"})
    for reply, step in (
        ({"contexts": one.reply.contexts[1:]}, "retrieval"),
        ({"calls": (call,)}, "prompt"),
        ({"status": "failed"}, "verification"),
    ):
        (told,) = divergences([one], [changed(one, **reply)])
        assert told.step == step


def test_two_runs_question_by_question(home: Path, pupil: Pupil) -> None:
    first = run(home, pupil, squad())
    pupil.shorts["How many arches"] = "five"
    second = run(home, pupil, squad())
    changes = {c.name: c for c in compare(first.outcomes, second.outcomes, "short")}
    em = changes["EM"]
    assert [em.first, em.second] == pytest.approx([4 / 6, 5 / 6])
    assert em.difference.mean == pytest.approx(1 / 6)
    assert em.difference.p == 1  # one question proves nothing
    assert em.count == 6
    assert changes["refused wrongly"].difference.mean == 0
