"""Prompts are found by name; one's own take the place of those that came with the program."""

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from indexes.errors import UsageError
from rag.prompting.files import read_prompt
from rag.prompting.library import BUILT_IN, PromptLibrary, built_in
from rag.prompting.techniques import TECHNIQUES
from rag.prompting.types import LANGUAGES, STEPS
from tests.rag.prompting.passages import texts

NAMES = {"answer", "role", "few-shot", "chain-of-thought", "self-consistency", "step-back",
         "least-to-most", "react", "reflexion", "structured", "quote-first", "short"}  # fmt: skip
HEAD = """\
name: {name}
version: 1
language: en
task: answer
description: Mine.
variables: [question]
"""


def write(folder: Path, name: str, head: str = HEAD, body: str = "My {question}") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.en.md"
    path.write_text(f"---\n{head.replace('{name}', name)}---\n{body}\n", encoding="utf-8")
    return path


def test_the_library_has_every_technique_in_both_languages() -> None:
    shelf = built_in().shelf()
    assert not shelf.faults
    for lang in LANGUAGES:
        assert {p.name for p in shelf.prompts if p.language == lang} >= NAMES
    assert {p.technique for p in shelf.prompts} == set(TECHNIQUES) == set(STEPS)
    english = {p.name: p for p in shelf.prompts if p.language == "en"}
    for chinese in (p for p in shelf.prompts if p.language == "zh"):
        twin = english[chinese.name]
        assert (chinese.technique, chinese.variables, chinese.output, len(chinese.examples)) == (
            twin.technique, twin.variables, twin.output, len(twin.examples),
        )  # fmt: skip
        assert set(chinese.steps) == set(twin.steps)


def test_a_prompt_is_known_by_its_content(tmp_path: Path) -> None:
    path = write(tmp_path, "mine")
    prompt = PromptLibrary([tmp_path]).get("mine", "en")
    content = path.read_text("utf-8").rstrip("\n")
    assert prompt.digest == hashlib.sha256(content.encode()).hexdigest()
    assert prompt.ident == f"mine@{prompt.digest[:8]}"
    path.write_bytes(b"\xef\xbb\xbf" + content.replace("\n", "\r\n").encode() + b"\r\n\r\n")
    assert PromptLibrary([tmp_path]).get("mine", "en").digest == prompt.digest
    path.write_text(content + " please", encoding="utf-8")
    assert PromptLibrary([tmp_path]).get("mine", "en").digest != prompt.digest


def test_ones_own_take_the_place_of_others_by_name(tmp_path: Path) -> None:
    near, home = tmp_path / "near", tmp_path / "home"
    library = PromptLibrary([near, home])
    assert (library.get("answer", "en").origin, library.get("answer", "en").path.parent) == (
        "built-in", BUILT_IN,
    )  # fmt: skip
    for folder in (home, near):
        path = write(folder, "answer")
        prompt = library.get("answer", "en")
        assert (prompt.origin, prompt.path) == ("yours", path)
    assert library.get("answer", "zh").origin == "built-in"
    path.unlink()
    assert library.get("answer", "en").path.parent == home


def test_a_prompt_in_one_language_serves_the_other(tmp_path: Path) -> None:
    write(tmp_path, "mine")
    prompt = PromptLibrary([tmp_path]).get("mine", "zh")
    assert prompt.language == "en"
    assert prompt.shared is not None
    assert prompt.shared.language == "zh"


def test_a_shared_prompt_of_ones_own_shows_in_the_name_of_all(tmp_path: Path) -> None:
    text = (BUILT_IN / "shared.en.md").read_text("utf-8").replace("Passages:", "Sources:")
    (tmp_path / "shared.en.md").write_text(text, encoding="utf-8")
    library = PromptLibrary([tmp_path])
    ident = built_in().get("answer", "en").ident
    shared = library.get("shared", "en")
    assert library.get("answer", "en").ident == f"{ident}+shared@{shared.digest[:8]}"


def test_an_unknown_name_is_answered_with_the_closest() -> None:
    with pytest.raises(UsageError, match=r"«step-bak».*step-back"):
        built_in().get("step-bak", "en")
    with pytest.raises(UsageError, match=r"«zzz».*answer.*few-shot"):
        built_in().get("zzz", "en")
    with pytest.raises(UsageError, match="no prompt"):
        built_in().get("../library/answer", "en")


@pytest.mark.parametrize(
    ("head", "body", "line", "said"),
    [
        (HEAD.replace("task: answer\n", ""), "{question}", 1, "«task» is missing"),
        (HEAD + "colour: red\n", "{question}", 8, "no entry «colour»"),
        (HEAD.replace("version: 1", "version: one"), "{question}", 3, "«version» is not usable"),
        (HEAD.replace("en", "de", 1), "{question}", 4, "«language» is not usable"),
        (HEAD + "technique: magic\n", "{question}", 8, "«technique» is not usable"),
        (HEAD + "output: poem\n", "{question}", 8, "no output «poem»"),
        (HEAD + "version: 2\n", "{question}", 8, "«version» stands there twice"),
        (HEAD + "examples:\n  - question: a\n    passages: [b]\n", "{question}", 9,
         "«examples.0.answer» is missing"),
        (HEAD + "system: [a\n", "{question}", 9, "not YAML"),
        (HEAD + "system: &a b\nshots: *a\n", "{question}", 9, "aliases"),
        ("- a\n", "{question}", 1, "list of entries"),
        (HEAD.replace("name: {name}", "name: other"), "{question}", 2, "must be called"),
        (HEAD, "one\ntwo {question} {\n", 10, "single brace"),
        (HEAD, "{question} {number}", 7, "uses {number}"),
        (HEAD.replace("[question]", "[question, topic]"), "{question}", 7, "declares {topic}"),
        (HEAD.replace("[question]", "[question, topic]"), "{question} {topic}", 7,
         "Nothing gives a value for {topic}"),
        (HEAD.replace("[question]", "[]"), "Say something.", 7, "never names {question}"),
        (HEAD, "", 2, "«answer» is missing"),
        (HEAD + "technique: revise\n", "{question}", 8, "«critique» is missing"),
        (HEAD, "{question}\n<!-- step: critique -->\nx", 9, "no step «critique»"),
        (HEAD, "{question}\n<!-- step: a -->\nx\n<!-- step: a -->\ny", 12,
         "«a» stands there twice"),
        (HEAD.replace("[question]", "[question, examples]"), "{examples}{question}", 2,
         "«example» is missing"),
    ],
)  # fmt: skip
def test_a_broken_file_gets_one_sentence_with_its_line(
    tmp_path: Path, head: str, body: str, line: int, said: str
) -> None:
    path = write(tmp_path, "mine", head, body)
    with pytest.raises(UsageError) as refused:
        PromptLibrary([tmp_path]).get("mine", "en")
    sentence = str(refused.value)
    assert f"{path} is not usable, line {line}: " in sentence
    assert said in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "must begin with a head"),
        (b"# Hello\n", "must begin with a head"),
        (b"---\nname: mine\n", "not closed"),
        (b"---\n\xff\xfe\n---\n", "cannot be read as text"),
        (b"---\n" + b"[" * 5000 + b"\n---\nx", "not YAML"),
        (b"---\na: \x00\n---\nx", "not YAML"),
        (b"x" * (2 << 20), "larger than a prompt"),
    ],
)
def test_garbage_is_told_as_what_it_is(tmp_path: Path, data: bytes, said: str) -> None:
    (tmp_path / "mine.en.md").write_bytes(data)
    with pytest.raises(UsageError, match=said):
        PromptLibrary([tmp_path]).get("mine", "en")


yamlish = st.lists(
    st.sampled_from([
        "---\n", "name: mine\n", "version: 1\n", "language: en\n", "task: answer\n", "? ", "- ",
        "description: d\n", "variables: [question]\n", "{question}\n", "examples:\n", "  - ", "&a ",
        "!!python/name:os ", "2024-99-99\n", "<!-- step: a -->\n", ": ", "|\n", "{", "}", "\t",
    ]) | texts,
    max_size=14,
).map("".join)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(yamlish)
@example("---\n? name: mine\n---\n")
@example("---\n? [name, mine]\n: x\n---\n")
def test_no_text_brings_the_reader_down(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.en.md"
    path.write_bytes(text.encode())
    try:
        prompt = read_prompt(path, "yours")
    except UsageError as error:
        assert "line " in str(error)  # noqa: PT017 - most texts are refused, some are prompts
    else:
        assert prompt.name == "mine"


def test_a_broken_file_takes_no_other_down(tmp_path: Path) -> None:
    write(tmp_path, "good")
    write(tmp_path, "answer", HEAD + "colour: red\n")
    (tmp_path / "Notes.md").write_text("# Notes")
    (tmp_path / "folder.en.md").mkdir()
    library = PromptLibrary([tmp_path])
    shelf = library.shelf()
    found = {(p.name, p.language) for p in shelf.prompts}
    assert {("good", "en"), ("answer", "zh"), ("role", "en")} <= found
    assert ("answer", "en") not in found
    broken, folder, notes = sorted(shelf.faults, key=lambda fault: "Notes" in fault)
    assert "answer.en.md" in broken
    assert "folder.en.md" in folder
    assert "Notes.md is not taken for a prompt" in notes
    assert library.get("good", "en").origin == "yours"


def test_one_that_takes_a_place_has_its_task(tmp_path: Path) -> None:
    write(tmp_path, "check")
    with pytest.raises(UsageError, match="task must be check"):
        PromptLibrary([tmp_path]).get("check", "en")
    write(tmp_path, "check", HEAD.replace("task: answer", "task: check"))
    with pytest.raises(UsageError, match=r"has no variable \{question\}"):
        PromptLibrary([tmp_path]).get("check", "en")


def test_the_settings_name_a_folder_beside_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / "work" / "deep"
    work.mkdir(parents=True)
    (tmp_path / "work" / "waggle.toml").write_text('[prompts]\nfolder = "mine"\n')
    monkeypatch.chdir(work)
    home = tmp_path / "home"
    with pytest.raises(UsageError, match="mine is not there"):
        PromptLibrary.of(home)
    near = write(tmp_path / "work" / "mine", "answer")
    write(home / "prompts", "answer")
    mine = write(home / "prompts", "other")
    assert PromptLibrary.of(home).get("answer", "en").path == near
    assert PromptLibrary.of(home).get("other", "en").path == mine
    monkeypatch.setenv("WAGGLE_PROMPTS_FOLDER", os.curdir)
    assert PromptLibrary.of(home).get("answer", "en").path.parent == home / "prompts"
