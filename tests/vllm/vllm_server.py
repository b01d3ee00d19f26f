"""A real vLLM, started the way `waggle models serve` starts it."""

import multiprocessing
import os
import signal
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from rag.models.chat import chat_model
from rag.serving.hardware import find_hardware
from rag.serving.launch import serve
from rag.serving.models import ServedModel, find_served
from rag.serving.plan import ServeOptions, ServePlan, plan
from rag.serving.running import log_file, running, server_url
from tests.rag.scripted_server import closed_port

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

CONTEXT = 1024
ADAPTER = "adapter"
_START_SECONDS = 600.0
_LOG_LINES = 60


class Server:
    """vLLM at ``url`` with the model ``model``. One that this process starts is ``ours``, and can
    be killed and started again at the same address."""

    def __init__(self, url: str, model: str) -> None:
        self.url, self.model, self.ours = url, model, False

    def chat(
        self,
        *,
        model: str | None = None,
        max_tokens: int = 16,
        retry_seconds: float = 0,
    ) -> "BaseChatModel":
        """A client that waits for a slow machine."""
        return chat_model(
            self.url, model or self.model,
            max_tokens=max_tokens, idle_seconds=240, retry_seconds=retry_seconds,
        )  # fmt: skip

    def total(self, metric: str) -> float:
        """What ``/metrics`` says of all engines together."""
        text = httpx.get(f"{self.url.removesuffix('/v1')}/metrics", timeout=30).text
        lines = [line for line in text.splitlines() if line.startswith(f"vllm:{metric}{{")]
        return sum(float(line.rpartition(" ")[2]) for line in lines)

    def log_tail(self) -> str:
        """The end of what it wrote, as far as this process can know it."""
        return ""


class OwnServer(Server):
    """One that this process starts with ``python``, which has vLLM, as ``plan`` says. Its log and
    record are in ``home``."""

    def __init__(self, python: Path, plan: ServePlan, home: Path) -> None:
        self._plan = plan
        super().__init__(server_url(self._plan), self._plan.model.name)
        self.ours = True
        self.log = log_file(home, self._plan.port)
        self._python, self._home = python, home

    def start(self) -> None:
        """Start it, and wait until it answers."""
        # In a process of its own, for `serve` waits for signals in the main thread.
        process = multiprocessing.get_context("spawn").Process(
            target=serve, args=(self._plan, self._python), kwargs={"log": self.log}, daemon=True
        )
        process.start()
        self._process = process
        until = time.monotonic() + _START_SECONDS
        while not any(server.ready for server in running(self._home)):
            assert process.is_alive(), self.log_tail()
            assert time.monotonic() < until, self.log_tail()
            time.sleep(0.2)

    def kill(self) -> None:
        """End it as a crash or the kernel would, without a word to its clients."""
        (server,) = running(self._home)
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        self._process.join()

    def stop(self) -> None:
        """End it as Ctrl-C does."""
        self._process.terminate()
        self._process.join()

    def log_tail(self) -> str:
        lines = self.log.read_text("utf-8", "replace").splitlines()
        return "\n".join(lines[-_LOG_LINES:])


def chat_plan(model: str, adapter: Path) -> ServePlan:
    """A start for few and short requests, on a GPU where the environment lets one be seen."""
    known = model if Path(model).is_dir() else find_served(model)
    loras = ((ADAPTER, str(adapter)),) if adapter.is_dir() else ()
    options = ServeOptions(port=closed_port(), context=CONTEXT, loras=loras)
    made = _for_tests(plan(known, find_hardware(), options))
    arguments = made.arguments
    if not made.model.tool_parser:  # vLLM calls no tool without one, not even when told which
        arguments += ("--enable-auto-tool-choice", "--tool-call-parser", "hermes")
    if made.gpu:  # the models of other tests are to fit beside it
        arguments += ("--gpu-memory-utilization", "0.5")
    return replace(made, arguments=arguments)


def pooling_plan(model: ServedModel) -> ServePlan:
    """A start for an embedding model or a reranker."""
    return _for_tests(plan(model, find_hardware(), ServeOptions(port=closed_port())))


def _for_tests(made: ServePlan) -> ServePlan:
    # Libraries are imported twice in a start. What an import compiled is to be kept.
    environment = {**made.environment, "PYTHONDONTWRITEBYTECODE": ""}
    if not made.gpu:
        # One process less, and no processor set aside or tied to a thread.
        environment["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
        environment["VLLM_CPU_OMP_THREADS_BIND"] = "nobind"
    return replace(made, environment=environment)
