"""The lines of a run's file: what was asked, of what, and everything that came of it."""

from collections.abc import Mapping
from typing import Literal

from rag.evaluation.datasets import Half, Question, Scoring
from rag.evaluation.kept import Heading, Record
from rag.types import Support

PipelineName = Literal["waggle", "naive", "closed-book", "retrieval"]
ReplyStatus = Literal["answered", "unanswerable", "retrieved", "failed"]
"""``retrieved``: passages were looked for and nothing else; ``failed``: the model gave nothing that
could be used, such as when the prompt was too long for it."""


class Passage(Record):
    """A passage that was read; its text is that span of the document ``source``."""

    source: str
    chunk_id: str
    start: int
    end: int


class Cited(Record):
    """A citation of the answer. ``support`` is ``None`` where nothing was verified."""

    source: str
    claim: str
    start: int
    end: int
    quote: str
    support: Support | None


class Call(Record):
    """One request to the chat model: a digest of its messages, the reply, the tokens of both as the
    server counted them."""

    prompt: str
    reply: str
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Reply(Record):
    """What came of a question. ``short`` is what EM and F1 are computed on, told by the answer
    itself or extracted from it by the calls in ``short_calls``. ``seconds`` is the time of the
    answer without that extraction."""

    status: ReplyStatus
    text: str = ""
    short: str = ""
    short_by: Literal["answer", "extraction", "text", ""] = ""
    citations: tuple[Cited, ...] = ()
    contexts: tuple[Passage, ...] = ()
    calls: tuple[Call, ...] = ()
    short_calls: tuple[Call, ...] = ()
    prompt: str = ""
    plan: str = ""
    confidence: float | None = None
    seconds: float = 0.0
    timings_ms: Mapping[str, float] = {}
    notices: tuple[str, ...] = ()
    error: str = ""


class Outcome(Record):
    """A line for each question and pipeline."""

    kind: Literal["outcome"] = "outcome"
    pipeline: PipelineName
    question: Question
    reply: Reply


class Header(Heading):
    """The first line, which binds everything that the outcome depends on. ``collections`` tells the
    generation of each, ``questions`` are the ids of all that are to be asked, ``plan`` tells how
    passages are found, after the settings, ``prompts`` the texts by name."""

    kind: Literal["run"] = "run"
    format: Literal[1] = 1
    dataset: str
    sha256: str
    scoring: Scoring
    half: Half
    limit: int | None
    seed: int
    questions: tuple[str, ...]
    pipelines: tuple[PipelineName, ...]
    collections: Mapping[str, int]
    embedder: str
    model: str
    options: Mapping[str, int | float | str | bool | None]
    settings: Mapping[str, int | float | str | bool | None]
    plan: Mapping[str, int | float | str | bool] = {}
    prompts: Mapping[str, str]
    versions: Mapping[str, str]
