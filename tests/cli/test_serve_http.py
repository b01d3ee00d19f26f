"""`waggle serve`: the keys at the terminal, and the service in a process of its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.cli.conftest import Command

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    monkeypatch.setenv("WAGGLE_HOME", str(folder))
    return folder


def test_a_key_is_shown_once_listed_rotated_and_revoked(home: Path, waggle: Command) -> None:
    made = waggle("serve", "--new-key", "shop", "--rights", "read,write", "--collections",
                  "bees", "--origins", "https://shop.example", "--rate", "60")  # fmt: skip
    assert made.code == 0
    secret = made.out.strip()
    assert secret.startswith("wgl_")
    assert "shown this once" in made.err
    (record,) = waggle("serve", "--list-keys", "--json").json["keys"]
    assert record["rights"] == ["read", "write"]
    assert (record["collections"], record["rate"]) == (["bees"], 60)
    assert record["secret"] is None
    listed = waggle("serve", "--list-keys").out
    assert secret not in listed
    assert f"{record['id']} «shop»  read, write · bees · https://shop.example" in listed
    rotated = waggle("serve", "--rotate", record["id"], "--json").json
    assert rotated["secret"].startswith("wgl_")
    assert rotated["secret"] != secret
    assert "holds no more" in waggle("serve", "--revoke", record["id"]).out
    assert "revoked" in waggle("serve", "--list-keys").out


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--new-key", "a", "--list-keys"], "Give one of"),
        (["--rights", "read"], "go with --new-key"),
        (["--new-key", "a", "--rights", "fly"], "«fly» is no right"),
        (["--new-key", "a", "--collections", "../x"], "cannot be the name"),
        (["--new-key", "a", "--origins", "shop"], "no origin"),
        (["--revoke", "key_0"], "no key «key_0»"),
        (["--host", "0.0.0.0"], "waggle serve --new-key NAME"),
    ],
)
def test_what_cannot_be_is_told(
    home: Path, waggle: Command, arguments: list[str], what: str
) -> None:
    outcome = waggle("serve", *arguments)
    assert outcome.code == 2
    assert what in outcome.err
    assert outcome.out == ""


@contextmanager
def serving(
    environment: Callable[[], dict[str, str]], home: Path, *arguments: str
) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """The command in a process of its own, and the address that it tells."""
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", "serve", "--port", "0", *arguments],
        env={**environment(), "WAGGLE_HOME": str(home)}, cwd=ROOT, text=True,
        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        assert line.startswith("Waggle answers at http://127.0.0.1:"), line
        yield line.split()[3].rstrip("."), process
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_and_ends_when_it_is_told_to(
    library: tuple[Path, Path], environment: Callable[[], dict[str, str]], number: int
) -> None:
    if os.name != "posix":
        pytest.skip("signals")
    home, _ = library
    with serving(environment, home) as (url, process):
        assert httpx.get(f"{url}/healthz", timeout=60).json() == {"status": "ok"}
        models = httpx.get(f"{url}/v1/models").json()["data"]
        assert "waggle/default" in {model["id"] for model in models}
        ready = httpx.get(f"{url}/readyz", timeout=60)
        assert ready.status_code == 503  # there is no chat model here
        assert (ready.json()["embedder"], ready.json()["chat"]) == ("ok", "missing")
        process.send_signal(number)
        assert process.wait(20) == 0
        assert process.stderr is not None
        lines = [json.loads(line) for line in process.stderr.read().splitlines()]
    assert "/v1/models" in {line.get("route") for line in lines}


def test_a_taken_port_ends_it_with_one_sentence(
    library: tuple[Path, Path], environment: Callable[[], dict[str, str]], waggle: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    home, _ = library
    monkeypatch.setenv("WAGGLE_HOME", str(home))
    with serving(environment, home) as (url, _):
        outcome = waggle("serve", "--port", url.rsplit(":", 1)[1])
    assert outcome.code == 2
    assert "Choose another with --host or --port" in outcome.err
