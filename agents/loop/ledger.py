"""Calls that change something happen once, also when a run is killed in the midst of one."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from langgraph.errors import GraphBubbleUp

from agents.loop.journal import Journal, Line
from agents.loop.recording import Result, call_key, failed, plain, restored
from agents.loop.types import Decision, Pending
from agents.toolbox.effects import Effect
from indexes.errors import RunError
from indexes.i18n import t

Do = Callable[[], Result]
Ask = Callable[[str], bool]


class Unknown(RunError):
    """Nobody knows whether a call was carried out: its process ended before the call did."""


class Ledger:
    """Which calls were begun, and which are done."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._lock = threading.Lock()
        self._results: dict[str, Mapping[str, Any]] = {}
        self._given_up: set[str] = set()
        self._open: Counter[str] = Counter()
        self._decided: dict[str, Mapping[str, Any]] = {}
        for line in journal.before:
            self._follow(line)

    def once(
        self,
        call_id: str,
        tool: str,
        arguments: Mapping[str, Any],
        effect: Effect,
        do: Do,
        ask: Ask | None = None,
    ) -> Result:
        """What ``do`` returns; for a call that is done already, what it returned.

        Of a call that was begun, and of which it is not known whether it was carried out, ``ask``
        is told in a sentence. It is done again if that returns true; else `Unknown` is raised.
        ``ask`` may `interrupt`: when the step is gone on with, it is asked the same again. Calls
        that only read are simply done. Raises `RunError` where nothing can be written down.
        """
        if effect == "read":
            return do()
        key = call_key(call_id, tool, arguments)
        with self._lock:
            result, given_up, begun = (
                self._results.get(key), key in self._given_up, self._open[call_id],
            )  # fmt: skip
        if result is not None:
            return restored(result)
        call = {"call_id": call_id, "tool": tool, "arguments": dict(arguments)}
        if given_up or not _again(tool, begun, ask):
            if not given_up:
                self._write("given_up", call)
            raise Unknown(unknown(tool))
        return self._do({**call, "effect": effect}, do)

    def decided(self, pending: Pending, decision: Decision) -> None:
        """Write down what somebody decided about a call, for those who replay the run."""
        key = call_key(pending.call_id, pending.tool, pending.arguments)
        decided = asdict(decision)
        if self._decided.get(key) != decided:
            call = {"call_id": pending.call_id, "tool": pending.tool,
                    "arguments": dict(pending.arguments)}  # fmt: skip
            self._write("decided", call, decision=decided)

    def _do(self, call: Mapping[str, Any], do: Do) -> Result:
        self._write("begun", call)
        try:
            result = do()
        except GraphBubbleUp:
            self._write("paused", call)
            raise
        except RunError:  # it was done, and could not be written down
            raise
        except Exception as error:
            self._write("done", call, result=failed(error))
            raise
        self._write("done", call, result=plain(result))
        return result

    def _write(self, kind: str, call: Mapping[str, Any], **values: Any) -> None:
        self._journal.write(kind, **call, **values)
        self._follow(Line(kind, {**call, **values}))

    def _follow(self, line: Line) -> None:
        values = line.values
        if "call_id" not in values:
            return
        call_id = values["call_id"]
        key = call_key(call_id, values["tool"], values["arguments"])
        with self._lock:
            match line.kind:
                case "begun":
                    self._open[call_id] += 1
                case "paused":
                    self._open[call_id] -= 1
                case "done":
                    self._results[key] = values["result"]
                    del self._open[call_id]
                case "given_up":
                    self._given_up.add(key)
                    del self._open[call_id]
                case "decided":
                    self._decided[key] = values["decision"]


def _again(tool: str, begun: int, ask: Ask | None) -> bool:
    """Whoever was asked about one beginning has said nothing about the next. A call that was begun
    with other arguments, before somebody decided anew, counts as well."""
    return all(ask is not None and ask(unknown(tool)) for _ in range(begun))


def unknown(tool: str) -> str:
    """What is told about a call that was begun."""
    return t(
        "The run ended while {tool} was at work, and whether that was carried out is not known. "
        "Look, and decide whether to do it again.",
        tool=tool,
    )
