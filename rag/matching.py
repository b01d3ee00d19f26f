"""Where a claim stands in a text, whatever its case, width, spacing and punctuation."""

import re
from collections.abc import Iterable

import rjieba

from indexes.folding import HAN, fold, is_boundary
from indexes.splitting.outline import SENTENCE
from indexes.splitting.sentences import prose_cuts
from indexes.words import terms

_HAN = re.compile(HAN)
_RUN = re.compile(rf"{_HAN.pattern}+|[^\W_]+")
_NUMBER = re.compile(r"\d+(?:[.:/]\d+)*")
_FUNCTION_WORDS = frozenset(
    re.findall(
        r"\w+",
        "a an the and or but of to in on at by for from with as is are was were be been being it "
        "its this that these those he she they them his her their there which who whom whose what "
        "when where how why do does did has have had not no also than then so such can could will "
        "would may might should must about into over under after before because if while both each "
        "因为 所以 但是 而且 并且 以及 或者 如果 由于 因此 是因为 这个 那个 这些 那些 它们 他们 "
        "她们 我们 你们 可以 能够 没有 不是 就是 还是 已经 之一 其中 进行 一个 一种 以下 根据 资料 "
        "通过 对于 关于 使得 所述 属于",
    )
)


def find_verbatim(claim: str, text: str) -> tuple[int, int] | None:
    """The span of ``text`` that says ``claim`` word for word, or nothing. Words and numbers match
    whole: «art» is not found in «smart», nor 15 in 115 or 1.5."""
    needle, hay = fold(claim).text, fold(text)
    at = hay.text.find(needle) if needle else -1
    while at >= 0:
        end = at + len(needle)
        if is_boundary(hay.text, at) and is_boundary(hay.text, end):
            return hay.span(at, end)
        at = hay.text.find(needle, at + 1)
    return None


def numbers(text: str) -> set[str]:
    """The numbers written in digits in ``text``, thousands commas taken out."""
    return set(_NUMBER.findall(fold(text).text))


def content_words(text: str) -> list[str]:
    """The distinct words of ``text`` that carry meaning, folded: words of letters and numbers
    but for common function words, and Chinese words of two characters and more."""
    words: dict[str, None] = {}
    for run in _RUN.findall(fold(text).text):
        pieces = rjieba.cut(run) if _HAN.match(run) else [run]
        words.update(dict.fromkeys(p for p in pieces if p not in _FUNCTION_WORDS and _heavy(p)))
    return list(words)


def _heavy(word: str) -> bool:
    return len(word) > 1 or not _HAN.match(word)


def held(words: Iterable[str], text: str) -> float:
    """The share of ``words`` (from `content_words`) that occur in ``text``, 0..1: English words in
    any inflection, Chinese ones anywhere. No words: 1."""
    asked = list(words)
    folded = fold(text).text
    known = set(terms(text))
    found = sum(
        word in folded if _HAN.match(word) else bool(known.intersection(terms(word)))
        for word in asked
    )
    return found / len(asked) if asked else 1.0


def sentences(text: str) -> list[tuple[int, int]]:
    """The spans of the sentences of ``text``, white space after each included; paragraphs end
    sentences too. Together they cover the text."""
    starts = [cut.start for cut in prose_cuts(text, 0, len(text)) if cut.cost <= SENTENCE]
    return list(zip(starts, [*starts[1:], len(text)], strict=True))
