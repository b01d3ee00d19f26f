"""How long a text is for the embedding model."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from indexes.embedding.base import well_formed

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# A tokenizer may take a word of any length for one unknown token. A chunk also goes into a
# prompt, so that its characters count as well.
_CHARACTERS_PER_TOKEN = 12
_WINDOW = 4096


class Sizes:
    """Sizes of texts in tokens, without the special tokens that frame a whole passage.

    ``special`` is the number of these. A callable counts them in, as ``Embedder.count_tokens``.
    """

    def __init__(self, tokenizer: "Tokenizer | Callable[[str], int]") -> None:
        if callable(tokenizer):
            self.special = tokenizer("")
            self._count = self._counted_by(tokenizer)
        else:
            self.special = tokenizer.num_special_tokens_to_add(is_pair=False)
            self._count = _counted_with(_unlimited(tokenizer))

    def of(self, texts: Sequence[str]) -> list[int]:
        """The size of each text; at least 1."""
        clean = [well_formed(text) for text in texts]
        floors = (-(-len(text) // _CHARACTERS_PER_TOKEN) for text in clean)
        return [max(1, floor, n) for floor, n in zip(floors, self._count(clean), strict=True)]

    def _counted_by(self, tokens: Callable[[str], int]) -> Callable[[list[str]], list[int]]:
        return lambda texts: [tokens(text) - self.special for text in texts]


def _unlimited(tokenizer: "Tokenizer") -> "Tokenizer":
    if tokenizer.truncation is None and tokenizer.padding is None:
        return tokenizer
    copy: Tokenizer = type(tokenizer).from_str(tokenizer.to_str())
    copy.no_truncation()
    copy.no_padding()
    return copy


def _counted_with(tokenizer: "Tokenizer") -> Callable[[list[str]], list[int]]:
    def count(texts: list[str]) -> list[int]:
        lengths: list[int] = []
        for first in range(0, len(texts), _WINDOW):  # encodings are large
            window = texts[first : first + _WINDOW]
            encodings = tokenizer.encode_batch_fast(window, add_special_tokens=False)
            lengths.extend(len(encoding.ids) for encoding in encodings)
        return lengths

    return count
