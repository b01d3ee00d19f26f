"""Every code block of the READMEs is run, or compared with what it stands for."""

import os
import re
import shutil
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from indexes.settings import IndexSettings
from rag.settings import ChatSettings, VerifySettings
from scripts.install import TORCH, TORCH_CPU_INDEX
from tests.warmed import Ended, python, waggle

ROOT = Path(__file__).resolve().parent.parent
READMES = ("README.md", "README.zh.md")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXPECTED_CODE = re.compile(r"#.*(?:exit code|退出码为) (\d)")


def blocks(readme: str, language: str) -> Iterator[str]:
    for match in BLOCK.finditer((ROOT / readme).read_text("utf-8")):
        if match[1] == language:
            yield match[2]


@dataclass(frozen=True)
class Shell:
    """A person's shell: the examples in the working folder, some notes at home."""

    folder: Path
    environment: dict[str, str]

    def run(self, line: str) -> Ended:
        return waggle(line, self.folder, self.environment)

    def python(self, code: str) -> Ended:
        return python(code, self.folder, self.environment)


@pytest.fixture
def shell(tmp_path: Path, home: Path, chat_server: str, examples: Path) -> Shell:
    folder = tmp_path / "here"
    shutil.copytree(examples, folder / "examples")
    shutil.copytree(examples, tmp_path / "notes")
    return Shell(
        folder,
        {
            **os.environ,
            "HOME": str(tmp_path), "WAGGLE_HOME": str(home), "WAGGLE_CHAT_URL": chat_server,
        },
    )  # fmt: skip


@pytest.mark.parametrize("readme", READMES)
def test_the_commands_run(readme: str, shell: Shell, chat_server: str) -> None:
    ran = 0
    for line in "".join(blocks(readme, "console")).splitlines():
        if line.startswith("waggle "):
            command = line.replace("http://127.0.0.1:8000/v1", chat_server)
            if not line.partition("#")[0].removeprefix("waggle serve").strip():
                command = "waggle serve --help"  # it would not end by itself
            done = shell.run(command)
            wanted = EXPECTED_CODE.search(line)
            # The server of this test always finds something to say; a refusal needs a real model.
            allowed = (0, int(wanted[1])) if wanted else (0,)
            assert done.code in allowed, (line, done.out, done.err)
            assert "Traceback" not in done.err
            ran += 1
        else:
            _check_other(line)
    assert ran >= 12


def _check_other(line: str) -> None:
    """What a test cannot run as it stands: installing, and serving on a GPU."""
    if line.startswith("make "):
        target = line.split()[1]
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    elif "torch" in line:
        assert line == f"pip install torch=={TORCH}+cpu --index-url {TORCH_CPU_INDEX}"
    else:
        assert line.startswith(("pip install .", "vllm serve "))


@pytest.mark.parametrize("readme", READMES)
def test_the_python_runs(readme: str, shell: Shell) -> None:
    for code in blocks(readme, "python"):
        done = shell.python(code)
        assert done.code == 0, done.err
        assert "1 " in done.out


@pytest.mark.parametrize("readme", READMES)
def test_the_settings_are_accepted(readme: str) -> None:
    for text in blocks(readme, "toml"):
        tables = tomllib.loads(text)
        IndexSettings.model_validate(tables["index"])
        ChatSettings.model_validate(tables["chat"])
        VerifySettings.model_validate(tables["verify"])


@pytest.mark.parametrize("readme", READMES)
def test_all_settings_of_checking_claims_are_told(readme: str) -> None:
    told = (ROOT / readme).read_text("utf-8")
    for name in VerifySettings.model_fields:
        assert f"WAGGLE_VERIFY_{name.upper()}" in told
        assert f"`{name}`" in told


def test_both_languages_show_the_same_commands() -> None:
    counts = [sum(1 for _ in BLOCK.finditer((ROOT / r).read_text("utf-8"))) for r in READMES]
    assert counts[0] == counts[1]


@pytest.mark.parametrize("readme", READMES)
def test_the_output_shown_names_the_sources_that_are_found(readme: str, shell: Shell) -> None:
    """The words of an answer are the model's; where it looked is ours."""
    shell.run("waggle index examples")
    (shown,) = blocks(readme, "text")
    runs = shown.split("$ ")[1:]
    assert len(runs) == 2
    for run in runs:
        command, _, output = run.partition("\n")
        sources = output.partition("\n\n")[0]
        assert sources.startswith("[1] examples/")
        assert shell.run(command).out.startswith(f"{sources}\n\n")
