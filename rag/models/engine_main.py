"""The embedded engine's own process: one GGUF model behind OpenAI's HTTP protocol, on loopback.

``engine.py`` starts this file by its path, so that nothing in the user's working folder is ever
imported in its place; hence it imports nothing of Waggle. It holds ``engine.alive`` locked for as
long as it lives: whoever finds that lock free knows that the engine is gone, whatever process has
its number now.
"""

import argparse
import json
import os
import secrets
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

STATE_FILE = "engine.json"
ALIVE_LOCK = "engine.alive"
START_LOCK = "engine.lock"
LOG_FILE = "engine.log"
OUT_OF_MEMORY_EXIT = 12

_GAUGES = ("llamacpp:requests_processing", "llamacpp:requests_deferred")
_COUNTERS = (
    "llamacpp:prompt_tokens_total",
    "llamacpp:prompt_tokens_cached_total",
    "llamacpp:tokens_predicted_total",
    "llamacpp:n_decode_total",
)


def write_private(path: Path, content: str) -> None:
    """Replace ``path`` in one step; only its owner may read it, from the first moment."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(content)
    fresh.replace(path)


def main(argv: Sequence[str]) -> int:
    """Serve until idle. ``argv``: the state folder, the model's options as JSON, idle seconds."""
    parser = argparse.ArgumentParser(prog="engine_main")
    parser.add_argument("state_dir", type=Path)
    parser.add_argument("options", type=json.loads)
    parser.add_argument("idle_seconds", type=float)
    arguments = parser.parse_args(argv)
    state_dir: Path = arguments.state_dir
    options: dict[str, Any] = arguments.options
    alive = FileLock(state_dir / ALIVE_LOCK, mode=0o600)
    try:
        alive.acquire(timeout=5)  # a look at the lock holds it for a moment
    except Timeout:
        sys.stderr.write("another engine is running\n")
        return 1
    state = {
        "pid": os.getpid(),
        "ready": False,
        "url": "",
        "api_key": secrets.token_urlsafe(32),
        "started": time.time(),
        "options": options,
    }
    write_private(state_dir / STATE_FILE, json.dumps(state))
    try:
        server = start_server(options, str(state["api_key"]))
    except RuntimeError:  # the reason is in the log
        return 1
    except MemoryError:
        return OUT_OF_MEMORY_EXIT
    state |= {"ready": True, "url": f"{server.listening_address}/v1"}
    write_private(state_dir / STATE_FILE, json.dumps(state))
    wait_until_idle(server.handle_metrics, state_dir, arguments.idle_seconds)
    return 0


def start_server(options: dict[str, Any], api_key: str) -> Any:
    """Load the model and listen on a free loopback port; returns when it is ready."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = options["model_path"]
    params.model_alias = {options["model"]}
    params.n_parallel = options["slots"]
    params.n_ctx = options["context"] * options["slots"]
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = _threads(options["threads"])
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [api_key]
    params.cors_origins = ""  # no web page has business here
    params.ui = False
    params.endpoint_slots = False  # it shows prompts
    params.endpoint_metrics = True
    params.cache_prompt = True
    params.cache_ram_mib = options["cache_mib"]
    params.warmup = True
    params.verbosity = 2  # warnings and errors: the log of a long life stays small
    return xllamacpp.Server(params)


def _threads(wanted: int | None) -> int:
    """-1 lets llama.cpp count the physical cores, which knows nothing of a CPU affinity."""
    if wanted is not None:
        return wanted
    if hasattr(os, "sched_getaffinity"):
        usable = len(os.sched_getaffinity(0))
        if usable < (os.cpu_count() or usable):
            return usable
    return -1


def wait_until_idle(metrics: Callable[[], str], state_dir: Path, idle_seconds: float) -> None:
    """Return when no request has run, and no client has asked for the engine, for that long.

    A client that takes the engine touches the state file while it holds the start lock; the engine
    leaves only with that lock in hand, so nobody is given an engine that is about to go.
    """
    seen: object = None
    last_use = time.monotonic()
    while True:
        time.sleep(min(1.0, idle_seconds / 4))
        busy, done = read_metrics(metrics())
        touched = _touched(state_dir)
        if touched is None:  # the state was taken away: nobody can find this engine again
            return
        if busy or (done, touched) != seen:
            seen, last_use = (done, touched), time.monotonic()
        elif time.monotonic() - last_use >= idle_seconds and _leave(state_dir, touched):
            return


def read_metrics(text: str) -> tuple[bool, tuple[float, ...]]:
    """Whether a request is running or waiting, and the counters that any request moves."""
    values: dict[str, float] = {}
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        if name in _GAUGES or name in _COUNTERS:
            values[name] = float(value)
    return any(values[name] > 0 for name in _GAUGES), tuple(values[name] for name in _COUNTERS)


def _touched(state_dir: Path) -> int | None:
    try:
        return (state_dir / STATE_FILE).stat().st_mtime_ns
    except FileNotFoundError:
        return None


def _leave(state_dir: Path, touched: int) -> bool:
    try:
        with FileLock(state_dir / START_LOCK, mode=0o600, timeout=0):
            if _touched(state_dir) != touched:
                return False
            (state_dir / STATE_FILE).unlink()
            return True
    except Timeout:
        return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
