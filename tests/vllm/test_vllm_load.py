"""What many and impatient clients get from a real vLLM."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, closing
from typing import Any, cast

from indexes.collection import Collection
from indexes.types import SearchResult
from rag import RAG
from rag.prompts import answer_messages
from tests.vllm.vllm_server import Server

FOREVER: dict[str, Any] = {"extra_body": {"ignore_eos": True}}
"""So that only a client that leaves can end an answer of hundreds of tokens."""


def soon(condition: Callable[[], bool], seconds: float = 60.0) -> bool:
    """Whether it comes true in time."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def passages(bees: Collection, first: int, count: int) -> list[SearchResult]:
    return list(bees.search("honey bees hive", first + count).results[first:])


def stops_writing(server: Server, written: float) -> bool:
    """Whether the server has soon nothing to do, long before all that was asked for is written."""
    return soon(lambda: server.total("num_requests_running") == 0) and (
        server.total("generation_tokens_total") - written < 200
    )


def test_closing_a_stream_frees_its_slot(server: Server) -> None:
    written = server.total("generation_tokens_total")
    stream: Any = server.chat(max_tokens=900).stream("Tell me all about bees.", **FOREVER)
    with closing(stream):
        assert next(stream) is not None
        assert soon(lambda: server.total("num_requests_running") == 1)
    assert stops_writing(server, written)


def test_leaving_an_answer_frees_its_slot(server: Server, bees: Collection) -> None:
    written = server.total("generation_tokens_total")
    chat: Any = server.chat(max_tokens=600)
    chat.extra_body = FOREVER["extra_body"]

    async def read() -> None:
        async with aclosing(RAG(bees, chat).astream("What is honey?", k=1)) as events:
            async for _ in events:
                pass

    async def leave_in_the_middle() -> bool:
        # Known from the server: a word is shown only when its sentence is whole and checked.
        reading = asyncio.create_task(read())
        assert await asyncio.to_thread(
            soon, lambda: server.total("generation_tokens_total") > written + 4
        )
        reading.cancel()
        await asyncio.wait([reading])
        assert reading.cancelled()
        # Asked while the loop goes on, as a service's does: it has the connection to close.
        return await asyncio.to_thread(stops_writing, server, written)

    assert asyncio.run(leave_in_the_middle())


def test_thirty_two_at_once_are_all_answered(server: Server) -> None:
    chat = server.chat(max_tokens=6)
    words = [f"Say the number {number}." for number in range(32)]

    def ask(question: str) -> int:
        reply = chat.invoke(question, **FOREVER)
        return int(cast("dict[str, int]", reply.usage_metadata)["output_tokens"])

    with ThreadPoolExecutor(len(words)) as pool:
        assert list(pool.map(ask, words)) == [6] * len(words)


def test_questions_about_the_same_passages_share_their_prefix(
    server: Server, bees: Collection
) -> None:
    chat = server.chat(max_tokens=1)
    same, others = passages(bees, 0, 3), passages(bees, 3, 3)

    def found_in_cache(question: str, contexts: list[SearchResult]) -> float:
        """The share of the prompt's tokens that the server had computed before."""
        hits, tokens = (
            server.total("prefix_cache_hits_total"),
            server.total("prefix_cache_queries_total"),
        )
        chat.invoke(answer_messages(question, contexts))
        hits = server.total("prefix_cache_hits_total") - hits
        return hits / (server.total("prefix_cache_queries_total") - tokens)

    found_in_cache("What is honey?", same)
    assert found_in_cache("Who dances, and why?", same) > 0.6
    assert found_in_cache("How warm is the hive in winter?", same) > 0.6
    assert found_in_cache("What is honey?", others) < 0.4
