"""A run again, from what its model and its tools said then."""

import tempfile
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langchain.agents.middleware import AgentMiddleware
from langchain.agents.middleware.types import ModelRequest, ModelResponse, ToolCallRequest

from agents.loop.journal import Line, read_journal
from agents.loop.keeping import Header, Kept, begin_run, read_header, runs_folder
from agents.loop.ledger import Unknown, unknown
from agents.loop.recording import Marks, Result, call_key, digest, marks, reply_of, restored
from agents.loop.types import Decision, Pending, Run
from indexes.errors import RunError
from indexes.i18n import t


class RecordEnds(RunError):
    """The record says nothing about what comes next."""


@dataclass(frozen=True, slots=True)
class Divergence:
    """Where a replay leaves the run: after how many replies of the model (``step``), and what is
    different, in a sentence."""

    step: int
    what: str


class Replaying(AgentMiddleware[Any, Any, Any]):
    """In the place of `Recording`: nothing is asked and nothing is done, all comes from the
    record. ``divergences`` is what was different so far, ``ended`` whether the record was at an end
    too early."""

    def __init__(self, lines: Sequence[Line]) -> None:
        super().__init__()
        self.divergences: list[Divergence] = []
        self._lock = threading.Lock()
        self._replies: list[Mapping[str, Any]] = []
        self._said: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        # Of what was done again, because its process was killed, the last time counts.
        self._results: dict[str, Mapping[str, Any]] = {}
        self._decided: dict[str, Mapping[str, Any]] = {}
        self._different: set[str] = set()
        self._step = 0
        self.ended = False
        for line in lines:
            self._sort(line.kind, line.values)

    def _sort(self, kind: str, values: Mapping[str, Any]) -> None:
        if kind == "model":
            self._replies.append(values)
        if kind == "said":
            self._said[values["name"]].append(values)
        if kind in ("tool", "given_up"):
            self._results[_key(values)] = values
        if kind == "decided":
            self._decided[_key(values)] = values["decision"]

    def wrap_model_call(
        self, request: ModelRequest[Any], _: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ModelResponse[Any]:
        """The recorded reply to this request; where there is none, the next one."""
        asked = marks(request)
        with self._lock:
            taken = _take(self._replies, asked)
            self._step += 1
            if taken is None:
                what = t("the model is asked more than is recorded")
                raise self._end(what)
            for what in _differences(taken["request"], asked):
                self._differs(what)
        return reply_of(taken["reply"])

    def wrap_tool_call(
        self, request: ToolCallRequest, _: Callable[[ToolCallRequest], Result]
    ) -> Result:
        """The recorded result of this call."""
        call = request.tool_call
        key = call_key(call["id"] or "", call["name"], call["args"])
        with self._lock:
            found = self._results.get(key)
            if found is None:
                what = t("there is no record of a call of {tool} with {arguments}",
                         tool=call["name"], arguments=call["args"])  # fmt: skip
                raise self._end(what)
        if "result" not in found:
            raise Unknown(unknown(call["name"]))
        return restored(found["result"])

    def decide(self, pending: Pending) -> Decision | None:
        """What was decided about the call; nothing where nobody did."""
        key = call_key(pending.call_id, pending.tool, pending.arguments)
        with self._lock:
            decided = self._decided.get(key)
        return Decision(**decided) if decided else None

    def remembered(
        self, name: str, request: object, _: Callable[[], Any], otherwise: Any = None
    ) -> Any:
        """See `Recording.remembered`."""
        asked = digest(request)
        with self._lock:
            taken = _take(self._said[name], asked)
            if taken is None and otherwise is not None:
                return otherwise
            if taken is None:
                what = t("there is no record of «{name}»", name=name)
                raise self._end(what)
            if taken["request"] != asked:
                self._differs(t("«{name}» is asked with something else", name=name))
        return taken["reply"]["value"]

    def compared(self, header: Header, run: Run) -> Iterator[Divergence]:
        """What is different about the end of a run that has one."""
        if header.status and header.status != run.status:
            yield Divergence(self._step, t("it ends with «{now}», and ended with «{then}»",
                                           now=t(run.status), then=t(header.status)))  # fmt: skip
        elif header.status and header.answer != run.answer:
            yield Divergence(self._step, t("the answer is another one"))

    def _end(self, what: str) -> RecordEnds:
        self._differs(what)
        self.ended = True
        return RecordEnds(t("The replay ends here: {what}.", what=what))

    def _differs(self, what: str) -> None:
        """What stays different is told once."""
        if what not in self._different:
            self._different.add(what)
            self.divergences.append(Divergence(self._step, what))


def replay(
    home: Path, run_id: str, again: Callable[[Kept, Replaying], Run]
) -> tuple[Divergence, ...]:
    """Where the run, done again, leaves what is recorded; nothing where it comes to the same end.

    ``again`` runs the agent on the goal and the options of the `Kept` run that it is given, with
    the middleware in the place of `Recording`, and asks its ``decide`` for decisions; whatever it
    writes is gone afterwards. Raises `UsageError` and `DamagedError` as `read_header` does.
    """
    header = read_header(home, run_id)
    replaying = Replaying(read_journal(runs_folder(home) / run_id))
    with (
        tempfile.TemporaryDirectory(prefix="waggle-replay-") as folder,
        begin_run(Path(folder), header.goal, model=header.model, mode=header.mode,
                  **header.options) as kept,
    ):  # fmt: skip
        ended = None
        with suppress(RecordEnds):
            ended = again(kept, replaying)
    found = tuple(replaying.divergences)
    if ended is None or replaying.ended:
        # A run whose process was killed has no more to say than this.
        return found if header.status else found[:-1]
    return (*found, *replaying.compared(header, ended))


def _key(values: Mapping[str, Any]) -> str:
    return call_key(values["call_id"], values["tool"], values["arguments"])


def _take(recorded: list[Mapping[str, Any]], asked: object) -> Mapping[str, Any] | None:
    """That which was asked the same; else the next one."""
    same = (n for n, one in enumerate(recorded) if one["request"] == asked)
    return recorded.pop(next(same, 0)) if recorded else None


def _differences(then: Marks, now: Marks) -> Iterator[str]:
    if then["instructions"] != now["instructions"]:
        yield t("the instructions are different")
    if then["tools"] != now["tools"]:
        yield t("the tools are different")
    before, after = then["messages"], now["messages"]
    pairs = enumerate(zip(before, after, strict=False), 1)
    if place := next((n for n, (old, new) in pairs if old != new), 0):
        yield t("message {number} of what the model is shown is different", number=place)
    elif len(before) != len(after):
        yield t("the model is shown {now} messages, and was shown {then}",
                now=len(after), then=len(before))  # fmt: skip
