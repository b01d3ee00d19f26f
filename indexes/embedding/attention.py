"""What a transformer attended to in a text, as tables; `attention_model` makes them."""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from indexes.errors import UsageError
from indexes.i18n import t

Table = NDArray[np.float64]
Method = Literal["norms", "rollout", "occlusion"]
Kind = Literal["word", "special", "unknown"]


@dataclass(frozen=True, slots=True)
class Token:
    """A token and the characters ``text[start:end]`` that it stands for.

    A ``special`` one, such as [CLS], stands for none of the text; an ``unknown`` one is not in the
    model's vocabulary, and is left out before the model reads the text, as in embedding.
    """

    text: str
    start: int
    end: int
    kind: Kind
    word: int | None
    """Number of the word that it is a piece of, where the tokenizer tells."""


@dataclass(frozen=True, slots=True)
class Word:
    """Neighbouring pieces of one word with the sum of their importance; in scripts without spaces
    each token is one."""

    text: str
    start: int
    end: int
    importance: float
    known: bool


@dataclass(frozen=True, slots=True)
class View:
    """One heat map, (n, n) over the tokens read: row i holds how much token i takes from each."""

    name: Literal["norms", "rollout", "layer"]
    layer: int
    table: Table


@dataclass(frozen=True, slots=True)
class Attention:
    """How a model read ``text``. n counts the tokens read: all but the unknown."""

    text: str
    model: str
    method: Method
    tokens: tuple[Token, ...]
    importance: Table
    """(tokens,), each ≥ 0, sum 1; 0 for an unknown token."""
    views: tuple[View, ...]
    """Value-weighted attention where the model's kind is known, rollout, then each layer."""
    states: Table
    """(n, dimension): the last layer's output."""
    pooling: Table
    """(n,): the weight of each token in the vector of the text."""
    cut: bool
    """The text went on; the rest was not read."""

    @property
    def read(self) -> tuple[int, ...]:
        """Numbers of the tokens that the model read."""
        return tuple(i for i, token in enumerate(self.tokens) if token.kind != "unknown")

    @property
    def layers(self) -> int:
        """Layers of the transformer."""
        return sum(view.name == "layer" for view in self.views)

    @property
    def words(self) -> tuple[Word, ...]:
        """The words in the order of the text."""
        return tuple(_words(self.text, self.tokens, self.importance))

    @property
    def special_share(self) -> float:
        """The importance that special tokens took."""
        specials = [token.kind == "special" for token in self.tokens]
        return float(self.importance[specials].sum())

    @property
    def vector(self) -> Table:
        """(dimension,): the vector of the text, scaled to length 1."""
        return _unit(self.pooling @ self.states)

    def view(self, layer: int | None = None) -> View:
        """The heat map of a layer, counted from 1, or the one that sums all up. Raises UsageError
        for a layer that the model does not have."""
        if layer is None:
            wanted = "rollout" if self.method == "rollout" else self.views[0].name
            return next(view for view in self.views if view.name == wanted)
        for view in self.views:
            if view.name == "layer" and view.layer == layer:
                return view
        raise UsageError(
            t(
                "The embedding model {name} has no layer {layer}: it has {layers}, counted from 1.",
                name=self.model,
                layer=layer,
                layers=self.layers,
            )
        )


def rollout(layers: Sequence[Table]) -> Table:
    """How much of each input token has come to each output token, (n, n), rows that sum to 1.

    Half of a layer's input goes on unchanged beside its attention: the product of 0.5·A + 0.5·I
    over the layers (Abnar & Zuidema 2020, Quantifying Attention Flow in Transformers). ``layers``
    are the means over the heads.
    """
    flow = np.eye(len(layers[0]))
    for layer in layers:
        flow = (0.5 * layer + 0.5 * np.eye(len(layer))) @ flow
    return flow


def shares(values: Table) -> Table:
    """``values`` ≥ 0 scaled so that the last axis sums to 1; equal shares where all are 0."""
    total = values.sum(axis=-1, keepdims=True)
    equal = np.full_like(values, 1 / values.shape[-1])
    return np.where(total > 0, values / np.where(total > 0, total, 1), equal)


def likeness(a: Attention, b: Attention) -> Table:
    """What each pair of tokens adds to the cosine of the two texts, (n of a, n of b).

    The vector of a text is a weighted sum over its tokens, so its cosine to another one is exactly
    a sum over the pairs; a pair may also take away.
    """
    left, right = a.pooling[:, None] * a.states, b.pooling[:, None] * b.states
    lengths = np.linalg.norm(left.sum(axis=0)) * np.linalg.norm(right.sum(axis=0))
    return np.asarray(left @ right.T / (lengths or 1.0))


def is_wide(text: str) -> bool:
    """Whether ``text`` has characters as wide as they are high, such as Chinese ones."""
    return any(unicodedata.east_asian_width(character) in "WF" for character in text)


def _unit(vector: Table) -> Table:
    return np.asarray(vector / (np.linalg.norm(vector) or 1.0))


def _words(text: str, tokens: Sequence[Token], importance: Table) -> Iterator[Word]:
    group: list[int] = []
    for number, token in enumerate(tokens):
        if token.kind == "special":
            continue
        if group and not _joined(tokens[group[-1]], token):
            yield _word(text, tokens, importance, group)
            group = []
        group.append(number)
    if group:
        yield _word(text, tokens, importance, group)


def _word(text: str, tokens: Sequence[Token], importance: Table, group: list[int]) -> Word:
    start, end = tokens[group[0]].start, max(tokens[i].end for i in group)
    known = any(tokens[i].kind == "word" for i in group)
    return Word(text[start:end], start, end, float(importance[group].sum()), known)


def _joined(first: Token, second: Token) -> bool:
    """Whether both are pieces of one word; some tokenizers also split a character into bytes."""
    if second.start < first.end:
        return True
    neighbours = first.end == second.start and first.word == second.word is not None
    return neighbours and _spaced(first.text[-1:]) and _spaced(second.text[:1])


def _spaced(character: str) -> bool:
    """Whether it is a letter or digit of a script that puts spaces between words."""
    return character.isalnum() and not is_wide(character)
