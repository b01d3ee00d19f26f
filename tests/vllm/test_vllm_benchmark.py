"""The serving benchmark, with few and short requests to a real vLLM."""

import asyncio

from benchmarks.served import Served
from benchmarks.serving import QUESTIONS, Size, measure_answers
from tests.vllm.vllm_server import Server

SIZE = Size(passages=200, answer=4)


def test_answers_are_measured(server: Server) -> None:
    found = asyncio.run(measure_answers(Served(server.url, server.model), 2, True, SIZE))
    assert len(found.replies) == 2 * len(QUESTIONS)
    assert all(reply.tokens == SIZE.answer for reply in found.replies)
    assert all(0 < reply.first < reply.whole < found.seconds for reply in found.replies)
    assert 0.3 < found.hits < 1
