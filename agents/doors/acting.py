"""The agent behind the doors: what it may do there, and whose its runs are.

Each key has a home of its own below that of the service, with its runs and what the agent was asked
to remember; so no key can know of another's. Whoever needs no key has the home of the service, as
the command line has.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from agents.agent_settings import AgentSettings, load_agent_settings
from agents.doors.rights import LOCAL, Caller
from agents.doors.service import Service
from agents.loop.acting import RagAgent
from agents.loop.keeping import Header, Listed, read_header, runs
from agents.loop.recalling import recall
from agents.loop.removing import remove_run
from agents.loop.types import Approval, Limits, Mode, Run
from indexes.errors import ForbiddenError, UnknownItemError, UsageError
from indexes.i18n import t

_FOLDER: Final = "callers"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request wants of a run; ``None`` is what the settings say. ``tools`` are the only ones
    that there are to be."""

    tools: tuple[str, ...] | None = None
    approve: Approval | None = None
    mode: Mode | None = None
    steps: int | None = None
    tokens: int | None = None
    seconds: float | None = None


def agent_of(service: Service, caller: Caller, name: str, wanted: Wanted | None = None) -> RagAgent:
    """The agent over the collection ``name``, whose runs are the caller's own. It may spend and do
    what the settings of the service allow, and less where less is ``wanted``.

    Raises `ForbiddenError` without the rights «agent» and «read», and `UnknownCollectionError` as
    `Shelf.rag` does.
    """
    caller.check("agent")
    caller.check("read")
    rag = service.shelf.rag(caller, name)
    settings, wanted = load_agent_settings(), wanted or Wanted()
    return RagAgent(
        rag,
        limits=_limits(settings, wanted),
        approve=_approval(settings, wanted),
        mode=wanted.mode or settings.mode,
        kit=_kit(settings, wanted),
        web=settings.web,
        calls=settings.calls,
        home=home_of(service, caller),
    )


def agent_again(service: Service, caller: Caller, run_id: str) -> RagAgent:
    """The agent that goes on with a run of the caller's, as far as that was to go. Raises as
    `agent_of` and `run_of` do."""
    caller.check("agent")
    header = _header(service, caller, run_id)
    known = header.options
    agent = agent_of(service, caller, header.collection, Wanted(mode=header.mode))
    if limits := known.get("limits"):
        agent.limits = _lower(agent.limits, Limits(**{**limits, "prices": agent.limits.prices}))
    if known.get("approve") == "never":
        agent.approve = "never"
    return agent


def listed_runs(service: Service, caller: Caller) -> tuple[Listed, ...]:
    """The caller's runs over collections that it sees, the latest first."""
    return tuple(
        one for one in runs(home_of(service, caller))
        if one.header is None or caller.sees(one.header.collection)
    )  # fmt: skip


def run_of(service: Service, caller: Caller, run_id: str) -> Run:
    """A run of the caller's with its steps. Raises `UnknownItemError` where there is none of that
    name, `LockedError` while it is being worked on, `DamagedError` where it cannot be read."""
    _header(service, caller, run_id)
    return recall(home_of(service, caller), run_id)


def delete_run(service: Service, caller: Caller, run_id: str) -> None:
    """Delete a run of the caller's. Raises as `run_of` does."""
    home = home_of(service, caller)
    if run_id not in {one.run_id for one in listed_runs(service, caller)}:
        raise _unknown(run_id)
    remove_run(home, run_id)


def home_of(service: Service, caller: Caller) -> Path:
    """Where the caller's runs and facts are."""
    return service.home if caller == LOCAL else service.home / _FOLDER / caller.key


def _header(service: Service, caller: Caller, run_id: str) -> Header:
    try:
        header = read_header(home_of(service, caller), run_id)
    except UsageError:
        raise _unknown(run_id) from None
    if not caller.sees(header.collection):
        raise _unknown(run_id)
    return header


def _unknown(run_id: str) -> UnknownItemError:
    return UnknownItemError(t("There is no run «{name}» of this key.", name=run_id))


def _limits(settings: AgentSettings, wanted: Wanted) -> Limits:
    limits = settings.limits
    return _lower(limits, replace(
        limits,
        steps=wanted.steps or limits.steps,
        tokens=wanted.tokens or limits.tokens,
        seconds=wanted.seconds or limits.seconds,
    ))  # fmt: skip


def _lower(one: Limits, two: Limits) -> Limits:
    return replace(
        one,
        steps=min(one.steps, two.steps),
        tokens=_least(one.tokens, two.tokens),
        seconds=_least(one.seconds, two.seconds),
        cost=_least(one.cost, two.cost),
    )


def _least(*limits: Any) -> Any:
    """The lowest of limits, of which ``None`` is none."""
    return min((limit for limit in limits if limit is not None), default=None)


def _approval(settings: AgentSettings, wanted: Wanted) -> Approval:
    """Whoever may decide about each call may also wish for less ado; what the settings refuse stays
    refused."""
    return "never" if settings.approve == "never" else wanted.approve or settings.approve


def _kit(settings: AgentSettings, wanted: Wanted) -> Sequence[str] | None:
    if wanted.tools is None or settings.tools is None:
        return settings.tools if wanted.tools is None else wanted.tools
    for name in wanted.tools:
        if name not in settings.tools:
            raise ForbiddenError(
                t("The settings of the service do not allow the tool «{name}».", name=name)
            )
    return wanted.tools
