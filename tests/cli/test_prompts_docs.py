"""docs/prompts.md teaches by examples: each of them is run."""

import json
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rag.prompting.files import Head
from rag.prompting.library import built_in
from rag.prompting.schemas import SCHEMAS
from tests.cli.conftest import ChatServer, Command
from tests.warmed import python

ROOT = Path(__file__).resolve().parents[2]
PAGES = {"en": ROOT / "docs" / "prompts.md", "zh": ROOT / "docs" / "prompts.zh.md"}
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ROW = re.compile(r"^\| `([\w-]+)` \| `([\w-]+)` \|", re.MULTILINE)
OBJECTS = {
    "Quoted": {"passage": 1, "quote": "q", "short": "s", "answer": "An answer."},
    "Answered": {"found": True, "passages": [1], "short": "s", "answer": "An answer."},
    "Critique": {"problem": "It is too long.", "correct": False},
    "Thought": {"thought": "more", "search": "honey"},
    "Parts": {"questions": ["Who?", "What?"]},
    "Proposal": {"fault": "f", "instruction": "Answer shortly."},
    "ShortAnswer": {"answer": "An answer"},
}

WORDS = {"en": ["Who was in hive", "What is hive"], "zh": ["谁看管蜂箱", "什么是蜂箱"]}


def blocks(lang: str, kind: str) -> Iterator[str]:
    for match in BLOCK.finditer(PAGES[lang].read_text("utf-8")):
        if match[1] == kind:
            yield match[2]


def commands(lang: str) -> list[str]:
    lines = "".join(blocks(lang, "console")).splitlines()
    assert all(line.startswith("$ waggle ") for line in lines)
    return [line.removeprefix("$ ") for line in lines]


def reply(body: dict[str, Any]) -> str:
    wanted = body.get("response_format")
    if wanted:
        return json.dumps(OBJECTS[wanted["json_schema"]["name"]])
    return "Reason: r\nAnswer: An answer. [1]\nShort: s"


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_examples_run(
    lang: str, waggle: Command, home: Path, tmp_path: Path, examples: Path,
    chat_server: ChatServer, environment: Callable[[], dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    folder = tmp_path / "here"
    shutil.copytree(examples, folder / "examples")
    (folder / "prompts").mkdir()
    (settings,) = blocks(lang, "toml")
    (folder / "waggle.toml").write_text(settings, encoding="utf-8")
    (questions,) = blocks(lang, "jsonl")
    more = [{"question": f"{word} {n}?", "answerable": False} for n in range(20)
            for word in WORDS[lang]]  # fmt: skip
    (folder / "questions.jsonl").write_text(
        questions + "".join(json.dumps(one) + "\n" for one in more), encoding="utf-8"
    )
    variables = {"WAGGLE_HOME": str(home), "WAGGLE_CHAT_URL": chat_server.url}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(folder)
    chat_server.reply = reply  # type: ignore[method-assign]
    (own,) = blocks(lang, "markdown")
    for line in commands(lang):
        command, _, file = line.partition(" > ")
        done = waggle(*shlex.split(command)[1:])
        assert done.code == 0, (line, done.err)
        if file:
            Path(file).write_text(done.out, encoding="utf-8")
        if " show answer" in line:
            begun = folder / "prompts" / f"plain-words.{lang}.md"
            answer = built_in().get("answer", lang).text
            assert begun.read_text("utf-8") == f"{answer}\n"
            begun.write_text(own, encoding="utf-8")
        elif " try " in line and "--print" not in line:
            assert "An answer. [1]" in done.out, line
    assert (
        own.partition("---\n")[2].splitlines()[-2]
        in chat_server.requests[-1]["messages"][1]["content"]
    )
    (code,) = blocks(lang, "python")
    printed = python(code, folder, {**environment(), **variables})
    assert printed.out.startswith("system "), printed.err
    assert built_in().get("quote-first", lang).ident in printed.out


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_page_names_every_prompt_technique_and_entry(lang: str) -> None:
    page = PAGES[lang].read_text("utf-8")
    prompts = {(p.name, p.technique) for p in built_in().shelf().prompts if p.task == "answer"}
    assert set(ROW.findall(page)) == prompts
    assert all(f"`{name}`" in page for name in (*Head.model_fields, *SCHEMAS))


def test_both_pages_show_the_same_commands() -> None:
    def bare(lang: str) -> list[str]:
        lines = [re.sub(r'"[^"]*"', '""', line) for line in commands(lang)]
        return [re.sub(r" --language zh|\.(en|zh)\.md", "", line) for line in lines]

    assert bare("en") == bare("zh")
