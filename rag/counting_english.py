"""The English questions about the documents themselves; see `rag.counting`."""

import re
from dataclasses import replace

from indexes.folding import fold
from rag.counting_grammar import (
    FILE,
    FORMAT,
    PATH,
    SIGN,
    YEAR,
    CountQuery,
    How,
    Kind,
    Masked,
    What,
    of_format,
    of_noun,
    together,
    unnamed,
)  # fmt: skip

_NOUN = (
    r"(?:(?:all\s+)?(?:of\s+)?(?:my|our)\s+notes|"
    rf"(?:all\s+)?(?:of\s+)?(?:the\s+|my\s+|our\s+)?(?:(?P<adjective>chinese|english)\s+)?"
    rf"(?:(?P<what>passages)|(?:{FORMAT}\s+)?(?:documents|files|docs)|(?P<pdfs>pdfs)))"
)
_CONDITION = (
    rf"(?:(?:that|which)\s+)?(?:are\s+)?(?:dated\s+)?(?:(?P<touched>modified|changed|edited)\s+)?"
    rf"(?:(?P<compared>from|in|since|before|after|until)\s+(?P<year>{YEAR})"
    rf"|(?:in|written\s+in)\s+(?P<lang>chinese|english)"
    rf"|(?P<place>under|below|inside|in)\s+{PATH}"
    rf"|between\s+(?P<first>{YEAR})\s+and\s+(?P<last>{YEAR}))"
)
_TAILED = rf"(?:in\s+(?:the\s+file\s+)?{FILE}|{_CONDITION})"
_SAYS = r"(?:mention(?:s|ed|ing)?|(?P<holds>contain(?:s|ing)?))"
_TERM = r"(?:the\s+(?P<said>word|phrase|term|name)(?P<several>s?)\s+)?"
_NOT = r"(?P<negated>(?:do|does|did)\s+not\s+|(?:do|does|did)n['’]t\s+|never\s+)?"
_MENTION = rf"(?:that\s+|which\s+)?{_NOT}{_SAYS}\s+{_TERM}(?P<phrase>.+)"
_OURS = r"(?:in\s+(?:this|my|our)\s+(?:collection|index)|in\s+total|altogether)"
_HERE = rf"(?:{_OURS}|in\s+the\s+(?:collection|index)|here)"
_BARE = (
    rf"(?:are\s+there|(?:do|can)\s+(?:you|we|i)\s+have|exist|(?:are|is|have\s+been)\s+indexed)"
    rf"(?:\s+{_HERE})?|are\s+{_HERE}"
)
_START: tuple[tuple[re.Pattern[str], Kind], ...] = (
    (re.compile(rf"how\s+many\s+{_NOUN}(?=\s|$)", re.I), "count"),
    (re.compile(rf"(?:which|what)\s+{_NOUN}(?=\s|$)", re.I), "list"),
    (re.compile(rf"(?:please\s+)?(?:list|show)\s+(?:me\s+)?{_NOUN}(?=\s|$)", re.I), "list"),
    (re.compile(rf"(?:please\s+)?count\s+{_NOUN}(?=\s|$)", re.I), "count"),
)
_PARTS = re.compile(rf"\s+{_CONDITION}(?=\s|$)", re.I)
_END = re.compile(rf"(?:\s+(?:{_BARE}))?(?:\s+(?:and\s+)?{_MENTION})?", re.I)
_THERE = re.compile(r"\s+are\s+there", re.I)
_LISTED = re.compile(r"\s+(?:are\s+)?(?:pdfs|pdf\s+files)", re.I)

_TAIL = re.compile(rf",?\s+(?:{_OURS}|{_TAILED})(?=,?\s|$)", re.I)
_HEAD = re.compile(rf"(?P<head>.+?)(?P<tail>(?:{unnamed(_TAIL.pattern)})*)", re.I)
_ALL_OF_THEM = (
    r"(?:\s+in\s+(?:all\s+)?(?:of\s+)?(?:the|my|our|this)\s+"
    r"(?:documents|files|docs|notes|collection|index))?"
)
_TIMES = tuple(
    re.compile(rf"{shape}{_ALL_OF_THEM}(?P<tail>(?:{unnamed(_TAIL.pattern)})*)", re.I)
    for shape in (
        rf"how\s+many\s+times\s+(?:is|are|was|were)\s+{_TERM}(?P<phrase>.+?)\s+mentioned",
        rf"how\s+many\s+times\s+(?:has|have)\s+{_TERM}(?P<phrase>.+?)\s+been\s+mentioned",
        rf"how\s+many\s+times\s+does\s+{_TERM}(?P<phrase>{SIGN})\s+(?:appear|occur)",
        r"how\s+many\s+times\s+does\s+the\s+(?P<said>word|phrase|term|name)(?P<several>)\s+"
        r"(?P<phrase>\S+)\s+(?:appear|occur)",
        rf"how\s+many\s+(?:mentions|occurrences)\s+of\s+{_TERM}(?P<phrase>.+?)\s+are\s+there",
    )
)
_WITHIN = re.compile(
    rf"in\s+(?:(?P<kind>how\s+many)|which|what)\s+{_NOUN}\s+(?:is|are)\s+{_TERM}"
    r"(?P<phrase>.+?)\s+mentioned", re.I
)  # fmt: skip

_OPEN = re.compile(
    r"\b(?:and|or|nor|but|except|that|which|who|whose|what|how|why|when|where|whether|"
    r"i|it|we|us|he|she|they|this|these|those|them|him|her|his|its|our|their|you|your|me|my|"
    r"to|in|on|at|by|as|from|for|with|without|within|since|before|after|until|till|between|during|"
    r"under|below|above|inside|into|about|over|per|via|than|through|throughout|across|because|"
    r"if|is|are|was|were|be|been|has|have|do|does|did|can|could|will|would|should|must|"
    r"no|not|none|never|neither|either|both|only|also|too|any|every|each|all|some|many|several|few|"
    r"most|least|more|less|other|others|another|same|once|twice|times|exactly|ever|often|again|"
    r"there|here|anywhere|together|alone|today|now|yesterday|recently|lately|ago|last|"
    r"dated|written|modified|changed|edited|added|created|updated|yes|please|just|already|yet|still|"
    r"even|instead|plus|minus|besides|excluding|including|versus|vs|(?:no|any|some|every)(?:thing|"
    r"body|one)|(?:in)?directly|(?:ex|im)plicitly|literally|briefly|specifically|mainly|mostly|"
    r"primarily|merely|simply|solely|exclusively|really|actually|currently|frequently|rarely|"
    r"partly|fully|repeatedly|etc|et\s+al|"
    rf"of\s+{YEAR})\b|[,;:?!()\[\]/]|(?:^|\s)[&+]|[&+]\s|"
    r"\.(?:pdf|docx|xlsx|pptx|md|html|csv|epub|txt)\s", re.I
)  # fmt: skip
"""In a phrase without quotation marks, what may be a condition or make something else of it."""
_NOTHING = re.compile(
    r"the|an?|of|so|then|else|people|(?:author|date|name|number|person|place|price|year|word|phrase|"
    r"term)s?"
)
"""What names nothing, or any one of a kind: «a date»."""
_JOINED = re.compile(r"[a-z]&|&[a-z]")
"""Two words with a sign between them; «AT&T» is a name."""
_ARTICLE = re.compile(r"(?:the|an?)\s+", re.I)
_PARTICLES = frozenset(
    ("von", "van", "de", "der", "den", "del", "della", "di", "da", "du", "la", "le", "of", "the")
)
_LONGEST = 4


def english(asked: str) -> CountQuery | None:
    """The counting that an English question asks for."""
    masked = Masked.of(asked)
    if masked is None:
        return None
    return _counted(masked) or _times(masked) or _within(masked)


def _counted(masked: Masked) -> CountQuery | None:
    asked = masked.text
    starts = ((pattern.match(asked), kind) for pattern, kind in _START)
    start, kind = next((found for found in starts if found[0]), (None, "count"))
    if start is None:
        return None
    conditions: list[str | None] = [*of_noun(start)]
    at = start.end()
    if not conditions and (listed := _LISTED.fullmatch(asked, at)):
        at, conditions = listed.end(), [of_format("pdf")]
    there = _THERE.match(asked, at)
    if there and _PARTS.match(asked, there.end()):
        at = there.end()
    while part := _PARTS.match(asked, at):
        conditions.append(masked.condition(part.groupdict()))
        at = part.end()
    end = _END.fullmatch(asked, at)
    if end is None:
        return None
    whole = conditions or end[0] or asked.lower().startswith(("list", "show", "count"))
    if not whole or (start["what"] and not end["phrase"]):
        return None
    what: What = "passages" if start["what"] else "documents"
    if end["phrase"]:
        return _mentioning(kind, what, conditions, end, masked)
    return _query(CountQuery(kind, what, None, None), conditions)


def _mentioning(
    kind: Kind, what: What, conditions: list[str | None], end: "re.Match[str]", masked: Masked
) -> CountQuery | None:
    found = _HEAD.fullmatch(end["phrase"].strip())
    assert found is not None
    head, tail = found["head"], found["tail"]
    read = _read(head, end, masked)
    if read is None:
        return None
    phrases, how, clear = read
    if end["negated"]:
        if how != "mention" or _ARTICLE.match(head):
            return None
        how = "lack"
    if what != "documents" and how != "mention":
        return None
    real = _real(tail)
    if any(not _fits(part, head, what, clear) for part in real) or (real and how == "lack"):
        return None
    conditions = [*conditions, *(masked.condition(part.groupdict()) for part in real)]
    words = masked.words(" ".join(part[0].strip(", ") for part in real))
    first, other = phrases[0], phrases[1] if len(phrases) > 1 else None
    query = CountQuery(kind, what, None, first, how=how, other=other, within=words)
    return _query(query, conditions)


def _real(tail: str) -> list["re.Match[str]"]:
    """The conditions behind a phrase, without those that every document fulfils."""
    parts = _TAIL.finditer(tail)
    return [part for part in parts if not re.fullmatch(rf",?\s+{_OURS}", part[0], re.I)]


def _fits(part: "re.Match[str]", head: str, what: What, clear: bool) -> bool:
    """Whether the words behind a phrase are a condition, and can be nothing that it says."""
    quoted = not re.sub(rf"{SIGN}|\band\b|\bor\b|\bboth\b|\beither\b|\s", "", head, flags=re.I)
    if part["file"]:
        return what != "documents"
    if path := part["path"]:
        return quoted or _is_place(part["place"], path, clear or _capital(head))
    if part["touched"]:
        return True
    if part["year"] and part["compared"].lower() in ("in", "from"):
        return quoted
    return clear and bool(part["year"] or part["lang"] or part["first"])


def _is_place(how: str, path: str, clear: bool) -> bool:
    """Whether a path behind a phrase tells where the documents are: «Docker in /var/lib» may be
    what they say."""
    if how.lower() == "in":
        return path.endswith("/") and not path.startswith(("/", ".", "~"))
    named = path.endswith("/") or path.startswith(("/", "./")) or bool(re.match(SIGN, path))
    return named and (clear or path.endswith("/"))


def _read(
    head: str, said: "re.Match[str]", masked: Masked
) -> tuple[tuple[str, ...], How, bool] | None:
    """The phrases, what is asked of them, and whether each is quoted or a name."""
    joined = re.findall(r"\b(?:and|or)\b", head, re.I)
    opened = re.match(r"(both|either)\s+", head, re.I)
    rest = head[opened.end() :] if opened else head
    if not joined and not opened:
        phrase = _phrase(rest, said, masked)
        named = bool(said["said"]) and len(rest.split()) == 1
        return ((phrase,), "mention", named or _clear(rest)) if phrase else None
    sides = re.split(r"\s+(?:and|or)\s+", rest, flags=re.I)
    if len(joined) != 1 or len(sides) != 2:
        return None
    either = joined[0].lower() == "or"
    quoted = all(re.fullmatch(SIGN, side) for side in sides)
    apart = quoted or (either and all(map(_clear, sides)))
    word = opened[1].lower() if opened else (apart and ("either" if either else "both"))
    if word != ("either" if either else "both") or not (quoted or _parted(*sides)):
        return None
    phrases = [_phrase(side, said, masked) for side in sides]
    known = tuple(phrase for phrase in phrases if phrase)
    how: How = "either" if either else "both"
    return (known, how, all(map(_clear, sides))) if len(set(map(_folded, known))) == 2 else None


def _folded(phrase: str) -> str:
    return fold(phrase).text


def _parted(left: str, right: str) -> bool:
    """Whether each is a word, a name or quoted, and the left one lacks nothing that stands at the
    right: «red or white wine» does."""
    if left.endswith("-") or right.startswith("-"):
        return False
    sides = [re.sub(r"^(?:the|an?)\s+", "", side, flags=re.I) for side in (left, right)]
    plain = all(len(side.split()) == 1 or _capital(side) for side in sides)
    quoted = any(re.fullmatch(SIGN, side) for side in sides)
    return plain and (quoted or len(sides[0].split()) >= len(sides[1].split()))


def _clear(said: str) -> bool:
    """Whether it is quoted or a name of two words or more: of one, as in «Songs in English» and
    «Europe since 1945», the condition behind it may be a part."""
    if re.fullmatch(SIGN, said.strip()):
        return True
    big = [word for word in said.split() if word[0] != word[0].lower()]
    return _capital(said) and len(big) > 1 and not _ARTICLE.match(said)


def _capital(said: str) -> bool:
    """Whether it is quoted or each word of it is written with a capital letter."""
    words = said.split()
    capital = [word[0] != word[0].lower() or not word[0].isascii() for word in words]
    small = all(
        big or word.isdigit() or word in _PARTICLES
        for big, word in zip(capital, words, strict=True)
    )
    return bool(words) and capital[0] and small


def _phrase(said: str, named: "re.Match[str]", masked: Masked) -> str | None:
    """What is to be mentioned: what stands in quotation marks, else a few words that can be nothing
    but a name or term."""
    if re.search(SIGN, said):
        return masked.open(said.strip())
    groups = named.groupdict()
    if groups.get("holds") and not groups["said"]:
        return None
    plain = re.sub(r"^(?:the|an?)\s+", "", said.strip(), flags=re.I)
    words = len(plain.split())
    if words > (1 if groups["several"] else _LONGEST) or _OPEN.search(plain):
        return None
    if _NOTHING.fullmatch(plain.lower()) or _JOINED.search(plain):
        return None
    return plain if fold(plain).text else None


def _times(masked: Masked) -> CountQuery | None:
    matches = (pattern.fullmatch(masked.text) for pattern in _TIMES)
    match = next((match for match in matches if match), None)
    if match is None or not (phrase := _phrase(match["phrase"], match, masked)):
        return None
    parts = _real(match["tail"])
    words = " ".join(part[0].strip(", ") for part in parts)
    conditions = [masked.condition(part.groupdict()) for part in parts]
    clear = _clear(match["phrase"]) or bool(match.groupdict().get("said"))
    if not all(_fits(part, match["phrase"], "mentions", clear) for part in parts):
        return None
    return _query(CountQuery("count", "mentions", None, phrase, within=words), conditions)


def _within(masked: Masked) -> CountQuery | None:
    match = _WITHIN.fullmatch(masked.text)
    if match is None or not (phrase := _phrase(match["phrase"], match, masked)):
        return None
    what: What = "passages" if match["what"] else "documents"
    kind: Kind = "count" if match["kind"] else "list"
    return _query(CountQuery(kind, what, None, phrase), [*of_noun(match)])


def _query(query: CountQuery, conditions: list[str | None]) -> CountQuery | None:
    known = together(conditions)
    return None if known is None else replace(query, where=" and ".join(known) or None)
