"""A conversation as apps keep it, as a question with what was said before."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from indexes.errors import UsageError
from indexes.i18n import t
from rag.marks import without_marks
from rag.retrieval.types import Turn

Role = Literal["system", "user", "assistant"]

TURNS = 8
"""How many earlier turns are taken along; the latest of them are read."""
_LONGEST = 2000
"""Characters of an earlier question or answer; of a longer one, the beginning is read."""


@dataclass(frozen=True, slots=True)
class Said:
    """A message: ``system`` is what the app wants of every answer."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """The question, the turns before it, the latest last, and what the app wants of an answer."""

    question: str
    history: tuple[Turn, ...] = ()
    instructions: str = ""


def conversation_of(messages: Iterable[Said], earlier: Sequence[Turn] = ()) -> Conversation:
    """The last message of the user is the question. Raises `UsageError` where there is none."""
    turns, instructions = list(earlier), list[str]()
    for message in messages:
        text = message.text.strip()
        if message.role == "system":
            instructions += [text] if text else []
        elif message.role == "user":
            turns.append(Turn(text, ""))
        elif turns:
            turns[-1] = answered(turns[-1], text)
    if len(turns) == len(earlier):
        raise UsageError(t("There is no message of a user, and so no question."))
    question = turns.pop().question
    return Conversation(
        question, tuple(map(_short, turns[-TURNS:])), "\n\n".join(dict.fromkeys(instructions))
    )


def answered(turn: Turn, text: str) -> Turn:
    """The turn with its answer, which names no passages any more."""
    return Turn(turn.question, f"{turn.answer}\n{without_marks(text)}".strip())


def _short(turn: Turn) -> Turn:
    return Turn(turn.question[:_LONGEST], turn.answer[:_LONGEST])
