"""A chat server whose model acts as a test wrote for it: it calls tools, and answers."""

import itertools
import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.rag.scripted_server import Script, reply, whole

Move = tuple[str, dict[str, Any]] | str | Callable[[], object]
"""A call, an answer, or what happens before the next of them."""


def acts(script: Script, *moves: Move, closing: str = "") -> None:
    """The model makes ``moves`` one after the other, the last one again and again. It finds every
    claim supported, and writes ``closing`` where it is asked without tools."""
    script.models({"id": "scripted", "object": "model", "max_model_len": 8192})
    ids = itertools.count(1)
    left = list(moves)

    def respond(handler: BaseHTTPRequestHandler) -> None:
        body = script.bodies[-1]
        names = [tool["function"]["name"] for tool in body.get("tools", ())]
        if names == ["add_numbers"]:  # whether it can call tools at all
            said = _call("probe", "add_numbers", {"numbers": [20.5, 22, 7]})
        elif names:
            said = _message(left, f"call_{next(ids)}")
        else:
            said = {"content": "Yes" if body.get("max_tokens") == 4 else closing}
        reply(200, whole(**said))(handler)

    script.answers(respond)


def _message(left: list[Move], name: str) -> dict[str, Any]:
    move = left.pop(0) if len(left) > 1 else left[0]
    if callable(move):
        move()
        return _message(left, name)
    return {"content": move} if isinstance(move, str) else _call(name, *move)


def _call(name: str, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    function = {"name": tool, "arguments": json.dumps(arguments)}
    calls = [{"id": name, "type": "function", "function": function}]
    return {"content": None, "tool_calls": calls}
