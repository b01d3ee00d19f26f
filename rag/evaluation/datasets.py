"""Sets of questions with what is known of their answers: the open ones, and the user's own.

Which questions are asked depends on their ids and the seed alone, never on the order of a file:
they are taken in the order of a hash. Another hash of the id, without the seed, cuts every set into
two fixed halves: thresholds are fitted on ``tune`` and figures told about ``report``.
"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Final, Literal

from pydantic import ConfigDict

from indexes.errors import SourceError, UsageError
from indexes.i18n import t

SETS: Final = (
    "squad_en", "cmrc2018_zh", "drcd_zht", "xquad_en_zh", "hotpot_sample", "rgb", "dureader_demo",
)  # fmt: skip
"""The open sets that can be asked."""

Half = Literal["tune", "report", "all"]
Scoring = Literal["short", "facts", "rouge"]
"""``short``: exact match and F1 of a short answer; ``facts``: every fact must stand in the answer;
``rouge``: ROUGE-L with whole answers."""

_DEFAULT_FOLDER = Path(__file__).resolve().parents[3] / "shared" / "data"


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A document of a set; ``id`` becomes its source."""

    id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. ``answers`` are equally right; ``facts`` must all be told, each in one of its
    forms; ``wrong`` are answers that its passages are made to suggest. ``gold`` are the sources
    with the answer, all of them needed; ``where`` is the filter of the search. ``key`` is common to
    the forms in which one question is asked, ``group`` is that form. ``refusal``: counts for the
    figures about refusing."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")  # a run's file holds it

    id: str
    text: str
    lang: str
    answers: tuple[str, ...] = ()
    facts: tuple[tuple[str, ...], ...] = ()
    wrong: tuple[str, ...] = ()
    gold: tuple[str, ...] = ()
    answerable: bool = True
    where: str | None = None
    key: str = ""
    group: str = ""
    refusal: bool = False


@dataclass(frozen=True, slots=True)
class Corpus:
    """Documents that are indexed for a set; ``group`` tells which questions are about them, where a
    set has several."""

    name: str
    paragraphs: tuple[Paragraph, ...]
    group: str = ""


@dataclass(frozen=True, slots=True)
class Dataset:
    """A set as it was read. ``sha256`` is that of its files; ``corpora`` is empty where the
    questions are about a collection of the user's. ``refusal``: whether its unanswerable questions
    are asked as well, half as many as the answerable."""

    name: str
    sha256: str
    questions: tuple[Question, ...]
    corpora: tuple[Corpus, ...] = ()
    scoring: Scoring = "short"
    refusal: bool = False


def data_folder() -> Path:
    """Where the open sets lie: ``WAGGLE_EVAL_DATA``, else ``../shared/data`` beside the checkout.
    Raises `SourceError` where there is no such folder."""
    folder = Path(os.environ.get("WAGGLE_EVAL_DATA") or _DEFAULT_FOLDER)
    if not folder.is_dir():
        raise SourceError(
            t(
                "The evaluation sets are not in {folder}. Name their folder in the variable "
                "WAGGLE_EVAL_DATA, or give a JSONL file with questions of your own.",
                folder=folder,
            )
        )
    return folder


def load_dataset(name: str) -> Dataset:
    """An open set by its name, or the user's own from a file. Raises `UsageError` for something
    else, `SourceError` for files that cannot be read or hold something else."""
    from rag.evaluation import readers

    if name in SETS:
        return readers.read_set(data_folder() / name, name)
    if Path(name).is_file():
        return readers.read_own(Path(name))
    raise UsageError(
        t(
            "«{name}» is neither a set nor a file. The sets are: {known}.",
            name=name,
            known=", ".join(SETS),
        )
    )


def half_of(key: str) -> Half:
    """The half to which the question ``key`` belongs, for ever."""
    return "tune" if hashlib.sha256(f"half\0{key}".encode()).digest()[0] & 1 else "report"


def choose(dataset: Dataset, limit: int | None, half: Half, seed: int) -> tuple[Question, ...]:
    """The questions to ask: ``limit`` answerable ones of each group of that half, and with a
    set that has unanswerable ones half as many of them. As many of both, the first of their order,
    are marked to count for the figures about refusing."""
    order = sorted(
        (q for q in dataset.questions if half in ("all", half_of(q.key or q.id))),
        key=lambda q: hashlib.sha256(f"{seed}\0{q.key or q.id}".encode()).digest(),
    )
    chosen: list[Question] = []
    for group in dict.fromkeys(question.group for question in dataset.questions):
        chosen += _of_group([q for q in order if q.group == group], dataset, limit)
    if not chosen:
        raise UsageError(
            t("«{name}» has no question in the half {half}.", name=dataset.name, half=half)
        )
    return tuple(chosen)


def _of_group(order: Sequence[Question], dataset: Dataset, limit: int | None) -> list[Question]:
    if not dataset.refusal:
        return list(order[:limit])
    answerable = [q for q in order if q.answerable][:limit]
    most = len(order) if limit is None else -(-limit // 2)
    unanswerable = [q for q in order if not q.answerable][:most]
    most = min(most, len(unanswerable), len(answerable))
    marked = [replace(q, refusal=True) for q in (*answerable[:most], *unanswerable[:most])]
    return [*marked, *answerable[most:], *unanswerable[most:]]
