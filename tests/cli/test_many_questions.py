"""search and ask with a question a line, some of which fail."""

import io
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from indexes.collection import Collection
from tests.rag.scripted_server import (
    Respond,
    Script,
    closed_port,
    delta,
    events,
    reply,
    scripted_server,
    whole,
)

Command = Callable[..., Any]

COUNT = "How many documents mention bees?"


@pytest.fixture(autouse=True)
def shelved(shelf: Path) -> Path:
    return shelf


def stdin(monkeypatch: pytest.MonkeyPatch, lines: str | bytes) -> None:
    data = lines.encode() if isinstance(lines, str) else lines
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data), "utf-8"))


@pytest.fixture
def ask(waggle: Command, monkeypatch: pytest.MonkeyPatch) -> Command:
    def run(lines: str | Iterator[str], url: str, seconds: int = 0) -> Any:
        monkeypatch.setenv("WAGGLE_CHAT_RETRY_SECONDS", str(seconds))
        if isinstance(lines, str):
            stdin(monkeypatch, lines)
        else:
            monkeypatch.setattr("sys.stdin", lines)
        return waggle("ask", "-", "--jsonl", "--chat-url", url, "--chat-model", "m")

    return run


def objects(done: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.out.splitlines()]


def nowhere() -> str:
    return f"http://127.0.0.1:{closed_port()}/v1"


def answering(script: Script, *faults: Respond) -> None:
    """The server knows no answer, after it has met its first requests with ``faults``; it takes
    nothing in which «Refuse» stands, and keeps no connection."""
    left = iter(faults)
    words = "I don't know."

    def respond(handler: BaseHTTPRequestHandler) -> None:
        body = script.bodies[-1]
        known = (
            events(delta(content=words)) if body.get("stream") else reply(200, whole(content=words))
        )
        refused = "Refuse" in json.dumps(body["messages"])
        handler.close_connection = True
        next(left, reply(400, {}) if refused else known)(handler)

    script.answers(respond)


def test_a_question_that_fails_leaves_the_next_ones_their_answers(ask: Command) -> None:
    done = ask(f"Question one? Who?\n\n{COUNT}\nWho dances?\n", nowhere())
    assert done.code == 1
    first, second, third = objects(done)
    assert list(first) == ["question", "error", "kind"]
    assert (first["question"], first["kind"]) == ("Question one? Who?", "EndpointError")
    assert "No model server answers" in first["error"]
    assert (second["question"], second["status"]) == (COUNT, "answered")
    assert third == {**first, "question": "Who dances?"}
    assert done.err.count(first["error"]) == 1


def test_one_that_failed_weighs_more_than_one_without_an_answer(ask: Command) -> None:
    for lines in (["Refuse?", "Who won?"], ["Who won?", "Refuse?"]):
        with scripted_server() as script:
            answering(script)
            done = ask("\n".join(lines), script.url)
        assert done.code == 1
        told = {one["question"]: one.get("kind", one.get("status")) for one in objects(done)}
        assert list(told) == lines
        assert told == {"Refuse?": "EndpointError", "Who won?": "unanswerable"}


def test_a_server_that_was_waited_for_in_vain_is_tried_once_by_the_next(ask: Command) -> None:
    done = ask(f"one?\ntwo?\n{COUNT}\nthree?\n", nowhere(), seconds=1)
    waited = ["tried again" in one.get("error", "") for one in objects(done)]
    assert waited == [True, False, False, False]
    assert done.err.count("Waggle tries again for 1 s.") == 1


def test_a_server_that_answers_again_is_waited_for_again(ask: Command) -> None:
    """The questions come from a pipe: between them the server comes and goes."""
    port = closed_port()

    def lines() -> Iterator[str]:
        yield "one?\n"
        with scripted_server(port) as script:
            answering(script)
            yield "two?\n"
        yield "three?\n"

    done = ask(lines(), f"http://127.0.0.1:{port}/v1", seconds=1)
    first, second, third = objects(done)
    assert second["status"] == "unanswerable"
    assert ["tried again" in one["error"] for one in (first, third)] == [True, True]


def test_a_server_that_refuses_is_not_one_that_is_away(ask: Command) -> None:
    """What it is asked next, it may be too busy for, and is waited for."""
    with scripted_server() as script:
        answering(script, reply(401, {}), reply(429, {}))
        first, second = objects(ask("one?\ntwo?\n", script.url, seconds=9))
    assert "refuses the key" in first["error"]
    assert second["status"] == "unanswerable"


def test_an_interruption_ends_them_all(ask: Command) -> None:
    with scripted_server() as script:

        def interrupting(_: BaseHTTPRequestHandler) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)

        script.answers(interrupting)
        done = ask(f"{COUNT}\none?\n{COUNT}\n", script.url)
    assert done.code == 130
    counted, interrupted = objects(done)
    assert counted["question"] == COUNT
    assert interrupted == {"error": "Interrupted.", "kind": "Interrupted"}


@pytest.mark.parametrize("command", ["search", "ask"])
@pytest.mark.parametrize("option", [("-k", "0"), ("--where", "year >")])
def test_wrong_options_end_it_before_the_first_question(
    waggle: Command, monkeypatch: pytest.MonkeyPatch, command: str, option: tuple[str, str]
) -> None:
    stdin(monkeypatch, "one?\ntwo?\n")
    done = waggle(command, "-", "--jsonl", *option)
    assert (done.code, done.json.keys()) == (2, {"error", "kind"})


def test_a_search_that_fails_leaves_the_next_ones_their_passages(
    waggle: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = Collection.search

    def failing(self: Collection, query: str, *arguments: Any, **options: Any) -> Any:
        if query == "sun":
            raise OSError(5, "Input/output error")
        return search(self, query, *arguments, **options)

    monkeypatch.setattr(Collection, "search", failing)
    stdin(monkeypatch, "sun\nqueen\n")
    done = waggle("search", "-", "--jsonl", "-k", "1")
    assert done.code == 1
    first, second = objects(done)
    assert first == {"query": "sun", "error": "Input/output error.", "kind": "OSError"}
    assert second["query"] == "queen"


def test_a_line_that_is_not_text_leaves_the_next_ones_their_passages(
    waggle: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    stdin(monkeypatch, b"sun\nbad \xff\xfe\r\nqueen\rbee\nb\0e\0e\0\n")
    done = waggle("search", "-", "--jsonl", "-k", "1")
    assert done.code == 1
    told = [(one["query"], one.get("kind")) for one in objects(done)]
    assert told == [
        ("sun", None), ("bad \ufffd\ufffd", "UsageError"), ("queen", None), ("bee", None),
        ("b\0e\0e\0", "UsageError"),
    ]  # fmt: skip
    reason = "This line of standard input is not text in UTF-8."
    assert objects(done)[1]["error"] == reason
    assert done.err == reason + "\n"


@pytest.mark.parametrize("option", ["--json", "--jsonl"])
def test_a_byte_order_mark_is_no_part_of_the_question(
    waggle: Command, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    stdin(monkeypatch, b"\xef\xbb\xbfsun\n")
    assert waggle("search", "-", option, "-k", "1").json["query"] == "sun"


def test_standard_input_without_bytes(waggle: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("\ufeffsun\n\nqueen"))
    done = waggle("search", "-", "--jsonl", "-k", "1")
    assert [one["query"] for one in objects(done)] == ["sun", "queen"]


def test_debug_shows_where_a_line_failed(waggle: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    stdin(monkeypatch, b"\xff\n\xfe\nsun\n")
    done = waggle("search", "-", "--jsonl", "-k", "1", "--debug")
    assert (done.code, len(objects(done))) == (1, 3)
    assert done.err.count("Traceback (most recent call last)") == 1
    assert "asking.py" in done.err
