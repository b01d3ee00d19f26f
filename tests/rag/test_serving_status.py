"""What a model server tells of itself, and the sentence that says what is wrong with it."""

import json
import math
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.serving.metrics import Metrics, read_metrics
from rag.serving.status import ServerStatus, server_status
from tests.rag.scripted_server import Script, closed_port, reply, scripted_server

VLLM_METRICS = """\
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="small"} 3.0
vllm:num_requests_running{engine="1",model_name="small"} 2.0
vllm:num_requests_waiting{engine="0",model_name="small"} 1.0
vllm:num_requests_waiting{engine="1",model_name="small"} 0.0
vllm:num_requests_waiting_by_reason{engine="0",model_name="small",reason="capacity"} 9.0
vllm:kv_cache_usage_perc{engine="0",model_name="small"} 0.25
vllm:kv_cache_usage_perc{engine="1",model_name="small"} 0.5
vllm:prefix_cache_queries_total{engine="0",model_name="small"} 1000.0
vllm:prefix_cache_queries_created{engine="0",model_name="small"} 1.79e+09
vllm:prefix_cache_hits_total{engine="0",model_name="small"} 750.0
vllm:num_preemptions_total{engine="0",model_name="a } b"} 4.0
"""


@pytest.fixture
def server() -> Iterator[Script]:
    with scripted_server() as script:
        yield script


def vllm(script: Script, metrics: str = VLLM_METRICS) -> None:
    """Make the server one that answers as vLLM does."""
    script.models({"id": "small", "max_model_len": 4096}, {"id": "bees", "parent": "small"})
    script.routes["/health"] = reply(200, b"")
    script.routes["/version"] = reply(200, {"version": "0.32.0"})
    script.routes["/metrics"] = reply(200, metrics.encode(), "text/plain; version=0.0.4")


def test_all_that_vllm_tells(server: Script) -> None:
    vllm(server)
    status = server_status(server.url, "key-1")
    assert (status.state, status.models) == ("ready", ("small", "bees"))
    assert (status.context, status.version) == (4096, "0.32.0")
    assert status.metrics == Metrics(running=5, waiting=1, cache=0.5, hits=0.75, preemptions=4)
    assert status.problem(model="bees", needed=4096) == ""
    assert set(server.keys) == {"Bearer key-1"}


def test_a_server_without_figures_is_no_complaint(server: Script) -> None:
    server.models({"id": "m"})
    status = server_status(server.url)
    assert (status.state, status.version, status.metrics) == ("ready", None, Metrics())
    assert status.problem(model="m", needed=9_999) == ""


def test_pages_for_people_in_the_place_of_figures(server: Script) -> None:
    """A proxy that answers every address with a page."""
    server.models({"id": "m"})
    for path in ("/health", "/version", "/metrics"):
        server.routes[path] = reply(200, b"<html>{} 1</html>\n\xff", "text/html")
    status = server_status(server.url)
    assert (status.state, status.version, status.metrics) == ("ready", None, Metrics())


@pytest.mark.parametrize("version", [{"version": 3}, {"version": "\x1b[2J"}, [], "x" * 9, None])
def test_a_version_that_is_none(server: Script, version: object) -> None:
    vllm(server)
    server.routes["/version"] = reply(200, version)
    assert server_status(server.url).version is None


def test_llama_cpp(server: Script) -> None:
    server.models({"id": "m", "meta": {"n_ctx": 8192}})
    server.routes["/health"] = reply(200, {"status": "ok"})
    text = b"llamacpp:requests_processing 1\nllamacpp:requests_deferred 2\n"
    server.routes["/metrics"] = reply(200, text, "text/plain")
    status = server_status(server.url)
    assert (status.context, status.metrics) == (8192, Metrics(running=1, waiting=2))


def test_llama_cpp_while_it_loads(server: Script) -> None:
    loading = {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}
    server.routes["/health"] = server.routes["/v1/models"] = reply(503, loading)
    status = server_status(server.url)
    assert status.state == "loading"
    assert "is still loading its model" in status.problem()


def test_vllm_whose_engine_has_died(server: Script) -> None:
    vllm(server)
    server.routes["/health"] = reply(503, b"")
    status = server_status(server.url)
    assert status.state == "unhealthy"
    assert "its engine does not answer any more. Look at its log" in status.problem()


def test_nothing_there_and_a_wrong_key(server: Script) -> None:
    status = server_status(f"http://127.0.0.1:{closed_port()}/v1")
    assert status.state == "unreachable"
    assert "No model server answers" in status.problem()
    vllm(server)
    server.routes["/v1/models"] = reply(401, {"error": "Unauthorized"})
    assert "refuses the key" in server_status(server.url, "wrong").problem()


def test_a_server_that_hangs_is_given_up_soon(server: Script) -> None:
    gate = threading.Event()

    def hang(handler: BaseHTTPRequestHandler) -> None:
        gate.wait(30)
        handler.close_connection = True

    server.routes.update(dict.fromkeys(("/health", "/v1/models"), hang))
    began = time.monotonic()
    status = server_status(server.url)
    gate.set()
    assert status.state == "unreachable"
    assert "did not answer in time" in status.problem()
    assert time.monotonic() - began < 15


def ready(**known: object) -> ServerStatus:
    metrics = Metrics(**known)  # type: ignore[arg-type]
    return ServerStatus("http://u:p@127.0.0.1:1/v1", "ready", ("m",), 4096, "0.32.0", metrics)


def test_each_problem_has_its_sentence() -> None:
    assert "does not serve x. It serves: m." in ready().problem(model="x")
    short = ready().problem(needed=5000)
    assert "takes 4096 tokens" in short
    assert "need about 5000" in short
    full = ready(cache=0.99, preemptions=3).problem()
    assert "is full (99 %)" in full
    assert "put off 3 requests" in full
    assert ready(cache=0.99, preemptions=0).problem() == ""
    assert ready(cache=0.5, preemptions=3).problem() == ""
    assert "9 requests wait at http://127.0.0.1:1/v1" in ready(waiting=9, running=4).problem()
    assert ready(waiting=9, running=30).problem() == ""
    assert ready(waiting=2, running=0).problem() == ""


def test_no_password_of_an_address_is_shown() -> None:
    status = ready(waiting=99, running=1, cache=1.0, preemptions=1)
    for said in (status.problem(model="x"), status.problem(needed=9999), status.problem()):
        assert "127.0.0.1" in said
        assert "u:p" not in said


def test_older_names_of_the_figures() -> None:
    text = (
        'vllm:gpu_cache_usage_perc{model_name="m"} 0.125\n'
        'vllm:gpu_prefix_cache_queries_total{model_name="m"} 0\n'
        'vllm:gpu_prefix_cache_hits_total{model_name="m"} 0\n'
    )
    assert read_metrics(text) == Metrics(cache=0.125)


figures = st.one_of(st.floats(), st.integers(), st.text(max_size=6))
names = st.sampled_from(
    ["vllm:num_requests_running", "vllm:kv_cache_usage_perc", "vllm:num_preemptions_total",
     "vllm:prefix_cache_hits_total", "vllm:prefix_cache_queries_total", "x"]
)  # fmt: skip


@given(st.lists(st.tuples(names, st.text(max_size=8), figures)), st.text())
def test_no_text_whatever_breaks_the_reading(
    samples: list[tuple[str, str, object]], rest: str
) -> None:
    lines = [f"{name}{{label={json.dumps(label)}}} {value}" for name, label, value in samples]
    read = read_metrics("\n".join([*lines, rest]))
    for value in (read.running, read.waiting, read.cache, read.preemptions):
        assert value is None or (value >= 0 and math.isfinite(value))
    assert read.hits is None or 0 <= read.hits <= 1


@given(st.lists(st.integers(min_value=0, max_value=10**9), min_size=1, max_size=8))
def test_engines_are_added_up(counts: list[int]) -> None:
    lines = [f'vllm:num_requests_running{{engine="{n}"}} {c}.0' for n, c in enumerate(counts)]
    assert read_metrics("\n".join(lines)).running == sum(counts)


def test_a_server_that_comes_back_is_seen_at_once(tmp_path: Path) -> None:
    """While it restarts nothing answers; the next look finds it, with nothing remembered."""
    with scripted_server() as first:
        vllm(first)
        assert server_status(first.url).state == "ready"
        url = first.url
    assert server_status(url).state == "unreachable"
