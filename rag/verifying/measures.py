"""Whether two sentences measure the same with a number: not 6 mm and 6 cm, nor 6 mm and 6 to 9."""

import re
from collections.abc import Iterator
from functools import lru_cache

from indexes.words import normalised

# Each line is one unit in all its forms; a number has one of them only.
_UNITS = tuple(
    frozenset(line.split())
    for line in (
        "mm millimetre millimetres millimeter millimeters 毫米 公厘",
        "cm centimetre centimetres centimeter centimeters 厘米 公分",
        "m metre metres meter meters 米 公尺",
        "km kilometre kilometres kilometer kilometers 千米 公里",
        "inch inches 英寸 英吋",
        "ft foot feet 英尺 英呎",
        "yd yard yards 码",
        "mile miles mi 英里",
        "mg milligram milligrams 毫克",
        "g gram grams 克 公克",
        "kg kilogram kilograms kilo kilos 千克 公斤",
        "ton tons tonne tonnes t 吨 公吨",
        "lb lbs pound pounds 磅",
        "ml millilitre millilitres milliliter milliliters 毫升",
        "l litre litres liter liters 升 公升",
        "ms millisecond milliseconds 毫秒",
        "second seconds sec 秒",
        "minute minutes min 分钟",
        "hour hours h 小时",
        "day days 天 日",
        "week weeks 周 星期 礼拜",
        "month months 个月",
        "year years 年 岁",
        "decade decades",
        "century centuries 世纪",
        "hectare hectares ha 公顷",
        "acre acres 英亩",
        "亩",
        "km2 km² 平方公里 平方千米",
        "m2 m² 平方米 平方公尺",
        "watt watts w 瓦",
        "kw kilowatt kilowatts 千瓦",
        "mw megawatt megawatts 兆瓦",
        "kb kilobyte kilobytes",
        "mb megabyte megabytes",
        "gb gigabyte gigabytes",
        "tb terabyte terabytes",
        "hz 赫兹",
        "khz 千赫",
        "mhz 兆赫",
        "ghz",
        "°c 摄氏度",
        "°f 华氏度",
        "dollar dollars usd 美元",
        "euro euros 欧元",
        "yuan rmb 元 人民币",
        "yen 日元",
        "percent % 个百分点",
    )
)
_OF = {form: unit for unit in _UNITS for form in unit}
_FORMS = "|".join(
    re.escape(form) + (r"(?![a-z\d²])" if form[-1].isalnum() and form.isascii() else "")
    for form in sorted(_OF, key=len, reverse=True)
)
_NUMBER = r"\d+(?:,\d{3})*(?:\.\d+)?"
# «6 to 9 mm» and «6–9 mm» give the unit to both.
_MEASURE = re.compile(
    rf"(?<![\d.a-z])(?:({_NUMBER})\s?(to|and|-|–|—|~|至|到)\s?)?({_NUMBER})[\s-]?({_FORMS})"
)
_AN_END = re.compile(
    r"\b(?:at least|at most|up to|from|minimum|maximum|no (?:more|less|fewer) than|between|until"
    r"|(?:more|less|fewer|greater|longer|shorter) than|over|under|or (?:more|less))\b"
    r"|至少|至多|最[多少大小高低长短]|不超过|不低于|不少于|以[上下内]|起"
)
"""How a claim says that its number is the end of a range."""


def measures_otherwise(claim: str, sentence: str) -> bool:
    """Whether a number of ``claim`` stands in ``sentence`` in another measure: with other units, or
    as the end of a range where the claim gives it for the whole."""
    return in_other_units(claim, sentence) or _halves_range(claim, sentence)


def in_other_units(claim: str, sentence: str) -> bool:
    """Whether a number of ``claim`` with a unit stands in ``sentence`` with other units only."""
    said = list(_measures(sentence))
    return any(
        stated and unit not in stated
        for number, unit in _measures(claim)
        for stated in [{other for n, other in said if n == number}]
    )


def _halves_range(claim: str, sentence: str) -> bool:
    if _AN_END.search(normalised(claim).casefold()):
        return False
    numbers = {n for match in _matches(claim) for n in match.group(1, 3) if n}
    found = _matches(sentence)
    alone = {match[3] for match in found if not _is_range(match)}
    ranges = [{match[1], match[3]} for match in found if _is_range(match)]
    return any(
        len(ends & numbers) == 1 and not ends & numbers & alone for ends in ranges if len(ends) > 1
    )


def _is_range(match: re.Match[str]) -> bool:
    beyond = match.string[: match.start()]
    return bool(match[1]) and (match[2] != "and" or beyond.endswith("between "))


def _measures(text: str) -> Iterator[tuple[str, frozenset[str]]]:
    for match in _matches(text):
        for number in match.group(1, 3):
            if number:
                yield number.replace(",", ""), _OF[match[4]]


@lru_cache(maxsize=256)
def _matches(text: str) -> tuple[re.Match[str], ...]:
    return tuple(_MEASURE.finditer(normalised(text).casefold()))
