"""Waggle and its peers as commands: how each is installed, indexes a folder and is asked."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from scripts.install import Pip, install_torch

ROOT: Final = Path(__file__).resolve().parents[1]
PEERS: Final = {
    "txtai": "txtai",
    "llama_index": "LlamaIndex",
    "llama_index_short": "LlamaIndex, short entries",
    "langchain_faiss": "LangChain + FAISS",
    "chroma": "Chroma",
    "lancedb": "LanceDB",
}
"""The module under ``benchmarks.peers`` and what people call it."""
_SHARED: Final = {"llama_index_short": "llama_index"}
"""Peers that are run by the environment of another."""
WAGGLE: Final = "Waggle"
CHECKOUT: Final = (sys.executable, "-m", "cli")
"""The command ``waggle`` of this checkout."""

_OFFLINE: Final = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "ANONYMIZED_TELEMETRY": "False",
    "DO_NOT_TRACK": "1",
    "LANGCHAIN_TRACING_V2": "false",
}


class System(Protocol):
    """Something that indexes a folder of text files and finds passages in it."""

    @property
    def label(self) -> str:
        """The name in the tables."""

    def versions(self) -> Mapping[str, str]:
        """Packages that were measured, and their versions."""

    def index(self, folder: Path, store: str) -> Sequence[str]:
        """The command that indexes ``folder`` as ``store``, a new name."""

    def indexed(self, output: str) -> tuple[int, int]:
        """What that command says it did: documents and entries."""

    def ask_once(self, store: str, question: str, k: int) -> tuple[Sequence[str], str]:
        """The command that answers one question, and its standard input."""

    def ask(self, store: str, k: int) -> Sequence[str]:
        """The command that reads questions, one a line, and prints an answer a line."""

    def sources(self, line: str) -> Sequence[str]:
        """The paths of the files that an answer's entries come from, best first."""

    def files(self, store: str) -> Path:
        """The folder that holds ``store``."""


@dataclass(frozen=True, slots=True)
class Waggle:
    """The command line of this checkout, or another ``command``; collections lie in ``home``."""

    home: Path
    command: Sequence[str] = CHECKOUT
    label: str = WAGGLE

    def versions(self) -> Mapping[str, str]:
        """The version that the command tells."""
        done = subprocess.run(
            [*self.command, "--version"],
            cwd=ROOT,
            env=environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        return {"waggledance": done.stdout.split()[-1]}

    def index(self, folder: Path, store: str) -> Sequence[str]:
        """``waggle index FOLDER``"""
        return self._call("index", str(folder), store=store)

    def indexed(self, output: str) -> tuple[int, int]:
        """From the report in JSON."""
        report = json.loads(output)
        return report["added"], report["chunks"]

    def ask_once(self, store: str, question: str, k: int) -> tuple[Sequence[str], str]:
        """``waggle search QUESTION``"""
        return self._call("search", "-k", str(k), "--", question, store=store), ""

    def ask(self, store: str, k: int) -> Sequence[str]:
        """``waggle search - --jsonl``"""
        return self._call("search", "-", "--jsonl", "-k", str(k), store=store)

    def sources(self, line: str) -> Sequence[str]:
        """From the results in JSON."""
        return [result["source"] for result in json.loads(line)["results"]]

    def files(self, store: str) -> Path:
        """The collection's folder. The exported model, which all collections share, is beside."""
        return self.home / "collections" / store

    def _call(self, name: str, *rest: str, store: str) -> Sequence[str]:
        shared = ("--json", "--quiet", "--home", str(self.home), "--collection", store)
        return (*self.command, name, *shared, *rest)


@dataclass(frozen=True, slots=True)
class Peer:
    """``benchmarks.peers.NAME``, run by the ``python`` of its own environment."""

    name: str
    python: Path
    stores: Path
    model: Path

    @property
    def label(self) -> str:
        """What people call it."""
        return PEERS[self.name]

    def versions(self) -> Mapping[str, str]:
        """The packages that its requirements name first, as they are installed."""
        code = (
            "import json, sys; from importlib.metadata import version; "
            "print(json.dumps({name: version(name) for name in sys.argv[1:]}))"
        )
        names = [line.partition("==")[0] for line in _chosen(self.name)]
        done = subprocess.run(
            [str(self.python), "-c", code, *names], capture_output=True, text=True, check=True
        )
        found: dict[str, str] = json.loads(done.stdout)
        return found

    def index(self, folder: Path, store: str) -> Sequence[str]:
        """See ``benchmarks.peers.protocol``."""
        return self._call("index", str(folder), str(self.files(store)), str(self.model))

    def indexed(self, output: str) -> tuple[int, int]:
        """From the last line: some libraries print before it."""
        report = _last_object(output)
        return report["documents"], report["entries"]

    def ask_once(self, store: str, question: str, k: int) -> tuple[Sequence[str], str]:
        """The same command as `ask`, for one question."""
        return self.ask(store, k), question + "\n"

    def ask(self, store: str, k: int) -> Sequence[str]:
        """See ``benchmarks.peers.protocol``."""
        return self._call("query", str(self.files(store)), str(self.model), str(k))

    def sources(self, line: str) -> Sequence[str]:
        """From its answer."""
        found: list[str] = json.loads(line)["sources"]
        return found

    def files(self, store: str) -> Path:
        """The folder that the library writes."""
        return self.stores / self.name / store

    def _call(self, *arguments: str) -> Sequence[str]:
        return (str(self.python), "-m", f"benchmarks.peers.{self.name}", *arguments)


def install(name: str, environments: Path) -> Path:
    """Make the environment of a peer if it is absent or its requirements have changed.

    Returns its Python. pip tells on the terminal what is wrong, and `SystemExit` ends the attempt.
    """
    (environments / ".gitignore").write_text("*\n", "utf-8")
    wanted = requirements(name)
    pip = Pip(environments / wanted.stem)
    installed = environments / wanted.stem / "installed.txt"
    if not installed.exists() or installed.read_bytes() != wanted.read_bytes():
        # PyTorch first and by itself, or packages for CUDA come on a machine without a GPU.
        install_torch(pip)
        pip.install("-r", str(wanted), total=wanted.read_text("utf-8").count("=="))
        installed.write_bytes(wanted.read_bytes())
    return pip.python


def requirements(name: str) -> Path:
    """The exact versions that a peer needs."""
    return ROOT / "benchmarks" / "peers" / f"{_SHARED.get(name, name)}.txt"


def environment() -> dict[str, str]:
    """The variables that the programs see: the user's, but offline, and without those that change
    what Python or Waggle does."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "WAGGLE_", "OMP_"))
    }
    return {**kept, **_OFFLINE}


def split_command(text: str) -> Sequence[str]:
    """A command as one writes it in a shell."""
    return tuple(shlex.split(text))


def _chosen(name: str) -> list[str]:
    lines = requirements(name).read_text("utf-8").splitlines()
    return lines[: next(i for i, line in enumerate(lines) if line.startswith("#"))]


def _last_object(output: str) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(output.strip().splitlines()[-1])
    return report
