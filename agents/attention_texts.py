"""What is said about attention, on whatever it is shown."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from agents.screen import one_line
from indexes.embedding.attention import Attention, Method, Table, View, Word, likeness
from indexes.i18n import t

_MOST_LEADING = 12
_MOST_PAIRS = 5
_MOST_WORDS = 40


@dataclass(frozen=True, slots=True)
class Explained:
    """One text, or two that are compared."""

    texts: tuple[Attention, ...]
    layer: int | None

    @property
    def model(self) -> str:
        return self.texts[0].model

    @property
    def similarity(self) -> float | None:
        """Cosine of the two texts' vectors."""
        if len(self.texts) < 2:
            return None
        return float(self.texts[0].vector @ self.texts[1].vector)

    @property
    def pairs(self) -> Table | None:
        """What each pair of tokens adds to the similarity: (n of the first, n of the second)."""
        return likeness(*self.texts) if len(self.texts) == 2 else None


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a text: a word with its ``importance`` and its ``weight`` beside the strongest
    one's (0…1), a run of words that the model does not know, or what lies between words."""

    text: str
    importance: float | None = None
    weight: float = 0.0
    known: bool = True


def title(view: View) -> str:
    """The name of a heat map, for people."""
    if view.name == "norms":
        return t("attention × values, last layer")
    return t("rollout") if view.name == "rollout" else t("layer {number}", number=view.layer)


def meaning(method: Method) -> str:
    """What a method's importance is."""
    sentences = {
        "norms": t(
            "Importance: the attention of the last layer, each weight times the length of the "
            "value it brings (Kobayashi et al. 2020)."
        ),
        "rollout": t(
            "Importance: attention followed through all layers (rollout, Abnar & Zuidema 2020). "
            "Most of it ends on the special tokens; it does not tell content from grammar."
        ),
        "occlusion": t(
            "Importance: how far the vector of the text turns when the token is left out."
        ),
    }
    return sentences[method]


def remarks(attention: Attention) -> Iterator[str]:
    """What a reader must know about this text: what was not read, and where the weight lies."""
    ordinary = [token for token in attention.tokens if token.kind != "special"]
    unknown = sum(token.kind == "unknown" for token in ordinary)
    if unknown:
        yield t(
            "{model} does not know {unknown} of the {tokens} tokens of this text (marked ‹›), and "
            "Waggle leaves them out. Another model may know them: [index] embedder in waggle.toml.",
            model=attention.model,
            unknown=unknown,
            tokens=len(ordinary),
        )
    if attention.cut:
        yield t(
            "The text is longer than what is explained at once: {count} tokens were read.",
            count=len(ordinary),
        )
    leading = _leading_half(attention.words)
    if leading:
        yield t("Half of the importance lies on: {words}.", words=", ".join(leading))


def labels(attention: Attention) -> list[str]:
    """The tokens read, as the sides of a heat map show them."""
    return [one_line(attention.tokens[i].text) for i in attention.read]


def pieces(attention: Attention) -> Iterator[Piece]:
    """The text from its first character to the last one read."""
    strongest = max((word.importance for word in attention.words), default=0) or 1.0
    at = 0
    for known, group in groupby(attention.words, lambda word: word.known):
        words = list(group)
        if not known:
            yield Piece(attention.text[at : words[0].start])
            at = words[-1].end
            yield Piece(f"‹{attention.text[words[0].start : at]}›", known=False)
            continue
        for word in words:
            yield Piece(attention.text[at : word.start])
            yield Piece(word.text, word.importance, word.importance / strongest)
            at = word.end
    yield Piece("…" if attention.cut else attention.text[at:])


def listed(attention: Attention) -> list[Word]:
    """The words the model knows, in the order of the text; of many, the most important first."""
    words = [word for word in attention.words if word.known]
    if len(words) > _MOST_WORDS:
        words = sorted(words, key=lambda word: -word.importance)[:_MOST_WORDS]
    return words


def leading_pairs(explained: Explained) -> list[str]:
    """The pairs of words, one of each text, that add most to the similarity."""
    pairs = explained.pairs
    if pairs is None:
        return []
    names = [labels(text) for text in explained.texts]
    found: list[str] = []
    for place in np.argsort(-pairs, axis=None, kind="stable"):
        row, column = divmod(int(place), pairs.shape[1])
        words = (names[0][row], names[1][column])
        inner = 0 < row < len(names[0]) - 1 and 0 < column < len(names[1]) - 1
        shown = " – ".join(words)
        if inner and all(word.isalnum() for word in words) and shown not in found:
            found.append(shown)
        if len(found) == _MOST_PAIRS:
            break
    return found


def _leading_half(words: Sequence[Word]) -> list[str]:
    ranked = sorted(words, key=lambda word: -word.importance)
    total = sum(word.importance for word in words)
    found: list[str] = []
    reached = 0.0
    for word in ranked:
        if reached >= total / 2 or len(found) == _MOST_LEADING:
            break
        reached += word.importance
        if (shown := one_line(word.text)) not in found:
            found.append(shown)
    return found
