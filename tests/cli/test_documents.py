"""index, list, show, remove, status: what they print, their JSON, their exit codes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]

INDEX = {"added", "updated", "unchanged", "removed", "failed", "chunks", "seconds", "generation"}
DOCUMENT = {"source", "title", "format", "lang", "size", "chunks", "added", "sha256", "metadata"}
STATUS = {
    "collection", "folder", "generation", "documents", "chunks", "characters", "bytes", "formats",
    "languages", "embedder", "dimension", "format_version", "waggle_version", "collections",
}  # fmt: skip


@pytest.fixture
def notes(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two documents, beside an empty home that commands use."""
    monkeypatch.setenv("WAGGLE_HOME", str(home))
    folder = tmp_path / "my notes"
    folder.mkdir()
    (folder / "bees.md").write_text("# Bees\n\nA hive holds one queen.\n", "utf-8")
    (folder / "honey.txt").write_text("Linden honey tastes of mint.\n", "utf-8")
    return folder


# -- index -----------------------------------------------------------------------------------


def test_index_tells_what_it_did(waggle: Command, notes: Path) -> None:
    first = waggle("index", notes, "--json")
    assert first.code == 0
    assert first.json.keys() == INDEX
    assert (first.json["added"], first.json["chunks"], first.json["failed"]) == (2, 2, [])

    (notes / "bees.md").write_text("# Bees\n\nA hive holds one queen and many workers.\n", "utf-8")
    (notes / "honey.txt").unlink()
    second = waggle("index", notes, "--prune")
    assert second.code == 0
    assert second.out.startswith("0 added, 1 updated, 0 unchanged, 1 removed; 1 passages in ")
    assert second.err == ""


def test_index_takes_globs(waggle: Command, notes: Path) -> None:
    assert waggle("index", notes, "--include", "*.md", "--json").json["added"] == 1
    assert waggle("index", notes, "--exclude", "*.txt", "--json").json["unchanged"] == 1


def test_a_broken_file_among_good_ones(waggle: Command, notes: Path) -> None:
    (notes / "broken.pdf").write_bytes(b"%PDF-1.7\nno more than that")
    done = waggle("index", notes, "--json")
    assert done.code == 4
    assert done.json["added"] == 2
    (failed,) = done.json["failed"]
    assert failed.keys() == {"source", "reason"}
    assert failed["source"].endswith("broken.pdf")

    again = waggle("index", notes)
    assert again.code == 4
    assert "broken.pdf: " in again.out
    assert "Traceback" not in again.out + again.err


def test_nothing_but_broken_files(waggle: Command, notes: Path) -> None:
    broken = notes / "broken.pdf"
    broken.write_bytes(b"%PDF-1.7\nno more than that")
    assert waggle("index", broken).code == 1


def test_paths_that_cannot_be_indexed(waggle: Command, notes: Path, tmp_path: Path) -> None:
    missing = waggle("index", tmp_path / "nowhere")
    assert missing.code == 1
    assert (
        missing.err == f"There is no file or folder {tmp_path / 'nowhere'}. Check the spelling.\n"
    )
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "picture.xyz").write_bytes(b"\0\1")
    nothing = waggle("index", empty)
    assert nothing.code == 1
    assert "There is nothing to index" in nothing.err


# -- list, show, remove, status --------------------------------------------------------------


def test_list(waggle: Command, shelf: Path) -> None:
    listed = waggle("list", "--json").json
    assert listed.keys() == {"collection", "documents"}
    assert [Path(d["source"]).name for d in listed["documents"]] == sorted(
        file.name for file in shelf.iterdir()
    )
    assert all(document.keys() == DOCUMENT for document in listed["documents"])

    lines = waggle("list").out.splitlines()
    assert len(lines) == 1 + len(listed["documents"])
    assert any(str(shelf / "waggle-dance.md") in line for line in lines)


def test_show_prints_exactly_what_search_quotes(waggle: Command, shelf: Path) -> None:
    results = waggle("search", "sun 太阳 honey 蜜", "--json").json["results"]
    assert len(results) > 3
    for result in results:
        span = f"{result['start']}:{result['end']}"
        assert waggle("show", result["source"], "--span", span).out == result["text"]
        shape = waggle("show", result["source"], "--span", span, "--json").json
        assert shape.keys() == {"source", "title", "start", "end", "text"}
        assert shape["text"] == result["text"]


def test_show_takes_the_end_of_a_path(waggle: Command, shelf: Path) -> None:
    whole = waggle("show", "蜜与花期.txt")
    assert whole.code == 0
    assert whole.out == (shelf / "蜜与花期.txt").read_text("gb18030")


@pytest.mark.parametrize(
    "span", ["", "5", "5:", ":5", "5:1", "-1:3", "a:b", "0:99999999", "1:2:3", "٠:١" * 40,
             "0:" + "9" * 5000],
)  # fmt: skip
def test_a_span_that_is_none(waggle: Command, shelf: Path, span: str) -> None:
    done = waggle("show", "honeys.csv", f"--span={span}")
    assert done.code == 2
    assert "is no span of this document" in done.err


def test_a_document_that_is_not_there(waggle: Command, shelf: Path) -> None:
    for command in ("show", "remove"):
        done = waggle(command, "no-such.md", "--json")
        assert done.code == 1
        assert done.json["kind"] == "UnknownSourceError"
        assert done.json["error"] in done.err


def test_remove_gives_a_receipt(waggle: Command, notes: Path) -> None:
    waggle("index", notes, "--quiet")
    receipt = waggle("remove", notes / "bees.md", "--json").json
    facts = {"removed", "documents", "chunks", "vectors", "postings", "generation"}
    assert receipt.keys() == facts
    assert [len(d["passages"]) for d in receipt["documents"]] == [receipt["chunks"]]
    assert receipt["removed"] == [str(notes / "bees.md")]
    assert receipt["chunks"] == receipt["vectors"] == receipt["postings"] == 1
    assert (notes / "bees.md").exists()

    rest = waggle("remove", notes)
    assert rest.code == 0
    assert rest.out.endswith("Gone: 1 documents, 1 passages, 1 vectors, 1 postings.\n")
    assert waggle("list", "--json").json["documents"] == []


def test_status(waggle: Command, shelf: Path) -> None:
    status = waggle("status", "--json").json
    assert status.keys() == STATUS
    assert status["documents"] == len(list(shelf.iterdir()))
    assert status["collections"] == ["default"]

    shown = waggle("status").out
    assert str(status["folder"]) in shown
    assert "documents" in shown


def test_collections_are_apart(waggle: Command, notes: Path) -> None:
    assert waggle("index", notes, "-c", "蜂-1").code == 0
    assert waggle("status", "-c", "蜂-1", "--json").json["documents"] == 2
    unknown = waggle("list", "-c", "other")
    assert unknown.code == 1
    assert unknown.err == "There is no collection «other». There is: 蜂-1.\n"
    wrong = waggle("index", notes, "-c", "../elsewhere")
    assert wrong.code == 2


# -- homes -----------------------------------------------------------------------------------


def test_a_home_with_spaces_and_chinese(
    waggle: Command, notes: Path, tmp_path: Path, models_folder: Path
) -> None:
    home = tmp_path / "我的 家"
    home.mkdir()
    (home / "models").symlink_to(models_folder)
    assert waggle("index", notes, "--home", home).code == 0
    assert waggle("search", "queen", "--home", home, "--json").json["results"]


@pytest.mark.parametrize("command", [("index", "."), ("list",), ("search", "x"), ("status",)])
def test_a_home_that_is_a_file(waggle: Command, tmp_path: Path, command: tuple[str, ...]) -> None:
    home = tmp_path / "file"
    home.write_text("not a folder", "utf-8")
    done = waggle(*command, "--home", home)
    assert done.code == 1
    assert done.err.count("\n") == 1
    assert "Waggle made a mistake" not in done.err


def test_a_home_that_cannot_be_written(waggle: Command, notes: Path) -> None:
    done = waggle("index", notes, "--home", "/proc/nowhere")
    assert done.code == 1
    assert "cannot be made" in done.err
