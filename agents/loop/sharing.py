"""What each task of a planned run may use up of the run's limits."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from agents.loop.limits import cost_of
from agents.loop.observing import seconds_of, steps_of, usage_of
from agents.loop.types import Limits
from rag.types import Usage

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

_KEPT: Final = 0.75
"""Share of what is left that tasks may use; the rest is for the report."""
_LEAST: Final = 1e-9
"""Of a limit that is used up: it must be above 0."""


def less(limits: Limits, usage: Usage, seconds: float) -> Limits:
    """The limits without what was used up already."""

    def rest(limit: float | None, used: float) -> float | None:
        return None if limit is None else max(limit - used, _LEAST)

    tokens = rest(limits.tokens, usage.prompt_tokens + usage.completion_tokens)
    return replace(
        limits,
        tokens=None if tokens is None else max(int(tokens), 1),
        seconds=rest(limits.seconds, seconds),
        cost=rest(limits.cost, cost_of(usage, limits.prices)),
    )


def share(limits: Limits, messages: "Sequence[BaseMessage]", tasks: int) -> Limits:
    """The limits of one of ``tasks`` that are open, after the ``messages`` of other tasks: an equal
    part of what is left, with two steps at least where there are two."""
    left = less(limits, usage_of(messages), seconds_of(messages))
    steps = limits.steps - len(steps_of(messages))

    def part(limit: float | None) -> float | None:
        return None if limit is None else limit * _KEPT / tasks

    tokens = part(left.tokens)
    return replace(
        left,
        steps=max(steps // tasks, min(2, steps), 1),
        tokens=None if tokens is None else max(int(tokens), 1),
        seconds=part(left.seconds),
        cost=part(left.cost),
    )
