"""search and ask: what they print, their JSON, their exit codes."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]

SEARCH = {"query", "mode", "collection", "generation", "results", "timings_ms"}
RESULT = {"rank", "score", "chunk_id", "source", "title", "page", "heading", "start", "end",
          "text", "metadata"}  # fmt: skip
ANSWER = {"question", "answer", "status", "citations", "contexts", "model", "prompt", "collection",
          "generation", "usage", "timings_ms", "short", "plan", "citation_precision",
          "citation_recall", "confidence"}  # fmt: skip
CITATION = {"number", "claim", "source", "title", "page", "start", "end", "quote", "support"}

QUESTION = "What does a run straight up the comb stand for?"
CLAIM = "A run straight up the comb means: fly towards the sun"


def stdin(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data), "utf-8"))


# -- search ----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["hybrid", "dense", "lexical"])
def test_search_as_json(waggle: Command, shelf: Path, mode: str) -> None:
    found = waggle("search", "dance of the bees", "-k", "3", "--mode", mode, "--json").json
    assert found.keys() == SEARCH
    assert (found["query"], found["mode"]) == ("dance of the bees", mode)
    assert all(result.keys() == RESULT for result in found["results"])
    assert [result["rank"] for result in found["results"]] == [1, 2, 3]
    assert found["results"][0]["source"] == str(shelf / "waggle-dance.md")


def test_search_for_people(waggle: Command, shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shelf)
    found = waggle("search", "洋槐蜜", "-k", "1")
    assert found.code == 0
    assert found.out.startswith("1. 蜜与花期.txt  0.")
    assert "洋槐" in found.out
    assert found.err == ""


def test_search_filters(waggle: Command, shelf: Path) -> None:
    found = waggle("search", "honey", "--where", 'format = "csv"', "--json").json["results"]
    assert {Path(result["source"]).name for result in found} == {"honeys.csv"}


def test_search_reads_lines_and_writes_lines_in_order(
    waggle: Command, shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stdin(monkeypatch, "queen\n\n  蜜  \nsun\n".encode())
    done = waggle("search", "-", "--jsonl", "-k", "1")
    assert done.code == 0
    assert [json.loads(line)["query"] for line in done.out.splitlines()] == ["queen", "蜜", "sun"]


def test_search_reads_one_question(
    waggle: Command, shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stdin(monkeypatch, b"where do\nbees dance?\n")
    assert waggle("search", "-", "--json").json["query"] == "where do\nbees dance?"


@pytest.mark.parametrize(
    ("arguments", "code", "kind"),
    [
        (("search", ""), 2, "UsageError"),
        (("search", " \n"), 2, "UsageError"),
        (("ask", ""), 2, "UsageError"),
        (("search", "x", "-k", "0"), 2, "UsageError"),
        (("search", "x", "-k", "-3"), 2, "UsageError"),
        (("search", "x", "--where", "year >"), 2, "UsageError"),
        (("search", "x", "--where", "'); drop table documents; --"), 2, "UsageError"),
        (("search", "x", "--where", "(" * 5000), 2, "UsageError"),
        (("search", "x", "-c", "nowhere"), 1, "UnknownCollectionError"),
        (("ask", "x", "-c", "nowhere"), 1, "UnknownCollectionError"),
        (("ask", "x", "--chat-url", "not a url"), 2, "UsageError"),
        (("ask", "bees", "--chat-url", "http://127.0.0.1:9/v1"), 1, "EndpointError"),
        (("ask", "bees", "--chat-model", "no-such-model"), 1, "ModelError"),
    ],
)
def test_what_cannot_be_asked(
    waggle: Command, shelf: Path, arguments: tuple[str, ...], code: int, kind: str
) -> None:
    for_people = waggle(*arguments)
    assert for_people.code == code
    assert for_people.err.count("\n") == 1
    assert "Traceback" not in for_people.err
    as_json = waggle(*arguments, "--json")
    assert as_json.code == code
    assert as_json.json == {"error": for_people.err.rstrip("\n"), "kind": kind}


def test_standard_input_that_is_not_text(
    waggle: Command, shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stdin(monkeypatch, bytes(range(256)))
    done = waggle("search", "-")
    assert done.code == 2
    assert done.err == "Standard input is not text in UTF-8.\n"


def test_a_huge_question_is_answered(waggle: Command, shelf: Path) -> None:
    assert waggle("search", "bee dance " * 20_000, "-k", "1", "--json").code == 0
    assert waggle("search", "bee", "-k", "100000", "--json").code == 0


# -- ask -------------------------------------------------------------------------------------


def test_ask_without_a_model_gives_the_passages(waggle: Command, shelf: Path) -> None:
    done = waggle("ask", QUESTION, "--json")
    assert done.code == 1
    assert done.json.keys() == ANSWER
    assert (done.json["status"], done.json["answer"], done.json["citations"]) == (
        "no_model",
        "",
        [],
    )
    assert done.json["contexts"]
    assert all(context.keys() == RESULT | {"number"} for context in done.json["contexts"])
    assert "waggle models pull" in done.err

    for_people = waggle("ask", QUESTION, "-k", "2")
    assert for_people.code == 1
    assert "[2] " in for_people.out


def test_ask_answers_with_citations(waggle: Command, shelf: Path, chat_server: Any) -> None:
    passage = waggle("search", QUESTION, "-k", "1", "--json").json["results"][0]["text"]
    claim = max(passage.replace("\n", " ").split(". "), key=len).strip()
    chat_server.draft = f"{claim}. [1]"
    done = waggle("ask", QUESTION, "--chat-url", chat_server.url, "--json")
    assert done.code == 0, done
    assert done.json.keys() == ANSWER
    assert done.json["status"] == "answered"
    assert done.json["answer"] == chat_server.draft
    assert done.json["usage"].keys() == {"prompt_tokens", "completion_tokens"}
    assert done.json["model"] == "scripted"
    (citation, *_) = done.json["citations"]
    assert citation.keys() == CITATION
    assert citation["support"] == "verbatim"
    span = f"{citation['start']}:{citation['end']}"
    assert waggle("show", citation["source"], "--span", span).out == citation["quote"]

    for_people = waggle("ask", QUESTION, "--chat-url", chat_server.url)
    assert for_people.code == 0
    assert chat_server.draft in for_people.out
    assert for_people.out.index("[1] ") < for_people.out.index(chat_server.draft)
    assert "verbatim" in for_people.out.partition("Sources")[2]


def test_ask_says_that_there_is_no_answer(waggle: Command, shelf: Path, chat_server: Any) -> None:
    chat_server.draft = "I don't know."
    done = waggle("ask", "Who won in 1954?", "--chat-url", chat_server.url, "--json")
    assert done.code == 3
    assert (done.json["status"], done.json["citations"]) == ("unanswerable", [])
    assert waggle("ask", "Who won in 1954?", "--chat-url", chat_server.url).code == 3


def test_ask_many(
    waggle: Command, shelf: Path, chat_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat_server.draft = "I don't know."
    stdin(monkeypatch, b"one?\ntwo?\n")
    done = waggle("ask", "-", "--chat-url", chat_server.url, "--jsonl")
    assert done.code == 3
    assert [json.loads(line)["question"] for line in done.out.splitlines()] == ["one?", "two?"]


# -- what reaches the terminal ---------------------------------------------------------------


def test_escape_sequences_are_not_passed_on(
    waggle: Command, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAGGLE_HOME", str(home))
    evil = tmp_path / "evil\x1b]0;title\x07[bold]\u202etxt.md"
    evil.write_text("# Queens \x1b[2J\u202e\n\nA hive holds one queen [red]x[/red].\n", "utf-8")
    broken = tmp_path / "broken\x1b[2J.pdf"
    broken.write_bytes(b"%PDF-1.7 broken")
    shown = [
        waggle("index", evil, broken),
        waggle("list"),
        waggle("search", "queen \x1b[2J"),
        waggle("ask", "queen"),
        waggle("remove", evil),
        waggle("show", "none\x1b[2J"),
        waggle("search", "queen", "-c", "a\x1b[2J"),
    ]
    for outcome in shown:
        assert not set(outcome.out + outcome.err) & set("\x1b\x07\x9b\u202e")
    assert "[bold]" in shown[1].out
    assert "[red]x[/red]" in shown[2].out


def test_a_server_that_is_away_is_waited_for_and_the_user_is_told(
    waggle: Command, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAGGLE_CHAT_RETRY_SECONDS", "1")
    (home / "bees.txt").write_text("Bees dance to tell where the food is.")
    assert waggle("index", home / "bees.txt", "--home", home).code == 0
    url = "http://127.0.0.1:9/v1"
    asked = waggle("ask", "Why do bees dance?", "--home", home, "--chat-url", url,
                   "--chat-model", "m")  # fmt: skip
    assert asked.code == 1
    assert asked.err.count("Waggle tries again for 1 s.") == 1
    assert "It was tried again for" in asked.err
