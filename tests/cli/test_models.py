"""models list, models status, models pull, doctor."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]

MODEL = {
    "name",
    "kind",
    "description",
    "size",
    "licence",
    "languages",
    "context",
    "present",
    "path",
}
MODEL_STATUS = {"kind", "ok", "url", "models", "context", "detail"}


def test_models_list(waggle: Command, home: Path) -> None:
    listed = waggle("models", "list", "--home", home, "--json").json
    assert listed.keys() == {"models"}
    assert all(model.keys() == MODEL for model in listed["models"])
    shown = waggle("models", "list", "--home", home).out
    assert all(model["name"] in shown for model in listed["models"])


def test_models_status_without_a_model(waggle: Command, home: Path) -> None:
    status = waggle("models", "status", "--home", home, "--json")
    assert status.code == 1
    assert status.json.keys() == MODEL_STATUS
    assert (status.json["kind"], status.json["ok"]) == ("none", False)
    assert "waggle models pull" in waggle("models", "status", "--home", home).out


def test_models_status_of_an_endpoint(waggle: Command, home: Path, chat_server: Any) -> None:
    status = waggle("models", "status", "--home", home, "--chat-url", chat_server.url, "--json")
    assert status.code == 0
    assert (status.json["kind"], status.json["models"]) == ("endpoint", ["scripted"])
    wrong = waggle("models", "status", "--chat-url", chat_server.url, "--chat-model", "other")
    assert wrong.code == 1
    silent = waggle("models", "status", "--chat-url", "http://127.0.0.1:9/v1")
    assert silent.code == 1
    assert "No model server answers at http://127.0.0.1:9/v1." in silent.out


def test_models_pull_refuses_another_file(waggle: Command, home: Path, tmp_path: Path) -> None:
    file = tmp_path / "weights.gguf"
    file.write_bytes(b"not the weights")
    done = waggle("models", "pull", "--file", file, "--home", home, "--json")
    assert done.code == 1
    assert done.json["kind"] == "ModelFileError"
    assert waggle("models", "pull", "no-such-model", "--home", home).code == 1


def test_doctor(waggle: Command, library: tuple[Path, Path]) -> None:
    done = waggle("doctor", "--home", library[0], "--json")
    assert done.json.keys() == {"ok", "checks"}
    assert all(check.keys() == {"name", "state", "detail", "fix"} for check in done.json["checks"])
    assert done.code == (0 if done.json["ok"] else 1)
    checks = {check["name"]: check for check in done.json["checks"]}
    assert checks["embedder"]["state"] == "ok"
    assert checks["collection default"]["state"] == "ok"
    assert checks["chat model"]["fix"] == "waggle models pull"


def test_doctor_names_what_is_wrong(
    waggle: Command, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAGGLE_CHAT_URL", "http://127.0.0.1:9/v1")
    done = waggle("doctor", "--home", home)
    assert done.code == 1
    assert "✗ chat model: No model server answers at http://127.0.0.1:9/v1." in done.out
