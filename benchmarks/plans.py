"""What the retrieval plans that need no chat model find: the tables of docs/retrieval.md.

::

    python -m benchmarks.plans
"""

import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.machine import machine
from benchmarks.retrieval import fill
from benchmarks.sets import MissingSetsError, Paragraph, Question, Task, data_folder, tasks
from indexes.collection import Collection
from indexes.embedding import default_embedder
from rag.prompting.library import built_in
from rag.retrieval.plan import PLANS, RetrievalPlan
from rag.retrieval.retrieving import retrieve
from rag.retrieval.types import Passages, Tools
from rag.steps import run

_PASSAGES = 5
_ARTICLES = 3
_QUESTIONS = 200
_PLAIN = PLANS["plain"]


@dataclass(frozen=True, slots=True)
class Row:
    """What a plan found: for each question the share of what it needs, and the characters that a
    chat model would have to read."""

    name: str
    shares: Sequence[float]
    characters: Sequence[int]


def main() -> int:
    """Measure and print; returns the exit status."""
    try:
        folder = data_folder()
        (hops,) = tasks(folder, "hotpot_sample")
        (articles,) = tasks(folder, "squad_en")
    except MissingSetsError as error:
        print(error, file=sys.stderr)
        return 2
    print(machine(), end="\n\n")
    with tempfile.TemporaryDirectory() as home:
        _tell("HotpotQA: share of the paragraphs found, both found", two_paragraphs(hops, home))
        _tell("SQuAD: paragraph whole in a passage", whole_paragraphs(articles, home))
    return 0


def two_paragraphs(task: Task, home: str) -> list[Row]:
    """How many of the paragraphs that each question needs are found."""
    plans = [
        (_PLAIN, _PASSAGES),
        (PLANS["diverse"], _PASSAGES),
        *(
            (replace(_PLAIN, name=f"plain, diversity {much}", diversity=much, candidates=20), 5)
            for much in (0.5, 0.7)
        ),
    ]

    def share(question: Question, found: Passages) -> float:
        sources = {passage.source for passage in found}
        return sum(gold in sources for gold in question.gold) / len(question.gold)

    with _collection("hops", home) as collection:
        fill(collection, task.paragraphs)
        return [_row(collection, plan, k, task.questions, share) for plan, k in plans]


def whole_paragraphs(task: Task, home: str) -> list[Row]:
    """How often a passage holds all of the paragraph with the answer, when the paragraphs of
    each article are joined into one document."""
    titles = list(dict.fromkeys(paragraph.title for paragraph in task.paragraphs))[:_ARTICLES]
    texts = {p.id: p.text for p in task.paragraphs if p.title in titles}
    questions = [q for q in task.questions if q.gold[0] in texts][:_QUESTIONS]
    plans = [(_PLAIN, 5), (_PLAIN, 10), (PLANS["window"], 5), (PLANS["parent"], 5)]

    def share(question: Question, found: Passages) -> float:
        return float(any(texts[question.gold[0]] in passage.text for passage in found))

    with _collection("articles", home) as collection:
        fill(collection, [_joined(task.paragraphs, title) for title in titles])
        return [_row(collection, plan, k, questions, share) for plan, k in plans]


def _joined(paragraphs: Sequence[Paragraph], title: str) -> Paragraph:
    return Paragraph(title, title, "\n\n".join(p.text for p in paragraphs if p.title == title))


def _collection(name: str, home: str) -> Collection:
    return Collection.open(name, home=home, embedder=default_embedder(Path(home) / "models"))


def _row(
    collection: Collection,
    plan: RetrievalPlan,
    k: int,
    questions: Sequence[Question],
    share: Callable[[Question, Passages], float],
) -> Row:
    tools = Tools(collection, lambda: None, built_in())
    shares, characters = [], []
    for question in questions:
        found = run(retrieve(tools, question.text, plan, k=k)).contexts
        shares.append(share(question, found))
        characters.append(sum(len(passage.text) for passage in found))
    return Row(f"{plan.name}, {k} passages", shares, characters)


def _tell(title: str, rows: Sequence[Row]) -> None:
    print(f"{title}; {len(rows[0].shares)} questions\n\n| plan | found | all | characters |")
    print("|---|---|---|---|")
    for row in rows:
        whole = np.mean([share == 1 for share in row.shares])
        print(
            f"| {row.name} | {np.mean(row.shares):.3f} | {whole:.3f} "
            f"| {np.mean(row.characters):,.0f} |"
        )
    print()


if __name__ == "__main__":
    sys.exit(main())
