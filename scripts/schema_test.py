"""Have Schemathesis try out what `/openapi.json` says of the service, with and without a key.

::

    python scripts/schema_test.py .venv-schema [--seed N] [--examples N]

keeps Schemathesis in that environment, which is made if there is none, serves an example and
sends it thousands of requests. Exits with 1 where one of them meets a mistake of the service, a
status that is not described, or a response that is not as described.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

REQUIREMENT = "schemathesis==4.32.5"
ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Make the environment, and run both."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--examples", type=int, default=25, help="of each route, at most")
    arguments = parser.parse_args()
    program = environment(arguments.folder)
    failed = False
    for options in ((), ("--key",)):
        with served(*options) as (url, key):
            command = [
                str(program), "--config-file", str(ROOT / "tests/schema/schemathesis.toml"), "run",
                f"{url}/openapi.json", "--header", f"Authorization: Bearer {key}",
                "--seed", str(arguments.seed), "--max-examples", str(arguments.examples),
            ]  # fmt: skip
            failed |= subprocess.run(command, cwd=ROOT, check=False).returncode != 0
    sys.exit(failed)


def environment(folder: Path) -> Path:
    """Schemathesis in an environment of its own."""
    program = folder.resolve() / "bin" / "schemathesis"
    if not program.exists():
        venv.create(folder, with_pip=True)
        pip = [str(folder.resolve() / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, REQUIREMENT], check=True)
    return program


@contextmanager
def served(*options: str) -> Iterator[tuple[str, str]]:
    """The example; its address and its key."""
    with tempfile.TemporaryDirectory() as home:
        command = [sys.executable, "-m", "tests.schema.example", f"{home}/home", *options]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        with subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
        ) as process:
            try:
                assert process.stdout is not None
                told = json.loads(process.stdout.readline())
                yield told["url"], told.get("key", "none")
            finally:
                process.terminate()


if __name__ == "__main__":
    main()
