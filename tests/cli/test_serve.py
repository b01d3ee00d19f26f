"""models serve: the command and the files it shows, what it refuses, and a server it runs."""

import json
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from rag.serving.environment import MARK, environment_folder, requirement
from tests.rag.scripted_server import closed_port

Command = Callable[..., Any]

SHAPE = {
    "model", "repository", "url", "context", "tensor_parallel", "pipeline_parallel", "replicas",
    "command", "environment", "steps", "notes",
}  # fmt: skip
PLANNED = ("--gpus", 1, "--gpu-memory", 24)

# Stands in for the Python of vLLM's environment: notes how it was called, and says that it is well.
STAND_IN = """\
import json, os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")
    def log_message(self, *_):
        pass

with open(sys.argv[1], "w") as file:
    json.dump([sys.argv[2:], dict(os.environ)], file)
HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Handler).serve_forever()
"""


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without GPUs: no tool that tells of them is on the path."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("WAGGLE_LANG", "en")


def test_print_shows_a_command_that_a_shell_takes(waggle: Command, home: Path) -> None:
    done = waggle("models", "serve", "qwen2.5-7b-instruct", *PLANNED, "--print", "--home", home)
    assert done.code == 0
    words = shlex.split(done.out.replace("\\\n", ""))
    assert words[:4] == [
        "VLLM_NO_USAGE_STATS=1", "python", "-m", "vllm.entrypoints.openai.api_server",
    ]  # fmt: skip
    assert "Qwen/Qwen2.5-7B-Instruct" in words
    assert done.err == f"«python» is that of an environment with {requirement(gpu=True)}.\n"


def test_print_as_json(waggle: Command, home: Path) -> None:
    done = waggle("models", "serve", *PLANNED, "--port", 8123, "--print", "--json", "--home", home)
    plan = done.json
    assert plan.keys() == SHAPE
    assert (plan["model"], plan["url"]) == ("qwen2.5-7b-instruct", "http://127.0.0.1:8123/v1")
    assert plan["command"][:2] == ["python", "-m"]
    [step] = plan["steps"]
    assert step.keys() == {"node", "file", "text"}
    assert shlex.split(step["text"].replace("\\\n", ""))[1:] == plan["command"]
    assert requirement(gpu=True) in plan["notes"][-1]


def test_without_gpus_it_plans_for_the_processor(waggle: Command, home: Path) -> None:
    done = waggle("models", "serve", "smollm2-135m-instruct", "--print", "--home", home)
    assert "--enforce-eager" in done.out
    assert "There is no GPU here" in done.err
    quiet = waggle("models", "serve", "smollm2-135m-instruct", "--print", "-q", "--home", home)
    assert (quiet.out, quiet.err) == (done.out, "")


def test_the_size_of_gpus_is_assumed_aloud(waggle: Command, home: Path) -> None:
    done = waggle("models", "serve", "--gpus", 2, "--print", "--home", home)
    assert "--tensor-parallel-size 2" in done.out
    assert "Planned for GPUs of 24 GB" in done.err


def test_nodes_get_a_command_each(waggle: Command, home: Path) -> None:
    arguments = ("--nodes", "10.0.0.1,10.0.0.2", "--gpus", 8, "--gpu-memory", 80, "--print")
    done = waggle("models", "serve", "qwen2.5-72b-instruct", *arguments, "--home", home)
    assert done.out.count("vllm serve Qwen/Qwen2.5-72B-Instruct") == 2
    assert done.out.startswith("# on 10.0.0.1\n")
    assert "without encryption" in done.err
    plan = waggle("models", "serve", "qwen2.5-72b-instruct", *arguments, "--json").json
    assert plan.keys() == SHAPE
    assert [step["node"] for step in plan["steps"]] == ["10.0.0.1", "10.0.0.2"]
    assert plan["replicas"] == 4


def test_a_unit_and_a_compose_file(waggle: Command, home: Path) -> None:
    unit = waggle("models", "serve", "smollm2-135m-instruct", "--systemd", "--home", home)
    assert unit.out.startswith("[Unit]\n")
    python = environment_folder(home, gpu=False) / "bin" / "python"
    assert f"ExecStart={python} -P -m" in unit.out
    assert "systemctl enable --now waggle-vllm.service" in unit.err
    compose = waggle("models", "serve", *PLANNED, "--compose", "--home", home)
    version = requirement(gpu=True).partition("==")[2]
    assert yaml.safe_load(compose.out)["services"]["vllm"]["image"].endswith(f":v{version}")
    assert "docker compose up -d" in compose.err


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("no-such-model",), 1, "There is no model no-such-model."),
        (("./nowhere",), 1, "There is no folder nowhere."),
        (("--host", "0.0.0.0"), 2, "this machine only, not at 0.0.0.0"),
        (("--port", "99999"), 2, "99999 is no port"),
        (("--port", "http"), 2, "--port"),
        (("--lora", "law"), 2, "write NAME=PATH"),
        (("--lora", "=x"), 2, "write NAME=PATH"),
        (("--print", "--systemd"), 2, "Give one of --print"),
        (("--json",), 2, "--json goes with --print"),
        (("--compose",), 2, "needs one"),
        (("--nodes", "a,b"), 2, "--nodes goes with --print"),
        (("--nodes", "a,b", "--print"), 2, "how many GPUs each machine has"),
        (("--nodes", "a", "--gpus", "1", "--print"), 2, "two machines or more"),
        (("--nodes", "a,;rm", "--gpus", "1", "--print"), 2, "«;rm» is not the address"),
        (("--gpu-memory", "24"), 2, "goes with --print"),
        (("--gpu-memory", "nan", "--print"), 2, "--gpu-memory"),
        (("--gpu-memory", "inf", "--print"), 2, "--gpu-memory"),
        (("--gpus", "1", "--replicas", "2", "--print"), 2, "2 replicas"),
        (("--gpus", "2"), 1, "There is no GPU here"),
        (("--join", "magic", "--print"), 2, "--join must be one of these"),
        (("--gpus", "1000000000", "--print"), 2, "--gpus"),
    ],
)
def test_refuses_with_a_sentence(
    waggle: Command, home: Path, arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    done = waggle("models", "serve", *arguments, "--home", home)
    assert (done.code, done.out.count("\n")) == (code, int("--json" in arguments))
    assert sentence in " ".join(done.err.split())
    assert "Traceback" not in done.err


def test_an_adapter_must_be_here_to_be_served(waggle: Command, home: Path) -> None:
    arguments = ("smollm2-135m-instruct", "--lora", "law=/not/here")
    done = waggle("models", "serve", *arguments, "--home", home)
    assert done.code == 1
    assert "The adapter law is no folder on this machine: /not/here." in done.err
    assert waggle("models", "serve", *arguments, "--print", "--home", home).code == 0


def test_models_list_shows_what_is_served(
    waggle: Command, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    snapshot = tmp_path / "hub" / "models--Qwen--Qwen3-8B" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot / "model-00001-of-00005.safetensors").write_bytes(b"")
    listed = waggle("models", "list", "--json", "--home", home).json["models"]
    served = {model["name"]: model for model in listed if model["engines"] == ["vllm"]}
    assert {model["kind"] for model in served.values()} == {"chat", "embedding", "rerank"}
    assert [name for name, model in served.items() if model["present"]] == ["qwen3-8b"]
    assert served["qwen3-8b"]["path"] == str(snapshot)
    assert "bge-reranker-v2-m3" in waggle("models", "list", "--home", home).out


def stand_in(home: Path, folder: Path) -> Path:
    """Put a stand-in for vLLM where its environment would be; the file it notes its call in."""
    script, noted = folder / "stand_in.py", folder / "called.json"
    script.write_text(STAND_IN)
    python = environment_folder(home, gpu=False) / "bin" / "python"
    python.parent.mkdir(parents=True)
    called = shlex.join([sys.executable, str(script), str(noted)])
    python.write_text(f'#!/bin/sh\nexec {called} "$@"\n')
    python.chmod(0o755)
    (python.parents[1] / MARK).write_text(json.dumps({"requirement": requirement(gpu=False)}))
    return noted


def test_runs_the_server_until_it_is_interrupted(
    home: Path, tmp_path: Path, environment: Callable[[], dict[str, str]]
) -> None:
    noted, port = stand_in(home, tmp_path), closed_port()
    command = [sys.executable, "-m", "cli", "models", "serve", "smollm2-135m-instruct"]
    process = subprocess.Popen(
        [*command, "--port", str(port), "--home", str(home)], env=environment(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        wait_for(f"http://127.0.0.1:{port}/health", process)
        assert process.stderr is not None
        lines = iter(process.stderr.readline, "")
        assert any(f"http://127.0.0.1:{port}/v1" in line for line in lines)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
    finally:
        process.kill()
        process.communicate()
    arguments, variables = json.loads(noted.read_text())
    assert arguments[:3] == ["-P", "-m", "vllm.entrypoints.openai.api_server"]
    assert arguments[arguments.index("--host") + 1] == "127.0.0.1"
    # In float32, where the processor lacks AVX-512, contexts take twice the room.
    cache = {"bfloat16": "1", "float32": "2"}[arguments[arguments.index("--dtype") + 1]]
    assert variables["VLLM_CPU_KVCACHE_SPACE"] == cache
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)


def wait_for(address: str, process: "subprocess.Popen[str]") -> None:
    """Until the server answers, or a minute has passed."""
    for _ in range(600):
        try:
            urllib.request.urlopen(address, timeout=5).close()
        except OSError:
            assert process.poll() is None, process.communicate()
            time.sleep(0.1)
        else:
            return
    raise AssertionError(address)
