"""Whether a claim is a sentence of the passage in which something was put in the place of something
else: each of its words stands in the passage, and yet the passage does not say it."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache

from indexes.words import terms
from rag.verifying.quantities import stated
from rag.verifying.words import Vocabulary, ordered_words

_EDITED = 0.7
"""The share of a claim's other words that must follow the sentence in its order: below, the claim
is put in words of its own, and what stands where in the sentence says nothing of it."""
_WIDER = 2
"""Times the words that are put there, from which a gap in the sentence is no place for them."""
_LONGEST = 400
"""Words; nothing longer is compared word by word."""


@dataclass(frozen=True, slots=True)
class Slot:
    """What a claim has in the place of other words of a sentence; ``inner``: between two places
    that are the same in both."""

    put: tuple[str, ...]
    there: tuple[str, ...]
    inner: bool

    def holds_other(self, new: Collection[str], passage: Vocabulary) -> bool:
        """Whether a word of ``new`` is put in it that ``passage`` has, and for something else."""
        return any(word in new and word in passage for word in self.put) and _is_other(
            self.put, self.there
        )


@dataclass(frozen=True, slots=True)
class Alignment:
    """A claim beside a sentence: how many words of the one follow the other, in its order, and
    where they differ."""

    size: int
    followed: int
    slots: tuple[Slot, ...]

    def edited(self) -> Iterator[Slot]:
        """The slots but for which the claim is the sentence."""
        for slot in self.slots:
            if self.followed >= _EDITED * (self.size - len(slot.put)):
                yield slot


@lru_cache(maxsize=256)
def aligned(claim: str, sentence: str) -> Alignment:
    """``claim`` word by word beside ``sentence``."""
    ours, theirs = keys_of(claim)[:_LONGEST], keys_of(sentence)[:_LONGEST]
    matcher = SequenceMatcher(None, [k for _, k in ours], [k for _, k in theirs], autojunk=False)
    slots = tuple(
        Slot(
            tuple(word for word, _ in ours[i:j]),
            tuple(word for word, _ in theirs[k:m]),
            i > 0 and j < len(ours) and m - k <= _WIDER * (j - i),
        )
        for tag, i, j, k, m in matcher.get_opcodes()
        if tag == "replace"
    )
    followed = sum(size for _, _, size in matcher.get_matching_blocks())
    return Alignment(len(ours), followed, slots)


def _is_other(put: tuple[str, ...], there: tuple[str, ...]) -> bool:
    """Not the same in other words: an inflection, a usual synonym, a figure written otherwise."""
    known = Vocabulary(" ".join(there))
    if all(word in known for word in put):
        return False
    return not stated(" ".join(put)) & stated(" ".join(there))


@lru_cache(maxsize=256)
def keys_of(text: str) -> tuple[tuple[str, str], ...]:
    return tuple((word, "".join(terms(word)[:1]) or word) for word in ordered_words(text))
