"""models list, models status, models pull, doctor."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agents.advisories import unsafe, warning
from rag.serving.environment import MARK, requirement
from rag.serving.models import SERVED
from rag.serving.plan import ServePlan
from rag.serving.running import log_file, watching
from tests.rag.scripted_server import closed_port, reply, scripted_server

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
    "engines",
}
MODEL_STATUS = {"kind", "ok", "url", "models", "context", "detail", "problem", "version", "running",
                "waiting", "cache_usage", "prefix_cache_hits", "preemptions"}  # fmt: skip


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


def test_models_status_of_vllm_and_what_the_doctor_makes_of_it(
    waggle: Command, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scripted_server() as server:
        server.models({"id": "small", "max_model_len": 8192})
        server.routes["/health"] = reply(200, b"")
        server.routes["/version"] = reply(200, {"version": "0.32.0"})
        busy = b"vllm:num_requests_running 2\nvllm:num_requests_waiting 0\n"
        busy += b"vllm:kv_cache_usage_perc 0.25\nvllm:prefix_cache_queries_total 8\n"
        server.routes["/metrics"] = reply(200, busy + b"vllm:prefix_cache_hits_total 6\n")
        monkeypatch.setenv("WAGGLE_CHAT_URL", server.url)

        status = waggle("models", "status", "--home", home, "--json")
        assert status.json.keys() == MODEL_STATUS
        assert (status.code, status.json["problem"], status.json["version"]) == (0, "", "0.32.0")
        assert (status.json["running"], status.json["prefix_cache_hits"]) == (2, 0.75)
        assert waggle("models", "status", "--home", home).out.splitlines() == [
            f"{server.url} serves small.", "vLLM 0.32.0", "8192 tokens of context",
            "2 requests running, 0 waiting", "25 % of the memory for contexts in use",
            "75 % of the prompts' tokens found in the prefix cache",
        ]  # fmt: skip
        assert f"✓ chat model: {server.url} serves small." in waggle("doctor", "--home", home).out

        server.routes["/version"] = reply(200, {"version": "0.8.4"})
        server.models({"id": "small", "max_model_len": 1024})
        said = waggle("models", "status", "--home", home)
        assert said.code == 0
        last = said.out.splitlines()[-1]
        assert last.startswith("! vLLM 0.8.4 is known to be unsafe (")
        assert f"The model at {server.url} takes 1024 tokens" in last
        server.models({"id": "small", "max_model_len": 8192})
        examined = waggle("doctor", "--home", home)
        assert "! chat model: vLLM 0.8.4 is known to be unsafe (" in examined.out
        assert "→ See it with: waggle models status" in examined.out

        server.routes["/health"] = reply(503, b"")
        status = waggle("models", "status", "--home", home, "--json")
        assert (status.code, status.json["ok"]) == (1, False)
        assert "its engine does not answer any more" in status.json["detail"]


def test_models_status_while_waggle_starts_the_server(
    waggle: Command, home: Path, tmp_path: Path
) -> None:
    port = closed_port()
    plan = ServePlan(
        model=next(iter(SERVED.values())), arguments=(), environment={}, host="127.0.0.1",
        port=port, context=1, tensor_parallel=1, notes=(),
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}/v1"
    with watching(log_file(home, port), plan) as note:
        note(4_000_000, False)
        status = waggle("models", "status", "--home", home, "--chat-url", url)
        assert status.code == 1
        assert f"Waggle is starting {plan.model.name} at {url}" in status.out
    assert "No model server answers" in waggle("models", "status", "--chat-url", url).out


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999/v1", "http://[/v1"])
def test_models_status_of_what_is_no_address(waggle: Command, home: Path, url: str) -> None:
    status = waggle("models", "status", "--home", home, "--chat-url", url)
    assert status.code == 1
    assert f"No model server answers at {url}" in status.out


def test_the_doctor_knows_unsafe_environments_of_vllm(waggle: Command, home: Path) -> None:
    for version in ("0.22.1", "0.32.0"):
        folder = home / f"vllm-{version}"
        folder.mkdir()
        (folder / MARK).write_text(f'{{"requirement": "vllm=={version}"}}')
    done = waggle("doctor", "--home", home)
    assert "! vLLM: vLLM 0.22.1 is known to be unsafe (GHSA-h3rc-6mm3-gc2m, " in done.out
    assert f"→ Delete {home / 'vllm-0.22.1'}; `waggle models serve` makes a new one." in done.out
    assert "✓ vLLM: 0.32.0" in done.out


@pytest.mark.parametrize(
    ("version", "names"),
    [
        ("0.8.5", {"CVE-2025-66448", "CVE-2026-48746", "CVE-2026-22778"}),
        ("0.11.0", {"CVE-2025-62164", "CVE-2025-66448"}),
        ("v0.30.0+cu129", {"GHSA-h3rc-6mm3-gc2m"}),
        ("0.31.0rc1", {"GHSA-h3rc-6mm3-gc2m"}),
        ("0.27.1.post1", {"CVE-2026-90553", "CVE-2026-93592"}),
    ],
)
def test_versions_known_to_be_unsafe(version: str, names: set[str]) -> None:
    assert names <= {advisory.name for advisory in unsafe(version)}
    assert version in warning(version)


@pytest.mark.parametrize(
    "version", ["0.31.0", "0.32.0", "0.32.0+cpu", "1.0", "0.1.dev1+gabc", "b1234", "", "9" * 6000]
)
def test_versions_nothing_is_known_of(version: str) -> None:
    assert unsafe(version) == ()
    assert warning(version) == ""


def test_the_version_that_waggle_installs_is_safe() -> None:
    for gpu in (True, False):
        assert unsafe(requirement(gpu=gpu).partition("==")[2]) == ()
    assert {a.name for a in unsafe("0.11.0")} > {a.name for a in unsafe("0.11.1")}


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
