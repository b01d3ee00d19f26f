"""Write ``requirements.lock`` and ``requirements-dev.lock``: exact versions with hashes.

PyTorch is left out: which build fits depends on the machine (see ``install.py``).
"""

import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Compile both files with pip-tools."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    runtime = project["project"]["dependencies"]
    build = project["build-system"]["requires"]
    compile_lock("requirements.lock", [*runtime, *build, "torch==2.13.0"])
    dev = project["dependency-groups"]["dev"]
    compile_lock("requirements-dev.lock", [*runtime, *build, *dev, "torch==2.13.0"])


def compile_lock(name: str, requirements: list[str]) -> None:
    """Resolve ``requirements`` and write the file ``name``."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "requirements.in")
        source.write_text("\n".join(requirements) + "\n", "utf-8")
        subprocess.run(
            [
                sys.executable, "-m", "piptools", "compile", "--quiet", "--generate-hashes",
                "--strip-extras", "--unsafe-package", "torch", "--no-header",
                "--no-emit-index-url", "--no-emit-find-links", "--no-emit-options",
                "--no-annotate", "--output-file", str(ROOT / name), str(source),
            ],
            check=True,
        )  # fmt: skip


if __name__ == "__main__":
    main()
