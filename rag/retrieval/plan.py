"""Which techniques find the passages for a question."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final, Literal

from indexes.errors import UsageError
from indexes.i18n import t

Expansion = Literal["none", "window", "parent"]
Reranking = Literal["none", "served", "cross-encoder", "chat"]

_LIMITS: Final[Mapping[str, tuple[float, float]]] = {
    "rewordings": (0, 8), "hops": (1, 4), "diversity": (0, 1), "candidates": (0, 200),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class RetrievalPlan:
    """What is done to find passages. Raises `UsageError` for a number that is out of bounds.

    - ``condense``: a follow-up question is rewritten so that it stands without the conversation.
    - ``rewordings``: how many other wordings of the question are searched for besides it.
    - ``hypothetical``: a passage that the chat model makes up is searched for as well.
    - ``step_back``: so is the more general question behind the question.
    - ``hops``: searches one after the other, each for what the passages so far still leave open.
    - ``expand``: ``window`` gives each passage the sentences around it, ``parent`` its section.
    - ``diversity``: 0 (off) to 1, how much a passage loses by resembling those before it.
    - ``rerank``: who puts the passages in order. ``served`` is the reranker of the settings, if
      there is one; ``cross-encoder`` a model that runs here; ``chat`` the chat model.
    - ``candidates``: passages that those choose from; 0 is twice as many as are wanted, or as many
      as the reranker takes.
    - ``sufficient``: the chat model is asked whether the passages suffice; if not, it searches
      once more.
    """

    name: str
    condense: bool = False
    rewordings: int = 0
    hypothetical: bool = False
    step_back: bool = False
    hops: int = 1
    expand: Expansion = "none"
    diversity: float = 0.0
    rerank: Reranking = "none"
    candidates: int = 0
    sufficient: bool = False

    def __post_init__(self) -> None:
        for field, (least, most) in _LIMITS.items():
            if not least <= getattr(self, field) <= most:
                raise UsageError(
                    t(
                        "In a retrieval plan, {field} must lie between {least} and {most}.",
                        field=field,
                        least=least,
                        most=most,
                    )
                )


DEFAULT: Final = RetrievalPlan("default", condense=True, rerank="served")

PLANS: Final[Mapping[str, RetrievalPlan]] = MappingProxyType(
    {
        plan.name: plan
        for plan in (
            DEFAULT,
            RetrievalPlan("plain"),
            replace(DEFAULT, name="rewordings", rewordings=3),
            replace(DEFAULT, name="hypothetical", hypothetical=True),
            replace(DEFAULT, name="step-back", step_back=True),
            replace(DEFAULT, name="multi-hop", hops=2),
            replace(DEFAULT, name="window", expand="window"),
            replace(DEFAULT, name="parent", expand="parent"),
            replace(DEFAULT, name="diverse", diversity=0.3, candidates=20),
            replace(DEFAULT, name="reranked", rerank="chat", candidates=20),
            RetrievalPlan(
                "thorough", condense=True, rewordings=3, hops=2, expand="window", rerank="chat",
                candidates=20, sufficient=True,
            ),
        )
    }
)  # fmt: skip
"""The plans that have a name."""


def plan_of(wanted: str | RetrievalPlan | None) -> RetrievalPlan:
    """The plan of that name; by default that of the settings, with those of its fields that they
    change. Raises `UsageError` where there is none of that name."""
    if isinstance(wanted, RetrievalPlan):
        return wanted
    if wanted is not None:
        return _named(wanted)
    from rag.settings import load_retrieval_settings

    settings = load_retrieval_settings()
    plan = _named(settings.plan)
    given = settings.model_dump(exclude={"plan"}, exclude_none=True)
    changed = {name: value for name, value in given.items() if value != getattr(plan, name)}
    name = " ".join([plan.name, *(f"{name}={value}" for name, value in changed.items())])
    return replace(plan, name=name, **changed)


def prompts_of(plan: RetrievalPlan) -> tuple[str, ...]:
    """The names of the prompts that ``plan`` puts to the chat model for a question without a
    conversation before it."""
    used = {
        "search-reword": plan.rewordings > 0 or plan.sufficient,
        "search-hypothetical": plan.hypothetical,
        "search-step-back": plan.step_back,
        "search-next": plan.hops > 1,
        "search-order": plan.rerank == "chat",
        "search-suffice": plan.sufficient,
    }
    return tuple(name for name, wanted in used.items() if wanted)


def without_chat(plan: RetrievalPlan) -> RetrievalPlan:
    """The plan without what it asks the chat model."""
    return replace(
        plan, rewordings=0, hypothetical=False, step_back=False, hops=1, sufficient=False,
        rerank="none" if plan.rerank == "chat" else plan.rerank,
    )  # fmt: skip


def _named(name: str) -> RetrievalPlan:
    if plan := PLANS.get(name):
        return plan
    close = difflib.get_close_matches(name, PLANS, n=1, cutoff=0.5)
    raise UsageError(
        t(
            "There is no retrieval plan «{name}». Did you mean: {close}?",
            name=name,
            close=", ".join(close or PLANS),
        )
    )
