"""A reranker that runs here: a cross-encoder of sentence-transformers.

Reimers and Gurevych, https://sbert.net/examples/cross_encoder/applications/README.html.
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

from indexes.errors import ModelFileError, UsageError
from indexes.i18n import t
from indexes.types import SearchResult
from rag.reranking import best_first
from rag.settings import RerankSettings, load_rerank_settings

_BATCH = 16


class CrossEncoder:
    """The cross-encoder in the folder ``model``, or of that name on the Hugging Face hub. It is
    loaded when it is first needed. ``candidates`` is how many passages of the search it is given to
    choose from. May be used by several threads."""

    def __init__(self, model: str, *, candidates: int = 30) -> None:
        self.model, self.candidates = model, candidates
        self._loaded: Any = None
        self._lock = Lock()

    def rerank(self, question: str, passages: Sequence[SearchResult], k: int) -> list[SearchResult]:
        """The ``k`` passages that fit the question best, best first, with new ranks and scores.

        Raises `ModelFileError` where the model cannot be loaded or gives no score.
        """
        if not passages:
            return []
        scores = self.scores(question, [passage.text for passage in passages])
        return best_first(passages, scores, k)

    def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """How well each text fits the question; higher is better."""
        with self._lock:
            if self._loaded is None:
                self._loaded = self._load()
            pairs = [(question, text) for text in texts]
            found = self._loaded.predict(pairs, batch_size=_BATCH, show_progress_bar=False)
        return [float(score) for score in found]

    def _load(self) -> Any:
        import sentence_transformers

        named = str(Path(self.model).expanduser())
        name = named if Path(named).is_dir() else self.model
        try:
            loaded = sentence_transformers.CrossEncoder(name)
        except (OSError, ValueError, LookupError) as error:
            raise self._error(str(error)) from error
        if loaded.num_labels != 1:
            reason = t("it gives {count} scores, not one", count=loaded.num_labels)
            raise self._error(reason)
        return loaded

    def _error(self, reason: str) -> ModelFileError:
        return ModelFileError(
            t(
                "The cross-encoder {model} cannot be used: {reason}. Name the folder of another "
                "one in the table [rerank] of waggle.toml.",
                model=self.model,
                reason=" ".join(reason.split()).rstrip("."),
            )
        )


def cross_encoder_of(settings: RerankSettings | None = None) -> CrossEncoder:
    """The cross-encoder that the settings name, the same one each time, for it takes long to load.
    Raises `UsageError` where they name none."""
    settings = settings or load_rerank_settings()
    if not settings.model:
        raise UsageError(
            t(
                "The retrieval plan wants a cross-encoder, and none is set. Name the folder of one "
                "as model in the table [rerank] of waggle.toml."
            )
        )
    return _kept(settings.model, settings.candidates)


@lru_cache(maxsize=1)
def _kept(model: str, candidates: int) -> CrossEncoder:
    return CrossEncoder(model, candidates=candidates)
