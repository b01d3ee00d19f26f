"""The comparison with other systems: what it computes, what it measures of real programs."""

import argparse
import io
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from benchmarks.compare import Bench, by_title, command, write_folder
from benchmarks.comparison import MEASURES, Row, figures, leads, ratio, slower_than
from benchmarks.comparison_page import BEGIN, END, insert, page
from benchmarks.machine import Load, machine
from benchmarks.measuring import ProgramError, converse, disk_bytes, run
from benchmarks.peers.protocol import main, paragraphs, texts
from benchmarks.sets import Paragraph, Question, Task
from benchmarks.systems import PEERS, ROOT, WAGGLE, Peer, Waggle, environment, requirements

ABOUT = {
    "command": "make bench",
    "date": "2026-01-31",
    "machine": "An Abacus, 2 cores",
    "k": 20,
    "folders": {"pots": "4 files, 200 characters; 2 questions."},
    "failed": ["Chroma"],
    "versions": {WAGGLE: {"waggledance": "1.2.3"}, "txtai": {"txtai": "9.9.9"}},
    "others": 0.25,
    "prepare": 8.4,
    "model_mb": 91.2,
}
TASK = Task(
    "pots",
    [
        Paragraph("kiln", "Pottery", "The potter fires the kiln with beech wood."),
        Paragraph("mill", "Milling", "The miller repaired the wheel after the flood."),
        Paragraph("glaze", "Pottery", "Ash and clay make the glaze."),
    ],
    [
        Question("1", "Which wood heats the kiln?", ("kiln",)),
        Question("2", "Who repaired the\nwheel?", ("mill",)),
        Question("3", "What is the glaze made of, and who fires the kiln?", ("glaze", "kiln")),
    ],
)


def row(system: str, numbers: Mapping[str, float], warm: tuple[float, ...] = ()) -> Row:
    return Row("pots", system, numbers, [], warm)


def test_figures_are_medians_of_rounds_and_quantiles_of_all_questions() -> None:
    rows = [
        Row("pots", "txtai", {"disk": 1.0}, [4.0], [0.001, 0.002]),
        Row("pots", "txtai", {"disk": 9.0}, [6.0], [0.003]),
        Row("pots", "txtai", {"disk": 2.0}, [5.0], [0.101, 0.102]),
        Row("pans", "txtai", {"disk": 7.0}),
    ]
    found = figures(rows)
    assert found["pots"]["txtai"] == pytest.approx(
        {"disk": 2, "cold_p50": 5, "cold_p95": 5.9, "warm_p50": 3, "warm_p95": 101.8}
    )
    assert found["pans"]["txtai"] == {"disk": 7}


def test_a_ratio_above_one_is_better_for_waggle() -> None:
    measures = {measure.name: measure for measure in MEASURES}
    assert ratio(measures["documents_per_second"], 30, 10) == 3
    assert ratio(measures["index_seconds"], 10, 30) == 3
    assert ratio(measures["R@5"], 0.5, 1.0) == 0.5
    assert ratio(measures["R@5"], 0.5, 0) == float("inf")
    assert ratio(measures["disk"], 0, 0) == 1


def test_every_lead_of_a_peer_is_found_and_nothing_else() -> None:
    mine = {
        "index_seconds": 10,
        "warm_p50": 5.0,
        "disk": 1.0,
        "R@5": 0.9,
        "documents_per_second": 2,
    }
    other = {"index_seconds": 9, "warm_p50": 5.04, "disk": 1.0, "R@5": 0.95, "cold_p50": 1}
    third = {"index_seconds": 11, "R@5": 0.8, "documents_per_second": 1}
    found = figures([row(WAGGLE, mine), row("txtai", other), row("Chroma", third)])
    # What is the same to the digit that is printed is no lead.
    assert [(lead.peer, lead.measure.name) for lead in leads(found)] == [
        ("txtai", "index_seconds"),
        ("txtai", "R@5"),
    ]


def test_the_bar_names_each_peer_that_is_too_near() -> None:
    rate = "documents_per_second"
    found = figures(
        [row(WAGGLE, {rate: 20}), row("txtai", {rate: 10}), row("LlamaIndex", {rate: 10.1})]
    )
    assert slower_than(found, "pots", 2, ("txtai", "LlamaIndex", "Chroma")) == ["LlamaIndex"]
    assert slower_than(found, "pans", 2, ("LlamaIndex",)) == []


def test_the_page_tells_numbers_ratios_and_what_others_do_better() -> None:
    mine = {"documents_per_second": 30.0, "disk": 4.0, "warm_memory": 1234.0}
    found = figures([row(WAGGLE, mine), row("txtai", {"documents_per_second": 10.0, "disk": 1.0})])
    text = page(found, ABOUT)
    assert "|  | documents/s | disk, MB | warm memory, MB |" in text
    assert "| Waggle | 30.0 | 4.00 | 1,234 |" in text
    assert "| txtai | 10.0 | 1.00 | – |" in text
    assert "| txtai | 3.00 | 0.25 | – |" in text
    assert "- **txtai**, pots: disk 1.00 MB (Waggle 4.00)." in text
    for told in (
        "An Abacus, 2 cores",
        "25%",
        "txtai 9.9.9",
        "Chroma could not be measured to the end",
        "8 s",
    ):
        assert told in text
    alone = page(figures([row(WAGGLE, mine)]), ABOUT)
    assert "none of the others was better" in alone
    assert "none of the others was better" not in text


def test_the_page_replaces_its_section_and_nothing_else(tmp_path: Path) -> None:
    document = tmp_path / "benchmarks.md"
    document.write_text("# Benchmarks\n\nOld words.\n", "utf-8")
    insert(document, "first")
    assert (
        document.read_text("utf-8") == f"# Benchmarks\n\nOld words.\n\n{BEGIN}\n\nfirst\n\n{END}\n"
    )
    document.write_text(document.read_text("utf-8") + "\nMore words.\n", "utf-8")
    insert(document, "second")
    assert document.read_text("utf-8") == (
        f"# Benchmarks\n\nOld words.\n\n{BEGIN}\n\nsecond\n\n{END}\n\nMore words.\n"
    )


def test_files_joined_by_title_hold_all_paragraphs_and_their_gold() -> None:
    joined = by_title(TASK)
    assert [(p.id, p.title) for p in joined.paragraphs] == [("000", "Pottery"), ("001", "Milling")]
    assert paragraphs(joined.paragraphs[0].text) == [
        TASK.paragraphs[0].text,
        TASK.paragraphs[2].text,
    ]
    assert [q.gold for q in joined.questions] == [("000",), ("001",), ("000",)]


def test_a_folder_has_a_file_per_paragraph_named_as_the_gold(tmp_path: Path) -> None:
    folder = write_folder(TASK, "pots", tmp_path / "pots")
    assert {Path(source).stem: text for source, text in texts(folder.path)} == {
        p.id: p.text for p in TASK.paragraphs
    }
    assert folder.about(2, 5) == "3 files, 116 characters; 3 questions; 2 rounds."
    assert write_folder(TASK, "pots by title", tmp_path / "joined").files == 2


def test_the_command_that_repeats_a_run_names_what_was_chosen() -> None:
    parser = argparse.ArgumentParser()
    for name, default in (("rounds", 3), ("cold", 3), ("limit", 300)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--peers", nargs="*", default=["txtai"])
    parser.add_argument("--folders", nargs="+", default=("squad_en",))
    parser.add_argument("--waggle")
    parser.add_argument("--docs")
    defaults = parser.parse_args([])
    assert command(parser.parse_args(["--docs", "elsewhere"]), defaults) == "make bench"
    given = ["--rounds", "2", "--folders", "squad_en by title", "drcd_zht"]
    assert command(parser.parse_args(given), defaults) == (
        ".venv/bin/python -m benchmarks.compare --rounds 2 --folders 'squad_en by title' drcd_zht"
    )


# -- programs ----------------------------------------------------------------------------------

CHILD = "held = bytearray(60_000_000); import time; time.sleep(1.5)"


def test_a_program_is_measured_with_its_children(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys; held = bytearray(60_000_000)\n"
        f"subprocess.run([sys.executable, '-c', {CHILD!r}])\n"
        "print(sys.stdin.read() * 2)"
    )
    used = run([sys.executable, "-c", code], tmp_path, os.environ, "ab")
    assert used.output == "abab\n"
    assert used.seconds > 1.5
    assert 0 < used.cpu_seconds < used.seconds
    assert used.peak_bytes > (
        120_000_000 if Path("/proc/self/smaps_rollup").exists() else 60_000_000
    )


def test_a_program_that_fails_says_why(tmp_path: Path) -> None:
    failing = [sys.executable, "-c", "raise SystemExit('no kiln here')"]
    with pytest.raises(ProgramError, match="status 1:\nno kiln here"):
        run(failing, tmp_path, os.environ, "")
    with pytest.raises(ProgramError, match="no kiln here"):
        converse(failing, tmp_path, os.environ, ["?"], 0)


def test_a_conversation_waits_for_each_answer(tmp_path: Path) -> None:
    code = (
        "import sys, time\n"
        "for line in sys.stdin: time.sleep(.05); print(line.strip().upper(), flush=True)"
    )
    answering = [sys.executable, "-c", code]
    answers = converse(answering, tmp_path, os.environ, ["warm up", "kiln", "窑"], 1)
    assert answers.lines == ["KILN\n", "窑\n"]
    assert all(0.05 <= seconds < 1 for seconds in answers.seconds)
    assert answers.peak_bytes > 1_000_000


def test_a_program_that_answers_too_little_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(ProgramError):
        converse([sys.executable, "-c", "input(); print(1)"], tmp_path, os.environ, ["a", "b"], 0)


def test_disk_counts_all_files_below(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "file").write_bytes(os.urandom(100_000))
    assert 100_000 <= disk_bytes(tmp_path) < 200_000


def test_the_machine_and_its_load_are_told() -> None:
    assert f"{os.cpu_count()} cores" in machine()
    load = Load()
    sum(range(1_000_000))
    assert 0 <= load.others() <= 1


# -- systems -----------------------------------------------------------------------------------


def test_waggle_is_measured_through_its_command_line(home: Path, tmp_path: Path) -> None:
    folder = write_folder(TASK, "squad_en", tmp_path / "folder")
    found = Bench(environment(), cold=1).measure(Waggle(home), folder, "pots")
    assert found.numbers["R@5"] == 1
    assert found.numbers["entries"] == 3
    assert found.numbers["documents_per_second"] == pytest.approx(
        3 / found.numbers["index_seconds"]
    )
    assert (len(found.cold), len(found.warm)) == (1, 3)
    # A process begins, a process goes on.
    assert min(found.cold) > max(found.warm)
    figured = figures([found])["squad_en"][WAGGLE]
    assert all(figured[measure.name] > 0 for measure in MEASURES)


def test_a_system_that_leaves_files_out_is_not_measured(home: Path, tmp_path: Path) -> None:
    folder = write_folder(TASK, "pots", tmp_path / "folder")
    (folder.path / "kiln.txt").unlink()
    with pytest.raises(ProgramError, match="Waggle indexed 2 of 3 files"):
        Bench(environment(), cold=0).measure(Waggle(home), folder, "pots")


def test_what_the_measured_programs_see(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHONDONTWRITEBYTECODE", "WAGGLE_HOME", "OMP_NUM_THREADS", "KILN"):
        monkeypatch.setenv(name, "1")
    seen = environment()
    assert seen["KILN"] == seen["HF_HUB_OFFLINE"] == "1"
    assert not {"PYTHONDONTWRITEBYTECODE", "WAGGLE_HOME", "OMP_NUM_THREADS"} & seen.keys()


def test_a_peer_speaks_the_protocol(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    peer = Peer("chroma", Path("python"), tmp_path, tmp_path / "model")
    store = tmp_path / "chroma" / "pots"

    def called(call: tuple[str, ...], text: str = "") -> str:
        assert call[:3] == ("python", "-m", "benchmarks.peers.chroma")
        monkeypatch.setattr(sys, "argv", ["", *call[3:]])
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))
        main(lambda *given: (3, len(given)), lambda *given: lambda q, k: [q, str(k), str(given[0])])
        return capsys.readouterr().out

    assert peer.indexed("noise\n" + called(tuple(peer.index(tmp_path, "pots")))) == (3, 3)
    asking, text = peer.ask_once("pots", "Who?", 5)
    assert peer.sources(called(tuple(asking), text)) == ["Who?", "5", str(store)]
    assert (
        json.loads(called(tuple(peer.ask("pots", 5)), "a\nb\n").splitlines()[1])["sources"][0]
        == "b"
    )


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_has_a_script_and_exact_versions(name: str) -> None:
    folder = ROOT / "benchmarks" / "peers"
    lines = requirements(name).read_text("utf-8").splitlines()
    packages = [line for line in lines if not line.startswith("#")]
    assert (folder / f"{name}.py").exists()
    assert all("==" in line for line in packages)
    assert len(packages) == len(lines) - 1
    # The installer takes the build of PyTorch that fits the machine.
    assert not [line for line in packages if line.startswith(("torch==", "nvidia"))]
