"""The calendar: what day it is, and reckoning with dates."""

import calendar
import difflib
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import Final

from langchain_core.tools import BaseTool
from pydantic import Field

from agents.toolbox.making import Arguments, Words, tool_of
from indexes.errors import UsageError
from indexes.i18n import t

Clock = Callable[[], datetime]

_MONTHS: Final = {name.lower(): n for n, name in enumerate(calendar.month_name) if n}
_MONTHS.update({name.lower(): n for n, name in enumerate(calendar.month_abbr) if n})
_MONTHS["sept"] = 9
_RELATIVE: Final = {
    "today": 0, "now": 0, "tomorrow": 1, "yesterday": -1,
    "今天": 0, "今日": 0, "现在": 0, "明天": 1, "明日": 1, "昨天": -1, "昨日": -1,
    "后天": 2, "前天": -2, "大后天": 3, "大前天": -3,
}  # fmt: skip
_DIGITS: Final = {digit: n for n, digit in enumerate("〇一二三四五六七八九")} | {"零": 0, "两": 2}
_UNITS: Final = {
    "days": "day days d 天 日", "weeks": "week weeks w 周 星期 礼拜",
    "months": "month months 月 个月", "years": "year years y 年",
}  # fmt: skip
_UNIT_OF: Final = {word: unit for unit, words in _UNITS.items() for word in words.split()}
_ISO: Final = re.compile(r"(\d{4})([-/.])(\d{1,2})\2(\d{1,2})(?:[t ]\d{2}:\d{2}\S*)?")
_COMPACT: Final = re.compile(r"(\d{4})(\d{2})(\d{2})")
_HAN: Final = re.compile(r"(\d{4})年(\d{1,2})月(\d{1,2})[日号]?")
_DAY_FIRST: Final = re.compile(r"(\d{1,2})(?:st|nd|rd|th)?(?: of)? ([a-z]+)\.?,? (\d{4})")
_MONTH_FIRST: Final = re.compile(r"([a-z]+)\.? (\d{1,2})(?:st|nd|rd|th)?,? (\d{4})")
_EITHER: Final = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4})")
_AMOUNT: Final = re.compile(r"([+-]?)(\d{1,7}) ?([a-z]+|个月|[天日周月年]|星期|礼拜)[前后]?")
_OFFSET: Final = re.compile(r"(?:utc|gmt)?([+-])(\d{1,2})(?::?(\d{2}))?")
_ZONES: Final = dict.fromkeys(
    ("北京时间", "北京", "上海", "中国", "beijing", "china"), "Asia/Shanghai"
)
_WEEKDAYS_ZH: Final = "一二三四五六日"
_LONGEST: Final = 60


class TodayArguments(Arguments):
    """Where."""

    timezone: Words = Field(default="", description="such as Asia/Shanghai or UTC+8")


class DateArguments(Arguments):
    """A date, and what is to be reckoned from it."""

    start: str = Field(description='such as 2024-02-10, 2024年2月10日 or "today"')
    add: Words = Field(default="", description='such as "90 days", "-2 weeks", "1 year"')
    until: Words = Field(default="", description="another date, to count the days")


def date_tools(now: Clock | None = None) -> tuple[BaseTool, ...]:
    """``today`` and ``calculate_date``. ``now`` tells the time, with its zone; by default the
    computer's clock."""
    days = _Calendar(now or (lambda: datetime.now().astimezone()))
    return (
        tool_of(days.today, TodayArguments, tainted=False),
        tool_of(days.calculate_date, DateArguments, tainted=False),
    )


class _Calendar:
    def __init__(self, now: Clock) -> None:
        self._now = now

    def today(self, timezone: str = "") -> str:
        """Tells the date, the weekday and the time."""
        moment = self._now()
        if timezone.strip():
            moment = moment.astimezone(zone_of(timezone))
        return f"{_told(moment.date())}, {moment:%H:%M} ({_offset(moment)})"

    def calculate_date(self, start: str, add: str = "", until: str = "") -> str:
        """Tells a date's weekday, the date so much later or earlier, or the days until another."""
        today = self._now().date()
        first = date_of(start, today)
        if add.strip() and until.strip():
            raise UsageError(t("Give either add or until, not both."))
        if add.strip():
            return f"{_told(added(first, add))} = {first} + {' '.join(add.split())}"
        if until.strip():
            return _between(first, date_of(until, today))
        year, week, _ = first.isocalendar()
        return f"{_told(first)}, {t('week {week} of {year}', week=week, year=year)}"


def date_of(text: str, today: date) -> date:
    """The date that ``text`` names, as it is written in English, in Chinese or by ISO 8601. Raises
    `UsageError` for anything else, and for a day that no calendar has."""
    plain = _plain(text)
    if plain in _RELATIVE:
        return today + timedelta(days=_RELATIVE[plain])
    try:
        found = _parts(plain)
        if found is not None:
            return date(*found)
    except ValueError:
        raise UsageError(
            t("There is no day «{date}» in the calendar.", date=_short(text))
        ) from None
    raise UsageError(
        t("«{date}» is not a date that can be read. Write it as 2024-02-10.", date=_short(text))
    )


def added(start: date, text: str) -> date:
    """The date that is ``text``, such as ``90 days`` or ``-2 months``, after ``start``; a day that
    its month does not have becomes the last of it. Raises `UsageError`."""
    match = _AMOUNT.fullmatch(_plain(text).removesuffix(" ago").removesuffix(" later"))
    unit = _UNIT_OF.get(match[3]) if match else None
    if match is None or unit is None:
        raise UsageError(
            t(
                "«{amount}» cannot be added to a date. Write a number of days, weeks, months or "
                "years, such as «90 days».",
                amount=_short(text),
            )
        )
    back = match[1] == "-" or _plain(text).endswith((" ago", "前"))
    count = -int(match[2]) if back else int(match[2])
    try:
        if unit in ("days", "weeks"):
            return start + timedelta(**{unit: count})
        return _moved(start, count if unit == "months" else 12 * count)
    except (OverflowError, ValueError):
        raise UsageError(t("The calendar has only the years 1 to 9999.")) from None


def zone_of(name: str) -> tzinfo:
    """The time zone of that name or offset. Raises `UsageError`, which names the nearest."""
    from zoneinfo import ZoneInfo, available_timezones

    plain = _plain(name)
    if plain in ("utc", "gmt", "z"):
        return UTC
    if (offset := _OFFSET.fullmatch(plain)) and int(offset[2]) <= 14 and int(offset[3] or 0) < 60:
        minutes = int(offset[2]) * 60 + int(offset[3] or 0)
        return timezone(timedelta(minutes=-minutes if offset[1] == "-" else minutes))
    known = {one.lower(): one for one in available_timezones()}
    wanted = _ZONES.get(plain, plain.replace(" ", "_")).lower()
    cities = {one.rsplit("/", 1)[-1]: full for one, full in sorted(known.items()) if "/" in one}
    if found := known.get(wanted) or cities.get(wanted):
        return ZoneInfo(found)
    places = [one for one in known if "/" in one]
    near = difflib.get_close_matches(wanted, [*places, *cities], n=1)
    example = (known.get(near[0]) or cities[near[0]]) if near else "Asia/Shanghai"
    raise UsageError(
        t(
            "There is no time zone «{name}». Write it as {example} or UTC+8.",
            name=_short(name),
            example=example,
        )
    )


def _plain(text: str) -> str:
    """``text`` with ordinary digits, small letters and single spaces."""
    import unicodedata

    folded = unicodedata.normalize("NFKC", text[:_LONGEST]).lower().replace("−", "-")
    folded = " ".join(folded.split()).strip("\"'«»“”.")
    if re.search("[年月周天日]|星期|礼拜", folded):
        folded = _arabic(folded.replace(" ", ""))
    return folded


def _arabic(text: str) -> str:
    """Chinese numbers of a date as digits: 二〇二四年十二月三十一日."""

    def value(match: re.Match[str]) -> str:
        tens, ten, ones = match[0].partition("十")
        if not ten:
            return "".join(str(_DIGITS[digit]) for digit in match[0])
        if len(tens) > 1 or len(ones) > 1:
            return match[0]
        return str(10 * _DIGITS.get(tens, 1) + _DIGITS.get(ones, 0))

    return re.sub(r"[〇零一二两三四五六七八九十]+", value, text)


def _parts(plain: str) -> tuple[int, int, int] | None:
    if match := _ISO.fullmatch(plain):
        return int(match[1]), int(match[3]), int(match[4])
    if match := _COMPACT.fullmatch(plain) or _HAN.fullmatch(plain):
        return int(match[1]), int(match[2]), int(match[3])
    if (match := _DAY_FIRST.fullmatch(plain)) and match[2] in _MONTHS:
        return int(match[3]), _MONTHS[match[2]], int(match[1])
    if (match := _MONTH_FIRST.fullmatch(plain)) and match[1] in _MONTHS:
        return int(match[3]), _MONTHS[match[1]], int(match[2])
    if match := _EITHER.fullmatch(plain):
        return _day_and_month(int(match[1]), int(match[3]), int(match[4]))
    return None


def _day_and_month(first: int, second: int, year: int) -> tuple[int, int, int] | None:
    """What 13/2/2024 means, where only one of the two numbers can be a month, or both are one."""
    if first == second or second > 12:
        return year, first, second
    return (year, second, first) if first > 12 else None


def _moved(start: date, months: int) -> date:
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    if not 1 <= year <= 9999:
        raise ValueError
    return date(year, month + 1, min(start.day, calendar.monthrange(year, month + 1)[1]))


def _between(first: date, second: date) -> str:
    days = (second - first).days
    weeks, rest = divmod(abs(days), 7)
    shown = t("{days} days", days=days)
    if weeks:
        shown += f" ({t('{weeks} weeks and {days} days', weeks=weeks, days=rest)})"
    return f"{shown} = {_told(first)} → {_told(second)}"


def _told(day: date) -> str:
    """A date with its day of the week, in both languages."""
    return f"{day} ({calendar.day_name[day.weekday()]}, 星期{_WEEKDAYS_ZH[day.weekday()]})"


def _offset(moment: datetime) -> str:
    """UTC+08:00."""
    digits = f"{moment:%z}"
    return f"UTC{digits[:3]}:{digits[3:5]}"


def _short(text: str) -> str:
    return " ".join(text.split())[:_LONGEST]
