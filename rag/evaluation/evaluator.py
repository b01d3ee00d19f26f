"""Asking the questions of a set and keeping what comes, several at a time."""

import queue
import re
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import TYPE_CHECKING, Any

from indexes.collection import Collection, Notice
from indexes.errors import UsageError
from indexes.i18n import t
from rag.evaluation.binding import plan_fields, search_texts
from rag.evaluation.datasets import SETS, Dataset, Half, Question, choose, load_dataset
from rag.evaluation.kept import RunWriter
from rag.evaluation.pipelines import LEAST, Bench, prompt_texts
from rag.evaluation.records import Header, Outcome, PipelineName
from rag.evaluation.runs import Run, Runs
from rag.evaluation.shelves import Progress, opened, with_known_gold
from rag.prompting.library import PromptLibrary
from rag.prompting.types import LANGUAGES
from rag.prompts import ANSWER
from rag.retrieval.plan import plan_of
from rag.thresholds import threshold_of

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

_PACKAGES = ("waggledance", "langchain-core", "faiss-cpu", "tantivy", "sentence-transformers")
_SETTINGS = ("temperature", "max_tokens")


@dataclass(frozen=True, slots=True)
class Plan:
    """What to evaluate. ``limit`` is the number of answerable questions of each group; ``half`` by
    default ``report`` for the open sets, ``all`` for the user's own. ``options`` are those of
    `RAG.ask`."""

    dataset: str
    collection: str | None = None
    limit: int | None = 10
    half: Half | None = None
    seed: int = 0
    baseline: bool = False
    retrieval_only: bool = False
    concurrency: int = 1
    options: Mapping[str, Any] = field(default_factory=lambda: {"k": 3})

    @classmethod
    def of(cls, header: Header, concurrency: int) -> "Plan":
        """That by which a run was made."""
        own = next(iter(header.collections)) if header.dataset not in SETS else None
        return cls(
            header.dataset, own, header.limit, header.half, header.seed,
            "naive" in header.pipelines, "retrieval" in header.pipelines, concurrency,
            header.options,
        )  # fmt: skip

    @property
    def pipelines(self) -> tuple[PipelineName, ...]:
        if self.retrieval_only:
            return ("retrieval",)
        return ("waggle", "naive", "closed-book") if self.baseline else ("waggle",)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A set that can be asked; its collections are open."""

    plan: Plan
    dataset: Dataset
    half: Half
    questions: tuple[Question, ...]
    collections: Mapping[str, Collection]
    prompts: PromptLibrary
    home: Path


@contextmanager
def prepared(
    plan: Plan, home: Path, notice: Notice | None = None, progress: Progress | None = None
) -> Iterator[Prepared]:
    """Read and index the set, and choose the questions. Raises `UsageError` where there is no such
    plan or prompt."""
    prompts = PromptLibrary.of(home)
    _check_options(plan.options, prompts)
    dataset = load_dataset(plan.dataset)
    with opened(dataset, home, plan.collection, notice, progress) as collections:
        if not dataset.corpora:
            dataset = with_known_gold(dataset, collections[""])
        half: Half = plan.half or ("report" if dataset.corpora else "all")
        if plan.retrieval_only:
            dataset = _findable(dataset)
        questions = choose(dataset, plan.limit, half, plan.seed)
        yield Prepared(plan, dataset, half, questions, collections, prompts, home)


def _check_options(options: Mapping[str, Any], prompts: PromptLibrary) -> None:
    """A wrong name is told before a set is indexed."""
    plan_of(options.get("plan"))
    prompts.get(options.get("prompt", ANSWER), LANGUAGES[0])


def _findable(dataset: Dataset) -> Dataset:
    """The questions of which it is known what a search should find."""
    findable = tuple(q for q in dataset.questions if q.answerable and q.gold)
    return replace(dataset, questions=findable, refusal=False)


def bind(ready: Prepared, chat: "BaseChatModel | None", runs: Runs) -> Header:
    """Everything that the outcome will depend on, under the name of a new run. Raises `UsageError`
    where a chat model is needed and there is none."""
    from rag.models.chat import model_name

    if chat is None and not ready.plan.retrieval_only:
        raise UsageError(
            t(
                "There is no chat model here. Get one with «waggle models pull», or measure the "
                "search alone with --retrieval-only."
            )
        )
    now = datetime.now(UTC)
    collections = ready.collections.values()
    return Header(
        run=runs.free_name(f"{_stem(ready.dataset.name)}-{now:%Y%m%d-%H%M%S}"),
        started=now.isoformat(timespec="seconds"),
        dataset=ready.dataset.name,
        sha256=ready.dataset.sha256,
        scoring=ready.dataset.scoring,
        half=ready.half,
        limit=ready.plan.limit,
        seed=ready.plan.seed,
        questions=tuple(question.id for question in ready.questions),
        pipelines=ready.plan.pipelines,
        collections={c.name: c.status().generation for c in collections},
        embedder=next(iter(collections)).embedder.fingerprint,
        model=model_name(chat) if chat is not None else "",
        options=dict(ready.plan.options),
        settings=_settings(ready, chat) if chat else {},
        **_ways(ready, chat),
        versions={**{name: version(name) for name in _PACKAGES}, "python": python_version()},
    )


def _settings(ready: Prepared, chat: "BaseChatModel") -> dict[str, Any]:
    """Those of the chat model, and how sure an answer must be where the options do not say it."""
    from rag.models.chat import model_name

    least = {
        f"{LEAST}.{lang}": threshold_of(ready.home, model_name(chat), lang) for lang in LANGUAGES
    }
    return {name: getattr(chat, name, None) for name in _SETTINGS} | least


def _ways(ready: Prepared, chat: "BaseChatModel | None") -> dict[str, Any]:
    """The texts of the prompts, and how passages are found for them."""
    if chat is None or ready.plan.retrieval_only:
        return {"prompts": {}}
    options = ready.plan.options
    plan = plan_of(options.get("plan"))
    texts = prompt_texts(ready.prompts, options.get("prompt", ANSWER))
    return {"plan": plan_fields(plan), "prompts": {**texts, **search_texts(ready.prompts, plan)}}


def _stem(name: str) -> str:
    """The part of a run's name that tells its set."""
    return re.sub(r"[^\w.-]", "-", Path(name).stem).strip("-_.")[:60] or "run"


def evaluate(
    ready: Prepared,
    header: Header,
    chat: "BaseChatModel | None",
    runs: Runs,
    resume: str | None = None,
    progress: Progress | None = None,
) -> Run:
    """Ask what the run lacks, and keep it. Raises `EndpointError` where the model server fails:
    what has come by then is kept, and the run can be continued."""
    writing = runs.continuing(resume, header) if resume else runs.writing(header)
    with writing as writer:
        done = {(outcome.pipeline, outcome.question.id) for outcome in writer.outcomes}
        todo = [
            (pipeline, question)
            for question in ready.questions
            for pipeline in header.pipelines
            if (pipeline, question.id) not in done
        ]
        benches: queue.SimpleQueue[Bench] = queue.SimpleQueue()
        for _ in range(ready.plan.concurrency):
            benches.put(Bench(ready.collections, chat, header, ready.prompts))
        _ask_all(benches, todo, writer, _Rate(progress, len(done), len(done) + len(todo)))
    return runs.read(resume or header.run)


def _ask_all(
    benches: "queue.SimpleQueue[Bench]",
    todo: list[tuple[PipelineName, Question]],
    writer: RunWriter[Header, Outcome],
    rate: "_Rate",
) -> None:
    def ask(pipeline: PipelineName, question: Question) -> Outcome:
        bench = benches.get()
        try:
            reply = bench.ask(pipeline, question)
        finally:
            benches.put(bench)
        return Outcome(pipeline=pipeline, question=question, reply=reply)

    pool = ThreadPoolExecutor(benches.qsize())
    try:
        futures: list[Future[Outcome]] = [pool.submit(ask, *one) for one in todo]
        for future in as_completed(futures):
            writer.write(future.result())
            rate.step()
    finally:
        pool.shutdown(cancel_futures=True)


class _Rate:
    """Tells the progress, with the rate of this very start."""

    def __init__(self, progress: Progress | None, done: int, total: int) -> None:
        self._progress, self._done, self._total = progress, done, total
        self._before, self._started = done, time.monotonic()
        if progress:
            progress(t("Asking"), done, total)

    def step(self) -> None:
        self._done += 1
        if self._progress:
            minutes = max(time.monotonic() - self._started, 1e-3) / 60
            rate = f"{(self._done - self._before) / minutes:.1f}"
            self._progress(t("Asking, {rate}/min", rate=rate), self._done, self._total)
