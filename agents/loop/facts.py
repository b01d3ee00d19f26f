"""What the user asked to be remembered beyond a run: ``HOME/agents/facts.json``.

A fact is written by a tool that a run has only where the user's own words ask for it, and that
writes: so somebody is asked first where text from outside could have a say in it.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agents.loop.copying import is_part
from indexes.cleaning import one_line
from indexes.embedding.files import write_atomically
from indexes.errors import DamagedError, LockedError, UsageError, WaggleError
from indexes.i18n import t
from rag.prompting.fencing import as_data

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

MAX_FACTS: Final = 50
MAX_CHARACTERS: Final = 300
_PATIENCE: Final = 10.0
"""Seconds for which another process may hold the file."""

_ASKS: Final = re.compile(
    r"""
    (?:^|[.,;:!?\n]\s*|\b(?:please|and|then|also|always|just|you\ to|must|should
        |(?:can|could|would|will)\ you)\s+)
    (?:please\s+)?
    (?:remember|memori[sz]e|keep\ in\ mind|don['’]t\ forget|do\ not\ forget|never\ forget
        |make\ a\ note|note\ (?:down\ )?that|take\ note)\b
    |\bfor\ future\ reference\b
    |(?<![不没勿别別])(?<![不没無无]有)(?<!不[要用必会會能])(?<![无無]需)
     (?:[记記](?:住|下|一下)|[牢谨謹][记記])
    |(?:^|[请請，。；！？、,;\s要并並])[记記]得|[别別]忘|不[要许許]忘
    """,
    re.IGNORECASE | re.VERBOSE,
)


_HEADING: Final = {
    "en": "What the user asked to be remembered in earlier runs:",
    "zh": "用户以前要求记住的内容：",
}


@dataclass(frozen=True, slots=True)
class Fact:
    """``n`` is its number for good; ``when`` it was written, in ISO 8601, UTC. ``own``: in words of
    the user's; another one may have been learned from a document."""

    n: int
    text: str
    when: str
    own: bool = False


class Facts:
    """The facts under ``home``, safe to use from several processes."""

    def __init__(self, home: Path) -> None:
        self._path = home / "agents" / "facts.json"

    def all(self) -> tuple[Fact, ...]:
        """The facts, oldest first. Raises `DamagedError` where the file does not hold them."""
        return tuple(map(_fact, self._read().facts))

    def remember(self, text: str, *, own: bool = False) -> Fact:
        """Write a fact; one that is known already stays as it is. Raises `UsageError` for none, one
        that is too long, or one too many."""
        text = one_line(text, limit=MAX_CHARACTERS + 1)
        if not text:
            raise UsageError(t("The fact is empty."))
        if len(text) > MAX_CHARACTERS:
            raise UsageError(
                t("A fact has at most {limit} characters: say it shorter.", limit=MAX_CHARACTERS)
            )
        with self._changing() as stored:
            for one in stored.facts:
                if one.text == text:
                    return _fact(one)
            if len(stored.facts) >= MAX_FACTS:
                raise UsageError(
                    t(
                        "{count} facts are remembered already: forget some first "
                        "(waggle agent facts --forget N).",
                        count=len(stored.facts),
                    )
                )
            stored.last += 1
            when = datetime.now(UTC).isoformat(timespec="seconds")
            stored.facts.append(_Stored(n=stored.last, text=text, when=when, own=own))
            return _fact(stored.facts[-1])

    def forget(self, n: int) -> Fact:
        """Delete fact ``n`` and return it. Raises `UsageError` where there is none."""
        with self._changing() as stored:
            for index, one in enumerate(stored.facts):
                if one.n == n:
                    del stored.facts[index]
                    return _fact(one)
            known = ", ".join(str(one.n) for one in stored.facts)
            raise UsageError(
                t("There is no fact {n}. There are: {known}", n=n, known=known)
                if known
                else t("No fact is remembered.")
            )

    def prompt(self, lang: str) -> str:
        """The facts as a part of the system prompt; nothing where there are none."""
        lines = [f"- {as_data(one.text)}" for one in self.all()]
        return "\n".join([_HEADING[lang], *lines]) if lines else ""

    @contextmanager
    def _changing(self) -> Iterator["_File"]:
        """The stored facts, written back unless something is raised."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(self._path.with_suffix(".lock")).acquire(timeout=_PATIENCE):
                stored = self._read()
                before = stored.model_copy(deep=True)
                yield stored
                if stored != before:
                    write_atomically(self._path, stored.model_dump_json(indent=1).encode())
        except Timeout:
            raise LockedError(
                t("Another process is changing {path}. Try again in a moment.", path=self._path)
            ) from None
        except OSError as error:
            raise WaggleError(
                t(
                    "The facts cannot be written to {path}: {reason}. Free some space there, or "
                    "choose a --home that can be written.",
                    path=self._path,
                    reason=error.strerror or error,
                )
            ) from error

    def _read(self) -> "_File":
        try:
            return _File.model_validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return _File()
        except (OSError, ValidationError):
            raise DamagedError(
                t("{path} does not hold facts. Mend it, or delete it.", path=self._path)
            ) from None


def asks_to_remember(words: str) -> bool:
    """Whether somebody tells the agent to remember something, in English or Chinese."""
    return _ASKS.search(words) is not None


def fact_tools(facts: Facts, words: str) -> "tuple[BaseTool, ...]":
    """``remember_fact``, where ``words``, the user's own, ask for it; else no tool at all."""
    if not asks_to_remember(words):
        return ()
    from langchain_core.tools import StructuredTool

    from agents.toolbox.effects import declared

    def remember_fact(text: str) -> str:
        fact = facts.remember(text, own=is_part(text, words))
        return t("Remembered as fact {n}: {text}", n=fact.n, text=fact.text)

    tool = StructuredTool.from_function(
        remember_fact,
        name="remember_fact",
        description="Remembers one short fact for later runs, because the user asked for it.",
        args_schema=FactArguments,
    )
    return (declared(tool, "write", tainted=False),)


class FactArguments(BaseModel):
    """What ``remember_fact`` is called with."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(description="The fact, in one sentence that can be understood by itself")


class _Stored(BaseModel):
    model_config = ConfigDict(extra="forbid")

    n: int = Field(ge=1)
    text: str
    when: str
    own: bool = False


def _fact(stored: _Stored) -> Fact:
    return Fact(stored.n, stored.text, stored.when, stored.own)


class _File(BaseModel):
    """``last`` is the highest number that was ever given."""

    model_config = ConfigDict(extra="forbid")

    version: Literal[1] = 1
    last: int = 0
    facts: list[_Stored] = Field(default_factory=list)
