"""Clients that know nothing of Waggle, unchanged: LangChain, OpenAI's npm package, and Semantic
Kernel. The last two run where these variables say which:

``WAGGLE_NODE_MODULES``           a folder in which ``npm install openai`` was done
``WAGGLE_SEMANTIC_KERNEL_PYTHON`` the Python of an environment with semantic-kernel
"""

import asyncio
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessageChunk, HumanMessage, SystemMessage
from langchain_openai import ChatOpenAI
from pydantic import SecretStr

from tests.http.serving import Running

HERE = Path(__file__).parent
QUESTION = "What does the waggle run point to?"
TEXT = "length tells the distance: one second of waggling stands for about a kilometre. [1]"


def langchain(server: Running, **options: Any) -> ChatOpenAI:
    return ChatOpenAI(
        base_url=f"{server.url}/v1", api_key=SecretStr("none"), model="waggle/bees",
        max_retries=0, **options,
    )  # fmt: skip


def test_langchain_asks(server: Running) -> None:
    messages = [SystemMessage("Be polite."), HumanMessage(QUESTION)]
    reply = langchain(server).invoke(messages)
    assert reply.text == TEXT
    assert reply.usage_metadata is not None
    assert reply.usage_metadata["total_tokens"] == 42


def test_langchain_streams(server: Running) -> None:
    chat = langchain(server, stream_usage=True)

    async def stream() -> list[AIMessageChunk]:
        return [chunk async for chunk in chat.astream(QUESTION)]

    for chunks in ([*chat.stream(QUESTION)], asyncio.run(stream())):
        assert "".join(chunk.text for chunk in chunks) == TEXT
        costs = [chunk.usage_metadata["total_tokens"] for chunk in chunks if chunk.usage_metadata]
        assert sum(costs) == 42


def test_langchain_has_the_citations_of_a_response(server: Running) -> None:
    chat = langchain(server, use_responses_api=True)
    for reply in (chat.invoke(QUESTION), _joined([*chat.stream(QUESTION)])):
        (block,) = [block for block in reply.content_blocks if block["type"] == "text"]
        assert block["text"] == TEXT
        (note,) = block["annotations"]
        assert note["type"] == "citation"
        assert note["title"] == "dance.md"


def _joined(chunks: list[AIMessageChunk]) -> AIMessageChunk:
    first, *others = chunks
    for chunk in others:
        first = first + chunk
    return first


def test_the_npm_client_asks(server: Running) -> None:
    node, folder = shutil.which("node"), os.environ.get("WAGGLE_NODE_MODULES")
    if node is None or folder is None:
        pytest.skip("needs node, and WAGGLE_NODE_MODULES: a folder with npm's package openai")
    told = _told([node, str(HERE / "asked_by_npm.mjs"), folder, server.url])
    assert told["models"] == ["waggle/bees", "waggle/bees/agent"]
    assert told["model"] == "waggle/bees"
    assert told["chat"]["content"] == told["chatStream"] == told["runner"] == TEXT
    assert told["chat"]["annotations"][0]["type"] == "file_citation"
    assert told["response"] == told["final"] == told["retrieved"] == TEXT
    assert told["annotation"]["filename"] == "dance.md"
    assert told["events"][0] == "response.created"
    assert told["events"][-1] == "response.completed"
    assert told["dimension"] == 64
    assert told["refused"] == 404


def test_semantic_kernel_asks(server: Running) -> None:
    python = os.environ.get("WAGGLE_SEMANTIC_KERNEL_PYTHON")
    if python is None:
        pytest.skip("needs WAGGLE_SEMANTIC_KERNEL_PYTHON: a Python with semantic-kernel")
    assert _told([python, str(HERE / "asked_by_semantic_kernel.py"), server.url]) == [TEXT, TEXT]


def _told(command: list[str]) -> Any:
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
