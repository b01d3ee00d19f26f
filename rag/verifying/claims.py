"""What a sentence of an answer claims beyond its question."""

import re
from functools import cached_property

from indexes.folding import fold, is_han
from rag.verifying.names import Names, names_in
from rag.verifying.quantities import claimed, stated
from rag.verifying.words import Vocabulary, asked_words, content_words, is_figure

_SHORT = 10
"""Weight (a Chinese character 1, another word 2) up to which a claim says nothing without its
question."""
_TOKEN = re.compile(r"[^\W_]+")
_EMPTY = frozenset(
    re.findall(r"\w+", "it is that this so they are was were 是 的 它 这 那 了 对 为")
)
_YES_NO = re.compile(
    r"\s*(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would|should|may|might)\b"
    r"|.*(?:吗|是否|能否|可否|是不是|有没有|能不能|会不会|可不可以|对不对)",
    re.IGNORECASE | re.DOTALL,
)
# A figure in the title of a work is a part of its name: 《1997年郡尉职权法案》.
_TITLE = re.compile(r"《[^《》]*》")
_CHOICE = re.compile(r"\bor\b|还是|或", re.IGNORECASE)
_ANSWERS_YES_NO = re.compile(
    r"(?:yes|no|是的?|不是|对|不对|没有|有|会|不会|能|不能)\W*\Z", re.IGNORECASE
)


class Question:
    """What is asked, so that a claim can be told from its repetition."""

    def __init__(self, text: str) -> None:
        self.text = text.strip()
        self.words = asked_words(text)
        self.known = Vocabulary(fold(text).text)
        self.values = stated(text)
        self.names = names_in(text)
        self.yes_no = bool(_YES_NO.match(text))
        self.open = self.yes_no or bool(_CHOICE.search(text))


class Claim:
    """A sentence of the answer, beside the question that it answers."""

    def __init__(self, text: str, question: Question) -> None:
        self.text, self.question = text, question
        # Figures are compared by value, not as words.
        self.words = [word for word in content_words(text) if not is_figure(word)]
        self.values = claimed(_TITLE.sub(" ", text))

    @cached_property
    def names(self) -> Names:
        return names_in(self.text)

    @cached_property
    def new(self) -> list[str]:
        """The words that it adds to the question."""
        return [word for word in self.words if word not in self.question.known]

    @cached_property
    def says_nothing(self) -> bool:
        """Whether it only restates the question, or says nothing at all."""
        if self.question.yes_no and _ANSWERS_YES_NO.match(self.text):
            return False
        tokens = _TOKEN.findall(fold(self.text).text)
        if not self.words and not self.values:
            return all(token in _EMPTY or set(token) <= _EMPTY for token in tokens)
        news = [keys for keys in self.values if not keys & self.question.values]
        return not self.new and not news and not self.question.open

    @cached_property
    def is_short(self) -> bool:
        """Whether only its question makes a statement of it, as with «France»."""
        folded = fold(self.text).text
        han = sum(is_han(char) for char in folded)
        others = len(re.sub(r"[^\x00-\x7f]+", " ", folded).split())
        return han + 2 * others <= _SHORT or not self._other_words

    @cached_property
    def _other_words(self) -> list[str]:
        """Its words that are neither names nor figures."""
        names = self.names.sure | self.names.opening
        return [w for w in self.words if w not in names and not any(c.isdigit() for c in w)]

    @property
    def with_question(self) -> str:
        """The statement that a short claim makes."""
        return f"{self.question.text} {self.text}"
