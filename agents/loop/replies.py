"""What a model chose, read from what it wrote: a step as it was asked for, or a call in one of the
forms in which models write calls when nothing makes of them what they should be.

Text that merely speaks of a call is no call. Outside of the marks of a call (``<tool_call>`` and
its like), one counts only if it names a tool that was offered, has the members of a call and
nothing else, and stands alone in a fence, or at the beginning or the end of the text.
"""

import ast
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from agents.loop.arguments import tool_named
from rag.models.structured_json import Unfit, decode_at

_NAMES: Final = ("tool", "name", "tool_name", "function", "function_name", "action")
_ARGUMENTS: Final = (
    "arguments", "parameters", "args", "input", "action_input", "tool_input", "kwargs",
)  # fmt: skip
_THOUGHTS: Final = ("thought", "thoughts", "reasoning", "reason")
_ANSWERS: Final = ("answer", "final_answer", "final answer", "response")
_WRAPPERS: Final = ("action", "function", "tool_call", "function_call", "step")
_BESIDE: Final = ("id", "type", "index", *_THOUGHTS)
_FINAL: Final = ("finalanswer", "answer", "finish", "final")
"""Names, letters only, of a tool that there is not, by which an answer is meant."""

_MARKED: Final = re.compile(
    r"<(tool_call|function_call|tool_use|functioncall)>\s*(.*?)\s*(?:</\1>|\Z)"
    r"|(?:\[TOOL_CALLS\]|<\|tool_call\|>|<\|python_tag\|>)\s*(.*?)\s*(?:<\|/tool_call\|>|\Z)",
    re.DOTALL,
)
_FENCED: Final = re.compile(r"```[\w+-]*[ \t]*\n(.*?)\n?[ \t]*```", re.DOTALL)
_XML: Final = re.compile(r"<function=([\w.-]+)>\s*(.*?)\s*(?:</function>|\Z)", re.DOTALL)
_PARAMETER: Final = re.compile(
    r"<parameter=([\w.-]+)>\n?(.*?)\n?(?:</parameter>|(?=<parameter=)|\Z)", re.DOTALL
)
_PYTHON: Final = re.compile(r"\[?\s*[\w.-]+\(.*\)\s*\]?", re.DOTALL)
_MAX_PYTHON: Final = 8000
_MOST_BROKEN: Final = 64
"""Openings of something that cannot be read, after which no more are tried."""
_OPEN_ANSWER: Final = re.compile(r'"answer"\s*:\s*"((?:[^"\\]|\\.)*)\\?\Z', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Call:
    """A tool by its name, with its arguments as the model wrote them."""

    tool: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Choice:
    """What the model does next: the calls, or the answer where there are none."""

    thought: str = ""
    calls: tuple[Call, ...] = ()
    answer: str = ""


def step_in(text: str, names: Collection[str], *, last: bool = False) -> Choice:
    """The step in ``text``, written as it was asked for or as models write calls. The ``last`` time
    that it is asked for, prose without any object is an answer.

    Raises ``Unfit`` where there is none, or several.
    """
    if not text.strip():
        raise Unfit("there is no JSON object")
    steps = [_step(found) for found in _objects(text)]
    chosen = [step for step in steps if step is not None]
    if chosen and all(one == chosen[0] for one in chosen):
        return _with_names(chosen[0], names)
    if chosen:
        return _with_names(_first(chosen), names)
    recovered = calls_in(text, names)
    if recovered.calls or (last and "{" not in text):
        return recovered
    raise Unfit('the object needs "thought" and "action", and in it "tool" and "arguments" or '
                '"answer"')  # fmt: skip


def answer_begun(text: str) -> str | None:
    """As much of the answer as a step holds that was cut off in it; ``None`` elsewhere."""
    found = _OPEN_ANSWER.search(text)
    if not found:
        return None
    try:
        return str(json.loads(f'"{found[1]}"', strict=False))
    except ValueError:  # cut within an escape
        return str(json.loads(f'"{found[1].rpartition(chr(92))[0]}"', strict=False))


def calls_in(text: str, names: Collection[str]) -> Choice:
    """The calls that ``text`` holds, with what stands before them as the thought; where it holds
    none, all of it is the answer."""
    for calls, start in _readings(text, names):
        if calls:
            thought = text[:start].strip().removesuffix("```json").strip()
            return Choice(thought, _named(calls, names))
    return Choice(answer=text.strip())


def _readings(text: str, names: Collection[str]) -> Iterator[tuple[list[Call], int]]:
    """The calls of each form, and where the first of them begins."""
    marked = list(_MARKED.finditer(text))
    if marked:
        inner = [match[2] or match[3] or "" for match in marked]
        yield [call for one in inner for call in _calls_of(one)], marked[0].start()
    tagged = list(_XML.finditer(text))
    if tagged:
        yield [Call(match[1], _xml_arguments(match[2])) for match in tagged], tagged[0].start()
    fenced = list(_FENCED.finditer(text))
    if fenced:
        found = [call for match in fenced for call in _calls_of(match[1])]
        yield _offered(found, names), fenced[0].start()
    for start, whole in _edges(text):
        yield _offered(_calls_of(whole), names), start


def _edges(text: str) -> Iterator[tuple[int, str]]:
    """The text, and what may stand alone at its end, or at its beginning."""
    stripped = text.strip()
    yield text.index(stripped) if stripped else 0, stripped
    for opening in islice(re.finditer(r"[\[{]", text), _MOST_BROKEN):
        try:
            _, end = decode_at(text, opening.start())
        except Unfit:
            continue
        if not text[end:].strip() or not text[: opening.start()].strip():
            yield opening.start(), text[opening.start() : end]
        break
    line = stripped.rpartition("\n")[2]
    if line != stripped:
        yield text.rindex(line), line.strip()


def _calls_of(text: str) -> list[Call]:
    """The calls that a text is: JSON, a list of it, one object after the other, or Python."""
    text = text.strip()
    if found := _json_calls(text):
        return found
    if tagged := [Call(match[1], _xml_arguments(match[2])) for match in _XML.finditer(text)]:
        return tagged
    return _python_calls(text)


def _json_calls(text: str) -> list[Call]:
    values: list[Any] = []
    at = 0
    while at < len(text):
        try:
            value, at = decode_at(text, at)
        except Unfit:
            return []
        values += value if isinstance(value, list) else [value]
        while at < len(text) and text[at] in " \t\r\n;,":
            at += 1
    calls: list[Call] = []
    for value in values:
        several = value.get("tool_calls") if isinstance(value, dict) else None
        found = [_call(one) for one in (several if isinstance(several, list) else [value])]
        calls += [call for call in found if call is not None]
        if None in found:
            return []
    return calls


def _objects(text: str) -> list[Any]:
    """Every JSON object in ``text``, those within others left out, and what is broken."""
    found, at, broken = [], 0, 0
    while broken < _MOST_BROKEN and (start := text.find("{", at)) >= 0:
        try:
            value, at = decode_at(text, start)
        except Unfit:
            at, broken = start + 1, broken + 1
        else:
            found.append(value)
    return found


def _step(value: Any) -> Choice | None:
    """The step that an object is, in any of the shapes that models give it."""
    if not isinstance(value, dict):
        return None
    thought = next((value[key] for key in _THOUGHTS if isinstance(value.get(key), str)), "")
    for key in _WRAPPERS:
        if isinstance(value.get(key), dict):
            inner = _step(value[key])
            return inner and Choice(thought or inner.thought, inner.calls, inner.answer)
    call = _call(value)
    if call is not None:
        if _is_final(call):
            return Choice(thought, (), _text(next(iter(call.arguments.values()), "")))
        return Choice(thought, (call,))
    answer = next((value[key] for key in _ANSWERS if value.get(key) is not None), None)
    return None if answer is None else Choice(thought, (), _text(answer))


def _is_final(call: Call) -> bool:
    letters = "".join(one for one in call.tool.casefold() if one.isalpha())
    return letters in _FINAL and len(call.arguments) <= 1


def _call(value: Any) -> Call | None:
    """The call that an object is: a name and arguments, and nothing that a call has not."""
    if not isinstance(value, dict):
        return None
    for key in ("function", "tool_call", "function_call"):
        if isinstance(value.get(key), dict):
            return _call(value[key])
    name = next((key for key in _NAMES if isinstance(value.get(key), str)), None)
    if name is None or not value[name].strip():
        return None
    known = (name, *_ARGUMENTS, *_BESIDE)
    given = next((key for key in _ARGUMENTS if key in value), None)
    if any(key not in known and value[key] is not None for key in value):
        return None
    if given is None:
        return Call(value[name].strip(), {}) if len(value) == 1 or name == "tool" else None
    arguments = _arguments(value[given])
    return None if arguments is None else Call(value[name].strip(), arguments)


def _arguments(value: Any) -> dict[str, Any] | None:
    if isinstance(value, str):
        try:
            decoded, _ = decode_at(value.strip(), 0)
        except Unfit:
            decoded = None
        value = decoded if isinstance(decoded, dict) else {"input": value} if value.strip() else {}
    if value is None:
        return {}
    return value if isinstance(value, dict) else None


def _xml_arguments(text: str) -> dict[str, Any]:
    return {match[1]: match[2].strip() for match in _PARAMETER.finditer(text)}


def _python_calls(text: str) -> list[Call]:
    """``name(argument=value)``, one or a list of them; values are literals, nothing is run."""
    if len(text) > _MAX_PYTHON or not _PYTHON.fullmatch(text):
        return []
    try:
        body = ast.parse(text, mode="eval").body
        calls = body.elts if isinstance(body, ast.List) else [body]
        return [_python_call(call) for call in calls]
    except (SyntaxError, TypeError, ValueError, MemoryError, RecursionError):
        return []


def _python_call(node: ast.expr) -> Call:
    if not isinstance(node, ast.Call) or any(word.arg is None for word in node.keywords):
        raise ValueError("not a call")
    given = {str(word.arg): ast.literal_eval(word.value) for word in node.keywords}
    if len(node.args) == 1 and not given:
        given = {"input": ast.literal_eval(node.args[0])}
    elif node.args:
        raise ValueError("arguments without names")
    json.dumps(given, allow_nan=False)
    return Call(ast.unparse(node.func), given)


def _offered(calls: list[Call], names: Collection[str]) -> list[Call]:
    """The calls, if each of them names a tool that was offered."""
    return calls if all(tool_named(names, call.tool) in names for call in calls) else []


def _with_names(choice: Choice, names: Collection[str]) -> Choice:
    calls = _named(choice.calls, names)
    return Choice(choice.thought, calls or _meant(choice.answer, names), choice.answer)


def _meant(answer: str, names: Collection[str]) -> tuple[Call, ...]:
    """The calls that stand where the answer should: all of it, or a list of them on its first line.
    A conversation that shows calls as text makes small models write theirs so, and behind it what
    they make up as its result."""
    first = answer.strip().partition("\n")[0].strip()
    whole = first if first.startswith("[") and first.endswith("]") else answer.strip()
    return _named(_offered(_python_calls(whole), names), names) if names else ()


def _named(calls: Iterable[Call], names: Collection[str]) -> tuple[Call, ...]:
    """The calls with the names of the tools that are meant."""
    return tuple(Call(tool_named(names, one.tool), one.arguments) for one in calls)


def _first(choices: Sequence[Choice]) -> Choice:
    """Of several steps the first: a model that writes on makes up what the tool would say."""
    return next((one for one in choices if one.calls), choices[0])


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
