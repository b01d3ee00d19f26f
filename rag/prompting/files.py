"""One prompt file: a head in YAML between two lines of ``---``, then the text.

The text asks for the answer. A line ``<!-- step: NAME -->`` begins the text of another step, which
the prompt's technique asks before or after it.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from indexes.errors import UsageError
from indexes.i18n import t
from rag.prompting.schemas import SCHEMAS
from rag.prompting.template import BadTemplate, Template
from rag.prompting.types import (
    EXAMPLE,
    EXAMPLE_VARIABLES,
    MAIN,
    RULES,
    STEPS,
    Example,
    Language,
    Prompt,
    TechniqueName,
)

FILE_NAME = re.compile(r"([a-z0-9][a-z0-9-]*)\.(en|zh)\.md")
"""What a prompt's file is called: ``NAME.LANGUAGE.md``."""

ANSWER_TASK = "answer"
"""The task of the prompts that a technique works with."""
SHARED_TASK = "shared"
"""The task of the prompt that all others share, which has the rules as well."""

_RULE = re.compile(r"^---[ \t]*$", re.MULTILINE)
_STEP = re.compile(r"^<!-- step: ([a-z][a-z-]*) -->[ \t]*(?:\n|\Z)", re.MULTILINE)
_MOST_BYTES = 1 << 20


class ExampleHead(BaseModel):
    """One entry of ``examples``; ``short`` is an answer that is to be judged."""

    model_config = ConfigDict(extra="forbid")

    question: str
    passages: list[str]
    answer: str
    short: str = ""


class Head(BaseModel):
    """What stands above the text. ``shots`` is how many examples are shown, those nearest to the
    question; ``samples`` and ``temperature`` are for the technique ``sample``; ``rounds`` is how
    often ``react`` may search and how many parts ``decompose`` makes."""

    model_config = ConfigDict(extra="forbid")

    name: str
    version: int = Field(ge=1)
    language: Language
    task: str = Field(pattern=r"^[a-z][a-z-]*$")
    description: str = Field(min_length=1)
    technique: TechniqueName = "once"
    variables: list[str] = Field(default_factory=list)
    output: str | None = None
    examples: list[ExampleHead] = Field(default_factory=list)
    system: str | None = None
    shots: int = Field(default=3, ge=1, le=20)
    samples: int = Field(default=5, ge=2, le=40)
    temperature: float = Field(default=0.7, gt=0, le=2)
    rounds: int = Field(default=3, ge=1, le=6)


class _Fault(Exception):
    """What is wrong in a file, and in which line, counted from 1."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(line, reason)
        self.line, self.reason = line, reason


def read_prompt(path: Path, origin: Literal["built-in", "yours"]) -> Prompt:
    """The prompt in a file. Raises `UsageError`, one sentence with the line, where the file does
    not hold one. A file that has not changed is read once."""
    try:
        state = path.stat()
        return _read(path, origin, state.st_mtime_ns, state.st_size)
    except _Fault as fault:
        raise _unusable(path, fault) from fault
    except (OSError, UnicodeDecodeError) as error:
        reason = t("It cannot be read as text: {reason}.", reason=error)
        raise _unusable(path, _Fault(1, reason)) from error


def prompt_from(text: str, path: Path) -> Prompt:
    """The prompt of the user's that ``path`` would hold with the content ``text``. Raises
    `UsageError` where that is none."""
    try:
        return parse_prompt(text, path, "yours")
    except _Fault as fault:
        raise _unusable(path, fault) from fault


def _unusable(path: Path, fault: _Fault) -> UsageError:
    return UsageError(
        t("The prompt file {path} is not usable, line {line}: {reason}",
          path=path, line=fault.line, reason=fault.reason)
    )  # fmt: skip


@lru_cache(maxsize=256)
def _read(path: Path, origin: Literal["built-in", "yours"], _changed: int, size: int) -> Prompt:
    if size > _MOST_BYTES:
        raise _Fault(1, t("It is larger than a prompt may be ({size} bytes).", size=_MOST_BYTES))
    return parse_prompt(path.read_text(encoding="utf-8-sig"), path, origin)


def parse_prompt(text: str, path: Path, origin: Literal["built-in", "yours"]) -> Prompt:
    """The prompt that ``text``, the content of ``path``, holds."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")
    start, end = _head_span(text)
    lines: dict[tuple[str | int, ...], int] = {}
    head = _head(text[start:end], lines)
    _check_name(head, path, lines)
    body = _RULE.search(text, end)
    assert body is not None  # `_head_span` found it
    after = body.end() + 1
    steps = _steps(text, after)
    _check_steps(head, steps, lines, text.count("\n", 0, after) + 1)
    return Prompt(
        **head.model_dump(exclude={"examples", "variables"}),
        variables=tuple(head.variables),
        examples=tuple(
            Example(e.question, tuple(e.passages), e.answer, e.short) for e in head.examples
        ),
        steps=steps,
        text=text,
        digest=hashlib.sha256(text.encode()).hexdigest(),
        origin=origin,
        path=path,
    )


def _head_span(text: str) -> tuple[int, int]:
    first = _RULE.match(text)
    if first is None:
        raise _Fault(1, t("It must begin with a head between two lines of «---»."))
    second = _RULE.search(text, first.end())
    if second is None:
        raise _Fault(1, t("Its head is not closed by a second line of «---»."))
    return first.end() + 1, second.start()


class _Loader(yaml.BaseLoader):
    """YAML in which everything is text, so that ``no`` and ``2024-01-01`` mean what they say; and
    without aliases, with which a short file can become an endless one."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "aliases are not allowed", mark)
        return super().compose_node(parent, index)


def _head(text: str, lines: dict[tuple[str | int, ...], int]) -> Head:
    """The head; ``lines`` is told the line of each of its entries."""
    try:
        node = yaml.compose(text, Loader=_Loader)
        lines.update(_lines(node, ()))
        values = yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = error.problem or error.context or "?"
        raise _Fault(mark.line + 2 if mark else 2, _yaml_fault(problem)) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise _Fault(2, _yaml_fault(str(error).splitlines()[0])) from error
    try:
        return Head.model_validate(values or {})
    except ValidationError as error:
        first = error.errors()[0]
        where = tuple(first["loc"])
        while where and where not in lines:
            where = where[:-1]
        raise _Fault(lines.get(where, 1), _entry_fault(first)) from error


def _yaml_fault(problem: str) -> str:
    return t("The head is not YAML: {problem}.", problem=problem)


def _entry_fault(error: Mapping[str, Any]) -> str:
    name = ".".join(map(str, error["loc"]))
    if error["type"] == "missing":
        return t("The entry «{name}» is missing.", name=name)
    if error["type"] == "extra_forbidden":
        known = ", ".join((ExampleHead if len(error["loc"]) > 1 else Head).model_fields)
        return t("There is no entry «{name}». Known entries: {known}.", name=name, known=known)
    if not name:
        return t("The head must be a list of entries, such as «version: 1».")
    return t("The entry «{name}» is not usable: {reason}.", name=name, reason=error["msg"])


def _lines(
    node: yaml.Node | None, where: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], int]]:
    """Each entry's path with the line of the file in which it stands; the head's first is 2."""
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            line = key.start_mark.line + 2
            if not isinstance(key, yaml.ScalarNode):  # loading refuses it
                continue
            if key.value in seen:
                raise _Fault(line, t("The entry «{name}» stands there twice.", name=key.value))
            seen.add(key.value)
            yield (*where, key.value), line
            yield from _lines(value, (*where, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield (*where, index), value.start_mark.line + 2
            yield from _lines(value, (*where, index))


def _check_name(head: Head, path: Path, lines: Mapping[tuple[str | int, ...], int]) -> None:
    wanted = f"{head.name}.{head.language}.md"
    if path.name != wanted:
        raise _Fault(
            lines.get(("name",), 1),
            t("By its name and language the file must be called {wanted}.", wanted=wanted),
        )
    if head.output is not None and head.output not in SCHEMAS:
        known = ", ".join(sorted(SCHEMAS))
        raise _Fault(
            lines.get(("output",), 1),
            t(
                "There is no output «{name}». Known outputs: {known}.",
                name=head.output,
                known=known,
            ),
        )


def _steps(text: str, start: int) -> dict[str, Template]:
    steps: dict[str, Template] = {}
    name = MAIN
    marks = list(_STEP.finditer(text, start))
    for mark, end in zip([None, *marks], [*(m.start() for m in marks), len(text)], strict=True):
        begin = start
        if mark is not None:
            name, begin = mark[1], mark.end()
            if name in steps:
                line = text.count("\n", 0, mark.start()) + 1
                raise _Fault(line, t("The step «{name}» stands there twice.", name=name))
        steps[name] = _template(text, begin, end)
    return steps


def _template(text: str, begin: int, end: int) -> Template:
    raw = text[begin:end]
    skipped = len(raw) - len(raw.lstrip("\n"))
    try:
        return Template.parse(raw.strip("\n"))
    except BadTemplate as bad:
        line = text.count("\n", 0, begin + skipped + bad.offset) + 1
        reason = t("A single brace: write {name} for a variable, {{ and }} for braces.")
        raise _Fault(line, reason) from bad


def _check_steps(
    head: Head,
    steps: Mapping[str, Template],
    lines: Mapping[tuple[str | int, ...], int],
    body_line: int,
) -> None:
    """Raises `_Fault` where a step is missing, or has a variable that nobody gives."""
    wanted = dict(STEPS[head.technique])
    if head.task == SHARED_TASK:
        wanted[RULES] = frozenset()
    needed = {*wanted, *([EXAMPLE] if "examples" in steps[MAIN].names else [])}
    at = lines.get(("technique",), lines.get(("name",), 1))
    if unknown := sorted(set(steps) - needed):
        raise _Fault(body_line, t("The technique {technique} has no step «{name}».",
                                  technique=head.technique, name=unknown[0]))  # fmt: skip
    if missing := sorted(name for name in needed if not steps.get(name, _EMPTY).literals[0].strip()
                         and not steps.get(name, _EMPTY).places):  # fmt: skip
        raise _Fault(
            at, t("The text of the step «{name}» is missing.", name=missing[0] or "answer")
        )
    declared = frozenset(head.variables)
    at = lines.get(("variables",), lines.get(("name",), 1))
    used = frozenset().union(*(steps[name].names for name in wanted))
    for name in sorted(used ^ declared):
        reason = (
            t("The text uses {{{name}}}, which «variables» does not declare.", name=name)
            if name in used
            else t("«variables» declares {{{name}}}, which the text does not use.", name=name)
        )
        raise _Fault(at, reason)
    if head.task == ANSWER_TASK:
        _check_offered(steps, {**wanted, EXAMPLE: EXAMPLE_VARIABLES}, at)


_EMPTY = Template(("",), ())


def _check_offered(
    steps: Mapping[str, Template], offered: Mapping[str, frozenset[str]], at: int
) -> None:
    for step, template in steps.items():
        if unknown := sorted(template.names - offered[step]):
            known = ", ".join(f"{{{name}}}" for name in sorted(offered[step]))
            raise _Fault(
                at,
                t(
                    "Nothing gives a value for {{{name}}} here. Known variables: {known}.",
                    name=unknown[0],
                    known=known,
                ),
            )
    if not any("question" in template.names for template in steps.values()):
        raise _Fault(at, t("The text never names {question}."))
