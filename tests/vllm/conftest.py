"""The tests against a real vLLM. They run where one of these variables says which:

``WAGGLE_VLLM_PYTHON``  the Python of an environment with vLLM, which is started for the tests with
                        ``WAGGLE_VLLM_MODEL``: a folder, or a name that `waggle models serve` knows
``WAGGLE_VLLM_URL``     a server that runs already: it is not restarted
"""

import json
import os
from collections.abc import Generator, Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from indexes.collection import Collection
from rag.models.chat import list_models
from tests.indexes.hash_embedder import HashEmbedder
from tests.vllm.vllm_server import OwnServer, Server, chat_plan

HERE = Path(__file__).parent
_SECONDS = 900
_RANK = 8


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.vllm)
            item.add_marker(pytest.mark.timeout(_SECONDS))
            # Of two workers one has the server for chats, the other starts the others meanwhile.
            chats = "server" in getattr(item, "fixturenames", ())
            item.add_marker(pytest.mark.xdist_group("chats" if chats else "others"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure shows what the server wrote."""
    report = yield
    found = getattr(item, "funcargs", {}).values()
    if report.failed:
        logs = [server.log_tail() for server in found if isinstance(server, Server)]
        report.sections += [("vLLM's log", log) for log in logs]
    return report


@pytest.fixture(scope="session")
def vllm_python() -> Path:
    """The Python of an environment with vLLM."""
    python = os.environ.get("WAGGLE_VLLM_PYTHON")
    if not python:
        pytest.skip("no vLLM here: run it with make test-vllm (WAGGLE_VLLM_PYTHON)")
    return Path(python)


@pytest.fixture(scope="session")
def server(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Server]:
    """vLLM, ready to answer."""
    url = os.environ.get("WAGGLE_VLLM_URL")
    if url:
        yield Server(url, list_models(url)[0])
        return
    python: Path = request.getfixturevalue("vllm_python")
    home = tmp_path_factory.mktemp("vllm")
    model = os.environ["WAGGLE_VLLM_MODEL"]
    if Path(model).is_dir():
        write_adapter(Path(model), home / "adapter")
    own = OwnServer(python, chat_plan(model, home / "adapter"), home)
    try:
        own.start()
        yield own
    finally:
        own.stop()


@pytest.fixture(scope="session")
def bees(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collection]:
    """The example documents."""
    home = tmp_path_factory.mktemp("bees")
    with Collection.open("bees", home=home, embedder=HashEmbedder()) as collection:
        collection.add([HERE.parents[1] / "examples"])
        yield collection


def write_adapter(model: Path, folder: Path) -> None:
    """A LoRA adapter for ``model`` with numbers drawn at random: what it says makes no sense, and
    differs from what the model says."""
    config = json.loads((model / "config.json").read_bytes())
    random, hidden = np.random.default_rng(7), config["hidden_size"]

    def drawn(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        return random.normal(0, 0.2, shape).astype(np.float32)

    weights = {}
    for layer in range(config["num_hidden_layers"]):
        name = f"base_model.model.model.layers.{layer}.self_attn.o_proj"
        weights[f"{name}.lora_A.weight"] = drawn(_RANK, hidden)
        weights[f"{name}.lora_B.weight"] = drawn(hidden, _RANK)
    folder.mkdir()
    save_file(weights, folder / "adapter_model.safetensors")
    facts = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": _RANK, "lora_alpha": _RANK,
             "target_modules": ["o_proj"], "bias": "none"}  # fmt: skip
    (folder / "adapter_config.json").write_text(json.dumps(facts), encoding="utf-8")
