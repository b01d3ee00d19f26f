"""Commands and programs, each in a process of its own that begins with everything imported."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import agents.indexing
import agents.loop.acting
import agents.loop.working
import cli
import rag.answering
import rag.models.endpoint_chat
from tests.faults.processes import Child, preload

preload("tests.warmed")

# What a process would otherwise load when a command begins is loaded once, before it is forked.
PRELOADED = (agents.indexing, agents.loop.acting, agents.loop.working, rag.answering,
             rag.models.endpoint_chat)  # fmt: skip
_PATIENCE = 120.0
_WORDS = 'waggle() { printf "%s\\0" "$@"; }\n'


@dataclass(frozen=True)
class Ended:
    """What a process did: exit code, standard output, standard error."""

    code: int
    out: str
    err: str


def waggle(line: str, folder: Path, environment: Mapping[str, str]) -> Ended:
    """Run a line of a shell that begins with ``waggle``; the shell itself splits it into words."""
    words = subprocess.run(
        ["bash", "-c", _WORDS + line], cwd=folder, env=environment, capture_output=True, check=True
    )
    arguments = os.fsdecode(words.stdout).split("\0")[:-1]
    assert arguments or line.partition("#")[0].strip() == "waggle", line
    return _started(_command, arguments, folder, environment)


def python(code: str, folder: Path, environment: Mapping[str, str]) -> Ended:
    """Run a program."""
    return _started(_program, code, folder, environment)


def _started(
    work: Callable[..., Any], what: Any, folder: Path, environment: Mapping[str, str]
) -> Ended:
    ended = Child(_inside, (work, what, folder, dict(environment))).end(_PATIENCE)
    return Ended(*ended.result)


def _command(arguments: list[str]) -> None:
    sys.argv = ["waggle", *arguments]
    cli.main()


def _program(code: str) -> None:
    exec(compile(code, "<program>", "exec"), {"__name__": "__main__"})  # noqa: S102 - ours


def _inside(
    _say: Any, work: Callable[[Any], None], what: Any, folder: Path, environment: dict[str, str]
) -> tuple[int, str, str]:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    with TemporaryFile() as out, TemporaryFile() as err:
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)
        code = _code(work, what)
        sys.stdout.flush()
        sys.stderr.flush()
        return code, _read(out), _read(err)


def _code(work: Callable[[Any], None], what: Any) -> int:
    try:
        work(what)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1
    return 0


def _read(file: Any) -> str:
    file.seek(0)
    return str(file.read().decode())
