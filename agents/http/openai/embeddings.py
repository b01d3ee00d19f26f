"""``/v1/embeddings``: texts to vectors, with the embedding model of a collection."""

import base64
import threading
from collections.abc import Sequence
from functools import partial
from typing import Literal

import numpy as np
from fastapi import APIRouter, Request

from agents.doors.rights import Caller
from agents.doors.service import Service
from agents.http.depending import CallerOf, ServiceOf, Slot, attended_thread
from agents.http.openai.naming import target_of, unknown_model
from agents.http.openai.shapes import EmbeddingRequest
from agents.shapes import Shape
from indexes.embedding import Embedder
from indexes.embedding.base import Matrix, well_formed
from indexes.errors import UsageError
from indexes.i18n import t

router = APIRouter(tags=["openai"])
_MOST_TEXTS = 2048
_AT_ONCE = 64
"""Texts after which it looks whether the client is still there."""


class EmbeddingShape(Shape):
    """``embedding`` is a list of numbers or, as base64, their bytes as 32-bit floats."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class EmbeddingUsageShape(Shape):
    prompt_tokens: int
    total_tokens: int


class EmbeddingsShape(Shape):
    object: Literal["list"] = "list"
    data: tuple[EmbeddingShape, ...]
    model: str
    usage: EmbeddingUsageShape


@router.post("/v1/embeddings")
async def embed(
    request: Request, body: EmbeddingRequest, service: ServiceOf, caller: CallerOf, _: Slot
) -> EmbeddingsShape:
    """Embed texts with the model of a collection, named ``waggle/NAME`` or by its own name."""
    caller.check("read")
    return await attended_thread(request, partial(_embedded, body, service, caller))


def _embedded(
    body: EmbeddingRequest, service: Service, caller: Caller, gone: threading.Event
) -> EmbeddingsShape:
    texts = _texts(body.input)
    embedder = _embedder(service, caller, body.model)
    if body.dimensions not in (None, embedder.dimension):
        raise UsageError(
            t("The vectors of this model have {dimension} dimensions: leave out dimensions.",
              dimension=embedder.dimension)
        )  # fmt: skip
    rows: list[Matrix] = []
    tokens = 0
    for begin in range(0, len(texts), _AT_ONCE):
        if gone.is_set():
            break
        some = texts[begin : begin + _AT_ONCE]
        rows.extend(_vectors(embedder, some, as_queries=body.input_type == "query"))
        tokens += sum(map(embedder.count_tokens, some))
    return EmbeddingsShape(
        data=_numbered(rows, packed=body.encoding_format == "base64"),
        model=body.model,
        usage=EmbeddingUsageShape(prompt_tokens=tokens, total_tokens=tokens),
    )


def _vectors(embedder: Embedder, texts: list[str], *, as_queries: bool) -> Matrix:
    if as_queries:
        return np.array([embedder.embed_query(text) for text in texts], dtype=np.float32)
    return embedder.encode(texts)


def _texts(given: str | Sequence[str] | Sequence[int] | Sequence[Sequence[int]]) -> list[str]:
    """Raises `UsageError` for what is no text."""
    texts = [given] if isinstance(given, str) else list(given)
    if not all(isinstance(text, str) for text in texts):
        raise UsageError(
            t("Texts are embedded here, not numbers of tokens. With LangChain, set "
              "check_embedding_ctx_length=False.")
        )  # fmt: skip
    if not texts or not all(texts):
        raise UsageError(t("There is nothing to embed: the input, or a text of it, is empty."))
    if len(texts) > _MOST_TEXTS:
        raise UsageError(t("At most {most} texts are embedded at a time.", most=_MOST_TEXTS))
    return [well_formed(str(text)) for text in texts]


def _embedder(service: Service, caller: Caller, model: str) -> Embedder:
    """That of the collection, or the one of that name. Raises `UnknownCollectionError`."""
    if model == service.shelf.embedder().name:
        return service.shelf.embedder()
    target = target_of(model)
    if target.agent:
        raise unknown_model(model)
    return service.shelf.collection(caller, target.collection).embedder


def _numbered(vectors: Sequence[Matrix], *, packed: bool) -> tuple[EmbeddingShape, ...]:
    shown = _as_base64 if packed else _as_list
    return tuple(EmbeddingShape(index=n, embedding=shown(row)) for n, row in enumerate(vectors))


def _as_list(vector: Matrix) -> list[float]:
    return [float(number) for number in vector]


def _as_base64(vector: Matrix) -> str:
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()
