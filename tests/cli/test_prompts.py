"""prompts list, show and try: what they print, their JSON, their exit codes."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rag.prompting.library import BUILT_IN
from tests.cli.conftest import ChatServer

Command = Callable[..., Any]

PROMPT = {"name", "version", "language", "task", "technique", "description", "variables", "output",
          "digest", "origin", "path"}  # fmt: skip
DRAFT = {"prompt", "technique", "question", "draft", "short", "votes", "contexts", "messages",
         "model", "usage", "notices"}  # fmt: skip
QUESTION = "What does a run straight up the comb stand for?"
MINE = """\
---
name: mine
version: 3
language: en
task: answer
description: In one word.
variables: [question]
---
In one word, please.
Question: {question}"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of prompts that the variable names."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "mine.en.md").write_text(MINE + "\n\n", encoding="utf-8")
    monkeypatch.setenv("WAGGLE_PROMPTS_FOLDER", str(folder))
    return folder


def test_the_list_has_all_that_can_be_used(waggle: Command, home: Path, own: Path) -> None:
    (own / "bad.zh.md").write_text("---\nname: bad\n---\n", encoding="utf-8")
    done = waggle("prompts", "list", "--home", home, "--json")
    assert done.code == 0
    assert done.json.keys() == {"prompts", "faults"}
    by_name = {(p["name"], p["language"]): p for p in done.json["prompts"]}
    assert all(p.keys() == PROMPT for p in by_name.values())
    assert by_name["quote-first", "zh"]["origin"] == "built-in"
    mine = by_name["mine", "en"]
    assert (mine["origin"], mine["version"], mine["path"]) == ("yours", 3, str(own / "mine.en.md"))
    assert mine["digest"] == hashlib.sha256(MINE.encode()).hexdigest()
    (fault,) = done.json["faults"]
    assert "bad.zh.md is not usable, line 1: " in fault
    table = waggle("prompts", "list", "--home", home)
    assert "mine" in table.out
    assert "self-consistency" in table.out
    assert "bad.zh.md" in table.err


def test_what_is_shown_is_a_file_to_begin_with(waggle: Command, home: Path, own: Path) -> None:
    done = waggle("prompts", "show", "step-back", "--language", "zh", "--home", home)
    assert (done.code, done.out) == (0, (BUILT_IN / "step-back.zh.md").read_text("utf-8"))
    assert "step-back@" in done.err
    (own / "step-back.zh.md").write_text(done.out, encoding="utf-8")
    again = waggle("prompts", "show", "step-back", "--language", "zh", "--home", home, "--json")
    assert again.json["prompt"]["origin"] == "yours"
    assert again.json["text"] + "\n" == done.out


def test_the_language_is_the_users(
    waggle: Command, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAGGLE_LANG", "zh")
    assert "问题：{question}" in waggle("prompts", "show", "answer", "--home", home).out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show", "anwser"], "There is no prompt «anwser». Did you mean: answer"),
        (["try", "check", "Why?"], "another task (check)"),
        (["try", "answer", "  "], "The question is empty."),
        (["try", "anwser", "Why?"], "Did you mean: answer"),
        (["try", "answer", "Why?", "--plan", "thoruogh"], "Did you mean: thorough?"),
        (["show", "answer", "--language", "fr"], "'en', 'zh'"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(
    waggle: Command, shelf: Path, arguments: list[str], said: str
) -> None:
    done = waggle("prompts", *arguments)
    assert done.code == 2
    assert said in done.err
    assert "Traceback" not in done.err


def test_a_broken_prompt_is_an_error_where_it_is_asked_for(
    waggle: Command, shelf: Path, own: Path
) -> None:
    (own / "answer.en.md").write_text(MINE.replace("task: answer", "task: [a"), encoding="utf-8")
    done = waggle("prompts", "try", "answer", QUESTION, "--print")
    assert done.code == 2
    assert "answer.en.md is not usable, line " in done.err
    assert waggle("prompts", "try", "mine", QUESTION, "--print").code == 0


def test_print_shows_what_would_be_sent(waggle: Command, shelf: Path, own: Path) -> None:
    done = waggle("prompts", "try", "mine", QUESTION, "--print", "-k", "2", "--json")
    assert done.code == 0
    assert done.json.keys() == {"prompt", "question", "messages"}
    system, user = done.json["messages"]
    assert (system["role"], user["role"]) == ("system", "user")
    assert "\n[2] " in user["content"]
    assert "\n[3] " not in user["content"]
    assert user["content"].endswith(f"In one word, please.\nQuestion: {QUESTION}")
    shown = waggle("prompts", "try", "mine", QUESTION, "--print", "-k", "2").out
    assert shown.startswith("[system]\nAnswer the question from the numbered passages below.")
    assert user["content"] in shown


def test_what_print_shows_is_what_is_sent(
    waggle: Command, shelf: Path, chat_server: ChatServer
) -> None:
    chat_server.draft = "Towards the sun. [1]"
    where = ["--where", 'format = "md"', "-k", "2"]
    shown = waggle("prompts", "try", "few-shot", QUESTION, *where, "--print", "--json").json
    done = waggle("prompts", "try", "few-shot", QUESTION, *where, "--json",
                  "--chat-url", chat_server.url)  # fmt: skip
    assert chat_server.requests[-1]["messages"] == shown["messages"] == done.json["messages"]
    assert {Path(c["source"]).suffix for c in done.json["contexts"]} == {".md"}


def test_the_plan_finds_the_passages(
    waggle: Command, shelf: Path, chat_server: ChatServer, home: Path
) -> None:
    """What it asks the model for costs tokens; without a model it is left out, and told."""
    chat_server.draft = '{"questions": ["Which way is up on the comb?"]}'
    arguments = ["prompts", "try", "answer", QUESTION, "--plan", "rewordings"]
    done = waggle(*arguments, "--json", "--chat-url", chat_server.url)
    assert done.code == 0, done.err
    reword, extract, answer = chat_server.requests
    assert "response_format" in reword
    assert extract["logprobs"] is True
    assert "response_format" not in answer
    assert done.json["usage"]["prompt_tokens"] == 9
    printed = waggle(*arguments, "--print")
    assert "The step reword was left out: there is no chat model." in printed.err
    assert len(chat_server.requests) == 3


def test_try_shows_the_draft_and_what_it_cost(
    waggle: Command, shelf: Path, chat_server: ChatServer
) -> None:
    chat_server.draft = "Reason: r\nAnswer: Towards the sun. [1]\nShort: the sun"
    arguments = ["prompts", "try", "self-consistency", QUESTION, "--chat-url", chat_server.url]
    done = waggle(*arguments, "--json")
    assert done.code == 0
    assert done.json.keys() == DRAFT
    assert (done.json["draft"], done.json["short"]) == ("Towards the sun. [1]", "the sun")
    assert done.json["votes"] == [{"short": "the sun", "count": 5, "text": "Towards the sun. [1]"}]
    assert done.json["usage"] == {"prompt_tokens": 15, "completion_tokens": 5}
    assert [r["temperature"] for r in chat_server.requests] == [0.7] * 5
    shown = waggle(*arguments)
    assert "Towards the sun. [1]\nIn short: the sun\n  5 × the sun\n" in shown.out
    assert "15 tokens read, 5 written by scripted." in shown.out


def test_without_a_chat_model_the_draft_is_an_error(waggle: Command, shelf: Path) -> None:
    done = waggle("prompts", "try", "answer", QUESTION)
    assert done.code == 1
    assert done.err.strip().endswith("waggle models pull")
