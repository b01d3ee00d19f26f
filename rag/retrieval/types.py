"""The values that travel through a retrieval."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from indexes.collection import Collection
from indexes.types import SearchResult
from rag.prompting.library import PromptLibrary
from rag.reranking import Reranker
from rag.types import Trace, Usage

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

T = TypeVar("T")
Passages = tuple[SearchResult, ...]
"""Best first, each text once."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A question that was asked before, and its answer."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Tools:
    """What a retrieval works with. ``chat`` may block while an engine starts; ``prompts`` holds the
    texts of the techniques, the user's own among them."""

    collection: Collection
    chat: "Callable[[], BaseChatModel | None]"
    prompts: PromptLibrary
    reranker: Reranker | None = None


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """What a technique came to, and what its `Trace` is to tell of it."""

    value: T
    detail: str = ""
    found: Passages = ()
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True)
class Retrieval:
    """The passages, and how they were found. ``question`` is the one that was searched for, as it
    stands without the conversation; ``timings`` are in milliseconds, summed by step."""

    question: str
    contexts: Passages
    generation: int
    traces: tuple[Trace, ...]
    usage: Usage
    notices: tuple[str, ...]
    timings: Mapping[str, float]
