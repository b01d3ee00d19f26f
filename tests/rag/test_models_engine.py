"""The embedded engine, run for real with the smallest model."""

import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, cast

import httpx
import pytest
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st

from indexes.errors import ModelError, ModelFileError
from rag.models.catalogue import find
from rag.models.chat import chat_model, context_window, list_models
from rag.models.download import pull
from rag.models.engine import engine_status, ensure_engine, stop_engine
from rag.models.engine_main import read_metrics, wait_until_idle, write_private
from rag.models.engine_state import Endpoint

if TYPE_CHECKING:
    from langchain_core.messages import AIMessageChunk

ROOT = Path(__file__).resolve().parents[2]
QUESTION = "What is the capital of France? Answer in one word."


@pytest.fixture(scope="session")
def model_file() -> Path:
    cache = Path(os.environ.get("WAGGLE_TEST_MODELS", "~/.cache/waggle-tests/models")).expanduser()
    return pull(find("smollm2-135m-instruct"), cache)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "engine"
    yield folder
    stop_engine(folder)


def start(model_file: Path, state: Path, **options: object) -> Endpoint:
    options = {"context": 1024, "threads": 1, "slots": 1, "timeout": 120, **options}
    return ensure_engine(model_file, state, **options)  # type: ignore[arg-type]


def ends(pid: int, seconds: float = 15) -> bool:
    """Whether every thread of the process ends: a zombie's other threads may still hold files."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return True
        state, threads = fields[0], int(fields[17])
        if state == "Z" and threads <= 1:
            return True
        time.sleep(0.05)
    return False


def ask(endpoint: Endpoint, tokens: int = 8) -> str:
    chat = chat_model(endpoint.url, endpoint.model, endpoint.api_key, max_tokens=tokens)
    return str(chat.invoke(QUESTION).content)


def long_answer(endpoint: Endpoint, tokens: int) -> "Iterator[AIMessageChunk]":
    chat = chat_model(endpoint.url, endpoint.model, endpoint.api_key, max_tokens=tokens)
    chunks = chat.bind(extra_body={"ignore_eos": True}).stream("Tell a long story.")
    return cast("Iterator[AIMessageChunk]", chunks)


def written(chunks: "Iterator[AIMessageChunk]") -> int:
    """The number of tokens the server says it wrote, at the end of a stream."""
    return sum(chunk.usage_metadata["output_tokens"] for chunk in chunks if chunk.usage_metadata)


@pytest.mark.model
def test_it_answers_streams_and_counts(model_file: Path, state: Path) -> None:
    told: list[float] = []
    endpoint = start(model_file, state, name="tiny", progress=told.append)
    assert told
    assert told == sorted(told)
    assert endpoint.url.startswith("http://127.0.0.1:")
    assert list_models(endpoint.url, endpoint.api_key) == ["tiny"]
    assert context_window(endpoint.url, endpoint.api_key, "tiny") == 1024
    chat = chat_model(endpoint.url, None, endpoint.api_key, max_tokens=12)
    assert "Paris" in chat.invoke(QUESTION).text
    chunks = list(chat.stream(QUESTION))
    assert "Paris" in "".join(chunk.text for chunk in chunks)
    assert sum(1 for chunk in chunks if chunk.text) > 1
    usage = [chunk.usage_metadata for chunk in chunks if chunk.usage_metadata]
    assert len(usage) == 1
    assert usage[0]["output_tokens"] > 0


@pytest.mark.model
def test_the_next_call_takes_the_same_engine(model_file: Path, state: Path) -> None:
    first = start(model_file, state)
    began = time.monotonic()
    assert start(model_file, state) == first
    assert time.monotonic() - began < 2
    status = engine_status(state)
    assert status is not None
    assert (status.pid, status.ready, status.model_path) == (first.pid, True, model_file.resolve())
    assert stop_engine(state)
    assert ends(first.pid)
    assert engine_status(state) is None
    assert not stop_engine(state)


@pytest.mark.model
def test_nobody_without_the_key_gets_an_answer(model_file: Path, state: Path) -> None:
    endpoint = start(model_file, state)
    assert endpoint.api_key not in repr(endpoint)
    body = {"messages": [{"role": "user", "content": QUESTION}], "max_tokens": 1}
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        answer = httpx.post(f"{endpoint.url}/chat/completions", json=body, headers=headers)
        assert answer.status_code == 401
    command = Path(f"/proc/{endpoint.pid}/cmdline").read_bytes()
    assert endpoint.api_key.encode() not in command
    for name in ("engine.json", "engine.log"):
        assert stat.S_IMODE((state / name).stat().st_mode) == 0o600
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert endpoint.api_key not in (state / "engine.log").read_text()


@pytest.mark.model
def test_other_options_replace_the_engine(model_file: Path, state: Path) -> None:
    first = start(model_file, state)
    second = start(model_file, state, context=512)
    assert second.pid != first.pid
    assert ends(first.pid)
    assert context_window(second.url, second.api_key) == 512


@pytest.mark.model
def test_another_request_is_finished_before_the_engine_is_replaced(
    model_file: Path, state: Path
) -> None:
    first = start(model_file, state)
    stream = long_answer(first, tokens=150)
    next(stream)
    with ThreadPoolExecutor(1) as pool:
        replaced = pool.submit(start, model_file, state, context=512)
        assert written(stream) == 150
        assert replaced.result().pid != first.pid


@pytest.mark.model
def test_it_ends_when_idle_but_never_in_the_middle_of_an_answer(
    model_file: Path, state: Path
) -> None:
    endpoint = start(model_file, state, idle_seconds=2)
    began = time.monotonic()
    assert written(long_answer(endpoint, tokens=300)) == 300
    assert time.monotonic() - began > 2  # else the answer was too short to show anything
    assert ends(endpoint.pid, 8)
    assert engine_status(state) is None
    assert not (state / "engine.json").exists()
    assert start(model_file, state).pid != endpoint.pid


@pytest.mark.model
def test_asking_for_it_keeps_it_alive(model_file: Path, state: Path) -> None:
    endpoint = start(model_file, state, idle_seconds=2)
    for _ in range(6):
        time.sleep(0.7)
        assert start(model_file, state, idle_seconds=2).pid == endpoint.pid


@pytest.mark.model
def test_after_kill_9_the_next_call_starts_another(model_file: Path, state: Path) -> None:
    first = start(model_file, state)
    os.kill(first.pid, signal.SIGKILL)
    assert ends(first.pid)
    assert engine_status(state) is None
    second = start(model_file, state)
    assert second.pid != first.pid
    assert ask(second)


@pytest.mark.model
def test_an_engine_that_hangs_is_replaced(
    model_file: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rag.models.engine_state._HEALTH_SECONDS", 0.5)
    monkeypatch.setattr("rag.models.engine._STOP_SECONDS", 0.5)
    first = start(model_file, state)
    os.kill(first.pid, signal.SIGSTOP)
    second = start(model_file, state)
    assert second.pid != first.pid
    assert ends(first.pid)
    assert ask(second)


@pytest.mark.model
def test_a_stale_record_never_kills_the_process_that_has_its_number_now(
    model_file: Path, state: Path
) -> None:
    first = start(model_file, state)
    record = json.loads((state / "engine.json").read_text())
    stop_engine(state)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        record["pid"] = stranger.pid
        write_private(state / "engine.json", json.dumps(record))
        assert engine_status(state) is None
        assert not stop_engine(state)
        write_private(state / "engine.json", json.dumps(record))
        second = start(model_file, state)
        assert stranger.poll() is None
        stranger.communicate(b"\n")
    assert second.pid not in (first.pid, stranger.pid)


@pytest.mark.model
@pytest.mark.parametrize("garbage", [b"", b"\xff", b"[]", b'{"pid": 1}'])
def test_garbage_in_the_record_is_no_obstacle(
    model_file: Path, state: Path, garbage: bytes
) -> None:
    state.mkdir(mode=0o700)
    (state / "engine.json").write_bytes(garbage)
    assert engine_status(state) is None
    assert list_models(*_address(start(model_file, state)))


def _address(endpoint: Endpoint) -> tuple[str, str]:
    return endpoint.url, endpoint.api_key


@pytest.mark.model
def test_two_processes_and_two_threads_start_one_engine(model_file: Path, state: Path) -> None:
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from pathlib import Path\n"
        "from rag.models.engine import ensure_engine\n"
        f"e = ensure_engine(Path({str(model_file)!r}), Path({str(state)!r}), context=1024,"
        " threads=1, slots=1, timeout=120)\n"
        "sys.stdout.write(str(e.pid))\n"
    )
    command = [sys.executable, "-c", program]
    others = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        pids = {e.pid for e in pool.map(lambda _: start(model_file, state), range(2))}
    pids |= {int(other.communicate(timeout=120)[0]) for other in others}
    assert len(pids) == 1
    assert ask(start(model_file, state))  # it outlives the processes that may have started it


@pytest.mark.model
def test_ctrl_c_while_it_loads_leaves_nothing_running(model_file: Path, state: Path) -> None:
    def interrupt(elapsed: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        start(model_file, state, progress=interrupt)
    assert engine_status(state) is None
    with FileLock(state / "engine.alive", timeout=5):
        pass


@pytest.mark.model
def test_an_impatient_caller_is_told(model_file: Path, state: Path) -> None:
    with pytest.raises(ModelError, match="not ready within"):
        start(model_file, state, timeout=0)
    assert engine_status(state) is None
    assert start(model_file, state).pid


@pytest.mark.model
def test_too_little_memory_is_named(model_file: Path, state: Path) -> None:
    """A context whose cache cannot be allocated: terabytes."""
    with pytest.raises(ModelError, match="not enough memory"):
        start(model_file, state, context=60_000_000)
    assert engine_status(state) is None


@pytest.mark.parametrize(
    "content", [b"", b"not a model at all", b"GGUF\x03\x00\x00\x00" + b"\xff" * 64]
)
def test_a_file_that_is_no_model_is_named(tmp_path: Path, state: Path, content: bytes) -> None:
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(content)
    with pytest.raises(ModelError, match=r"could not start: .*bad\.gguf") as raised:
        start(bad, state)
    assert str(state / "engine.log") in str(raised.value)
    assert engine_status(state) is None
    assert not (state / "engine.json").exists()


def test_a_missing_file_is_named(tmp_path: Path, state: Path) -> None:
    with pytest.raises(ModelFileError, match="waggle models pull"):
        start(tmp_path / "none.gguf", state)


def test_a_state_folder_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "m.gguf").write_bytes(b"x")
    with pytest.raises(ModelError, match="cannot use the folder"):
        start(tmp_path / "m.gguf", tmp_path / "file" / "engine")


def test_without_a_state_folder_there_is_no_engine(tmp_path: Path) -> None:
    assert engine_status(tmp_path / "none") is None
    assert not stop_engine(tmp_path / "none")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("gauge", ["processing", "deferred"])
def test_a_request_that_yields_no_token_for_long_is_not_idleness(
    tmp_path: Path, gauge: str
) -> None:
    """The prompt of one batch may take longer than the idle time, and moves no counter."""
    write_private(tmp_path / "engine.json", "{}")
    began = time.monotonic()

    def metrics() -> str:
        busy = {"processing": 0, "deferred": 0, gauge: int(time.monotonic() - began < 1)}
        lines = [f"llamacpp:requests_{name} {value}" for name, value in busy.items()]
        counters = ("prompt_tokens", "prompt_tokens_cached", "tokens_predicted", "n_decode")
        return "\n".join(lines + [f"llamacpp:{name}_total 5" for name in counters])

    wait_until_idle(metrics, tmp_path, 0.3)
    assert 1.2 < time.monotonic() - began < 5
    assert not (tmp_path / "engine.json").exists()


def test_the_record_is_private_from_the_first_moment(tmp_path: Path) -> None:
    seen: set[int] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            for path in tmp_path.iterdir():
                try:
                    seen.add(stat.S_IMODE(path.stat().st_mode))
                except FileNotFoundError:
                    continue

    thread = threading.Thread(target=watch)
    thread.start()
    before = os.umask(0)
    try:
        for n in range(200):
            write_private(tmp_path / "engine.json", str(n))
    finally:
        os.umask(before)
        done.set()
        thread.join()
    assert seen == {0o600}


@given(
    running=st.integers(0, 9),
    waiting=st.integers(0, 9),
    done=st.lists(st.integers(0, 10**9), min_size=4, max_size=4),
    noise=st.lists(st.text(st.characters(exclude_characters="\n")).map(lambda s: "# " + s)),
)
def test_metrics_are_read_among_comments(
    running: int, waiting: int, done: list[int], noise: list[str]
) -> None:
    names = [
        "prompt_tokens_total", "prompt_tokens_cached_total", "tokens_predicted_total",
        "n_decode_total",
    ]  # fmt: skip
    lines = [f"llamacpp:{name} {value}" for name, value in zip(names, done, strict=True)]
    lines += [f"llamacpp:requests_processing {running}", f"llamacpp:requests_deferred {waiting}"]
    lines += ["llamacpp:predicted_tokens_seconds nan", *noise]
    busy, counters = read_metrics("\n".join(lines))
    assert busy == (running + waiting > 0)
    assert counters == tuple(done)
