"""Which of two prompts is better, from their differences question by question."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from indexes.i18n import t
from rag.evaluation.comparing import SCORE, Change
from rag.evaluation.records import Outcome

OTHERS: Final = ("EM", "F1", "accuracy", "ROUGE-L", "balanced accuracy", "citation names gold")
"""What the reader must be told of where it does not agree with the score."""

Better = Literal["first", "second", "neither"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """By the score, which counts as different where its 95 % interval leaves out 0. ``against`` are
    the figures that say something else, beyond chance as well."""

    group: str
    better: Better
    score: Change
    against: tuple[Change, ...]


def verdicts(changes: Sequence[Change]) -> tuple[Verdict, ...]:
    """One for each group of questions whose answers are known."""
    return tuple(_verdict(one, changes) for one in changes if one.name == SCORE)


def better_of(change: Change) -> Better:
    """Which of the two has more of it, if that is beyond chance."""
    if change.difference.low > 0:
        return "second"
    return "first" if change.difference.high < 0 else "neither"


def nothing_known() -> str:
    """What to say where there is no score."""
    return t(
        "Of these questions nothing is known by which an answer could be scored: give them "
        "«answers», «gold» or «answerable»."
    )


def pooled(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The outcomes as if their questions were of one group."""
    return [o.model_copy(update={"question": replace(o.question, group="")}) for o in outcomes]


def _verdict(score: Change, changes: Sequence[Change]) -> Verdict:
    better = better_of(score)
    others = [c for c in changes if c.group == score.group and c.name in OTHERS]
    against = tuple(c for c in others if better_of(c) not in ("neither", better))
    return Verdict(score.group, better, score, against)
