"""Several machines: who is told what, and commands that a shell takes back word for word."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexes.errors import ModelError, UsageError
from rag.serving.cluster import ClusterPlan, Join, Step, nginx, plan_cluster
from rag.serving.hardware import GIB, Gpu
from rag.serving.models import SERVED
from rag.serving.plan import ServeOptions
from rag.serving.shell import command_text

NODES = ("10.0.0.1", "10.0.0.2", "10.0.0.3")
SMALL, LARGE = SERVED["qwen2.5-7b-instruct"], SERVED["qwen2.5-72b-instruct"]


def cards(count: int, gigabytes: int) -> tuple[Gpu, ...]:
    return tuple(Gpu(n, f"GPU of {gigabytes} GB", gigabytes * GIB) for n in range(count))


def words(text: str) -> list[str]:
    """What a shell makes of a command: its words, with the variables in front."""
    script = f"env() {{ for word; do printf '%s\\0' \"$word\"; done; }}\nenv {text}"
    done = subprocess.run(["sh", "-c", script], capture_output=True, check=True)
    return done.stdout.decode().split("\0")[:-1]


def served(planned: ClusterPlan) -> list[tuple[str, dict[str, str]]]:
    """The ``vllm serve`` commands: the machine and the flags, "" for those without a value."""
    return [(step.node, flags(step)) for step in planned.steps if "vllm serve" in step.text]


def flags(step: Step) -> dict[str, str]:
    found: dict[str, str] = {}
    last = ""
    for word in words(step.text):
        if word.startswith("--"):
            last = word
            found[last] = ""
        elif last:
            found[last] = word
    return found


def test_copies_of_a_model_that_fits_on_each() -> None:
    planned = plan_cluster(SMALL, NODES, cards(4, 24), ServeOptions())
    assert (planned.replicas, planned.tensor_parallel, planned.pipeline_parallel) == (12, 1, 1)
    commands = served(planned)
    assert [node for node, _ in commands] == list(NODES)
    for rank, (_, given_flags) in enumerate(commands):
        assert given_flags["--data-parallel-size"] == "12"
        assert given_flags["--data-parallel-size-local"] == "4"
        assert given_flags["--data-parallel-address"] == NODES[0]
        assert given_flags.get("--data-parallel-start-rank") == (str(4 * rank) if rank else None)
        assert ("--headless" in given_flags) == (rank > 0)
        assert given_flags["--host"] == "127.0.0.1"
    assert "VLLM_HOST_IP=10.0.0.2" in words(planned.steps[1].text)


def test_float32_takes_twice_the_memory_on_each() -> None:
    """15.2 GB of weights are 30.5 in float32, for which it takes two GPUs of 24 GB."""
    planned = plan_cluster(SMALL, NODES, cards(4, 24), ServeOptions(dtype="float32"))
    assert (planned.replicas, planned.tensor_parallel, planned.pipeline_parallel) == (6, 2, 1)
    assert {given_flags["--dtype"] for _, given_flags in served(planned)} == {"float32"}
    awq = SERVED["qwen2.5-14b-instruct-awq"]
    with pytest.raises(UsageError, match="computed in 16 bits"):
        plan_cluster(awq, NODES, cards(4, 24), ServeOptions(dtype="float32"))


def test_stages_of_a_model_that_does_not() -> None:
    planned = plan_cluster(LARGE, NODES[:2], cards(4, 32), ServeOptions())
    assert (planned.replicas, planned.tensor_parallel, planned.pipeline_parallel) == (1, 4, 2)
    for rank, (_, given_flags) in enumerate(served(planned)):
        assert given_flags["--pipeline-parallel-size"] == "2"
        assert given_flags["--nnodes"] == "2"
        assert given_flags["--node-rank"] == str(rank)
        assert given_flags["--master-addr"] == NODES[0]
        assert ("--headless" in given_flags) == (rank > 0)
    assert "let nobody else into their network" in planned.notes[0]


def test_stages_where_they_leave_room_for_more_context() -> None:
    model = SERVED["qwen3-8b"]
    assert plan_cluster(model, NODES[:2], cards(1, 22), ServeOptions()).pipeline_parallel == 2
    short = plan_cluster(model, NODES[:2], cards(1, 22), ServeOptions(context=8192))
    assert (short.pipeline_parallel, short.replicas, short.context) == (1, 2, 8192)


def test_as_many_copies_as_asked_for() -> None:
    planned = plan_cluster(SMALL, NODES[:2], cards(8, 24), ServeOptions(replicas=2))
    assert (planned.replicas, planned.tensor_parallel) == (4, 4)


def test_ray_starts_the_rest() -> None:
    planned = plan_cluster(LARGE, NODES[:2], cards(4, 32), ServeOptions(), "ray")
    first, second, serve = planned.steps
    assert words(first.text)[1:4] == ["ray", "start", "--head"]
    assert words(second.text)[3:5] == ["--address", "10.0.0.1:6379"]
    assert flags(serve)["--distributed-executor-backend"] == "ray"
    assert "--nnodes" not in flags(serve)
    copies = plan_cluster(SMALL, NODES[:2], cards(2, 24), ServeOptions(), "ray")
    [(node, given_flags)] = served(copies)
    assert node == NODES[0]
    assert given_flags["--data-parallel-backend"] == "ray"
    assert given_flags["--data-parallel-size"] == "4"


def test_nginx_stands_before_servers_of_their_own() -> None:
    planned = plan_cluster(SMALL, NODES[:2], cards(2, 24), ServeOptions(port=9000), "nginx")
    for _, given_flags in served(planned):
        assert given_flags["--data-parallel-size"] == "2"
        assert given_flags["--port"] == "9000"
        assert "--headless" not in given_flags
        assert "--data-parallel-address" not in given_flags
    tunnels = [words(step.text) for step in planned.steps if step.text.startswith("ssh")]
    assert tunnels[1] == ["ssh", "-N", "-L", "127.0.0.1:9002:127.0.0.1:9000", "10.0.0.2"]
    config = planned.steps[-1]
    assert config.file.endswith(".conf")
    assert config.text == nginx([9001, 9002])
    assert planned.port == 8080
    assert planned.notes == ()
    with pytest.raises(ModelError, match="does not fit on one machine"):
        plan_cluster(LARGE, NODES, cards(4, 32), ServeOptions(), "nginx")


def test_nginx_passes_on_nothing_but_the_protocol() -> None:
    text = nginx([9001, 9002])
    assert text.count("{") == text.count("}")
    assert re.findall(r"location (\S+)", text) == ["/v1/", "/"]
    assert re.findall(r"listen (\S+);", text) == ["127.0.0.1:8080"]
    assert "proxy_buffering off;" in text


@pytest.mark.parametrize("nodes", [("a",), ("a", "a"), ("a", ""), ("a", "b c"), ("a", "-o"), ()])
def test_refuses_what_is_no_list_of_machines(nodes: tuple[str, ...]) -> None:
    with pytest.raises(UsageError):
        plan_cluster(SMALL, nodes, cards(1, 24), ServeOptions())


def test_what_fits_nowhere_is_told() -> None:
    with pytest.raises(ModelError, match=r"number of GPUs: 2\).*awq fits"):
        plan_cluster(LARGE, NODES[:2], cards(1, 24), ServeOptions())


def test_names_of_machines_are_no_addresses_to_listen_at() -> None:
    planned = plan_cluster(SMALL, ("gpu-a", "gpu-b"), cards(1, 24), ServeOptions())
    assert all("VLLM_HOST_IP" not in step.text for step in planned.steps)


@given(
    st.sampled_from(sorted(SERVED)), st.integers(2, 4), st.integers(1, 8),
    st.sampled_from([16, 24, 48, 80]), st.none() | st.integers(1, 3),
    st.sampled_from(["mp", "ray", "nginx"]),
)  # fmt: skip
def test_every_gpu_is_counted_once(
    name: str, machines: int, count: int, size: int, replicas: int | None, join: Join
) -> None:
    nodes = [f"10.1.1.{n}" for n in range(machines)]
    try:
        planned = plan_cluster(
            SERVED[name], nodes, cards(count, size), ServeOptions(replicas=replicas), join
        )
    except (ModelError, UsageError):
        return
    used = planned.replicas * planned.tensor_parallel * planned.pipeline_parallel
    assert used <= machines * count
    assert used % machines == 0
    assert 0 < planned.context <= SERVED[name].context


texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


@settings(max_examples=60)
@given(
    st.lists(texts, max_size=6), st.dictionaries(st.from_regex("[A-Z]{1,5}", fullmatch=True), texts)
)
def test_a_shell_reads_back_the_words(arguments: list[str], variables: Mapping[str, str]) -> None:
    expected = [*(f"{name}={text}" for name, text in variables.items()), "vllm", *arguments]
    assert words(command_text(["vllm", *arguments], variables)) == expected


def test_a_flag_stands_on_its_own_line(tmp_path: Path) -> None:
    text = command_text(["vllm", "serve", "a b", "--host", "x", "--lora-modules", "c", "d"], {})
    assert text == "vllm serve 'a b' \\\n    --host x \\\n    --lora-modules c d"
    assert words(f"{text} {tmp_path}")[-1] == str(tmp_path)
