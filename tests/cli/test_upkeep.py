"""verify, index --reembed and index --watch as commands."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]
Environment = Callable[[], dict[str, str]]

VERIFY = {
    "collection", "generation", "ok", "documents", "chunks", "vectors", "postings", "pages",
    "files", "problems", "outdated", "vanished", "repaired", "lost", "seconds",
}  # fmt: skip


@pytest.fixture
def notes(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two documents that are indexed."""
    monkeypatch.setenv("WAGGLE_HOME", str(home))
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "bees.md").write_text("# Bees\n\nA hive holds one queen.\n", "utf-8")
    (folder / "honey.txt").write_text("Linden honey tastes of mint. " * 60, "utf-8")
    return folder


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def test_verify_finds_and_mends_a_flipped_byte(waggle: Command, notes: Path, home: Path) -> None:
    waggle("index", notes, "--quiet")
    sound = waggle("verify", "--json")
    assert (sound.code, sound.json["ok"], sound.json["problems"]) == (0, True, [])
    assert sound.json.keys() == VERIFY
    assert (sound.json["documents"], sound.json["vectors"]) == (2, sound.json["chunks"])

    folder = home / "collections" / "default"
    flip(folder / "waggle.db")
    (vectors,) = (folder / "vectors").glob("*.faiss")
    flip(vectors)
    damaged = waggle("verify", "--json")
    assert damaged.code == 1
    assert {problem["kind"] for problem in damaged.json["problems"]} >= {"page", "vector_file"}
    shown = waggle("verify")
    assert "✗" in shown.out
    assert "waggle verify --repair" in shown.err

    mended = waggle("verify", "--repair", "--json")
    assert (mended.code, mended.json["ok"], mended.json["lost"]) == (0, True, [])
    assert mended.json["repaired"]
    assert waggle("search", "queen", "--json").json["results"][0]["source"].endswith("bees.md")


def test_verify_says_what_is_not_damage(waggle: Command, notes: Path) -> None:
    waggle("index", notes, "--quiet")
    (notes / "bees.md").write_text("Another text.", "utf-8")
    (notes / "honey.txt").unlink()
    report = waggle("verify", "--json")
    assert report.code == 0
    assert report.json["outdated"] == [str(notes / "bees.md")]
    assert report.json["vanished"] == [str(notes / "honey.txt")]


def test_the_receipt_of_a_removal_agrees_with_verify(waggle: Command, notes: Path) -> None:
    waggle("index", notes, "--quiet")
    before = waggle("verify", "--json").json
    receipt = waggle("remove", notes / "honey.txt", "--json").json
    after = waggle("verify", "--json").json
    assert after["ok"]
    for part in ("chunks", "vectors", "postings"):
        assert before[part] - after[part] == receipt[part]
    assert len(receipt["documents"][0]["passages"]) == receipt["chunks"]


def test_other_passages_need_reembedding(
    waggle: Command, notes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waggle("index", notes, "--quiet")
    before = waggle("status", "--json").json["chunks"]
    monkeypatch.setenv("WAGGLE_CHUNK_TOKENS", "32")
    refused = waggle("index", notes)
    assert refused.code == 1
    assert "waggle index --reembed -c default" in refused.err
    assert waggle("search", "queen").code == 0
    done = waggle("index", "--reembed", "--json")
    assert (done.code, done.json["updated"]) == (0, 2)
    assert done.json["chunks"] > before
    assert waggle("index", notes, "--json").json["unchanged"] == 2
    assert waggle("verify").code == 0


@pytest.mark.parametrize(
    "arguments",
    [["--watch"], ["--reembed", "--watch"], ["notes", "--watch", "--json"], []],
)
def test_options_that_do_not_go_together(waggle: Command, arguments: list[str]) -> None:
    assert waggle("index", *arguments).code == 2


def test_watch_follows_until_it_is_interrupted(environment: Environment, notes: Path) -> None:
    command = [sys.executable, "-m", "cli", "index", str(notes), "--watch", "--jsonl"]
    running = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    )
    assert running.stdout
    assert running.stderr
    assert json.loads(running.stdout.readline())["added"] == 2
    whole = notes.with_name("wax.md")  # a file that is still being written has two changes
    whole.write_text("Wax is made by young bees.", "utf-8")
    whole.rename(notes / "wax.md")
    assert json.loads(running.stdout.readline())["added"] == 1
    (notes / "wax.md").unlink()
    assert json.loads(running.stdout.readline())["removed"] == 1
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "Traceback" not in errors
