"""Function calling: the Berkeley Function Calling Leaderboard's cases, and ACEBench's.

``json`` asks for a step as the loop does; ``native`` gives the tools to the server and takes the
calls that come back, with no recovery, no repair and no JSON. It has no system prompt but that of
the case: the loop's makes small models call less.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from agents.loop.fitting import fits
from agents.loop.schemas import arguments_of
from agents.loop.wording import system_prompt
from agents.measuring.matching import are_expected, called, exactly
from agents.measuring.offering import DONE, day_in, spoken, tools_of
from agents.measuring.types import Bench, Case, Done, TaskSet, Trial
from indexes.errors import ContextOverflowError, StructuredOutputError
from rag.evaluation.readers import rows_of
from rag.types import Usage

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage, BaseMessage
    from langchain_core.tools import BaseTool

_PARALLEL: Final = "parallel"
_RELEVANCE: Final = "live_relevance"
_MOST_STEPS: Final = 8
"""How many calls one after the other a case may take, where it wants several."""
_BFCL_FILES: Final = {
    "simple": "simple_python", "multiple": "multiple", _PARALLEL: "parallel",
    "irrelevance": "irrelevance", "live_simple": "live_simple", "live_multiple": "live_multiple",
    "live_irrelevance": "live_irrelevance", _RELEVANCE: "live_relevance",
}  # fmt: skip
FIGURES: Final = (
    "right call", "right in text", "no call", "nothing tried", "any call", "valid at first",
    "valid",
)  # fmt: skip
"""``right call``: all calls that are wanted and no other; ``right in text``: the same, where a
native reply whose calls the server did not see is read as the loop reads text; ``no call`` and
``any call``, where just that is wanted; ``nothing tried``: no call, nor anything written that was
meant as one; ``valid at first`` and, after repair, ``valid``: of the replies that call, or try to,
those whose tools are there and whose arguments fit."""


@dataclass(frozen=True, slots=True)
class Called:
    """What the model did: its calls, its answer where it made none. ``tried``: it wrote something
    that was meant as a call and is none; ``written`` are the calls that can be read from that.
    ``attempts`` counts the requests for the first step."""

    calls: tuple[tuple[str, Mapping[str, Any]], ...]
    answer: str = ""
    tried: bool = False
    attempts: int = 1
    thoughts: tuple[str, ...] = ()
    usage: Usage = field(default_factory=Usage)
    error: str = ""
    written: tuple[tuple[str, Mapping[str, Any]], ...] | None = None


Ask = Callable[["Sequence[BaseMessage]", str, "Sequence[BaseTool]", int], Called]


def _read_bfcl(folder: Path) -> Sequence[Case]:
    return [
        Case(row["id"], row, group)
        for group, file in _BFCL_FILES.items()
        for row in rows_of(folder / "bfcl" / f"{file}.jsonl")
    ]


def _read_acebench(lang: str, folder: Path) -> Sequence[Case]:
    rows = rows_of(folder / "acebench" / f"{lang}.jsonl")
    return [Case(row["id"], row, _ace_group(row["category"])) for row in rows]


def _ace_group(category: str) -> str:
    return category.removeprefix("normal_").removeprefix("special_")


@contextmanager
def _trials(bench: Bench) -> Iterator[Sequence[Trial]]:
    ways: dict[str, Ask] = {"json": partial(_stepwise, bench), "native": partial(_native, bench)}
    names = list(ways) if bench.way == "both" else [bench.way]
    yield [Trial(name, partial(_do, ways[name])) for name in names]


def _do(ask: Ask, case: Case) -> Done:
    messages, added = _asked(case)
    tools = tools_of(case.data["functions"])
    started = time.monotonic()
    came = ask(messages, added, tools, _MOST_STEPS if case.group == _PARALLEL else 1)
    seconds = time.monotonic() - started
    detail = {
        "calls": [{"tool": name, "arguments": dict(given)} for name, given in came.calls],
        "answer": came.answer, "thoughts": list(came.thoughts), "attempts": came.attempts,
    }  # fmt: skip
    return Done(_figures(case, came, tools), came.usage, seconds, detail, came.error)


def _asked(case: Case) -> "tuple[list[BaseMessage], str]":
    """The conversation, and what a system prompt should say beside."""
    from langchain_core.messages import HumanMessage

    data = case.data
    if "messages" in data:
        said = [HumanMessage(m["content"]) for m in data["messages"] if m["role"] == "user"]
        added = "\n".join(m["content"].strip() for m in data["messages"] if m["role"] == "system")
        messages: list[BaseMessage] = list(said)
    else:
        messages, added = spoken(data["question"]), data["time"]
    return messages, added


# -- ways of asking ------------------------------------------------------------------------------


def _stepwise(
    bench: Bench, messages: "Sequence[BaseMessage]", added: str, tools: "Sequence[BaseTool]",
    most: int,
) -> Called:  # fmt: skip
    """A step of the loop; where several calls are wanted, one after the other, each of which is
    said to be done, until the model answers or repeats itself."""
    from langchain_core.messages import ToolMessage

    system = system_prompt(messages[0].text, added, day_in(added))
    so_far = list(messages)
    calls: list[tuple[str, Mapping[str, Any]]] = []
    thoughts: list[str] = []
    usage, attempts, answer = Usage(), 1, ""
    for step in range(most):
        try:
            message = _step(bench, so_far, system, tools)
        except (StructuredOutputError, ContextOverflowError) as error:
            return Called(tuple(calls), answer, not calls, 3, tuple(thoughts), usage, str(error))
        usage += Usage.of(message)
        ours = message.additional_kwargs["waggle"]
        attempts = ours["attempts"] if step == 0 else attempts
        thoughts.append(ours["thought"])
        new = [(call["name"], call["args"]) for call in message.tool_calls]
        if not new or any(call in calls for call in new):
            answer = message.text
            break
        calls += new
        so_far.append(message)
        so_far += [
            ToolMessage(DONE, tool_call_id=call["id"], name=call["name"])
            for call in message.tool_calls
        ]
    return Called(tuple(calls), answer, False, attempts, tuple(thoughts), usage)


def _step(
    bench: Bench, messages: "Sequence[BaseMessage]", system: str, tools: "Sequence[BaseTool]"
) -> "AIMessage":
    from langchain.agents.middleware.types import ModelRequest
    from langchain_core.messages import SystemMessage

    from agents.loop.calling import Calling
    from agents.loop.modes import Modes

    request: ModelRequest[Any] = ModelRequest(
        model=bench.chat, messages=cast("Any", list(messages)), tools=list(tools),
        system_message=SystemMessage(system),
    )  # fmt: skip
    response = Calling(bench.chat, Modes(), "json").wrap_model_call(request, _never)
    return cast("AIMessage", response.result[0])


def _never(_: Any) -> Any:
    raise AssertionError("the model is asked by Calling itself")


def _native(
    bench: Bench, messages: "Sequence[BaseMessage]", added: str, tools: "Sequence[BaseTool]",
    most: int,
) -> Called:  # fmt: skip
    """One request, as long as a step may be; all calls that come back count."""
    from langchain_core.messages import SystemMessage

    from agents.loop.calling import STEP_TOKENS
    from agents.loop.replies import calls_in
    from rag.models.chat import endpoint_errors

    del most
    try:
        with endpoint_errors(bench.chat):
            system = [SystemMessage(added)] if added else []
            bound = bench.chat.bind_tools(list(tools))
            reply = bound.invoke([*system, *messages], max_tokens=STEP_TOKENS)
    except ContextOverflowError as error:
        return Called((), error=str(error))
    calls = tuple((call["name"], call["args"]) for call in reply.tool_calls)
    names = [tool.name for tool in tools]
    lost = () if calls else calls_in(reply.text, names).calls
    written = calls or tuple((call.tool, dict(call.arguments)) for call in lost)
    tried = bool(reply.invalid_tool_calls or lost)
    return Called(calls, reply.text, tried, usage=Usage.of(reply), written=written)


# -- figures -------------------------------------------------------------------------------------


def _figures(case: Case, came: Called, tools: "Sequence[BaseTool]") -> dict[str, float]:
    found: dict[str, float] = {}
    wanted = _wanted(case)
    if wanted is None:
        if case.group == _RELEVANCE:
            found["any call"] = float(bool(came.calls))
        else:
            found["no call"] = float(not came.calls and not came.error)
            found["nothing tried"] = float(bool(found["no call"]) and not came.tried)
    else:
        functions = {called(one["name"]): one for one in case.data["functions"]}
        found["right call"] = float(are_expected(came.calls, wanted, functions))
        if came.written is not None:
            found["right in text"] = float(are_expected(came.written, wanted, functions))
    if came.calls or came.tried:
        valid = not came.tried and all(_is_valid(call, tools) for call in came.calls)
        found["valid at first"] = float(valid and came.attempts == 1)
        found["valid"] = float(valid)
    return found


def _is_valid(call: tuple[str, Mapping[str, Any]], tools: "Sequence[BaseTool]") -> bool:
    name, given = call
    tool = next((one for one in tools if one.name == name), None)
    return tool is not None and fits(dict(given), arguments_of(tool))


def _wanted(case: Case) -> Sequence[Mapping[str, Any]] | None:
    """The calls that are right; ``None`` where it is only known whether there should be one."""
    truth = case.data["ground_truth"]
    if isinstance(truth, list):
        return truth
    if not case.data["category"].startswith("normal_"):
        return None
    return [
        {name: {key: [exactly(one)] for key, one in given.items()}} for name, given in truth.items()
    ]


BFCL: Final = TaskSet(
    "bfcl", tuple(f"bfcl/{file}.jsonl" for file in _BFCL_FILES.values()), _read_bfcl, _trials,
    FIGURES, {"simple and multiple": ("simple", "multiple")},
)  # fmt: skip
ACEBENCH_EN: Final = TaskSet(
    "acebench-en", ("acebench/en.jsonl",), partial(_read_acebench, "en"), _trials, FIGURES,
    {"calls": ("single_turn_single_function", "similar_api")},
)  # fmt: skip
ACEBENCH_ZH: Final = TaskSet(
    "acebench-zh", ("acebench/zh.jsonl",), partial(_read_acebench, "zh"), _trials, FIGURES,
    {"calls": ("single_turn_single_function", "similar_api")},
)  # fmt: skip
