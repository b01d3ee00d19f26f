"""What only a process of its own shows: pipes, signals, bytes, the terminal."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest

from indexes.collection import Collection
from indexes.embedding import LocalEmbedder
from indexes.home import DATABASE, collection_folder

Command = Callable[..., Any]
Environment = Callable[[], dict[str, str]]


def test_many_questions_in_one_process(process: Command, shelf: Path) -> None:
    done = process("search", "-", "--jsonl", "-k", "1", stdin="sun\n蜜\n".encode())
    assert done.code == 0
    assert done.err == ""
    assert [json.loads(line)["query"] for line in done.out.splitlines()] == ["sun", "蜜"]


def test_bytes_that_are_not_text(process: Command, shelf: Path) -> None:
    done = process("search", "-", stdin=bytes(range(256)) * 100)
    assert (done.code, done.out) == (2, "")
    assert done.err == "Standard input is not text in UTF-8.\n"


def test_exit_codes_are_those_of_the_process(process: Command, shelf: Path) -> None:
    asked = process("ask", "sun", "--json")
    assert asked.code == 1
    assert asked.json["status"] == "no_model"
    assert process("search", "").code == 2


def test_a_reader_that_leaves(environment: Environment, shelf: Path) -> None:
    """As ``waggle list | head -1`` does."""
    for arguments in (["list"], ["search", "-", "--jsonl"], ["show", "waggle-dance.md"]):
        command = [sys.executable, "-m", "cli", *arguments]
        running = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=environment(),
        )  # fmt: skip
        assert running.stdin
        assert running.stdout
        assert running.stderr
        running.stdout.close()
        running.stdin.write(b"bee\n" * 50)
        running.stdin.close()
        assert running.stderr.read() == b""
        running.stderr.close()
        assert running.wait(60) == 0


def test_a_question_is_answered_before_the_next_has_come(
    environment: Environment, shelf: Path
) -> None:
    command = [sys.executable, "-m", "cli", "search", "-", "--jsonl", "-k", "1"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment()
    ) as running:
        assert running.stdin
        assert running.stdout
        for line in (b"sun", b"\xff", b"queen"):
            running.stdin.write(line + b"\n")
            running.stdin.flush()
            assert select.select([running.stdout], [], [], 60)[0]
            told = json.loads(running.stdout.readline())
            assert told["query"] == line.decode(errors="replace")
        running.stdin.close()
    assert running.returncode == 1


@pytest.mark.parametrize(
    ("arguments", "redirection", "code", "told"),
    [
        ("search - --jsonl", ">&-", 1, "Standard output is closed.\n"),
        ("search sun", ">&-", 1, "Standard output is closed.\n"),
        ("search - --jsonl", ">/dev/full", 1, "No space left on device.\n"),
        (
            "search -",
            "<&-",
            2,
            "Standard input is closed. Send the text through a pipe or a file.\n",
        ),
        ("agent list", ">&- 2>&- <&-", 1, ""),
    ],
)
def test_a_standard_stream_that_is_closed_or_full(
    environment: Environment, shelf: Path, arguments: str, redirection: str, code: int, told: str
) -> None:
    done = subprocess.run(
        ["sh", "-c", f'exec "$0" -m cli {arguments} {redirection}', sys.executable],
        input=b"sun\nbee\n", capture_output=True, timeout=120, env=environment(),
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr.decode()) == (code, b"", told)


def test_interrupting_loses_nothing(
    environment: Environment, process: Command, home: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("WAGGLE_HOME", str(home))
    folder = tmp_path / "many"
    folder.mkdir()
    (folder / "first.txt").write_text("The first document speaks of bees.", "utf-8")
    assert process("index", folder, "--quiet").code == 0
    for number in range(1500):
        text = f"Document {number} speaks of bee number {number}. " * 40
        (folder / f"{number:04}.txt").write_text(text, "utf-8")
    running = subprocess.Popen(
        [sys.executable, "-m", "cli", "index", str(folder)], env=environment(),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        # A run in the background of a shell ignores interrupts, and so would its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    lock = home / "collections" / "default" / "write.lock"
    time.sleep(3)
    assert lock.exists()
    os.killpg(running.pid, signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert (running.returncode, out, err) == (130, b"", b"Interrupted.\n")
    found = process("search", "first", "-k", "1", "--json").json["results"]
    assert found[0]["source"] == str(folder / "first.txt")
    status = process("status", "--json").json
    assert status["documents"] < 1501
    listed = process("list", "--json").json["documents"]
    assert len(listed) == status["documents"]
    assert sum(document["chunks"] for document in listed) == status["chunks"]


def on_a_terminal(arguments: list[str], environment: dict[str, str]) -> tuple[int, str]:
    leader, follower = pty.openpty()
    running = subprocess.Popen(
        [sys.executable, "-m", "cli", *arguments],
        stdin=follower, stdout=follower, stderr=follower, env=environment,
    )  # fmt: skip
    os.close(follower)
    shown = b""
    while True:
        try:
            piece = os.read(leader, 65536)
        except OSError:  # the other side is closed
            break
        if not piece:
            break
        shown += piece
    os.close(leader)
    return running.wait(60), shown.decode()


def test_colour_on_a_terminal_and_none_with_no_color(environment: Environment, shelf: Path) -> None:
    variables = {**environment(), "TERM": "xterm-256color"}
    missing = ["show", "none.md"]
    code, shown = on_a_terminal(missing, variables)
    assert code == 1
    assert "\x1b[1;31m" in shown
    code, shown = on_a_terminal(missing, {**variables, "NO_COLOR": "1"})
    assert code == 1
    assert "\x1b[1;31m" not in shown
    assert "holds no document «none.md»" in shown


def test_a_document_on_a_terminal_is_made_safe(
    environment: Environment, process: Command, home: Path, embedder: LocalEmbedder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Such as one that was taken in before what is taken in was cleaned."""
    monkeypatch.setenv("WAGGLE_HOME", str(home))
    with Collection.open(home=home, embedder=embedder) as collection:
        collection.add_texts(["The queen @[31mhas left@[0m the hive."], sources=["memo"])
        database = collection_folder(home, collection.name, create=False) / DATABASE
    with closing(apsw.Connection(str(database))) as connection:
        connection.execute("UPDATE texts SET text = replace(text, '@', char(27))")
    assert process("show", "memo").out == "The queen \x1b[31mhas left\x1b[0m the hive."
    variables = {**environment(), "TERM": "xterm-256color"}
    code, shown = on_a_terminal(["show", "memo"], variables)
    assert (code, shown) == (0, "The queen [31mhas left[0m the hive.\r\n")


def test_quiet(process: Command, tmp_path: Path, home: Path) -> None:
    (tmp_path / "a.txt").write_text("One queen rules the hive.", "utf-8")
    done = process("index", tmp_path / "a.txt", "--home", home, "--quiet")
    assert done.code == 0
    assert done.err == ""
    asked = process("ask", "queen", "--home", home, "-q")
    assert (asked.code, asked.err) == (1, "")
