"""chat: a conversation by lines of standard input, and on a terminal."""

import io
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.typist import Typist

Command = Callable[..., Any]
Environment = Callable[[], dict[str, str]]

QUESTION = "What does a run pointing 60 degrees to the right mean?"
FOLLOW_UP = "And who read it first?"
ALONE = "Who read the waggle dance first?"
CLAIM = (
    "A run pointing 60 degrees to the right of straight up means: fly 60 degrees to the right of "
    "the sun"
)


def condensing(server: Any) -> None:
    """The model rewrites the follow-up where it is asked to."""

    def reply(body: dict[str, Any]) -> str:
        if "<conversation>" in str(body["messages"]):
            return json.dumps({"question": ALONE})
        return str(server.draft if body.get("max_tokens", 512) > 4 else server.check)

    server.reply = reply


@pytest.fixture
def chat(
    waggle: Command, shelf: Path, chat_server: Any, monkeypatch: pytest.MonkeyPatch
) -> Command:
    """Holds a conversation of these lines."""
    condensing(chat_server)
    chat_server.draft = f"{CLAIM} [1]."

    def hold(*lines: str, options: tuple[str, ...] = ()) -> Any:
        data = "".join(f"{line}\n" for line in lines).encode()
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data), "utf-8"))
        return waggle("chat", "--chat-url", chat_server.url, *options)

    return hold


def test_a_follow_up_is_understood_from_the_conversation(chat: Command, chat_server: Any) -> None:
    done = chat(QUESTION, "", FOLLOW_UP)
    assert (done.code, done.err) == (0, "")
    assert done.out.count(CLAIM) == done.out.count("verbatim") == 2
    assert done.out.count(f"Understood as: {ALONE}") == 1
    told = [str(b["messages"]) for b in chat_server.requests if "<conversation>" in str(b)]
    assert len(told) == 1
    assert QUESTION in told[0]
    assert CLAIM in told[0]
    assert f"{CLAIM} [1]" not in told[0]


def test_new_forgets(chat: Command, chat_server: Any) -> None:
    chat(QUESTION, "/new", FOLLOW_UP)
    assert not [b for b in chat_server.requests if "<conversation>" in str(b["messages"])]


def test_sources_show_the_words(chat: Command, waggle: Command, shelf: Path) -> None:
    answered, sources = chat(QUESTION).out, chat(QUESTION, "/sources").out
    assert "“" not in answered.partition("Sources")[2]
    shown = sources.removeprefix(answered)
    assert "verbatim" in shown
    quote = shown.partition("“")[2].partition("”")[0]
    (line,) = [line for line in shown.splitlines() if line.startswith("[1] ")]
    source, start, end = line.removeprefix("[1] ").split("  ")[0].rsplit(":", 2)
    assert " ".join(waggle("show", source, "--span", f"{start}:{end}").out.split()) == quote


def test_save_keeps_what_is_there(chat: Command, tmp_path: Path) -> None:
    file = tmp_path / "a talk.md"
    done = chat(QUESTION, FOLLOW_UP, f"/save {file}")
    assert f"Saved to {file}" in done.out
    text = file.read_text("utf-8")
    assert text.index(f"## {QUESTION}") < text.index(f"## {FOLLOW_UP}")
    assert text.count("**Sources**") == 2
    assert f"> {CLAIM}" in text.replace("\n>  ", "")
    assert "(verbatim)" in text
    again = chat(QUESTION, f"/save {file}", "/save", "/save /no/such/folder/x.md")
    assert again.code == 0
    first, second, third = again.err.splitlines()
    assert first == f"{file} is there already, and stays as it is. Name another file."
    assert second == "Name the file to save to, as in «/save talk.md»."
    assert "/no/such/folder/x.md" in third
    assert file.read_text("utf-8") == text


def test_the_other_commands(chat: Command) -> None:
    done = chat("/sources", "/help", "/nothing", "/history", QUESTION, "/history", "/quit", "more")
    assert done.code == 0
    assert done.err.splitlines() == [
        "Nothing has been answered yet.", "There is no command /nothing. /help shows them.",
    ]  # fmt: skip
    assert "/save FILE" in done.out
    assert done.out.rstrip().splitlines()[-2].startswith(f"1. {QUESTION}")


def test_a_failing_server_ends_the_question_and_not_the_conversation(
    waggle: Command, shelf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAGGLE_CHAT_RETRY_SECONDS", "0")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"bees?\nsun?\n/help\n"), "utf-8"))
    done = waggle("chat", "--chat-url", "http://127.0.0.1:9/v1", "--chat-model", "m")
    assert done.code == 0
    assert len(done.err.splitlines()) == 2
    assert done.err.count("127.0.0.1:9") == 2
    assert "/save FILE" in done.out


@pytest.mark.parametrize(
    "options", [("--plan", "x"), ("--prompt", "x"), ("-k", "0"), ("--where", "year >")]
)
def test_wrong_options_are_told_at_once(chat: Command, options: tuple[str, ...]) -> None:
    done = chat("one", "two", options=options)
    assert (done.code, done.out) == (2, "")
    assert done.err.count("\n") == 1


def test_what_is_not_text(process: Command, shelf: Path) -> None:
    done = process("chat", stdin=bytes(range(256)))
    assert (done.code, done.err) == (2, "Standard input is not text in UTF-8.\n")


# -- on a terminal -------------------------------------------------------------------------------


@pytest.fixture
def typist(environment: Environment, shelf: Path, chat_server: Any) -> Iterator[Typist]:
    person = Typist(["chat", "--chat-url", chat_server.url], environment())
    yield person
    person.close()


def test_interrupting_stops_the_answer_and_not_the_conversation(
    typist: Typist, chat_server: Any
) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def reply(body: dict[str, Any]) -> str:
        asked.set()
        go_on.wait(60)
        return f"{CLAIM} [1]." if body.get("max_tokens", 512) > 4 else "yes"

    chat_server.reply = reply
    typist.sees("> ")
    typist.press("\x03")
    # Between its prompt and its wait for a key, readline takes an interrupt for later.
    typist.sees("Ctrl-D or /quit leaves.", keys="\x03")
    typist.sees("> ")
    typist.press(f"{QUESTION}\n")
    assert asked.wait(60)
    typist.press("\x03")
    typist.sees("Stopped. This question is not part of the conversation.")
    go_on.set()
    typist.sees("> ")
    typist.press(f"{QUESTION}\n")
    typist.sees(CLAIM)
    typist.sees("Sources")
    typist.sees("> ")
    assert not [b for b in chat_server.requests if "<conversation>" in str(b["messages"])]
    typist.press("\x04")
    assert typist.running.wait(30) == 0
