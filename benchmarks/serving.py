"""vLLM on this machine: tokens per second, time to the first token, and embedding throughput.

``python -m benchmarks.serving`` serves a chat model twice, with and without its prefix cache, and
lets 1, 8 and 64 readers at a time ask about passages of 4,000 tokens each; then it serves embedding
models and has passages embedded. It writes its section of ``docs/benchmarks.md``. Without a GPU
there is less of everything. ``--small`` tries all of that out in minutes and prints the section.
"""

import argparse
import asyncio
import random
import re
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from langchain_core.messages import convert_to_openai_messages
from openai import AsyncOpenAI

from benchmarks.machine import machine
from benchmarks.report import table
from benchmarks.served import Served, find_model, served
from indexes.types import SearchResult
from rag.prompts import answer_messages
from rag.serving.environment import ensure_environment
from rag.serving.hardware import find_hardware

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = ROOT / "docs" / "benchmarks.md"
BEGIN: Final = "<!-- `make bench-serving` writes from here -->"
END: Final = "<!-- `make bench-serving` writes to here -->"
QUESTIONS: Final = (
    "Who is named in the passages?",
    "Which numbers do the passages give?",
    "What happens first, and what last?",
    "What do the passages say about honey?",
)
"""What each reader asks about its passages, one after the other."""

_CONCURRENT_REQUESTS = 8


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured; lengths are in tokens."""

    readers: tuple[int, ...] = (1, 8, 64)
    passages: int = 4000
    answer: int = 128
    texts: int = 4096
    text: int = 128
    batch: int = 64


PROCESSOR: Final = Size(readers=(1, 4), passages=600, answer=32, texts=128, batch=16)
"""What a machine without a GPU does in a quarter of an hour."""
SMALL: Final = Size(readers=(1, 2), passages=100, answer=8, texts=16, text=32, batch=4)


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer: seconds from the request to its first token and to its end, and its tokens."""

    first: float
    whole: float
    tokens: int


@dataclass(frozen=True, slots=True)
class Answering:
    """What ``readers`` at a time got; ``hits`` is the share of prompt tokens found in the cache."""

    model: str
    cache: bool
    readers: int
    seconds: float
    replies: Sequence[Reply]
    hits: float

    def row(self) -> list[str]:
        """The cells of the table."""
        first = [reply.first for reply in self.replies]
        p50, p95 = np.quantile(first, [0.5, 0.95])
        rate = sum(reply.tokens for reply in self.replies) / self.seconds
        return [
            self.model, "yes" if self.cache else "no", str(self.readers), str(len(self.replies)),
            f"{rate:,.1f}", f"{p50:.2f}", f"{p95:.2f}", f"{self.hits:.0%}",
        ]  # fmt: skip


class Words:
    """Text of a wanted length, made of the words of the example documents: never the same twice."""

    def __init__(self, seed: int = 7) -> None:
        files = sorted((ROOT / "examples").glob("*.md"))
        text = " ".join(file.read_text("utf-8") for file in files)
        self._words = re.findall(r"[a-z]{2,}", text)
        self._random = random.Random(seed)

    def text(self, tokens: int) -> str:
        """About so many tokens."""
        return " ".join(self._random.choices(self._words, k=max(1, round(tokens / 1.3))))

    def passages(self, tokens: int, count: int = 10) -> list[SearchResult]:
        """Search results of about so many tokens together."""
        texts = [self.text(tokens // count) for _ in range(count)]
        return [
            SearchResult(rank, 1.0, str(rank), f"{rank}.md", f"Document {rank}", None, (), 0,
                         len(text), text, {})
            for rank, text in enumerate(texts, 1)
        ]  # fmt: skip


async def ask(client: AsyncOpenAI, model: str, prompt: object, tokens: int) -> Reply:
    """One streamed answer of ``tokens`` tokens."""
    begun = time.perf_counter()
    first, written = 0.0, 0
    stream = await client.chat.completions.create(
        model=model, messages=prompt, max_tokens=tokens, temperature=0, stream=True,  # type: ignore[call-overload]
        stream_options={"include_usage": True}, extra_body={"ignore_eos": True},
    )  # fmt: skip
    async for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            first = first or time.perf_counter() - begun
        if chunk.usage:
            written = chunk.usage.completion_tokens
    whole = time.perf_counter() - begun
    return Reply(first or whole, whole, written)


async def read(server: Served, passages: list[SearchResult], size: Size) -> list[Reply]:
    """A reader's questions, each after the answer to the one before."""
    async with AsyncOpenAI(base_url=server.url, api_key="none", max_retries=0) as client:
        replies = []
        for question in QUESTIONS:
            prompt = convert_to_openai_messages(answer_messages(question, passages))
            replies.append(await ask(client, server.model, prompt, size.answer))
        return replies


async def measure_answers(
    server: Served, readers: int, cache: bool, size: Size, seed: int = 7
) -> Answering:
    """All readers at once, each with passages of its own, which depend on ``seed``."""
    words = Words(seed + readers)
    shelves = [words.passages(size.passages) for _ in range(readers)]
    queries, hits = server.counter("prefix_cache_queries"), server.counter("prefix_cache_hits")
    begun = time.perf_counter()
    replies = await asyncio.gather(*(read(server, shelf, size) for shelf in shelves))
    seconds = time.perf_counter() - begun
    asked = server.counter("prefix_cache_queries") - queries
    found = server.counter("prefix_cache_hits") - hits
    flat = [reply for some in replies for reply in some]
    return Answering(server.model, cache, readers, seconds, flat, found / asked if asked else 0.0)


async def measure_embedding(server: Served, size: Size) -> list[str]:
    """A row of the table: passages and tokens embedded per second."""
    words = Words()
    texts = [words.text(size.text) for _ in range(size.texts)]
    batches = [texts[at : at + size.batch] for at in range(0, len(texts), size.batch)]
    slots, tokens = asyncio.Semaphore(_CONCURRENT_REQUESTS), 0

    async with AsyncOpenAI(base_url=server.url, api_key="none", max_retries=0) as client:

        async def embed(batch: list[str]) -> int:
            async with slots:
                done = await client.embeddings.create(model=server.model, input=batch)
            return done.usage.prompt_tokens

        await embed(batches[0])  # the first request of all warms the server up
        begun = time.perf_counter()
        tokens = sum(await asyncio.gather(*map(embed, batches)))
        seconds = time.perf_counter() - begun
    rates = len(texts) / seconds, tokens / seconds
    return [server.model, f"{len(texts):,}", *(f"{rate:,.0f}" for rate in rates)]


def section(
    machine_name: str, size: Size, answers: Sequence[Answering], rows: list[list[str]]
) -> str:
    """The page's section, in Markdown."""
    head = ["model", "prefix cache", "readers", "answers", "tokens/s", "first token p50, s",
            "p95, s", "found in cache"]  # fmt: skip
    return f"""\
{BEGIN}
## Serving with vLLM

Measured by `make bench-serving` on {machine_name}.

So many readers at a time ask {len(QUESTIONS)} questions each, one after the other, about some
{size.passages:,} tokens of passages of their own; each answer has {size.answer} tokens.
**tokens/s** counts the tokens written for all readers together.

{table(head, [one.row() for one in answers], markdown=True)}

Passages of some {size.text} tokens through `/v1/embeddings`, {size.batch} in a request,
{_CONCURRENT_REQUESTS} requests at a time:

{table(["model", "passages", "passages/s", "tokens/s"], rows, markdown=True)}
{END}
"""


def written_into(page: str, text: str) -> str:
    """The page with the section in its place: where it was, else at the end."""
    before, begin, rest = page.partition(BEGIN)
    if not begin:
        return f"{page.rstrip()}\n\n{text}"
    return before + text + rest.partition(f"{END}\n")[2]


def run(arguments: argparse.Namespace, home: Path) -> str:
    """Start the servers one after the other, measure, and return the section."""
    hardware = find_hardware()
    size = SMALL if arguments.small else Size() if hardware.gpus else PROCESSOR
    python = arguments.python or ensure_environment(
        ROOT / ".venv-vllm", progress=print, gpu=bool(hardware.gpus)
    )
    answers = []
    for cache in (True, False):
        more = [] if cache else ["--no-enable-prefix-caching"]
        with served(find_model(arguments.model), hardware, python, home, more) as server:
            # What warms the server up must not be what is measured: it would be in the cache.
            asyncio.run(measure_answers(server, 1, cache, replace(size, answer=4), seed=0))
            for readers in size.readers:
                answers.append(asyncio.run(measure_answers(server, readers, cache, size)))
                print(*answers[-1].row(), flush=True)
    rows = []
    for name in arguments.embedder:
        with served(find_model(name), hardware, python, home, []) as server:
            rows.append(asyncio.run(measure_embedding(server, size)))
            print(*rows[-1], flush=True)
    gpus = ", ".join(gpu.name for gpu in hardware.gpus)
    return section(f"{gpus or 'no GPU'}; {machine()}", size, answers, rows)


def main() -> None:
    """Parse the arguments, measure, and write the page or print the section."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="qwen2.5-7b-instruct", help="a name or a folder")
    parser.add_argument("--embedder", action="append", help="a name or a folder; repeatable")
    parser.add_argument("--python", type=Path, help="that of an environment with vLLM")
    parser.add_argument("--small", action="store_true", help="try it out; print the section")
    arguments = parser.parse_args()
    arguments.embedder = arguments.embedder or ["all-minilm-l6-v2", "multilingual-e5-large"]
    with tempfile.TemporaryDirectory() as home:
        text = run(arguments, Path(home))
    if arguments.small:
        print(text)
    else:
        PAGE.write_text(written_into(PAGE.read_text("utf-8"), text), "utf-8")


if __name__ == "__main__":
    main()
