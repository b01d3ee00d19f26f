"""The proper names in a text: capitalised words, titles in quotation marks, and in Chinese what the
tagger calls a person, a place, an organisation or a proper noun."""

import re
from dataclasses import dataclass

import rjieba

from indexes.folding import HAN, fold
from indexes.words import normalised

_CAPITALISED = re.compile(rf"(?<![a-zA-Z0-9'’])[A-Z](?:(?!{HAN})[\w'’])*")
_SENTENCE_START = re.compile(r"(?:^|[.!?:;。！？：；]|\n)\W*\Z")
_TITLE = re.compile(
    r"《([^《》\n]{1,40})》|[“「『]([^“”「」『』\n]{2,40})[”」』]|\"([^\"\n]{2,40})\""
)
_HAN_RUN = re.compile(rf"{HAN}+(?:[·•‧・･]{HAN}+)*")
_NAME_OF_SEVERAL = re.compile(
    r"\b[A-Z][\w'’]*(?:[ -](?:(?:of|for|the|and|on|in)\s){0,2}[A-Z][\w'’]*)+"
)
_PROPER = frozenset(("nr", "nrt", "nrfg", "ns", "nt", "nz"))
_FUNCTIONAL = frozenset(("p", "c", "r", "u", "ul", "uj", "d"))
_GIVEN = frozenset(("n", "ns", "nr", "nz", "nrt", "a", "ag", "ng", "x", "j", "z"))
# Capitals that begin a sentence or stand by convention; none of them names anything.
_NO_NAMES = frozenset(
    re.findall(
        r"\w+",
        "a an the and or but of to in on at by for from with as is are was were be it its this "
        "that these those he she they his her their there which who what when where how why do "
        "does did has have had not no also then so such can could will would may might should "
        "must about into over under after before because if while both each i we you our your "
        "us my however although though since during until according despite between among "
        "through today later most many some all any every other another more less only even "
        "just yes one two three four five six seven eight nine ten january february march april "
        "june july august september october november december monday tuesday wednesday thursday "
        "friday saturday sunday mr mrs ms dr first second third finally next thus therefore "
        "moreover instead once together here up out ",
    )
)
_COMMON_ENDING = re.compile(r"(?:s|ing|ly|ed|tion|ment|ness)\Z")


@dataclass(frozen=True, slots=True)
class Names:
    """``sure`` are names wherever they stand; ``opening`` words begin a sentence, and so are
    capitalised whether names or not. Both folded, word by word."""

    sure: frozenset[str]
    opening: frozenset[str]


def names_in(text: str) -> Names:
    """The names of ``text``."""
    sure: set[str] = set()
    opening: set[str] = set()
    plain = normalised(text)
    for match in _CAPITALISED.finditer(plain):
        word = fold(re.sub(r"['’]s?\Z", "", match[0])).text
        if word in _NO_NAMES or len(word) < 2:
            continue
        begins = _SENTENCE_START.search(plain[max(0, match.start() - 12) : match.start()])
        if not begins or not match[0][1:].islower():
            sure.add(word)
        elif not _COMMON_ENDING.search(word):
            opening.add(word)
    for match in _TITLE.finditer(plain):
        sure.add(fold(match[1] or match[2] or match[3]).text)
    for match in _HAN_RUN.finditer(plain):
        sure.update(_chinese(match[0]))
    return Names(frozenset(sure - {""}), frozenset(opening))


def initials(text: str) -> frozenset[str]:
    """The abbreviations of the names of several words in ``text``: «who» of World Health
    Organization."""
    return frozenset(
        "".join(re.findall(r"\b[A-Z]", match[0])).lower()
        for match in _NAME_OF_SEVERAL.finditer(normalised(text))
    )


def _chinese(run: str) -> list[str]:
    found = []
    tagged = rjieba.tag(run)
    for at, (word, tag) in enumerate(tagged):
        if tag not in _PROPER:
            continue
        following, kind = tagged[at + 1] if at + 1 < len(tagged) else ("", "")
        if len(word) > 1:
            found.append(word)
        elif tag == "nr" and (
            (len(following) == 2 and kind not in _FUNCTIONAL)
            or (len(following) == 1 and kind in _GIVEN)
        ):
            found.append(word + following)  # a surname and a given name that no dictionary has
    return [fold(name).text for name in found]
