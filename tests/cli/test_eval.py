"""``waggle eval``, over a set of our own and a scripted chat server."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.rag.evaluation_server import Pupil, pupil_server

SMALL = Path(__file__).resolve().parents[1] / "data" / "evaluation"
ARCHES = "The stone bridge has five arches. [1]"


@pytest.fixture
def pupil(monkeypatch: pytest.MonkeyPatch, home: Path) -> Iterator[Pupil]:
    monkeypatch.setenv("WAGGLE_EVAL_DATA", str(SMALL))
    monkeypatch.setenv("WAGGLE_HOME", str(home))
    with pupil_server() as server:
        server.drafts["How many arches"] = ARCHES
        server.shorts["How many arches"] = "five"
        monkeypatch.setenv("WAGGLE_CHAT_URL", server.url)
        monkeypatch.setenv("WAGGLE_CHAT_RETRY_SECONDS", "0")
        yield server


def test_a_set_beside_its_baselines(waggle: Command, pupil: Pupil) -> None:
    done = waggle("eval", "squad_en", "--limit", 0, "--half", "all", "--baseline", "--json")
    assert done.code == 0, done.err
    shape = done.json
    assert (shape["model"], shape["outcomes"], shape["complete"]) == ("pupil", 27, True)
    em = {s["pipeline"]: f for s in shape["scores"] for f in s["figures"] if f["name"] == "EM"}
    assert em["waggle"]["value"] == pytest.approx(1 / 6)
    assert em["naive"]["count"] == 6
    assert em["closed-book"]["value"] == 0
    assert [c["first"].split()[-1] for c in shape["comparisons"]] == ["naive", "closed-book"]
    assert Path(shape["file"]).is_file()


def test_a_run_is_shown_listed_compared_and_asked_again(waggle: Command, pupil: Pupil) -> None:
    first = waggle("eval", "squad_en", "--limit", 0, "--half", "all")
    assert first.code == 0, first.err
    assert "balanced accuracy" in first.out
    assert "0.167 [" in first.out
    name = Path(first.out.strip().splitlines()[-1].split()[-1]).stem
    assert waggle("eval", "--show", name).out == first.out
    pupil.shorts["How many arches"] = "many"
    second = waggle("eval", "squad_en", "--limit", 0, "--half", "all", "--compare", name)
    assert f"{name} → " in second.out
    assert "-0.167 [" in second.out
    assert "They differ in" not in second.out
    listed = waggle("eval", "--list", "--json").json["runs"]
    assert [run["outcomes"] for run in listed] == [9, 9]
    both = waggle("eval", "--compare", name, "--compare", listed[1]["run"], "--json").json
    assert both["comparisons"][0]["first"] == name
    again = waggle("eval", "--replay", name)
    assert again.code == 3
    assert "8 of 9 answers came about in the same way. First divergence: answer 1." in again.out
    assert "How many arches" in again.out
    same = waggle("eval", "--replay", listed[1]["run"], "--json")
    assert same.code == 0
    assert (same.json["diverged"], same.json["changed"]) == ([], [])


def test_a_run_that_was_stopped_is_offered_and_goes_on(waggle: Command, pupil: Pupil) -> None:
    pupil.fails_after = 4
    stopped = waggle("eval", "squad_en", "--half", "all", "--concurrency", 1)
    assert stopped.code == 1
    resume = stopped.err.partition("--resume ")[2].split()[0]
    assert waggle("eval", "--show", resume).err.count("not complete") == 1
    pupil.fails_after = None
    offered = waggle("eval", "squad_en", "--half", "all", "--concurrency", 1)
    assert f"waggle eval --resume {resume}" in offered.err
    done = waggle("eval", "--resume", resume, "--json")
    assert done.code == 0
    assert (done.json["run"], done.json["complete"]) == (resume, True)


def test_ones_own_questions(waggle: Command, pupil: Pupil, shelf: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    file.write_text(
        json.dumps({"question": "Who decoded the waggle dance?", "answers": ["Karl von Frisch"],
                    "gold": ["waggle-dance.md"]}), "utf-8",
    )  # fmt: skip
    done = waggle("eval", file, "--retrieval-only", "--json")
    assert done.code == 0, done.err
    found = {f["name"]: f["value"] for f in done.json["scores"][0]["figures"]}
    assert found["R@5"] == 1
    assert shelf.is_dir()
    assert not pupil.bodies


def test_a_threshold_needs_answers_with_confidence(waggle: Command, pupil: Pupil) -> None:
    name = waggle("eval", "squad_en", "--half", "all", "--json").json["run"]
    home = Path(waggle("eval", "--show", name, "--json").json["file"]).parents[2]
    file = home / "evaluations" / "runs" / f"{name}.jsonl"
    lines = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    refused = waggle("eval", "--show", name, "--calibrate")
    assert (refused.code, "left out answers" in refused.err) == (2, True)
    lines[0]["options"]["min_confidence"] = 0.0
    for number, line in enumerate(lines[1:]):
        line["reply"]["confidence"] = 0.9 if line["reply"]["short"] == "five" else number / 100
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    fitted = waggle("eval", "--show", name, "--calibrate", "--rate", 0, "--json")
    assert fitted.json["calibration"]["en"]["threshold"] == 0.9
    kept = json.loads((home / "calibration.json").read_text("utf-8"))
    assert kept["models"]["pupil"]["en"]["run"] == name


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        ((), 2, "Name one thing to do"),
        (("squad_en", "--list"), 2, "Name one thing to do"),
        (("squad_de",), 2, "neither a set nor a file"),
        (("--show", "nothing"), 1, "no run «nothing»"),
        (("squad_en", "--compare", "nothing"), 1, "no run «nothing»"),
        (("squad_en", "--limit", "-1"), 2, "--limit"),
        (("squad_en", "--rate", "2", "--calibrate"), 2, "--rate"),
    ],
)
def test_wrong_usage_is_one_sentence(
    waggle: Command, pupil: Pupil, arguments: tuple[str, ...], code: int, told: str
) -> None:
    done = waggle("eval", *arguments)
    assert (done.code, told in done.err, "Traceback" in done.err) == (code, True, False), done.err
    assert not pupil.bodies


def test_without_a_model_the_search_can_be_measured(
    waggle: Command, home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WAGGLE_EVAL_DATA", str(SMALL))
    done = waggle("eval", "cmrc2018_zh", "--home", home)
    assert (done.code, "--retrieval-only" in done.err) == (2, True)
    monkeypatch.setenv("WAGGLE_EVAL_DATA", str(tmp_path / "nowhere"))
    done = waggle("eval", "cmrc2018_zh", "--home", home)
    assert (done.code, "WAGGLE_EVAL_DATA" in done.err) == (1, True)


def test_without_the_package_for_rankings(
    waggle: Command, pupil: Pupil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag.evaluation.ranking.find_spec", lambda _: None)
    done = waggle("eval", "squad_en", "--half", "all")
    assert done.code == 0
    assert "pip install ir-measures" in done.err
    assert "R@1" not in done.out
    assert waggle("eval", "squad_en", "--retrieval-only").code == 2


def test_a_run_is_bound_to_its_plan_and_prompt(waggle: Command, pupil: Pupil, home: Path) -> None:
    """One's own prompt among them, and no set is indexed for a name that is none."""
    for wrong in (("--plan", "x"), ("--prompt", "x")):
        assert waggle("eval", "squad_en", *wrong).code == 2
    assert not (home / "evaluations").exists()
    built_in = waggle("prompts", "show", "role", "--language", "en").out
    (home / "prompts").mkdir()
    (home / "prompts" / "role.en.md").write_text(f"{built_in}\nBe brief.\n", "utf-8")
    options = ("--limit", 1, "--half", "all", "--plan", "plain", "--prompt", "role")
    shape = waggle("eval", "squad_en", *options, "--json").json
    header, *outcomes = map(json.loads, Path(shape["file"]).read_text("utf-8").splitlines())
    assert header["options"] == {"k": 3, "plan": "plain", "prompt": "role"}
    ident, _, text = header["prompts"]["waggle.en"].partition("\n\n")
    assert text.endswith("Be brief.")
    assert outcomes
    for outcome in outcomes:
        reply = outcome["reply"]
        assert (reply["plan"], reply["prompt"]) == ("plain", ident)
