"""What a set of the agent's evaluation brings: its cases, and the ways of doing one of them.

A set, whole::

    def _read(folder: Path) -> Sequence[Case]:            # folder: WAGGLE_EVAL_DATA
        rows = rows_of(folder / "gsm8k" / "test.jsonl")   # rag.evaluation.readers
        return [Case(f"gsm8k-{n}", row) for n, row in enumerate(rows)]

    @contextmanager
    def _trials(bench: Bench) -> Iterator[Sequence[Trial]]:   # collections are opened here
        yield [Trial("calculator", partial(_solve, bench, tools=True)),
               Trial("without", partial(_solve, bench, tools=False))]

    GSM8K = TaskSet("gsm8k", ("gsm8k/test.jsonl",), _read, _trials, ("right",))

`agents.measuring.sets` names it ``"gsm8k": "agents.measuring.sums:GSM8K"``. The first trial is the
product's own; the others are what it is compared with, over the same cases of the same run.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rag.types import Usage

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from indexes.collection import Notice

Way = Literal["json", "native", "both"]
"""How calls are asked for where a set measures just that."""


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to do. ``id`` is unique in its set and decides for ever in which half the case is
    and when its turn comes; ``group`` cuts the set into parts with figures of their own; ``data``
    is what the set's file says of it."""

    id: str
    data: Mapping[str, Any]
    group: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """What came of doing a case. ``figures`` are numbers by name, those that are defined for this
    case (0 and 1 for what is right or not); ``detail`` is whatever a reader wants to judge by
    eye, as plain JSON; ``error`` says in a sentence why it came to nothing. ``seconds`` and tokens
    are those of the product's work, without what scoring may cost."""

    figures: Mapping[str, float]
    usage: Usage = field(default_factory=Usage)
    seconds: float = 0.0
    detail: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """A way of doing a case. ``do`` is called from several threads at a time. It raises
    ``EndpointError`` where the server fails, which ends the run, to be gone on with; what the
    model does wrong is an outcome."""

    name: str
    do: Callable[[Case], Done]


@dataclass(frozen=True, slots=True)
class Bench:
    """What the trials work with. ``home`` is the run's own, below which a trial may open
    collections and leave agents' runs; ``data`` the folder of the sets."""

    chat: "BaseChatModel"
    home: Path
    data: Path
    way: Way = "both"
    notice: "Notice | None" = None


@dataclass(frozen=True, slots=True)
class TaskSet:
    """A set. ``files`` are those that it reads, below the folder of the sets: their digest is
    bound. ``figures`` are its own, in the order in which they are shown, beside tokens and
    seconds. ``pools`` are groups taken together under a name. ``texts`` are the prompts that no
    trial's code can change without the run being another."""

    name: str
    files: tuple[str, ...]
    read: Callable[[Path], Sequence[Case]]
    trials: Callable[[Bench], AbstractContextManager[Sequence[Trial]]]
    figures: tuple[str, ...]
    pools: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    texts: Callable[[], Mapping[str, str]] = dict
