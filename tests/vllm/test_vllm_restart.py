"""A real vLLM that dies in the middle of an answer, and comes back at the same address."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any, cast

import pytest

from indexes.errors import EndpointError
from rag.serving.status import server_status
from tests.vllm.vllm_server import OwnServer, Server

QUESTION = "Tell me all about bees."


def test_a_server_that_is_restarted_in_mid_stream(server: Server) -> None:
    if not server.ours:
        pytest.skip("the server is not ours to kill")
    own = cast("OwnServer", server)
    stream: Any = own.chat(max_tokens=900).stream(QUESTION, extra_body={"ignore_eos": True})
    begun = next(stream).text + next(stream).text
    own.kill()
    with pytest.raises(EndpointError, match="broke off in the middle") as broken:
        begun += "".join(chunk.text for chunk in stream)
    assert begun
    assert broken.value.partial == begun
    status = server_status(own.url)
    assert status.state == "unreachable"
    assert "No model server answers at" in status.error

    # A question that is asked now waits until the server is back.
    waits = Event()
    chat: Any = own.chat(retry_seconds=600)
    chat.waiting = lambda seconds, reason: waits.set()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(chat.invoke, QUESTION)
        assert waits.wait(30)
        assert not answer.done()
        own.start()
        assert answer.result(120).text
    assert server_status(own.url).state == "ready"
