"""Every reply of the model and every result of a tool, written down as it comes."""

import json
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

from langchain.agents.middleware import AgentMiddleware
from langchain.agents.middleware.types import ModelRequest, ModelResponse, ToolCallRequest
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage, messages_from_dict
from langchain_core.tools import ToolException
from langchain_core.utils.function_calling import convert_to_openai_tool
from langgraph.errors import GraphBubbleUp
from langgraph.types import Command

from agents.loop.journal import Journal
from agents.loop.observing import key_of
from agents.loop.saving import pack, unpack
from indexes.errors import RunError

Result = ToolMessage | Command[Any]
Marks = Mapping[str, Any]


class Recording(AgentMiddleware[Any, Any, Any]):
    """Writes down what the model and the tools bring. What the model replied to the very same
    request in an earlier process of the run, which was killed before it went on, is not asked for
    again."""

    def __init__(self, journal: Journal) -> None:
        super().__init__()
        self._journal = journal
        self._lock = threading.Lock()
        self._known: dict[str, deque[Any]] = defaultdict(deque)
        for line in journal.before:
            if line.kind in ("model", "said"):
                self._known[_key(line.kind, line.values)].append(line.values["reply"])

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ModelResponse[Any]:
        """The model's reply, or the one that is known."""
        values = {"request": marks(request)}
        if known := self._take("model", values):
            return reply_of(known)
        response = handler(request)
        self._journal.write("model", **values, reply=[_dumped(one) for one in response.result])
        return response

    def wrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Result]
    ) -> Result:
        """The tool's result."""
        call = {"call_id": request.tool_call["id"] or "", "tool": request.tool_call["name"],
                "arguments": request.tool_call["args"]}  # fmt: skip
        try:
            result = handler(request)
        except (GraphBubbleUp, RunError):
            raise
        except Exception as error:
            self._journal.write("tool", **call, result=failed(error))
            raise
        self._journal.write("tool", **call, result=plain(result))
        return result

    def remembered(
        self,
        name: str,
        request: object,
        make: Callable[[], Any],
        otherwise: Any = None,  # noqa: ARG002
    ) -> Any:
        """What ``make`` returns (plain values), for what is asked outside of the loop: it is not
        made again for the same ``request`` (plain values) when the run is gone on with, nor when it
        is replayed; ``otherwise`` stands for it in the replay of a run that knew nothing of it."""
        values = {"name": name, "request": digest(request)}
        if known := self._take("said", values):
            return known["value"]
        reply = {"value": make()}
        self._journal.write("said", **values, reply=reply)
        return reply["value"]

    def _take(self, kind: str, values: Mapping[str, Any]) -> Any:
        with self._lock:
            known = self._known.get(_key(kind, values))
            return known.popleft() if known else None


def _key(kind: str, values: Mapping[str, Any]) -> str:
    return f"{kind} {values.get('name', '')} {digest(values['request'])}"


def call_key(call_id: str, tool: str, arguments: Mapping[str, Any]) -> str:
    """Equal for the same call only: some models number their calls anew in each message."""
    return f"{call_id} {key_of(tool, arguments)}"


def digest(value: object) -> str:
    """Short, and equal for equal plain values only."""
    text = json.dumps(value, sort_keys=True, default=str)
    return sha256(text.encode()).hexdigest()[:16]


def marks(request: ModelRequest[Any]) -> Marks:
    """What a request consists of, each part as a digest. What differs without any meaning, such as
    the names of messages and calls, is left out."""
    return {
        "instructions": digest(request.system_prompt),
        "tools": digest([_described(tool) for tool in request.tools]),
        "messages": [digest(_essence(message)) for message in request.messages],
    }


def _described(tool: Any) -> Any:
    return tool if isinstance(tool, dict) else convert_to_openai_tool(tool)


def _essence(message: BaseMessage) -> list[Any]:
    calls = message.tool_calls if isinstance(message, AIMessage) else ()
    return [message.type, message.content, [(call["name"], call["args"]) for call in calls]]


def reply_of(recorded: list[dict[str, Any]]) -> ModelResponse[Any]:
    """A reply of the model as it was."""
    return ModelResponse(result=messages_from_dict(recorded))


def plain(result: Result) -> dict[str, Any]:
    """A tool's result in plain values, for `restored`."""
    if isinstance(result, ToolMessage):
        return {"message": _dumped(result)}
    return {"packed": pack(result)}


def failed(error: Exception) -> dict[str, Any]:
    """A tool's failure in plain values, for `restored`."""
    return {"error": str(error) or type(error).__name__}


def restored(recorded: Mapping[str, Any]) -> Result:
    """A tool's result as it was. Raises `ToolException` where it failed."""
    if "error" in recorded:
        raise ToolException(recorded["error"])
    if "message" in recorded:
        message: Any = messages_from_dict([recorded["message"]])[0]
    else:
        message = unpack(recorded["packed"])
    result: Result = message
    return result


def _dumped(message: BaseMessage) -> dict[str, Any]:
    return {"type": message.type, "data": message.model_dump()}
