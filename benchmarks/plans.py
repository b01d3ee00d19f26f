"""What the retrieval plans find: the tables of docs/retrieval.md.

::

    python -m benchmarks.plans
    python -m benchmarks.plans --chat-url http://127.0.0.1:8000/v1 --limit 24
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.machine import machine
from benchmarks.retrieval import fill
from benchmarks.sets import MissingSetsError, Paragraph, Question, Task, data_folder, tasks
from indexes.collection import Collection
from indexes.embedding import default_embedder
from rag.models.resolve import resolve_chat
from rag.prompting.library import built_in
from rag.retrieval.plan import PLANS, RetrievalPlan
from rag.retrieval.retrieving import retrieve
from rag.retrieval.types import Passages, Tools
from rag.settings import load_chat_settings
from rag.steps import run
from rag.types import Usage

_PASSAGES = 5
_ARTICLES = 3
_QUESTIONS = 200
_PLAIN = PLANS["plain"]


_ASKING = (
    *(PLANS[name] for name in ("rewordings", "hypothetical", "step-back", "multi-hop")),
    replace(_PLAIN, name="plain, sufficient", sufficient=True),
    PLANS["reranked"],
    PLANS["thorough"],
)


@dataclass(frozen=True, slots=True)
class Row:
    """What a plan found: for each question the share of what it needs, the characters that a
    chat model would have to read, what the plan itself has asked it, and the seconds."""

    name: str
    shares: Sequence[float]
    characters: Sequence[int]
    usages: Sequence[Usage]
    seconds: Sequence[float]
    left_out: int
    """Questions of which a step was left out, for the model failed."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; returns the exit status."""
    options = _options(arguments)
    try:
        folder = data_folder()
        (hops,) = tasks(folder, "hotpot_sample", options.limit)
        (articles,) = tasks(folder, "squad_en")
    except MissingSetsError as error:
        print(error, file=sys.stderr)
        return 2
    print(machine(), end="\n\n")
    with tempfile.TemporaryDirectory() as home:
        if options.chat_url:
            rows = asking(hops, home, options.chat_url, options.at_once)
            _tell("HotpotQA: share of the paragraphs found, both found", rows)
            return 0
        _tell("HotpotQA: share of the paragraphs found, both found", two_paragraphs(hops, home))
        _tell("SQuAD: paragraph whole in a passage", whole_paragraphs(articles, home))
    return 0


def asking(task: Task, home: str, url: str, at_once: int) -> Iterator[Row]:
    """The same of the plans that ask a chat model, beside the plain search; each when it is there,
    for they take long."""
    chat = resolve_chat(Path(home), load_chat_settings(url=url))
    with _collection("hops", home) as collection:
        fill(collection, task.paragraphs)
        tools = Tools(collection, lambda: chat, built_in())
        for plan in (_PLAIN, *_ASKING):
            yield _row(tools, plan, _PASSAGES, task.questions, _share, at_once)


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
    with _collection("hops", home) as collection:
        fill(collection, task.paragraphs)
        tools = Tools(collection, lambda: None, built_in())
        return [_row(tools, plan, k, task.questions, _share) for plan, k in plans]


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
        tools = Tools(collection, lambda: None, built_in())
        return [_row(tools, plan, k, questions, share) for plan, k in plans]


def _share(question: Question, found: Passages) -> float:
    sources = {passage.source for passage in found}
    return sum(gold in sources for gold in question.gold) / len(question.gold)


def _joined(paragraphs: Sequence[Paragraph], title: str) -> Paragraph:
    return Paragraph(title, title, "\n\n".join(p.text for p in paragraphs if p.title == title))


def _collection(name: str, home: str) -> Collection:
    return Collection.open(name, home=home, embedder=default_embedder(Path(home) / "models"))


def _row(
    tools: Tools,
    plan: RetrievalPlan,
    k: int,
    questions: Sequence[Question],
    share: Callable[[Question, Passages], float],
    at_once: int = 1,
) -> Row:
    def found(question: Question) -> tuple[float, int, Usage, float, bool]:
        begun = time.monotonic()
        made = run(retrieve(tools, question.text, plan, k=k))
        length = sum(len(passage.text) for passage in made.contexts)
        seconds = time.monotonic() - begun
        return share(question, made.contexts), length, made.usage, seconds, bool(made.notices)

    with ThreadPoolExecutor(at_once) as threads:
        shares, characters, usages, seconds, left = zip(*threads.map(found, questions), strict=True)
    return Row(f"{plan.name}, {k} passages", shares, characters, usages, seconds, sum(left))


def _tell(title: str, rows: Iterable[Row]) -> None:
    print(f"{title}\n")
    print("| plan | questions | found | all | characters | read | written | seconds | left out |")
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    for row in rows:
        whole = np.mean([share == 1 for share in row.shares])
        read = np.mean([usage.prompt_tokens for usage in row.usages])
        written = np.mean([usage.completion_tokens for usage in row.usages])
        print(
            f"| {row.name} | {len(row.shares)} | {np.mean(row.shares):.3f} | {whole:.3f} "
            f"| {np.mean(row.characters):,.0f} | {read:,.0f} | {written:,.0f} "
            f"| {np.median(row.seconds):.1f} | {row.left_out} |",
            flush=True,
        )
    print()


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.plans", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--chat-url", help="measure the plans that ask this server")
    parser.add_argument("--limit", type=int, help="only the first LIMIT questions of HotpotQA")
    parser.add_argument("--at-once", type=int, default=1, help="questions at a time")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
