"""The numbers and dates of a text by value, however they are written.

A value is a key such as ``"15000"``, ``"15%"``, ``"12:30"``, ``"2024-03-05"`` (a day),
``"2024-03"`` (a month), ``"03-05"`` (a day of any year).
"""

import re
from collections.abc import Callable, Iterator
from decimal import Decimal

from indexes.words import normalised
from rag.verifying.words import COUNTED

_DIGITS = {c: n for n, c in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_TENS = {"十": 10, "百": 100, "千": 1000}
_WHOLE_TENS = {"廿": "二十", "卅": "三十"}
_GROUPS = {"万": 10**4, "亿": 10**8}
_WORDS = {
    word: n
    for n, word in enumerate(
        re.findall(
            r"\w+",
            "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
            "fifteen sixteen seventeen eighteen nineteen",
        )
    )
} | {
    word: 10 * n
    for n, word in enumerate(
        re.findall(r"\w+", "twenty thirty forty fifty sixty seventy eighty ninety"), 2
    )
}
_ORDINALS = {
    word: n
    for n, word in enumerate(
        re.findall(r"\w+", "third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"),
        3,
    )
} | {"first": 1, "second": 2, "twice": 2, "once": 1}
_LARGE = {"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
NUMBER_WORDS = (*_WORDS, *_LARGE)
"""English words that a number consists of."""
_NOT_COUNTED = frozenset(("one", "first", "second", "once", "twice"))
"""In a claim these are words more often than figures."""

_MONTHS = re.findall(r"\w+", "jan feb mar apr may jun jul aug sep oct nov dec")
_MONTH = (
    r"(?P<word>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
HAN_NUMBER = "[零〇一二三四五六七八九十百千万亿两]"
_YEAR = r"(?P<y>\d{4})"
_DAY = r"(?P<d>\d{1,2})"
_DATES = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?<!\d){_YEAR}\s?[-/.年]\s?(?P<m>\d{{1,2}})\s?[-/.月]\s?{_DAY}(?!\d)",
        rf"\b{_MONTH}\s{_DAY}(?:st|nd|rd|th)?\b(?:,?\s{_YEAR}\b)?",
        rf"(?<!\d){_DAY}(?:st|nd|rd|th)?\s(?:of\s)?{_MONTH}(?:,?\s{_YEAR}\b)?",
        rf"(?<!\d){_YEAR}\s?年\s?(?P<m>\d{{1,2}})\s?月",
        rf"\b{_MONTH},?\s{_YEAR}\b",
        rf"(?<!\d)(?P<m>\d{{1,2}})\s?月\s?{_DAY}(?!\d)",
        rf"(?<![\d/.])(?P<m>\d{{1,2}})[/.]{_DAY}[/.]{_YEAR}(?!\d)",
    )
)
_TIME = re.compile(r"(?<!\d)(\d{1,2}):(\d\d)(?::\d\d)?(?!\d)")
_DECADE = re.compile(r"(?<!\d)(\d{2,4})(?:'?s\b|\s?年代)")
_HAN_DATE = re.compile(rf"{HAN_NUMBER}{{1,4}}(?=\s?[年月日号])")
# A hyphen after a letter or a digit joins; it is no sign.
_FIGURE = r"(?P<figure>(?:(?<![a-z\d%)])-)?(?<![\da-z_.])\d+(?:,\d{3})*(?:\.\d+)*)"
_SCALE = r"(?P<scale>\s?(?:hundred|thousand|million|billion|trillion)\b|\s?[百千万亿]{1,3})?"
_NUMBER = re.compile(
    rf"(?P<hundredths>百分之\s?)?(?:{_FIGURE}{_SCALE}"
    rf"|(?P<han>{HAN_NUMBER}{{1,20}}(?:点{HAN_NUMBER}{{1,9}})?))"
    r"(?P<percent>\s?(?:%|percent\b|per cent\b|个百分点))?"
)
_MINUS = re.compile(r"(?<!\w)(?:minus |零下\s?)(?=\d)|零下\s?(?=\d)")
_WORD = re.compile(r"[a-z]+|[^a-z\s-]")
_PERCENT = ("percent", "per")
_NO_FIGURES = re.compile(
    "万一|十分(?!钟|之)|千万(?=别|不)|百姓|一些|一样|一般|统一|唯一|一直|一起|一定|三明治|万物|四川|九江|三亚"
)


def stated(text: str) -> frozenset[str]:
    """Every value that a reader may take from ``text``: of a whole date also the month alone."""
    return frozenset().union(*_values(text, strict=False))


def claimed(text: str) -> list[frozenset[str]]:
    """The values that ``text`` claims; of each, the keys by which it may be stated."""
    return list(dict.fromkeys(_values(text, strict=True)))


def _values(text: str, *, strict: bool) -> list[frozenset[str]]:
    found: list[frozenset[str]] = []

    def take(pattern: re.Pattern[str], keys: Callable[[re.Match[str]], frozenset[str]]) -> str:
        """Note what stands in one form, and go on with the rest of the text."""

        def note(match: re.Match[str]) -> str:
            if value := keys(match):
                found.append(value)
                return " ; "
            return match[0]

        return pattern.sub(note, text)

    text = _MINUS.sub("-", normalised(text).casefold().replace("−", "-"))
    for char, tens in _WHOLE_TENS.items():
        text = text.replace(char, tens)
    text = _HAN_DATE.sub(lambda match: _in_digits(match[0]), text)
    for pattern in _DATES:
        text = take(pattern, lambda match: _date(match, strict))
    text = take(_TIME, lambda match: frozenset((f"{int(match[1])}:{match[2]}",)))
    text = take(_DECADE, lambda match: frozenset((f"{match[1]}s", f"{match[1][-2:]}s")))
    text = _NO_FIGURES.sub(" ", text)
    text = take(_NUMBER, lambda match: _number(match, strict))
    return found + list(_spelled(text, strict))


def _date(match: re.Match[str], strict: bool) -> frozenset[str]:
    parts = match.groupdict()
    month, day, year = _month(parts), int(parts.get("d") or 0), parts.get("y") or ""
    readings = [(month, day)]
    if day and year and match.start("m" if parts.get("m") else "word") < match.start("y"):
        # 3/5/2024 is read in two ways
        readings += [] if parts.get("word") else [(day, month)]
    keys: set[str] = set()
    for m, d in readings:
        if 1 <= m <= 12 and 0 <= d <= 31:
            pair = f"{m:02}-{d:02}" if d else f"{m:02}"
            keys.add(f"{year}-{pair}" if year else pair)
            if not strict:
                keys |= {str(m), str(d), pair} if d else {str(m)}
                keys |= {year, f"{year}-{m:02}"} if year else set()
    return frozenset(keys)


def _month(parts: dict[str, str | None]) -> int:
    word = parts.get("word")
    return _MONTHS.index(word[:3]) + 1 if word else int(parts["m"] or 0)


def _number(match: re.Match[str], strict: bool) -> frozenset[str]:
    if han := match["han"]:
        after = match.string[match.end() : match.end() + 1]
        alone = len(han) == 1 and not match["hundredths"]
        ordinal = match.string[match.start() - 1 : match.start()] == "第"
        if strict and alone and not ordinal and (han in "一百千万亿" or after not in COUNTED):
            return frozenset()
        value = _of_han(han)
    else:
        figure = match["figure"].replace(",", "")
        if figure.count(".") > 1:
            return frozenset((figure,))
        value = Decimal(figure) * _scaled(match["scale"] or "")
    key = _key(value)
    if match["percent"] or match["hundredths"]:
        return frozenset((f"{key}%",)) if strict else frozenset((f"{key}%", key))
    return frozenset((key,))


def _key(value: Decimal) -> str:
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text.lstrip("0") or "0"


def _scaled(scale: str) -> int:
    word = scale.strip()
    if word in _LARGE:
        return _LARGE[word]
    product = 1
    for char in word:
        product *= (_TENS | _GROUPS)[char]
    return product


def _in_digits(han: str) -> str:
    """«二〇二五» and «十二», as they stand in dates."""
    if len(han) > 1 and all(char in _DIGITS for char in han):
        return "".join(str(_DIGITS[char]) for char in han)
    return _key(_of_han(han))


def _of_han(han: str) -> Decimal:
    whole, _, decimals = han.partition("点")
    if len(whole) > 1 and all(char in _DIGITS for char in whole):
        value = Decimal("".join(str(_DIGITS[char]) for char in whole))
    else:
        value = Decimal(_composed(whole))
    fraction = "".join(str(_DIGITS.get(char, 0)) for char in decimals)
    return value + Decimal(f"0.{fraction}") if fraction else value


def _composed(han: str) -> int:
    total = group = digit = 0
    for char in han:
        if char in _DIGITS:
            digit = _DIGITS[char]
        elif char in _TENS:
            group += (digit or 1) * _TENS[char]
            digit = 0
        else:
            total = (total + group + digit or 1) * _GROUPS[char]
            group = digit = 0
    return total + group + digit


def _spelled(text: str, strict: bool) -> Iterator[frozenset[str]]:
    """Numbers in English words: «two hundred and five», «twenty-first», «nineteen eighty-four»."""
    run: list[str] = []
    for word in [*_WORD.findall(text), ""]:
        if word in _WORDS or word in _LARGE or word in _ORDINALS or (run and word == "and"):
            run.append(word)
            continue
        while run and run[-1] == "and":
            run.pop()
        if run and not (strict and set(run) <= _NOT_COUNTED) and run[0] not in _LARGE:
            key = str(_of_words(run))
            percent = {f"{key}%"} if word in _PERCENT else set()
            yield frozenset(percent or {key}) if strict else frozenset(percent | {key})
        run = []


def _of_words(run: list[str]) -> int:
    total = group = 0
    for word in run:
        if word in _LARGE and word != "hundred":
            total += (group or 1) * _LARGE[word]
            group = 0
        elif word == "hundred":
            group = (group or 1) * 100
        elif word != "and":
            value = _WORDS.get(word, _ORDINALS.get(word, 0))
            # «nineteen eighty-four» is a year
            group = group * 100 + value if 10 <= group < 100 and value >= 10 else group + value
    return total + group
