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
import platform
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TORCH = "2.13.0"
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"


def main() -> None:
    """Parse the arguments and run the steps, each named as it begins."""
    if sys.version_info < (3, 11):
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
    step(2, "the libraries that Waggle uses (about 500 MB, a few minutes the first time)")
    if platform.system() == "Linux":
        pip.install("--no-deps", "--require-hashes", "-r", str(lock))
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
            venv.create(folder, with_pip=True)

    def run(self, *arguments: str, quiet: bool = False) -> bool:
        """Run pip; tells whether it succeeded."""
        command = [str(self.python), "-m", "pip", *arguments, "--disable-pip-version-check"]
        output = subprocess.DEVNULL if quiet else None
        return subprocess.run(command, stdout=output, stderr=output, check=False).returncode == 0

    def install(self, *arguments: str) -> None:
        """Install, with pip's own progress bars, or stop with its message."""
        if not self.run("install", "--quiet", "--progress-bar", "on", *arguments):
            sys.exit("pip failed; its message is above. Run the same command again to go on.")


def install_torch(pip: Pip) -> None:
    """The CPU build, unless there is a GPU or the platform's ordinary build is one for CPUs."""
    gpu = shutil.which("nvidia-smi") and _succeeds(["nvidia-smi", "-L"])
    wanted = TORCH if gpu or platform.system() == "Darwin" else f"{TORCH}+cpu"
    if pip.run("show", "torch", quiet=True) and _version(pip) == wanted:
        return
    requirement = f"torch=={wanted}"
    if not pip.run("install", "--quiet", "--no-deps", requirement, quiet=True):
        pip.install("--no-deps", "--extra-index-url", TORCH_CPU_INDEX, requirement)


def _version(pip: Pip) -> str:
    code = "from importlib.metadata import version; print(version('torch'))"
    done = subprocess.run([str(pip.python), "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _succeeds(command: Sequence[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


if __name__ == "__main__":
    main()
