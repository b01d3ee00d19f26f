"""What a run finds: whether the documents that are needed are among the passages it has seen,
beside one search with the same text for as many passages.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agents.loop.types import Limits
from agents.measuring.goals import Workshop, done, workshop
from agents.measuring.types import Bench, Case, Done, TaskSet, Trial
from rag.evaluation.datasets import Corpus, Dataset, Paragraph
from rag.evaluation.metrics import squad_words
from rag.evaluation.readers import digest_of, rows_of
from rag.evaluation.shelves import opened
from rag.retrieval.plan import plan_of, without_chat
from rag.retrieval.retrieving import Tools, retrieve
from rag.steps import run as run_steps

if TYPE_CHECKING:
    from indexes.types import SearchResult
    from rag.answering import RAG

_KIT: Final = ("search_documents", "read_document")
_SITUATION: Final = (
    "You work at the service desk of a bank. Find every document of the bank that is needed to "
    "help the customer below: look up each product, rule and procedure that the case touches, one "
    "after the other. Then say what to do.\n\nThe customer's situation:\n{situation}"
)
_FIGURES: Final = (
    "recall", "recall of one search", "gain", "all found", "all found by one search",
    "all found in 10", "passages", "searches", "steps",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Quest:
    """How the cases of a set are put: the ``goal`` of the agent with ``{text}``, which is also what
    the one search looks for."""

    name: str
    goal: str
    limits: Limits

    def do(self, place: Workshop, case: Case) -> Done:
        """Work on the goal, then search once for as many passages as were seen, and for ten."""
        text, gold = case.data["text"], case.data["gold"]
        run = place.run(self.goal.format(text=text), _KIT, self.limits)
        seen = place.passages(run)
        once = search_once(place.rag, text, len(seen))
        found, at_once = _sources(seen), _sources(once)
        figures = {
            "recall": recall(found, gold),
            "recall of one search": recall(at_once, gold),
            "gain": recall(found, gold) - recall(at_once, gold),
            "all found": float(set(gold) <= set(found)),
            "all found by one search": float(set(gold) <= set(at_once)),
            "all found in 10": float(set(gold) <= set(_sources(search_once(place.rag, text, 10)))),
            "passages": float(len(seen)),
            "searches": float(sum(one.tool == _KIT[0] for one in run.steps)),
        }
        if answers := case.data["answers"]:
            figures["answered"] = float(tells(run.answer, answers))
        return done(run, figures, gold=gold, found=found, once=at_once, answers=answers)


def recall(found: Sequence[str], gold: Sequence[str]) -> float:
    """The share of the ``gold`` sources that are among ``found``."""
    return len(set(gold) & set(found)) / len(set(gold))


def tells(answer: str, answers: Sequence[str]) -> bool:
    """Whether the words of one of the answers stand in ``answer``, one behind the other (without
    case, punctuation and articles, as SQuAD's script compares)."""
    told = f" {' '.join(squad_words(answer))} "
    return any(f" {' '.join(words)} " in told for one in answers if (words := squad_words(one)))


def search_once(rag: "RAG", text: str, k: int) -> "tuple[SearchResult, ...]":
    """The ``k`` best passages for a text, as the agent's tool searches; none for a ``k`` of 0."""
    if k == 0:
        return ()
    tools = Tools(rag.collection, rag.chat, rag.prompts, rag.reranker)
    return run_steps(retrieve(tools, text, without_chat(plan_of(None)), k=k, where=None)).contexts


def _sources(passages: "Sequence[SearchResult]") -> list[str]:
    return list(dict.fromkeys(one.source for one in passages))


# -- the sets ------------------------------------------------------------------------------------


def _hotpot_cases(folder: Path) -> Sequence[Case]:
    rows = rows_of(folder / "hotpot_sample" / "queries.jsonl")
    return [
        Case(row["id"], {"text": row["question"], "gold": row["gold"], "answers": row["answers"]})
        for row in rows
    ]


def _tau2_cases(folder: Path) -> Sequence[Case]:
    rows = rows_of(folder / "tau2_banking" / "tasks.jsonl")
    return [
        Case(row["id"], {"text": row["instructions"], "gold": row["gold"], "answers": []})
        for row in rows
        if row["gold"]
    ]


@contextmanager
def _trials(
    quest: Quest, corpus: str, files: Sequence[str], bench: Bench
) -> Iterator[Sequence[Trial]]:
    paths = [bench.data / file for file in files]
    rows = list(rows_of(paths[0]))
    dataset = Dataset(corpus, digest_of(paths), (), (_corpus(corpus, rows),))
    with (
        opened(dataset, bench.home, None, bench.notice) as shelves,
        workshop(bench, shelves[""]) as place,
    ):
        yield [Trial("agent", partial(quest.do, place))]


def _corpus(name: str, rows: Sequence[Mapping[str, Any]]) -> Corpus:
    return Corpus(name, tuple(Paragraph(row["id"], row["title"], row["text"]) for row in rows))


def _taskset(quest: Quest, corpus: str, cases: str, read: Any, *more: str) -> TaskSet:
    files = (f"{corpus}/corpus.jsonl", f"{corpus}/{cases}.jsonl")
    return TaskSet(
        quest.name,
        files,
        read,
        partial(_trials, quest, corpus, files),
        (*more, *_FIGURES),
        texts=lambda: {"goal": quest.goal},
    )


HOTPOT: Final = _taskset(
    Quest("hotpot", "{text}", Limits(steps=8)), "hotpot_sample", "queries", _hotpot_cases,
    "answered",
)  # fmt: skip
TAU2: Final = _taskset(
    Quest("tau2", _SITUATION.format(situation="{text}"), Limits(steps=12)), "tau2_banking",
    "tasks", _tau2_cases,
)  # fmt: skip
