"""Reordering passages with a reranker: a model that reads question and passage together.

It is asked over ``POST /v1/rerank`` (the form of Jina and Cohere), or where a server lacks that,
``POST /v1/score``; vLLM has both (https://docs.vllm.ai/en/latest/models/pooling_models/).
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from indexes.addresses import is_loopback
from indexes.errors import EndpointError
from indexes.i18n import t
from indexes.types import SearchResult
from rag.models.failures import shown
from rag.settings import RerankSettings, load_rerank_settings

if TYPE_CHECKING:
    import httpx

_SECONDS = 60.0
_ABSENT = (404, 405, 501)
_CUT = {"truncate_prompt_tokens": -1}
"""vLLM refuses what is longer than the model reads unless it is told to cut it there."""


def best_first(
    passages: Sequence[SearchResult], scores: Sequence[float], k: int
) -> list[SearchResult]:
    """The ``k`` passages with the highest of their new ``scores``, with new ranks; equals as they
    stood."""
    order = sorted(range(len(passages)), key=lambda n: (-scores[n], passages[n].rank))
    return [replace(passages[n], rank=rank, score=scores[n]) for rank, n in enumerate(order[:k], 1)]


class Reranker:
    """The reranker ``model`` of the server at ``url``, the root of OpenAI's protocol.

    ``candidates`` is how many passages of the search it is given to choose from.
    """

    def __init__(
        self, url: str, model: str, api_key: str | None = None, *, candidates: int = 30
    ) -> None:
        self.url, self.model, self.candidates = url.rstrip("/"), model, candidates
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._client: httpx.Client | None = None
        self._more: dict[str, int] = {}

    def rerank(self, question: str, passages: Sequence[SearchResult], k: int) -> list[SearchResult]:
        """The ``k`` passages that fit the question best, best first, with new ranks and scores.

        Raises `EndpointError` where the server fails.
        """
        if not passages:
            return []
        scores = self.scores(question, [passage.text for passage in passages])
        return best_first(passages, scores, k)

    def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        """How well each text fits the question; higher is better."""
        asked = {"model": self.model, "query": question, "documents": list(texts)}
        response = self._ask("rerank", asked)
        entries, name = "results", "relevance_score"
        if response.status_code in _ABSENT:
            asked = {"model": self.model, "text_1": question, "text_2": list(texts)}
            response = self._ask("score", asked)
            entries, name = "data", "score"
        if response.status_code != 200:
            raise self._error(f"HTTP {response.status_code} {response.text[:200]}")
        try:
            found = {entry["index"]: _score(entry[name]) for entry in response.json()[entries]}
            return [found[number] for number in range(len(texts))]
        except (ValueError, TypeError, LookupError, RecursionError) as error:
            reason = t("its answer does not hold one score for each passage")
            raise self._error(reason) from error

    def _ask(self, route: str, body: dict[str, Any]) -> "httpx.Response":
        """Ask for passages to be cut only after a refusal: not every server knows how, and some
        refuse what they do not know."""
        response = self._post(route, {**body, **self._more})
        if response.status_code == 400 and not self._more:
            second = self._post(route, {**body, **_CUT})
            if second.status_code == 200:
                self._more = _CUT
                return second
        return response

    def _post(self, route: str, body: dict[str, Any]) -> "httpx.Response":
        import httpx

        from rag.models.wire import CONNECT_SECONDS, client

        if self._client is None:
            self._client = client(trust_env=not is_loopback(self.url))
        timeout = httpx.Timeout(_SECONDS, connect=CONNECT_SECONDS)
        address = f"{self.url}/{route}"
        try:
            return self._client.post(address, json=body, headers=self._headers, timeout=timeout)
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise self._error(str(error) or type(error).__name__) from error

    def _error(self, reason: str) -> EndpointError:
        return EndpointError(
            t(
                "The reranker {model} at {url} does not work: {reason}. Check its server, or take "
                "the table [rerank] out of waggle.toml.",
                model=self.model,
                url=shown(self.url),
                reason=" ".join(reason.split()).rstrip("."),
            )
        )


def _score(value: Any) -> float:
    score = float(value)
    if not math.isfinite(score):
        raise ValueError("no number")
    return score


def reranker_of(settings: RerankSettings | None = None) -> Reranker | None:
    """The reranker that the settings name, if they name one."""
    settings = settings or load_rerank_settings()
    if not settings.url or not settings.model:
        return None
    key = settings.api_key.get_secret_value() if settings.api_key else None
    return Reranker(settings.url, settings.model, key, candidates=settings.candidates)
