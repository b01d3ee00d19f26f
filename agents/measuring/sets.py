"""The sets by their names, each loaded when it is asked for."""

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from indexes.errors import UsageError
from indexes.i18n import t

if TYPE_CHECKING:
    from agents.measuring.types import TaskSet

SETS: Final[Mapping[str, str]] = {
    "bfcl": "agents.measuring.calls:BFCL",
    "acebench-en": "agents.measuring.calls:ACEBENCH_EN",
    "acebench-zh": "agents.measuring.calls:ACEBENCH_ZH",
    "gsm8k": "agents.measuring.sums:GSM8K",
    "hotpot": "agents.measuring.finding:HOTPOT",
    "tau2": "agents.measuring.finding:TAU2",
    "injection": "agents.measuring.attacks:INJECTION",
}
"""Where each set is defined."""


def set_named(name: str) -> "TaskSet":
    """The set ``name``. Raises `UsageError` for one that there is not."""
    if name not in SETS:
        raise UsageError(
            t(
                "There is no set «{name}» for the agent. The sets are: {known}.",
                name=name,
                known=", ".join(SETS),
            )
        )
    module, _, attribute = SETS[name].partition(":")
    found: TaskSet = getattr(importlib.import_module(module), attribute)
    return found
