"""Running an embedding model so that its attention can be seen; needs torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from indexes.embedding.attention import (
    Attention,
    Kind,
    Method,
    Table,
    Token,
    View,
    rollout,
    shares,
)
from indexes.embedding.base import Embedder, well_formed
from indexes.embedding.convert import load_model, prompt_of, quiet, token_limit, unknown_token
from indexes.embedding.local import LocalEmbedder
from indexes.errors import ModelError, UsageError
from indexes.i18n import t

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_MOST_TOKENS = 256
"""A heat map of more cannot be read, and leaving out each token in turn would take minutes."""
_MOST_CHARACTERS = 20_000
_BATCH_TOKENS = 2048
_POOLED_BY = {"mean": "mean", "mean_sqrt_len_tokens": "mean", "cls": "first", "lasttoken": "last"}


class AttentionModel:
    """A sentence-transformers model with its attention.

    `open_attention` makes it from the embedder of a collection.
    """

    def __init__(self, model: "SentenceTransformer", name: str) -> None:
        self.name = name
        modules: list[Any] = list(model)
        self._transformer = modules[0].auto_model
        self._pooled_by = _pooled_by(modules[1:], name)
        self._prompt = prompt_of(model, "document", "passage", "corpus")
        self._unknown = unknown_token(model.tokenizer)
        self._tokenizer = model.tokenizer.backend_tokenizer
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(min(token_limit(model), _MOST_TOKENS))

    def read(self, text: str, method: Method | None = None) -> Attention:
        """How the model reads ``text``.

        ``method`` says where importance comes from; None takes the best that the model allows.
        ``norms``: the last layer's attention, each weight times the length of the value that it
        brings (Kobayashi et al. 2020, Attention is Not Only a Weight), averaged as the model pools
        its tokens. ``rollout``: see `rollout`. ``occlusion``: how far the vector of the text turns
        (1 - cosine) when the token is left out.

        Raises UsageError for a text without words, ModelError when the model knows none of them
        or does not allow the method.
        """
        tokens, ids, cut = self._tokens(well_formed(text))
        output = self._run([ids], output_attentions=True, output_hidden_states=True)
        layers = self._layers(output)
        norms = self._norms(output)
        if method == "norms" and norms is None:
            raise ModelError(
                t(
                    "The values of the embedding model {name} cannot be reached. "
                    "Choose --method rollout or occlusion.",
                    name=self.name,
                )
            )
        method = method or ("occlusion" if norms is None else "norms")
        views = [View("layer", number, table) for number, table in enumerate(layers, 1)]
        views.insert(0, View("rollout", 0, rollout(layers)))
        if norms is not None:
            views.insert(0, View("norms", len(layers), norms))
        states = output.last_hidden_state[0].double().numpy()
        pooling = self._pooling(len(ids))
        if method == "occlusion":
            found = self._occlusion(ids, [token for token in tokens if token.kind != "unknown"])
        else:
            found = pooling @ next(view.table for view in views if view.name == method)
        importance = np.zeros(len(tokens))
        importance[[token.kind != "unknown" for token in tokens]] = shares(found)
        return Attention(
            text=well_formed(text), model=self.name, method=method, tokens=tokens,
            importance=importance, views=tuple(views), states=states, pooling=pooling, cut=cut,
        )  # fmt: skip

    def _tokens(self, text: str) -> tuple[tuple[Token, ...], list[int], bool]:
        """The tokens, the numbers of those that are read, and whether the text was cut."""
        encoding = self._tokenizer.encode(self._prompt + text[:_MOST_CHARACTERS])
        tokens = tuple(self._token(text, encoding, i) for i in range(len(encoding.ids)))
        if all(token.kind == "special" for token in tokens):
            raise UsageError(
                t("There is nothing to explain. Give a text with at least one visible word.")
            )
        if all(token.kind != "word" for token in tokens):
            raise ModelError(
                t(
                    "The embedding model {name} knows none of the characters of this text. "
                    "Set another one, as [index] embedder in waggle.toml.",
                    name=self.name,
                )
            )
        read = [
            number
            for number, token in zip(encoding.ids, tokens, strict=True)
            if token.kind != "unknown"
        ]
        return tokens, read, bool(encoding.overflowing) or len(text) > _MOST_CHARACTERS

    def _token(self, text: str, encoding: "_Encoding", number: int) -> Token:
        prompt = len(self._prompt)
        start, end = (max(0, at - prompt) for at in encoding.offsets[number])
        # Some tokenizers count the space before a word in.
        start, end = end - len(text[start:end].lstrip()), start + len(text[start:end].rstrip())
        kind: Kind = "word"
        if encoding.special_tokens_mask[number] or end <= start:
            name = encoding.tokens[number]
            return Token(name, 0, 0, "special", None)
        if encoding.ids[number] == self._unknown:
            kind = "unknown"
        return Token(text[start:end], start, end, kind, encoding.word_ids[number])

    def _run(self, rows: Sequence[Sequence[int]], **options: object) -> Any:
        import torch

        ids = torch.tensor(rows)
        with torch.inference_mode():
            return self._transformer(
                input_ids=ids, attention_mask=torch.ones_like(ids), return_dict=True, **options
            )

    def _layers(self, output: Any) -> list[Table]:
        """Each layer's attention, (n, n), as the mean over its heads."""
        found = getattr(output, "attentions", None) or ()
        if not found or any(layer is None for layer in found):
            raise ModelError(
                t(
                    "The embedding model {name} does not show its attention. "
                    "Set another one, as [index] embedder in waggle.toml.",
                    name=self.name,
                )
            )
        return [layer[0].mean(dim=0).double().numpy() for layer in found]

    def _norms(self, output: Any) -> Table | None:
        """The last layer's attention weighted by the values, (n, n), rows that sum to 1; None
        for a model that is not built as BERT is.

        Entry (i, j) is the length of the sum over the heads h of a[h, i, j]·f[h](x[j]), where f[h]
        maps to the value of the head and then through its part of the output matrix.
        """
        import torch

        found = _last_values(self._transformer)
        if found is None:
            return None
        weights = output.attentions[-1][0]
        heads, n, _ = weights.shape
        with torch.inference_mode():
            values = found.value(output.hidden_states[-2][0]).view(n, heads, -1)
            parts = found.out.weight.view(found.out.out_features, heads, -1)
            brought = torch.einsum("nhd,ohd->hno", values, parts)
            rows = [torch.einsum("hj,hjo->jo", weights[:, i], brought) for i in range(n)]
            lengths = torch.stack([row.norm(dim=-1) for row in rows])
        return shares(lengths.double().numpy())

    def _pooling(self, n: int) -> Table:
        if self._pooled_by == "mean":
            return np.full(n, 1 / n)
        weights = np.zeros(n)
        weights[0 if self._pooled_by == "first" else -1] = 1
        return weights

    def _occlusion(self, ids: list[int], tokens: Sequence[Token]) -> Table:
        """1 - cosine between the vectors with and without each token; 0 for a special one."""
        change = np.zeros(len(ids))
        places = [place for place, token in enumerate(tokens) if token.kind == "word"]
        size = max(1, _BATCH_TOKENS // len(ids))
        whole = self._vectors([ids])[0]
        for first in range(0, len(places), size):
            batch = places[first : first + size]
            vectors = self._vectors([ids[:place] + ids[place + 1 :] for place in batch])
            change[batch] = np.maximum(0, 1 - vectors @ whole)
        return change

    def _vectors(self, rows: Sequence[Sequence[int]]) -> Table:
        """(len(rows), dimension), rows of length 1; all ``rows`` are of one length."""
        states = self._run(rows).last_hidden_state.double().numpy()
        vectors = np.einsum("n,bnd->bd", self._pooling(len(rows[0])), states)
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def open_attention(embedder: Embedder) -> AttentionModel:
    """The model of ``embedder``, loaded anew: its export has no attention to show.

    Raises ModelError for a model that a server runs, or of another kind than transformer and
    pooling; ModelFileError when its files cannot be loaded.
    """
    if not isinstance(embedder, LocalEmbedder):
        raise ModelError(
            t(
                "The embedding model {name} runs on a server, and a server does not show its "
                "attention. Set one of this machine, as [index] embedder without embedder_url.",
                name=embedder.name,
            )
        )
    with quiet():
        # The faster ways of computing attention never hold its weights.
        model = load_model(embedder.model_dir, attn_implementation="eager")
    return AttentionModel(model, embedder.name)


class _Encoding(Protocol):
    """What is used of ``tokenizers.Encoding``."""

    ids: list[int]
    tokens: list[str]
    offsets: list[tuple[int, int]]
    special_tokens_mask: list[int]
    word_ids: list[int | None]


@dataclass(frozen=True, slots=True)
class _Values:
    """The matrices to a layer's values, and from them to its output."""

    value: Any
    out: Any


def _last_values(transformer: Any) -> _Values | None:
    """Those of the last layer, in BERT and its family (RoBERTa, XLM-R, ELECTRA)."""
    layers = getattr(getattr(transformer, "encoder", None), "layer", None)
    attention = getattr(layers[-1], "attention", None) if layers else None
    value = getattr(getattr(attention, "self", None), "value", None)
    out = getattr(getattr(attention, "output", None), "dense", None)
    return None if value is None or out is None else _Values(value, out)


def _pooled_by(modules: Sequence[Any], name: str) -> str:
    """``mean``, ``first`` or ``last``: how the vector of a text comes from its tokens."""
    kinds = [type(module).__name__ for module in modules]
    pooling = getattr(modules[0], "pooling_mode", None) if modules else None
    if kinds[:1] == ["Pooling"] and set(kinds[1:]) <= {"Normalize"} and pooling in _POOLED_BY:
        return _POOLED_BY[str(pooling)]
    raise ModelError(
        t(
            "How the embedding model {name} sums up its tokens cannot be explained. Choose one "
            "that takes their mean, the first or the last of them.",
            name=name,
        )
    )
