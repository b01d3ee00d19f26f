"""The open evaluation sets, as retrieval tasks. Standard library only: peers read them as well."""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

SETS: Final = ("squad_en", "cmrc2018_zh", "drcd_zht", "xquad_en_zh", "hotpot_sample")
_DEFAULT_FOLDER = Path(__file__).resolve().parents[2] / "shared" / "data"


class MissingSetsError(Exception):
    """The evaluation sets are not where they are looked for; ``str(error)`` says what to do."""


@dataclass(frozen=True, slots=True)
class Paragraph:
    """What is searched for."""

    id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked; ``gold`` holds the ids of the paragraphs with the answer."""

    id: str
    text: str
    gold: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Task:
    """Questions and the paragraphs among which their answers are."""

    name: str
    paragraphs: Sequence[Paragraph]
    questions: Sequence[Question]


def data_folder() -> Path:
    """Where the sets lie: ``WAGGLE_EVAL_DATA``, else ``../shared/data`` beside the checkout.
    Raises `MissingSetsError` where there is no such folder."""
    folder = Path(os.environ.get("WAGGLE_EVAL_DATA") or _DEFAULT_FOLDER)
    if not folder.is_dir():
        raise MissingSetsError(
            f"The evaluation sets are not in {folder}. "
            "Set WAGGLE_EVAL_DATA to the folder that holds squad_en, cmrc2018_zh and the others."
        )
    return folder


def tasks(folder: Path, name: str, limit: int | None = None) -> Iterator[Task]:
    """The tasks of the set ``name``, with the first ``limit`` answerable questions of each.

    A set in two languages gives four: each language by itself, and questions of one language about
    paragraphs of the other. Raises `MissingSetsError` where the set is absent.
    """
    corpus = _rows(folder / name / "corpus.jsonl")
    queries = [q for q in _rows(folder / name / "queries.jsonl") if q["answerable"]]
    if "lang" not in corpus[0]:
        yield Task(name, _paragraphs(corpus), _questions(queries, "gold")[:limit])
        return
    languages = sorted({row["lang"] for row in corpus})
    for asked in languages:
        for found in languages:
            key = "gold" if asked == found else "gold_other_language"
            yield Task(
                f"{name} {asked}→{found}",
                _paragraphs([row for row in corpus if row["lang"] == found]),
                _questions([q for q in queries if q["lang"] == asked], key)[:limit],
            )


def _rows(file: Path) -> list[dict[str, Any]]:
    try:
        with file.open(encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]
    except OSError as error:
        raise MissingSetsError(
            f"{file} cannot be read ({error.strerror}). "
            "Set WAGGLE_EVAL_DATA to the folder of the evaluation sets, or leave this set out "
            "with --sets."
        ) from error


def _paragraphs(rows: Sequence[dict[str, Any]]) -> list[Paragraph]:
    # Titles of SQuAD are ends of web addresses: Super_Bowl_50.
    return [Paragraph(row["id"], row["title"].replace("_", " "), row["text"]) for row in rows]


def _questions(rows: Sequence[dict[str, Any]], key: str) -> list[Question]:
    return [Question(row["id"], row["question"], tuple(row[key])) for row in rows]
