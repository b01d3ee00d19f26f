"""Starting a model server, seeing it through, and ending it: with a program that behaves as vLLM
does, in real processes."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from indexes.errors import ModelError
from rag.serving.launch import INTERRUPTED, Patience, serve
from rag.serving.models import SERVED
from rag.serving.plan import ServePlan
from rag.serving.reasons import failure, last_error
from rag.serving.running import log_file, running
from tests.faults.processes import run
from tests.rag.scripted_server import closed_port

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
QUICK = Patience(silent=20, stop=1)


def fake(port: int, **wishes: Any) -> ServePlan:
    """A plan that starts the program that behaves like vLLM."""
    model = replace(next(iter(SERVED.values())), name="small", repository="org/Small")
    return ServePlan(
        model=model, arguments=("--host", "127.0.0.1", "--port", str(port)),
        environment={"PYTHONPATH": str(HERE / "fake_vllm"), "FAKE_VLLM": json.dumps(wishes)},
        host="127.0.0.1", port=port, context=8192, tensor_parallel=1, notes=(),
    )  # fmt: skip


def python() -> Path:
    return Path(sys.executable)


def is_alive(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat")
    return state.exists() and state.read_text("utf-8").rpartition(")")[2].split()[0] != "Z"


def wait_for(condition: Callable[[], Any], seconds: float = 20) -> Any:
    until = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.05)
    return value


def apart(body: Callable[[Path], None], folder: Path) -> None:
    """Run ``body`` in a process of its own: a signal must not reach the one that runs the tests."""
    assert run(_told_nothing, body, folder).result == "done"


def _told_nothing(_say: Any, body: Callable[[Path], None], folder: Path) -> str:
    body(folder)
    return "done"


# -- starting and ending -------------------------------------------------------------------------


def test_a_server_loads_answers_and_ends_with_all_its_processes(tmp_path: Path) -> None:
    apart(_loads_answers_and_ends, tmp_path)


def _loads_answers_and_ends(tmp_path: Path) -> None:
    port, worker = closed_port(), tmp_path / "worker"
    told: list[str] = []
    seen: list[str] = []
    at_ready: list[Any] = []

    def ready(url: str) -> None:
        at_ready.extend((url, running(tmp_path)))
        assert is_alive(int(worker.read_text()))
        os.kill(os.getpid(), signal.SIGINT)

    code = serve(
        fake(port, load=1, worker=str(worker)), python(), log=log_file(tmp_path, port),
        ready=ready, tell=told.append, progress=seen.append, patience=QUICK,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}/v1"
    assert code == INTERRUPTED
    assert at_ready[0] == url
    (known,) = at_ready[1]
    assert (known.url, known.model, known.ready, known.waggle) == (url, "small", True, os.getpid())
    assert told[0] == "There is room for 121,504 tokens: 14.83 requests of 8,192 tokens at a time."
    assert f"small answers at {url}" in told[1]
    assert f"WAGGLE_CHAT_URL={url}" in told[2]
    assert any("weights 50 %" in line for line in seen)
    wait_for(lambda: not is_alive(int(worker.read_text())))
    assert not is_alive(known.pid)
    assert running(tmp_path) == []
    assert oct(log_file(tmp_path, port).stat().st_mode)[-3:] == "600"


def test_sigterm_ends_it_as_a_success_also_while_it_loads(tmp_path: Path) -> None:
    apart(_ends_while_it_loads, tmp_path)


def _ends_while_it_loads(tmp_path: Path) -> None:
    port = closed_port()
    began = time.monotonic()

    def progress(_: str) -> None:
        if time.monotonic() - began > 0.5:
            os.kill(os.getpid(), signal.SIGTERM)

    def ready(_: str) -> None:
        raise AssertionError("it never answered")

    plan, log = fake(port, load=60), log_file(tmp_path, port)
    assert serve(plan, python(), log=log, ready=ready, progress=progress, patience=QUICK) == 0
    assert time.monotonic() - began < 20


def test_one_that_does_not_heed_is_killed(tmp_path: Path) -> None:
    apart(_does_not_heed, tmp_path)


def _does_not_heed(tmp_path: Path) -> None:
    port, worker = closed_port(), tmp_path / "worker"
    plan = fake(port, stubborn=True, worker=str(worker))

    def ready(_: str) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    began = time.monotonic()
    log = log_file(tmp_path, port)
    assert serve(plan, python(), log=log, ready=ready, patience=Patience(stop=1)) == 0
    assert 1 <= time.monotonic() - began < 15
    wait_for(lambda: not is_alive(int(worker.read_text())))
    socket.create_server(("127.0.0.1", port)).close()


def test_a_second_signal_kills_at_once(tmp_path: Path) -> None:
    apart(_is_signalled_twice, tmp_path)


def _is_signalled_twice(tmp_path: Path) -> None:
    port = closed_port()

    def ready(_: str) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()

    plan, log = fake(port, stubborn=True), log_file(tmp_path, port)
    began = time.monotonic()
    code = serve(plan, python(), log=log, ready=ready, patience=Patience(stop=60))
    assert code == INTERRUPTED
    assert time.monotonic() - began < 20


def test_handlers_of_signals_are_put_back(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ModelError):
        serve(fake(closed_port(), dies="no"), python(), log=tmp_path / "serving" / "1.log")
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(
    ("wishes", "sentence"),
    [
        (
            {"dies": "(EngineCore pid=9) ERROR 11-24 07:15:00 [core.py:8] torch.OutOfMemoryError: "
             "CUDA out of memory. Tried to allocate 2.00 GiB.\nRuntimeError: Engine core "
             "initialization failed. See root cause above.\n"},
            "The GPU has not enough memory for small with 8192 tokens of context.",
        ),
        (
            {"dies": "Traceback (most recent call last):\nValueError: The bees are out.\n"
             "RuntimeError: Engine core initialization failed. See root cause above.\n"},
            "The model server ended: ValueError: The bees are out. Its log is ",
        ),
        ({"dies": "", "code": -9}, "most likely because main memory ran out"),
        ({"dies": "", "code": 3, "load": 0}, "The model server ended: exit status 3."),
    ],
)  # fmt: skip
def test_a_start_that_fails_says_why(tmp_path: Path, wishes: dict[str, Any], sentence: str) -> None:
    port = closed_port()
    log = log_file(tmp_path, port)
    with pytest.raises(ModelError) as caught:
        serve(fake(port, **wishes), python(), log=log, patience=QUICK)
    assert sentence in str(caught.value)
    assert running(tmp_path) == []


def test_one_that_ends_after_it_answered_says_why(tmp_path: Path) -> None:
    from rag.models.chat import list_models

    port = closed_port()

    def ready(url: str) -> None:
        with pytest.raises(ModelError):
            list_models(url, timeout=2)

    with pytest.raises(ModelError, match="EngineDeadError: gone"):
        serve(
            fake(port, later="vllm.v1.engine.exceptions.EngineDeadError: gone\n"), python(),
            log=log_file(tmp_path, port), ready=ready, patience=QUICK,
        )  # fmt: skip


def test_a_start_without_a_sign_of_life_is_given_up(tmp_path: Path) -> None:
    port = closed_port()
    plan, log = fake(port, load=60, mute=True), log_file(tmp_path, port)
    with pytest.raises(ModelError, match="neither answered nor written anything for 2 seconds"):
        serve(plan, python(), log=log, patience=Patience(silent=2, stop=1))


def test_a_taken_port_is_found_before_anything_is_loaded(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        began = time.monotonic()
        with pytest.raises(ModelError, match=f"Port {port} on 127.0.0.1 is taken"):
            serve(fake(port, load=60), python(), log=log_file(tmp_path, port))
        assert time.monotonic() - began < 5
    assert not log_file(tmp_path, port).exists()


def test_a_python_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    port = closed_port()
    with pytest.raises(ModelError, match="cannot be started: No such file"):
        serve(fake(port), tmp_path / "python", log=log_file(tmp_path, port))
    plan = replace(fake(port), environment={})
    with pytest.raises(ModelError, match="vLLM's environment is damaged"):
        serve(plan, python(), log=log_file(tmp_path, port), patience=QUICK)


DRIVER = """
import sys
from pathlib import Path
from tests.rag.test_serving_run import fake, python
from rag.serving.launch import serve
from rag.serving.running import log_file
home, port = Path(sys.argv[1]), int(sys.argv[2])
serve(fake(port), python(), log=log_file(home, port), ready=lambda url: print(url, flush=True))
"""


def start_other(home: Path, port: int) -> subprocess.Popen[bytes]:
    """Another Waggle that serves at ``port``; returns when its server answers."""
    command = [sys.executable, "-c", DRIVER, str(home), str(port)]
    other = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    assert other.stdout is not None
    assert other.stdout.readline().strip()
    return other


def test_a_second_waggle_is_refused_and_a_killed_one_leaves_nothing(tmp_path: Path) -> None:
    apart(_is_served_twice, tmp_path)


def _is_served_twice(tmp_path: Path) -> None:
    port = closed_port()
    log = log_file(tmp_path, port)
    with start_other(tmp_path, port) as other:
        (known,) = running(tmp_path)
        assert known.waggle == other.pid
        with pytest.raises(ModelError) as caught:
            serve(fake(port), python(), log=log, patience=QUICK)
        assert f"already serves small at port {port} (process {other.pid})" in str(caught.value)
        other.kill()
    assert is_alive(known.pid)
    assert running(tmp_path) == []

    def ready(_: str) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    assert serve(fake(port), python(), log=log, ready=ready, patience=QUICK) == 0
    assert not is_alive(known.pid)


# -- why a server did not come up ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("ValueError: Free memory on device cuda:0 (3.1/23.6 GiB) on startup is less than desired",
         "Only 3.1 of the GPU's 23.6 GiB are free"),
        ("ValueError: To serve at least one request with the model's max seq len (8192), (0.25 GiB "
         "KV cache is needed, which is larger than the available KV cache memory (0.1 GiB). Based "
         "on the available memory, the estimated maximum model length is 3072. Try increasing",
         "Try again with --context 3072."),
        ("ValueError: No available memory for the cache blocks. Try increasing",
         "small leaves no memory for the context."),
        ("huggingface_hub.errors.GatedRepoError: 401 Client Error.\nOSError: You are trying to",
         "https://huggingface.co/org/Small, then set HF_TOKEN"),
        ("huggingface_hub.errors.RepositoryNotFoundError: 404 Client Error.",
         "There is no model org/Small on the hub"),
        ("OSError: We couldn't connect to 'https://huggingface.co' to load the files",
         "the hub was not reached"),
        ("ValueError: Model architectures ['BeeForCausalLM'] are not supported for now.",
         "cannot run the kind of model that org/Small is"),
        ("ValueError: The repository contains custom code which must be executed",
         "wants to run code of its own"),
        ("ValueError: User-specified max_model_len (8192) is greater than the derived max_model_len"
         " (max_position_embeddings=2048 or model_max_length=None in model's config.json)",
         "Try again with --context 2048."),
        ("api_server.py: error: unrecognized arguments: --no-such-flag 3",
         "does not know --no-such-flag 3."),
        ("RuntimeError: The NVIDIA driver on your system is too old (found version 11040).",
         "Install a newer driver"),
        ("ValueError: Bfloat16 is only supported on GPUs with compute capability of at least 8.0",
         "--dtype float16"),
        ("OSError: [Errno 28] No space left on device", "The disk is full"),
        ("OSError: [Errno 98] Address already in use", "is taken by another program"),
        ("Engine core initialization failed. Failed core proc(s): {'EngineCore': -9}",
         "most likely because main memory ran out"),
        ("pydantic_core._pydantic_core.ValidationError: 1 validation error for VllmConfig\n"
         "  Value error, block_size must be positive [type=value_error, input_value=Args()]",
         "The model server ended: block_size must be positive. Its log is"),
    ],
)  # fmt: skip
def test_known_reasons_are_sentences_that_say_what_to_do(line: str, sentence: str) -> None:
    log = f"INFO 11-24 07:15:00 [a.py:1] trust_remote_code=False\n{line}\nRuntimeError: x\n"
    said = failure(log, 1, fake(1), Path("8000.log"))
    assert sentence in said
    assert "\n" not in said


def test_the_last_error_is_the_one_that_tells_something() -> None:
    log = (
        "INFO 11-24 07:15:00 [a.py:1] hello\n"
        "(EngineCore pid=3) ERROR 11-24 07:15:01 [core.py:8] KeyError: 'bees'\n"
        "RuntimeError: Engine core initialization failed. See root cause above.\n"
        "[W1124 ProcessGroup.cpp:1] Warning: destroy_process_group() was not called\n"
    )
    assert last_error(log) == "KeyError: 'bees'"
    assert last_error("INFO 11-24 07:15:00 [a.py:1] hello\n") == "hello"
    assert last_error("\n \n") == ""
