"""agent on a terminal: a call that writes is put to whoever sits there."""

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.agent_server import acts
from tests.cli.typist import Typist
from tests.rag.scripted_server import Script, scripted_server

NOTE = ("write_note", {"name": "dance", "text": "He decoded it."})
ANSWER = "The note is written."
QUESTION = "Do it? y = yes, n = no, e = edit, Ctrl-D = later"
GOAL = "Note who decoded the dance."

Sit = Callable[..., Typist]
Command = Callable[..., Any]


@pytest.fixture
def server() -> Iterator[Script]:
    with scripted_server() as script:
        acts(script, NOTE, ANSWER)
        yield script


@pytest.fixture
def sit(
    environment: Callable[[], dict[str, str]], shelf: Path, server: Script
) -> Iterator[Sit]:  # fmt: skip
    """Somebody who gives the agent a goal."""
    people: list[Typist] = []

    def make(*options: str, **variables: str) -> Typist:
        kept = {k: v for k, v in environment().items() if k not in ("EDITOR", "VISUAL")}
        arguments = ["agent", GOAL, "--chat-url", server.url, *options]
        people.append(Typist(arguments, {**kept, **variables}))
        return people[-1]

    yield make
    for person in people:
        person.close()


def told(server: Script) -> str:
    """What the model was told of its call."""
    return json.dumps(server.bodies[-1]["messages"], ensure_ascii=False)


def test_yes(sit: Sit, server: Script) -> None:
    person = sit()
    person.sees("«write_note» changes something.")
    person.sees('text = "He decoded it."')
    person.sees(QUESTION)
    person.press("y\n")
    person.sees(ANSWER)
    assert person.running.wait(30) == 0


def test_only_a_yes_after_the_question_counts(sit: Sit, server: Script) -> None:
    pressed = threading.Event()
    acts(server, lambda: pressed.wait(60), NOTE, "Then not.")
    person = sit()
    person.sees("Run 2")
    person.press("y\ny\n")
    pressed.set()
    person.sees(QUESTION)
    person.press("\n")
    person.sees(QUESTION)
    person.press("no\n")
    person.sees("Why not?")
    person.press("It is a secret.\n")
    person.sees("Then not.")
    assert person.running.wait(30) == 0
    assert "It is a secret." in told(server)


def test_edited_on_a_line(sit: Sit, server: Script) -> None:
    person = sit()
    person.sees(QUESTION)
    for wrong, said in (("{", "That is not JSON"), ("[1]", "That is no JSON object")):
        person.press("e\n")
        person.sees("The arguments as one JSON object:")
        person.press(f"{wrong}\n")
        person.sees(said)
        person.sees('text = "He decoded it."')
        person.sees(QUESTION)
    person.press("e\n")
    person.sees("The arguments as one JSON object:")
    person.press('{"name": "bees", "text": "Karl did."}\n')
    person.sees('text = "Karl did."')
    person.sees(QUESTION)
    person.press("y\n")
    person.sees(ANSWER)
    assert "bees" in told(server)


def test_edited_in_an_editor(sit: Sit, server: Script, tmp_path: Path) -> None:
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i "s/He decoded/Karl von Frisch decoded/" "$1"\n')
    editor.chmod(0o755)
    person = sit(EDITOR=str(editor))
    person.sees(QUESTION)
    person.press("e\n")
    person.sees('text = "Karl von Frisch decoded it."')
    person.sees(QUESTION)
    person.press("y\n")
    person.sees(ANSWER)
    assert person.running.wait(30) == 0


def test_an_editor_that_is_not_there(sit: Sit) -> None:
    person = sit(EDITOR="/no/such/editor")
    person.sees(QUESTION)
    person.press("e\n")
    person.sees("The editor /no/such/editor failed")
    person.sees('text = "He decoded it."')


@pytest.mark.parametrize(("key", "code", "state"), [("\x04", 5, "waiting_for_approval"),
                                                     ("\x03", 130, "interrupted")])  # fmt: skip
def test_later(sit: Sit, server: Script, waggle: Command, key: str, code: int, state: str) -> None:
    person = sit("--quiet")
    person.sees(QUESTION)
    person.press(key)
    person.sees("waggle agent --resume ")
    assert person.running.wait(30) == code
    listed = waggle("agent", "list", "--json").json["runs"][0]
    assert (listed["goal"], listed["state"]) == (GOAL, state)
