"""How good an answer is, each figure as the set's own authors compute it.

Nothing is folded that their scripts do not fold: a traditional character is not a simplified one.
"""

import re
import string
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_ASCII_PUNCTUATION = str.maketrans("", "", string.punctuation)
_CHINESE_SIGNS = frozenset("-:_*^/\\~`+=，。：？！“”；’《》…·、「」（）－～『』")
_HAN = re.compile("[\u4e00-\u9fa5]")
_LATIN_TOKEN = re.compile(r"\w+(?:[.,'’]\w+)*|[^\w\s]")
_ROUGE_BETA = 1.2


# -- English: SQuAD's evaluation (Rajpurkar et al., EMNLP 2016) -----------------------------------


def squad_words(text: str) -> list[str]:
    """Lower case, without punctuation and articles."""
    return _ARTICLES.sub(" ", text.lower().translate(_ASCII_PUNCTUATION)).split()


def _overlap(answer: Sequence[str], given: Sequence[str]) -> float:
    """F1 of two bags of words."""
    if not answer or not given:
        return float(list(answer) == list(given))
    shared = sum((Counter(answer) & Counter(given)).values())
    return 2 * shared / (len(answer) + len(given))


# -- Chinese: CMRC 2018's evaluation (Cui et al., EMNLP 2019) --------------------------------------


def cmrc_text(text: str) -> str:
    """Lower case, without the signs that CMRC's script leaves out."""
    return "".join(char for char in text.lower().strip() if char not in _CHINESE_SIGNS)


def mixed_segments(text: str) -> list[str]:
    """Each Chinese character, and each word between them. (CMRC's script splits those words by
    NLTK's rules; here a number with its separators stays one, as there, and every other sign
    stands alone.)"""
    segments: list[str] = []
    for part in re.split(f"({_HAN.pattern})", cmrc_text(text)):
        segments += [part] if _HAN.fullmatch(part) else _LATIN_TOKEN.findall(part)
    return segments


def _common_run(answer: Sequence[str], given: Sequence[str]) -> float:
    """F1 by the longest run of segments that stands in both."""
    longest, row = 0, [0] * (len(given) + 1)
    for segment in answer:
        above, row = row, [0] * (len(given) + 1)
        for at, other in enumerate(given, 1):
            if segment == other:
                row[at] = above[at - 1] + 1
        longest = max(longest, *row)
    return 2 * longest / (len(answer) + len(given)) if longest else 0.0


# -- either ---------------------------------------------------------------------------------------


def exact_match(given: str, answers: Iterable[str], lang: str) -> float:
    """1 if ``given`` is one of ``answers``, else 0."""
    norm: Callable[[str], object] = cmrc_text if lang.startswith("zh") else squad_words
    return float(any(norm(given) == norm(answer) for answer in answers))


def f1(given: str, answers: Iterable[str], lang: str) -> float:
    """The best F1 with one of ``answers``: of words in English; in Chinese by character, of the
    longest run in common."""
    if lang.startswith("zh"):
        segments = mixed_segments(given)
        scores = (_common_run(mixed_segments(answer), segments) for answer in answers)
    else:
        words = squad_words(given)
        scores = (_overlap(squad_words(answer), words) for answer in answers)
    return max(scores, default=0.0)


def holds_facts(given: str, facts: Iterable[Collection[str]]) -> float:
    """1 if every fact stands in ``given`` in one of its forms, whatever the case, else 0 (RGB's
    accuracy: Chen et al., AAAI 2024)."""
    text = given.lower()
    return float(all(any(form.lower() in text for form in forms) for forms in facts))


def rouge_l(given: str, answers: Iterable[str]) -> float:
    """ROUGE-L by character, white space left out, with beta 1.2: the best precision and the best
    recall over ``answers`` (Lin 2004, as DuReader and COCO use it)."""
    text = "".join(given.split())
    precision = recall = 0.0
    for answer in answers:
        right = "".join(answer.split())
        if text and right:
            common = _subsequence(right, text)
            precision = max(precision, common / len(text))
            recall = max(recall, common / len(right))
    if not precision:
        return 0.0
    weight = _ROUGE_BETA**2
    return (1 + weight) * precision * recall / (recall + weight * precision)


def _subsequence(first: str, second: str) -> int:
    """The length of the longest common subsequence."""
    row = [0] * (len(second) + 1)
    for char in first:
        diagonal = 0
        for at, other in enumerate(second, 1):
            diagonal, row[at] = (
                row[at], diagonal + 1 if char == other else max(row[at], row[at - 1])
            )  # fmt: skip
    return row[-1]


# -- citations and refusals -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CitationScore:
    """Of one answer: whether a citation ``names_gold``, the share of the cited sources that are
    gold (``None`` without citations), the share of the gold sources that are cited."""

    names_gold: float
    precision: float | None
    recall: float


def citation_score(cited: Iterable[str], gold: Iterable[str]) -> CitationScore:
    """Compare the sources that an answer cites with those that hold it, each counted once;
    ``gold`` has at least one."""
    named, right = set(cited), set(gold)
    both = len(named & right)
    return CitationScore(float(both > 0), both / len(named) if named else None, both / len(right))


@dataclass(frozen=True, slots=True)
class RefusalScore:
    """``precision``: share of the refused questions that have no answer (``None`` if none was
    refused); ``recall``: share of those without an answer that were refused; ``wrongly``: share of
    the answerable that were refused; ``balanced``: the mean of ``recall`` and ``1 - wrongly``.
    ``None`` where there is no such question."""

    precision: float | None
    recall: float | None
    wrongly: float | None
    balanced: float | None


def refusal_score(questions: Iterable[tuple[bool, bool]]) -> RefusalScore:
    """From pairs (answerable, refused)."""
    counted = Counter(questions)
    missed, false = counted[False, False], counted[True, True]
    right, answered = counted[False, True], counted[True, False]
    recall = right / (right + missed) if right + missed else None
    wrongly = false / (false + answered) if false + answered else None
    both = recall is not None and wrongly is not None
    return RefusalScore(
        right / (right + false) if right + false else None, recall, wrongly,
        (recall + 1 - wrongly) / 2 if both else None,  # type: ignore[operator]
    )  # fmt: skip
