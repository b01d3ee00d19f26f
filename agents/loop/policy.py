"""Whether a call is done, refused, or put to somebody.

No filter finds every order in a text (OWASP, LLM01), so none is looked for: once text that others
wrote is in the context, whatever changes something or tells another machine something is asked for.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.tools import BaseTool

from agents.loop.copying import Texts, is_named, leaves
from agents.loop.taint import visible, words_of_others
from agents.loop.types import Approval, Pending
from agents.toolbox.effects import Effect, does_as_named, effect_of, is_private
from indexes.cleaning import one_line
from indexes.i18n import t

_WORD: Final = re.compile(r"[^\W\d_]+")
_ALIKE: Final = frozenset({"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE"})
"""Alphabets with letters that look the same."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The call is not done; ``reason`` is the observation that says why."""

    reason: str


class Policy:
    """Judges calls. ``user_words`` are the goal and what else the user wrote, one text each, never
    a task that a model made of them. ``others`` are texts of others that stand in every prompt:
    `taint.foreign_words`, and facts that were learned from documents."""

    def __init__(
        self, approve: Approval, user_words: Sequence[str], others: Sequence[str] = ()
    ) -> None:
        self._approve = approve
        self._user_words, self._others = tuple(user_words), tuple(others)
        self._waiting: frozenset[str] = frozenset()

    def wait_for(self, call_ids: Iterable[str]) -> None:
        """These calls wait for a decision already: it counts, though they would now be done."""
        self._waiting = frozenset(call_ids)

    def judge(
        self, tool: BaseTool, call: Mapping[str, Any], messages: Sequence[BaseMessage]
    ) -> Pending | Refusal | None:
        """``None`` where the call (``name``, ``args``, ``id``) may be done at once. ``messages``
        are the run's, up to the one that holds the call.

        A `Pending` call is done with the arguments that it shows, or those of the decision, and
        with no others. The same call after the same messages is judged the same.
        """
        effect = effect_of(tool)
        if effect == "read":
            return None
        if self._approve == "never":
            return Refusal(_refused(one_line(tool.name)))
        arguments = visible(call["args"])
        before = messages[:-1] if messages and isinstance(messages[-1], AIMessage) else messages
        read = (*self._others, *words_of_others(before, self._user_words))
        free = self._approve == "always" and call["id"] not in self._waiting
        if free and (not read or is_private(tool) or self._is_users(tool, arguments)):
            return None
        tainted = self._tainted(arguments, read)
        reason = " ".join(_reasons(one_line(tool.name), effect, bool(read), tainted, arguments))
        return Pending(str(call["id"]), tool.name, arguments, effect, reason, tainted)

    def _is_users(self, tool: BaseTool, arguments: Mapping[str, Any]) -> bool:
        """Whether the tool does what its arguments say, and the user has named each of them."""
        if not does_as_named(tool):
            return False
        given = {
            name: value
            for name, value in arguments.items()
            if value is not None and tool.args.get(name, {}).get("default") != value
        }
        return not any(isinstance(value, bool) for value in given.values()) and all(
            is_named(leaf, self._user_words) for leaf in leaves(list(given.values()))
        )

    def _tainted(self, arguments: Mapping[str, Any], read: Sequence[str]) -> tuple[str, ...]:
        if not read:
            return ()
        texts = Texts.of(read)
        return tuple(
            name for name, value in arguments.items() if texts.hold(value, self._user_words)
        )


def shown(pending: Pending) -> str:
    """The call that waits, exact and whole, a line for each argument: what a person reads before
    deciding."""
    lines = [one_line(pending.tool)]
    for name, value in pending.arguments.items():
        label = name if name.isidentifier() else _json(name)
        lines.append(f"  {label} = {_json(value)}")
    return "\n".join(lines)


def _json(value: Any) -> str:
    return json.dumps(visible(value), ensure_ascii=False, default=str)


def _refused(tool: str) -> str:
    return t(
        "«{tool}» writes or goes to the network, and that is not allowed here. Go on without it.",
        tool=tool,
    )


def _reasons(
    tool: str, effect: Effect, read: bool, tainted: Sequence[str], arguments: Mapping[str, Any]
) -> Iterator[str]:
    if effect == "network":
        yield t("«{tool}» tells another machine something.", tool=tool)
    else:
        yield t("«{tool}» changes something.", tool=tool)
    if read:
        yield t("Text that others wrote has been read before, and may have ordered it.")
    if tainted:
        names = ", ".join(map(one_line, tainted))
        yield t("Taken from such text, not from you: {names}.", names=names)
    for leaf in leaves(arguments):
        for word in _WORD.findall(leaf):
            if len({unicodedata.name(one, "").split(" ")[0] for one in word} & _ALIKE) > 1:
                yield t("«{word}» mixes alphabets: it is not the word that it looks like.",
                        word=one_line(word))  # fmt: skip
