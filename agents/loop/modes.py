"""How each model is best asked for a call, found out once and remembered."""

import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from agents.loop.leaving import invoked
from indexes.embedding.files import write_atomically
from indexes.errors import EndpointError
from rag.models.chat import endpoint_errors, model_name
from rag.models.failures import is_refused

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import BaseMessage

CallWay = Literal["native", "json"]
"""``native``: the model calls tools in its own way, of which the server makes ``tool_calls``;
``json``: each step is one JSON object in the reply's text."""

FILE: Final = "modes.json"
_PROBE_TOKENS: Final = 128
_PROBE: Final = "What is the sum of 20.5, 22 and 7? Use the tool."
_NUMBERS: Final = [20.5, 22, 7]


class Modes:
    """The way of each model, by its server's address and its name. ``folder`` keeps them in
    ``modes.json``, which may be removed at any time; without it they are known to this process."""

    def __init__(self, folder: Path | None = None) -> None:
        self._file = folder / FILE if folder else None
        self._known: dict[str, CallWay] | None = None
        self._lock = threading.Lock()

    def way_of(self, chat: "BaseChatModel") -> CallWay:
        """The way that was remembered, else the one that a trivial call shows. A model without an
        address is not probed: it calls natively if it can be given tools.

        Raises ``EndpointError`` where the server fails at something else than the tools.
        """
        address = _address(chat)
        if address is None:
            return "native" if _takes_tools(chat) else "json"
        with self._lock:
            known = self._read().get(address)
        if known is None:
            known = probe(chat)
            self.remember(chat, known)
        return known

    def remember(self, chat: "BaseChatModel", way: CallWay) -> None:
        """Keep what a model turned out to do."""
        address = _address(chat)
        if address is None:
            return
        with self._lock:
            self._known = {**self._read(), address: way}
            if self._file is not None:
                self._file.parent.mkdir(parents=True, exist_ok=True)
                text = json.dumps(self._known, ensure_ascii=False, indent=1, sort_keys=True)
                write_atomically(self._file, text.encode())

    def _read(self) -> dict[str, CallWay]:
        if self._known is None:
            self._known = _ways_in(self._file) if self._file else {}
        return self._known


def probe(chat: "BaseChatModel") -> CallWay:
    """Whether the model calls a trivial tool natively, and rightly: one short request."""
    from langchain_core.messages import HumanMessage

    try:
        with endpoint_errors(chat):
            bound = chat.bind_tools([_PROBE_TOOL])
            reply = invoked(bound, [HumanMessage(_PROBE)], max_tokens=_PROBE_TOKENS)
    except NotImplementedError:
        return "json"
    except EndpointError as error:
        if is_refused(error, 404, 500):
            return "json"
        raise
    return "native" if _called(reply) else "json"


_PROBE_TOOL: Final[dict[str, Any]] = {
    "type": "function",
    "function": {
        "name": "add_numbers",
        "description": "Adds numbers.",
        "parameters": {
            "type": "object",
            "properties": {
                "numbers": {
                    "type": "array",
                    "items": {"type": "number"},
                    "description": "the numbers to add",
                }
            },
            "required": ["numbers"],
        },
    },
}


def _called(reply: "BaseMessage") -> bool:
    calls = getattr(reply, "tool_calls", [])
    return [(call["name"], call["args"]) for call in calls] == [
        ("add_numbers", {"numbers": _NUMBERS})
    ]


def _takes_tools(chat: "BaseChatModel") -> bool:
    from langchain_core.language_models import BaseChatModel

    return type(chat).bind_tools is not BaseChatModel.bind_tools


def _address(chat: "BaseChatModel") -> str | None:
    url = getattr(chat, "openai_api_base", None)
    return f"{url.rstrip('/')} {model_name(chat)}" if isinstance(url, str) and url else None


def _ways_in(file: Path) -> dict[str, CallWay]:
    """What is remembered; nothing where the file is absent or damaged: it is found out again."""
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    entries = found.items() if isinstance(found, dict) else ()
    return {name: way for name, way in entries if way in ("native", "json")}
