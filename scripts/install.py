"""Install Waggle into a virtual environment, never with CUDA packages on a machine without a GPU.

::

    python scripts/install.py .venv          the application
    python scripts/install.py .venv --dev    and what its tests and checks need
    python scripts/install.py .venv --wheel dist/waggledance-0.1.0-py3-none-any.whl

On Linux the exact versions of ``requirements*.lock`` are taken, each checked against its hash;
elsewhere the ranges of ``pyproject.toml``. PyTorch comes first and by itself: the public package
index has CUDA builds only, so on a machine without an NVIDIA GPU a version that ends in ``+cpu``
is asked for, which that index cannot answer with anything else.
"""

import argparse
import collections
import platform
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TORCH = "2.13.0"
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"


def main() -> None:
    """Parse the arguments and run the steps, each named as it begins."""
    if sys.version_info < (3, 11):  # noqa: UP036 - an older Python may run this
        sys.exit("Waggle needs Python 3.11 or newer. Call: make PYTHON=python3.11")
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--dev", action="store_true")
    parser.add_argument("--wheel", type=Path, help="install this instead of the checkout")
    arguments = parser.parse_args()
    pip = Pip(arguments.folder)
    lock = ROOT / ("requirements-dev.lock" if arguments.dev else "requirements.lock")
    step(1, "PyTorch")
    install_torch(pip)
    step(2, "the libraries that Waggle uses: a few minutes the first time")
    if platform.system() == "Linux":
        total = lock.read_text("utf-8").count("==")
        pip.install("--no-deps", "--require-hashes", "-r", str(lock), total=total)
    step(3, "Waggle itself")
    what = [str(arguments.wheel)] if arguments.wheel else ["-e", str(ROOT)]
    extra = ["--no-deps", "--no-build-isolation"] if platform.system() == "Linux" else []
    pip.install(*extra, *what)


def step(number: int, what: str) -> None:
    """Say what begins."""
    print(f"[{number}/3] {what}", flush=True)


class Pip:
    """The pip of a virtual environment, which is made if there is none."""

    def __init__(self, folder: Path) -> None:
        scripts = "Scripts" if platform.system() == "Windows" else "bin"
        self.python = folder.resolve() / scripts / "python"
        if not self.python.exists():
            try:
                venv.create(folder, with_pip=True)
            except subprocess.CalledProcessError:
                sys.exit(
                    "This Python cannot make environments. On Debian: apt install python3-venv"
                )

    def run(self, *arguments: str) -> bool:
        """Run pip in silence; tells whether it succeeded."""
        return _succeeds([*self._command, *arguments])

    def install(self, *arguments: str, total: int = 0) -> None:
        """Install, counting the packages as they come, or stop with the end of pip's output."""
        command = [*self._command, "install", "--no-compile", "--progress-bar", "off"]
        command += arguments
        last: collections.deque[str] = collections.deque(maxlen=20)
        counter = Counter(total)
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        ) as process:
            for line in process.stdout or ():
                last.append(line)
                counter.read(line)
        counter.end()
        if process.returncode:
            sys.exit("".join(last) + "pip failed. Run the same command again to go on.")

    @property
    def _command(self) -> list[str]:
        return [str(self.python), "-m", "pip", "--disable-pip-version-check", "--no-input"]


class Counter:
    """One line that tells how far pip is, rewritten in place on a terminal."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._seen = 0
        self._begun = time.monotonic()

    def read(self, line: str) -> None:
        """Take note of a line of pip's output."""
        if line.startswith("Collecting "):
            self._seen += 1
            self._say(f"{self._seen} of {self._total} {line.split()[1].partition('=')[0]}")
        elif line.startswith("Installing collected packages"):
            self._say("unpacking, which takes a minute")

    def _say(self, text: str) -> None:
        if self._total:
            seconds = time.monotonic() - self._begun
            start, end = ("\r\033[K", "") if sys.stdout.isatty() else ("", "\n")
            if end == "" or self._seen % 20 == 0 or text.startswith("unpacking"):
                print(f"{start}      {text} ({seconds:.0f} s)", end=end, flush=True)

    def end(self) -> None:
        """Leave a clean line."""
        if self._total and sys.stdout.isatty():
            print("\r\033[K", end="", flush=True)


def install_torch(pip: Pip) -> None:
    """The CPU build, unless there is a GPU or the platform's ordinary build is one for CPUs."""
    gpu = shutil.which("nvidia-smi") and _succeeds(["nvidia-smi", "-L"])
    wanted = TORCH if gpu or platform.system() == "Darwin" else f"{TORCH}+cpu"
    if _version(pip) == wanted:
        return
    if not wanted.endswith("+cpu"):
        pip.install(f"torch=={wanted}")
    elif not pip.run("install", "--no-deps", f"torch=={wanted}"):
        pip.install("--no-deps", "--extra-index-url", TORCH_CPU_INDEX, f"torch=={wanted}")


def _version(pip: Pip) -> str:
    code = "from importlib.metadata import version; print(version('torch'))"
    done = subprocess.run(
        [str(pip.python), "-c", code], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def _succeeds(command: Sequence[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


if __name__ == "__main__":
    main()
