"""GSM8K: word problems with a number as the answer: by the loop with the calculator and without
it, and by one plain request to the same model.
"""

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from langchain_core.messages import HumanMessage

from agents.loop.types import Limits
from agents.measuring.goals import Workshop, done, workshop
from agents.measuring.types import Bench, Case, Done, TaskSet, Trial
from rag.evaluation.readers import rows_of
from rag.models.chat import endpoint_errors
from rag.types import Usage

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

CALCULATOR: Final = "calculate"
_GOAL: Final = "{question}\n\nEnd the answer with the final number."
_PLAIN: Final = (
    "{question}\n\nWork it out step by step and write down each intermediate result. End with the "
    "final number."
)
_LIMITS: Final = Limits(steps=10, tokens=16_000)
"""The same with the calculator and without."""
_PLAIN_TOKENS: Final = 1024
"""As many as a step may have."""
_MARK: Final = re.compile(r"\[\w+\]")
_NUMBER: Final = re.compile(r"(?<![\w.)\]])[-−]?\s?\$?\s?\d[\d,]*(?:\.\d+)?|\d[\d,]*(?:\.\d+)?")


def numbers_in(text: str) -> list[Fraction]:
    """The numbers in a text, in their order: «$1,234.50» is one, «16-3» are two; marks of citations
    are none."""
    found = _NUMBER.findall(_MARK.sub(" ", text))
    plain = (re.sub(r"[\s$,]", "", one).replace("−", "-").rstrip(".") for one in found)
    return [Fraction(one) for one in plain]


def is_right(answer: str, gold: str) -> bool:
    """Whether the last number of an answer is the number ``gold``, exactly."""
    given, wanted = numbers_in(answer), numbers_in(gold)
    return bool(given and wanted) and given[-1] == wanted[-1]


def _read(folder: Path) -> Sequence[Case]:
    return [Case(row["id"], row) for row in rows_of(folder / "gsm8k" / "test.jsonl")]


@contextmanager
def _trials(bench: Bench) -> Iterator[Sequence[Trial]]:
    with workshop(bench) as place:
        yield [
            Trial("with calculator", partial(_solve, place, (CALCULATOR,))),
            Trial("without", partial(_solve, place, ())),
            Trial("plain", partial(_ask, bench.chat)),
        ]


def _solve(place: Workshop, kit: Sequence[str], case: Case) -> Done:
    run = place.run(_GOAL.format(question=case.data["question"]), kit, _LIMITS)
    figures = {"right": float(is_right(run.answer, case.data["answer"]))}
    if kit:
        figures["calculated"] = float(any(one.tool and not one.error for one in run.steps))
    return done(run, figures, gold=case.data["answer"])


def _ask(chat: "BaseChatModel", case: Case) -> Done:
    """One request, with nothing around it: what the loop must not make worse."""
    started = time.monotonic()
    with endpoint_errors(chat):
        reply = chat.invoke(
            [HumanMessage(_PLAIN.format(question=case.data["question"]))],
            max_tokens=_PLAIN_TOKENS,
        )
    told, gold = str(reply.text), case.data["answer"]
    return Done(
        {"right": float(is_right(told, gold))}, Usage.of(reply), time.monotonic() - started,
        {"answer": told, "gold": gold},
    )  # fmt: skip


GSM8K: Final = TaskSet(
    "gsm8k", ("gsm8k/test.jsonl",), _read, _trials,
    ("right", "calculated", "steps"),
    texts=lambda: {"goal": _GOAL, "plain": _PLAIN},
)  # fmt: skip
