"""The values of question answering. Offsets count characters of a document's extracted text."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from indexes.types import SearchResult

AnswerStatus = Literal["answered", "unanswerable", "no_model"]

Support = Literal["verbatim", "entailed", "unsupported"]
"""``verbatim``: the claim stands in the source, but for case, width, spacing and punctuation.
``entailed``: the chat model, or an entailment model, asked for this very claim, says that the
passage states it, and every name and number of the claim is in the passage. ``unsupported``: no
passage does either."""


@dataclass(frozen=True, slots=True)
class Citation:
    """A claim of the answer and the exact span of the source that it leans on.

    ``number`` is that of the passage in the prompt, as in the answer's ``[number]``. The quote is
    ``document.text[start:end]`` of ``source``, to the character. An ``unsupported`` claim leans on
    nothing: its place is the one most like it, for the reader to see.
    """

    number: int
    claim: str
    source: str
    title: str
    page: int | None
    start: int
    end: int
    quote: str
    support: Support


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that the answer cost, as counted by the model server; zero where it does not tell."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    @classmethod
    def of(cls, message: Any) -> "Usage":
        """What a message or a chunk of one from LangChain says that it cost."""
        counted = getattr(message, "usage_metadata", None) or {}
        return cls(counted.get("input_tokens", 0), counted.get("output_tokens", 0))

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
        )


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the model writes the text of an answer; ``None`` is what its settings say. It writes at
    most ``max_tokens``, what a reasoning model thinks among them, and never more than its settings
    allow. What is asked of the model besides, such as whether a passage holds a claim, is asked as
    the settings say."""

    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    max_tokens: int | None = None

    def options(self, chat: Any) -> dict[str, Any]:
        """What the chat model is told, beside its messages."""
        own = getattr(chat, "max_tokens", None)
        most = min((n for n in (own, self.max_tokens) if n is not None), default=None)
        told = {"temperature": self.temperature, "top_p": self.top_p, "seed": self.seed,
                "max_tokens": most if self.max_tokens else None}  # fmt: skip
        return {name: value for name, value in told.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Trace:
    """What one step of a retrieval did: ``detail`` is what it wrote or searched with, ``found`` the
    passages as they stood after it, with the score of each leg of their search."""

    step: str
    detail: str
    found: tuple[SearchResult, ...]
    seconds: float
    usage: Usage = Usage()


@dataclass(frozen=True, slots=True)
class Attribution:
    """How much an answer leans on the passage ``number``: the log-probability (natural logarithm)
    of what it states after the prompt with all passages, and ``without`` this one. ``share`` is
    what the passage gains of all that the passages gain, each by itself: 0 to 1."""

    number: int
    with_all: float
    without: float
    share: float

    @property
    def difference(self) -> float:
        """What the passage gains; below 0 where the answer is more probable without it."""
        return self.with_all - self.without


@dataclass(frozen=True, slots=True)
class Weighed:
    """What the attributions of an answer are made of, and what they cost: its log-probability with
    all passages and with none, summed over its first ``tokens``."""

    with_all: float
    with_none: float
    tokens: int
    usage: Usage
    seconds: float


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer with its sources. ``contexts[i]`` is the passage numbered ``i + 1``; one that the
    model could not read is not among them. ``notices`` are sentences about what the answer lacks,
    such as passages that were left out.

    ``prompt`` is its name with the beginning of its hash, ``short`` the answer in as few words as
    possible where the prompt asks for it, ``steps`` is how the passages were found by ``plan``.
    ``precision`` and ``recall`` are those of the citations (`rag.verifying.Verdict`).
    ``confidence``, 0 to 1, grows with the probability that the passages answer the question
    (`rag.assessing`); a question that is refused has it, too. It is ``None`` where the model server
    gives no log-probabilities.
    ``ended`` is «length» where the model was stopped by the limit of its tokens; the text then
    ends with its last whole sentence.
    ``attributions`` are those of the passages, where they were asked for and can be known; what
    they cost is not in ``usage``."""

    question: str
    text: str
    status: AnswerStatus
    citations: tuple[Citation, ...]
    contexts: tuple[SearchResult, ...]
    model: str
    prompt: str
    collection: str
    generation: int
    usage: Usage
    timings_ms: Mapping[str, float]
    notices: tuple[str, ...] = ()
    short: str = ""
    plan: str = ""
    steps: tuple[Trace, ...] = ()
    precision: float | None = None
    recall: float | None = None
    confidence: float | None = None
    attributions: tuple[Attribution, ...] = ()
    weighed: Weighed | None = None
    ended: Literal["stop", "length"] = "stop"

    @property
    def supported(self) -> tuple[Citation, ...]:
        """The citations whose place holds their claim."""
        return tuple(c for c in self.citations if c.support != "unsupported")

    @property
    def unsupported(self) -> tuple[Citation, ...]:
        """The others, whose claims no passage holds."""
        return tuple(c for c in self.citations if c.support == "unsupported")


@dataclass(frozen=True, slots=True)
class Retrieved:
    """Event: the passages are found, and the model is about to be asked.

    Where it cannot read them all, the last ones are left out: the answer's contexts are the first
    of these, under the same numbers, and its notices say so.
    """

    contexts: tuple[SearchResult, ...]


@dataclass(frozen=True, slots=True)
class Token:
    """Event: the next piece of the answer's text."""

    text: str


@dataclass(frozen=True, slots=True)
class Finished:
    """Event: the whole answer, its citations checked."""

    answer: Answer


Event = Retrieved | Token | Finished
