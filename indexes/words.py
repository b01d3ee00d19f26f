"""Lexical analysis: text to search terms, by the same rules for the index and for the query.

Words of alphabetic scripts are folded (case, accents, width) and stemmed as English. Identifiers,
versions, dates and addresses are kept whole and in parts. Chinese is brought to simplified
characters; its dictionary words, its single characters and every two neighbouring characters are
terms, so that a name unknown to the dictionary is still found. Japanese kana, Korean, Thai and
other scripts without spaces are cut into pairs of characters.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise
from operator import add
from typing import Final, Literal

import tantivy
from opencc import OpenCC

ANALYSIS_VERSION: Final = "2"
"""Changes whenever the same text would give other terms: postings made before are then rebuilt."""

Field = Literal["body", "phrases"]

_PHRASE_BOOST = 0.15
"""Weight of a pair of words in their order beside the words themselves, which count already."""
_BOOST_AMONG_HAN = 3.0
"""Weight of a word or number in a Chinese query. Each Han character is part of three terms or more
(itself, its pairs, its word); without this they would drown the one term of a name or number."""
_LONGEST_TERM = 64
"""Characters; a longer run is data (base64, a hash chain), which nobody types into a search."""

_HAN = "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\uac00-\ud7a3"
_LETTER = rf"[^\W_{_HAN}{_UNSPACED}]"
# Accents that stay apart under NFKC, and the vowel signs of Indic scripts; \w has neither.
_MARK = "[\u0300-\u036f\u0900-\u0dff]"
_WORD = rf"{_LETTER}+(?:{_MARK}+{_LETTER}*)*"
_TOKEN = re.compile(
    rf"[{_HAN}]+|[{_UNSPACED}]+|\b[A-Za-z](?:\+\+|#)(?!\w)"
    rf"|{_WORD}(?:(?:[-_.'@:+&]|(?<=\d),(?=\d)){_WORD})*"
)
_PART = re.compile(_WORD)
_HAN_RUN = re.compile(f"[{_HAN}]")
_WITHOUT_SPACES = re.compile(f"[{_HAN}{_UNSPACED}]")
_HUMP = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_GROUPED_NUMBER = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_ACCENT = re.compile("[\u0300-\u036f]")
_PUNCTUATION = {"\u2019": "'", "\u02bc": "'", "\u2010": "-", "\u2011": "-"}

_STOP_WORDS = """
a about after all also am an and any are as at be because been before being between both but by can
could did do does doing for from further had has have having he her here hers him his how i if in
into is it its just me more most my no nor not of off on once only or other our out over own same
she should so some such than that the their them then there these they this those through to too
under up very was we were what when where which while who whom why will with would you your
"""
_STOP_CHARACTERS = frozenset("的是了在什么哪谁吗呢和有与及之于以为而或被等也中上个些几多少何怎样如")


@dataclass(frozen=True, slots=True)
class WeightedTerm:
    """A term to look up in one field; its BM25 score there is multiplied by ``boost``."""

    field: Field
    text: str
    boost: float


def terms(text: str) -> list[str]:
    """The search terms of ``text``, in the order of the text, repetitions kept.

    A term holds no white space, so ``" ".join(terms(text))`` may be indexed by a tokenizer that
    splits at white space.
    """
    found: list[str] = []
    for token in _TOKEN.findall(normalised(text)):
        if _is_spaced(token):
            found += _word_terms(token)
        elif _HAN_RUN.match(token):
            found += _han_terms(token)
        else:
            found += _neighbours(token) if len(token) > 1 else [token]
    return found


def phrases(words: Sequence[str]) -> list[str]:
    """Each two neighbours among ``words`` (terms of one text) as one term, ``"new_york"``.

    Only scripts that write spaces have such phrases; in the others the terms overlap already.
    """
    return [
        f"{first}_{second}"
        for first, second in pairwise(words)
        if _is_spaced(first) and _is_spaced(second)
    ]


def query_terms(query: str) -> list[WeightedTerm]:
    """What to look up for ``query``, each term once. Words that carry no meaning of their own are
    left out, unless there are no others."""
    words = terms(query)
    telling = [word for word in words if not _is_stop(word)]
    chinese = any(map(_HAN_RUN.match, words))
    body = [
        WeightedTerm("body", word, _BOOST_AMONG_HAN if chinese and _is_spaced(word) else 1.0)
        for word in dict.fromkeys(telling or words)
    ]
    pairs = [two for two in pairwise(words) if not all(map(_is_stop, two))]
    found = dict.fromkeys(phrase for two in pairs for phrase in phrases(two))
    return body + [WeightedTerm("phrases", phrase, _PHRASE_BOOST) for phrase in found]


def _is_spaced(term: str) -> bool:
    return not _WITHOUT_SPACES.match(term)


def _is_stop(term: str) -> bool:
    return term in _stop_words() or _STOP_CHARACTERS.issuperset(term)


def normalised(text: str) -> str:
    if text.isascii():
        return text
    return unicodedata.normalize("NFKC", text).translate(_simplified())


# A few thousand words make up most of any text.
@lru_cache(maxsize=1 << 16)
def _word_terms(token: str) -> tuple[str, ...]:
    plain = token.isalpha() and (token.isupper() or token[1:].islower() or len(token) == 1)
    found = [_folded(token)] if plain else _compound_terms(token)
    return tuple(_stemmer().analyze(" ".join(term for term in found if len(term) <= _LONGEST_TERM)))


def _compound_terms(token: str) -> list[str]:
    if _GROUPED_NUMBER.fullmatch(token):
        return [token.replace(",", "")]
    token = token[:-2] if token[-2:] in ("'s", "'S") else token
    pieces = [token]
    for part in _PART.findall(token) if len(token) > 2 else ():
        pieces.append(part)
        humps = _HUMP.findall(part) if part.isascii() and not part[0].isdigit() else ()
        # A single letter or digit of a name like "B2B" says nothing by itself.
        pieces += (hump for hump in humps if len(hump) > 1)
    return list(dict.fromkeys(map(_folded, pieces)))


def _folded(word: str) -> str:
    folded = word.casefold()
    if folded.isascii():
        return folded
    return _ACCENT.sub("", unicodedata.normalize("NFKD", folded))


def _han_terms(run: str) -> list[str]:
    import rjieba

    return [*(w for w in rjieba.cut(run) if len(w) > 1), *_neighbours(run), *run]


def _neighbours(run: str) -> list[str]:
    return list(map(add, run, run[1:]))


@cache
def _stemmer() -> tantivy.TextAnalyzer:
    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace())
    return builder.filter(tantivy.Filter.stemmer("English")).build()


@cache
def _stop_words() -> frozenset[str]:
    return frozenset(terms(_STOP_WORDS))


@cache
def _simplified() -> dict[int, str]:
    # Character by character, never by phrase: then index and query agree wherever a text begins.
    convert = OpenCC("t2s").convert
    characters = map(chr, (*range(0x3400, 0x4DC0), *range(0x4E00, 0xA000)))
    simplified = {c: simple for c in characters if (simple := convert(c)) != c}
    return {ord(c): to for c, to in (simplified | _PUNCTUATION).items()}
