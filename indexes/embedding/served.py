"""An embedding model behind OpenAI's ``/v1/embeddings``, such as one that vLLM serves on a GPU."""

from typing import TYPE_CHECKING, Any

from indexes.addresses import is_loopback
from indexes.embedding.adapter import LangChainEmbedder, estimate_tokens

if TYPE_CHECKING:
    import openai

_PASSAGE_TOKENS = 512
"""Longer passages are hard to cite and blur in one vector, whatever the model could read."""
_SECONDS = 120.0
_RETRIES = 6
"""With the client's growing pauses about half a minute: a server that restarts is waited for."""


def served_embedder(url: str, model: str, api_key: str | None = None) -> LangChainEmbedder:
    """The embedding model ``model`` of the server at ``url``, the root of OpenAI's protocol.

    Nothing is asked of the server before it is needed. Any use may raise EndpointError.
    """
    served = ServedEmbeddings(url, model, api_key)
    return LangChainEmbedder(served, name=model, max_tokens=served.max_tokens)


class ServedEmbeddings:
    """LangChain's two methods over ``POST /v1/embeddings``."""

    def __init__(self, url: str, model: str, api_key: str | None) -> None:
        self._url, self._model, self._api_key = url, model, api_key
        self._made: openai.OpenAI | None = None
        self._window: int | None = None

    def max_tokens(self) -> int:
        """Tokens of a passage: what the server says that the model reads (vLLM's
        ``max_model_len``), and not too long."""
        if self._window is None:
            told = {model.id: model for model in self._client().models.list().data}
            window = getattr(told.get(self._model), "max_model_len", None)
            self._window = min(window or _PASSAGE_TOKENS, _PASSAGE_TOKENS)
        return self._window

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed passages; one that is too long for the model is cut."""
        limit = self.max_tokens()
        found = self._client().embeddings.create(
            model=self._model, input=[_cut(text, limit) for text in texts]
        )
        return [entry.embedding for entry in sorted(found.data, key=lambda entry: entry.index)]

    def embed_query(self, text: str) -> list[float]:
        """Embed one question."""
        return self.embed_documents([text])[0]

    def _client(self) -> "openai.OpenAI":
        if self._made is None:
            import openai

            options: dict[str, Any] = {}
            if is_loopback(self._url):
                options["http_client"] = openai.DefaultHttpxClient(trust_env=False)
            self._made = openai.OpenAI(
                base_url=self._url,
                # Never None: the key of OPENAI_API_KEY is not for this server.
                api_key=self._api_key or "none",
                timeout=_SECONDS,
                max_retries=_RETRIES,
                **options,
            )
        return self._made


def _cut(text: str, limit: int) -> str:
    """A beginning of ``text`` that surely has no more than ``limit`` tokens."""
    while (tokens := estimate_tokens(text)) > limit and len(text) > 1:
        text = text[: min(len(text) - 1, max(1, len(text) * limit // tokens))]
    # Some servers refuse an empty text.
    return text or " "
