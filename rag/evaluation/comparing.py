"""Two runs beside each other: which is better, and where one diverges from the other."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

from rag.evaluation.datasets import Scoring
from rag.evaluation.records import Call, Header, Outcome, PipelineName
from rag.evaluation.scoring import FIGURES, gain, values
from rag.evaluation.statistics import Difference, balanced_difference, difference

Step = Literal["retrieval", "prompt", "answer", "verification"]
STEPS: Final[tuple[Step, ...]] = get_args(Step)
SCORE: Final = "score"
"""The one number that says which is better: `rag.evaluation.scoring.gain`."""


@dataclass(frozen=True, slots=True)
class Change:
    """A figure over the ``count`` questions for which both runs have it."""

    group: str
    name: str
    first: float
    second: float
    difference: Difference
    count: int


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first step at which a question went another way; ``call`` is the number, from 1, of the
    request to the model, 0 where it is about none."""

    question: str
    text: str
    pipeline: PipelineName
    step: Step
    call: int = 0


def compare(
    first: Sequence[Outcome], second: Sequence[Outcome], scoring: Scoring
) -> tuple[Change, ...]:
    """What ``second`` has over ``first``, each of one pipeline, question by question."""
    others = {outcome.question.id: outcome for outcome in second}
    both = [(one, others[one.question.id]) for one in first if one.question.id in others]
    found: list[Change] = []
    for group in sorted({one.question.group for one, _ in both}):
        some = [pair for pair in both if pair[0].question.group == group]
        changes = [*_changes(group, some, scoring), *_refusals(group, some)]
        found += sorted(changes, key=lambda change: FIGURES.index(change.name))
    return tuple(found)


Pairs = Sequence[tuple[Outcome, Outcome]]


def _changes(group: str, both: Pairs, scoring: Scoring) -> list[Change]:
    pairs: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for one, other in both:
        before, now = values(one, scoring), values(other, scoring)
        for name in before.keys() & now.keys():
            pairs[name].append((before[name], now[name]))
        gains = gain(one, scoring), gain(other, scoring)
        if gains[0] is not None and gains[1] is not None:
            pairs[SCORE].append((gains[0], gains[1]))
    return [_change(group, name, some) for name, some in pairs.items()]


def _refusals(group: str, both: Pairs) -> list[Change]:
    """About the questions that were chosen for it, as many with an answer as without."""
    asked = [
        (one, other)
        for one, other in both
        if one.question.refusal and "retrieved" not in (one.reply.status, other.reply.status)
    ]
    right: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
    for one, other in asked:
        wanted = one.question.answerable
        before, now = ((o.reply.status == "answered") == wanted for o in (one, other))
        right[wanted].append((float(before), float(now)))
    if not right[True] or not right[False]:
        return []
    refused, answered = (_change(group, "refusal recall", right[kind]) for kind in (False, True))
    change = balanced_difference(*([b - a for a, b in some] for some in right.values()))
    balanced = Change(
        group, "balanced accuracy", (refused.first + answered.first) / 2,
        (refused.second + answered.second) / 2, change, len(asked),
    )  # fmt: skip
    return [refused, balanced]


def _change(group: str, name: str, pairs: Sequence[tuple[float, float]]) -> Change:
    before, now = [a for a, _ in pairs], [b for _, b in pairs]
    count = len(pairs)
    return Change(group, name, sum(before) / count, sum(now) / count,
                  difference(before, now), count)  # fmt: skip


def changed_bindings(first: Header, second: Header) -> tuple[str, ...]:
    """The names of what the two runs do not have in common, apart from name and time."""
    before, now = first.binding(), second.binding()
    return tuple(name for name in before if before[name] != now[name])


def divergences(first: Sequence[Outcome], second: Sequence[Outcome]) -> tuple[Divergence, ...]:
    """Where the same questions went another way the second time."""
    others = {(outcome.pipeline, outcome.question.id): outcome for outcome in second}
    found = []
    for outcome in first:
        other = others.get((outcome.pipeline, outcome.question.id))
        if other is not None and (where := _diverges(outcome, other)) is not None:
            step, call = where
            question = outcome.question
            found.append(Divergence(question.id, question.text, outcome.pipeline, step, call))
    return tuple(found)


def _diverges(first: Outcome, second: Outcome) -> tuple[Step, int] | None:
    before, now = first.reply, second.reply
    if before.contexts != now.contexts:
        return "retrieval", 0
    calls = ((*before.calls, *before.short_calls), (*now.calls, *now.short_calls))
    if (where := _call_diverges(*calls)) is not None:
        return where
    same = ("status", "text", "short", "citations")
    if any(getattr(before, name) != getattr(now, name) for name in same):
        return "verification", 0
    return None


def _call_diverges(before: Sequence[Call], now: Sequence[Call]) -> tuple[Step, int] | None:
    """Requests that are made side by side may change places, so each is found by its prompt."""
    left = list(now)
    for number, call in enumerate(before, 1):
        same = [other for other in left if other.prompt == call.prompt]
        if not same:
            return "prompt", number
        exact = next((other for other in same if other.reply == call.reply), None)
        if exact is None:
            return "answer", number
        left.remove(exact)
    return ("prompt", len(before) + 1) if left else None
