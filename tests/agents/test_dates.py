"""Dates, as they are written in English, in Chinese and by ISO 8601."""

from contextlib import suppress
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.tools import BaseTool

from agents.toolbox.dates import added, date_of, date_tools, zone_of
from agents.toolbox.effects import effect_of, is_tainted
from indexes.errors import UsageError

NOW = datetime(2024, 2, 10, 23, 30, tzinfo=UTC)
TODAY = NOW.date()


@pytest.fixture
def tools() -> dict[str, BaseTool]:
    return {tool.name: tool for tool in date_tools(lambda: NOW)}


def test_today_is_told_with_its_day_of_the_week(tools: dict[str, BaseTool]) -> None:
    assert tools["today"].invoke({}) == "2024-02-10 (Saturday, 星期六), 23:30 (UTC+00:00)"


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "asia/shanghai", "Shanghai", "北京时间", "UTC+8",
                                  "GMT+08:00", "+8", " Beijing "])  # fmt: skip
def test_it_is_already_tomorrow_in_the_east(tools: dict[str, BaseTool], zone: str) -> None:
    told = tools["today"].invoke({"timezone": zone})
    assert told == "2024-02-11 (Sunday, 星期日), 07:30 (UTC+08:00)"


def test_the_computers_clock_is_asked_by_default() -> None:
    today = date_tools()[0].invoke({"timezone": "UTC"})
    assert abs(date.fromisoformat(today[:10]) - datetime.now(UTC).date()) <= timedelta(days=1)


@pytest.mark.parametrize(
    "zone", ["Nowhere", "UTC+99", "../../etc/passwd", "Europe/Berlinn", "x" * 999]
)
def test_an_unknown_time_zone_names_one(zone: str) -> None:
    with pytest.raises(UsageError, match=r"Write it as \S+ or UTC\+8\."):
        zone_of(zone)


def test_the_nearest_time_zone_is_named() -> None:
    with pytest.raises(UsageError, match="Write it as Europe/Berlin"):
        zone_of("Europe/Berlinn")


@pytest.mark.parametrize(
    "text",
    [
        "2024-03-05", "2024/3/5", "2024.03.05", "20240305", "2024-03-05T12:30:00Z", "5 March 2024",
        "5th of March 2024", "March 5, 2024", "Mar. 5 2024", "mar 5th, 2024", "2024年3月5日",
        "2024 年 3 月 5 日", "2024年03月05号", "二〇二四年三月五日", "二零二四年三月五号",
        "２０２４年３月５日", " «2024-03-05» ",
    ],
)  # fmt: skip
def test_a_date_is_read(text: str) -> None:
    assert date_of(text, TODAY) == date(2024, 3, 5)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("today", 10), ("Tomorrow", 11), ("yesterday", 9), ("今天", 10), ("明天", 11), ("昨天", 9),
        ("前天", 8), ("后天", 12), ("13/2/2024", 13), ("2/13/2024", 13), ("2.2.2024", 2),
        ("二〇二四年二月二十九日", 29), ("二〇二四年二月十日", 10), ("二〇二四年二月十二日", 12),
        ("二〇二四年二月二十日", 20),
    ],
)  # fmt: skip
def test_other_ways_to_say_a_date(text: str, day: int) -> None:
    assert date_of(text, TODAY) == date(2024, 2, day)


@pytest.mark.parametrize("text", ["3/2/2024", "10-02-24", "soon", "", "2024", "March", "5 Foo 2024",
                                  "2024-03/05", "1" * 500, "__import__('os')"])  # fmt: skip
def test_what_may_be_another_date_is_not_guessed(text: str) -> None:
    with pytest.raises(UsageError, match="Write it as 2024-02-10"):
        date_of(text, TODAY)


@pytest.mark.parametrize(
    "text", ["2023-02-29", "2024-13-01", "0000-01-01", "2024年2月30日", "20241301"]
)
def test_a_day_that_does_not_exist_is_said_so(text: str) -> None:
    with pytest.raises(UsageError, match="in the calendar"):
        date_of(text, TODAY)


@pytest.mark.parametrize(
    ("amount", "result"),
    [
        ("1 day", "2024-02-01"), ("+1 day", "2024-02-01"), ("-1 day", "2024-01-30"),
        ("2 weeks", "2024-02-14"), ("2周", "2024-02-14"), ("两周", "2024-02-14"),
        ("10天", "2024-02-10"),
        ("九十天", "2024-04-30"), ("10天前", "2024-01-21"), ("10 days ago", "2024-01-21"),
        ("1 month", "2024-02-29"), ("一个月", "2024-02-29"), ("-2 months", "2023-11-30"),
        ("13 months", "2025-02-28"), ("1 year", "2025-01-31"), ("-1年", "2023-01-31"),
        ("0 days", "2024-01-31"),
    ],
)  # fmt: skip
def test_an_amount_of_time_is_added(amount: str, result: str) -> None:
    assert added(date(2024, 1, 31), amount) == date.fromisoformat(result)


@pytest.mark.parametrize("amount", ["soon", "3", "3 apples", "1.5 days", "", "3 hours"])
def test_an_amount_that_cannot_be_added_names_one_that_can(amount: str) -> None:
    with pytest.raises(UsageError, match="90 days"):
        added(TODAY, amount)


@pytest.mark.parametrize(
    "amount", ["9999999 years", "-9999999 days", "3000 years ago", "9999999 weeks"]
)
def test_the_calendar_ends(amount: str) -> None:
    with pytest.raises(UsageError, match="1 to 9999"):
        added(TODAY, amount)


def test_dates_are_reckoned_with(tools: dict[str, BaseTool]) -> None:
    reckon = tools["calculate_date"]
    assert reckon.invoke({"start": "2024-02-10"}) == "2024-02-10 (Saturday, 星期六), week 6 of 2024"
    assert reckon.invoke({"start": "today", "add": "90 days"}).startswith(
        "2024-05-10 (Friday, 星期五) = 2024-02-10 + 90 days"
    )
    assert reckon.invoke({"start": "2024-02-10", "until": "2024年5月10日"}) == (
        "90 days (12 weeks and 6 days) = "
        "2024-02-10 (Saturday, 星期六) → 2024-05-10 (Friday, 星期五)"
    )
    assert reckon.invoke({"start": "2024-02-10", "until": "2024-02-07"}).startswith("-3 days = ")
    with pytest.raises(UsageError, match="not both"):
        reckon.invoke({"start": "today", "add": "1 day", "until": "tomorrow"})


def test_null_is_as_if_it_were_left_out(tools: dict[str, BaseTool]) -> None:
    told = tools["calculate_date"].invoke({"start": "2024-02-10", "add": None, "until": None})
    assert told.startswith("2024-02-10 (Saturday")


def test_the_tools_change_nothing_and_bring_nothing_from_outside(
    tools: dict[str, BaseTool],
) -> None:
    assert {(effect_of(tool), is_tainted(tool)) for tool in tools.values()} == {("read", False)}


@given(st.dates(), st.integers(-400_000, 400_000))
def test_days_are_added_as_python_adds_them(start: date, days: int) -> None:
    try:
        expected = start + timedelta(days=days)
    except OverflowError:
        with pytest.raises(UsageError):
            added(start, f"{days} days")
    else:
        assert added(start, f"{days} days") == expected


@given(st.dates(min_value=date(1000, 1, 1)))
def test_a_written_date_is_read_again(day: date) -> None:
    forms = ("%Y-%m-%d", "%Y/%m/%d", "%Y%m%d", "%d %B %Y", "%B %d, %Y", "%b %d %Y", "%Y年%m月%d日")
    assert {date_of(day.strftime(form), TODAY) for form in forms} == {day}


@given(st.text(max_size=80))
def test_whatever_is_written_is_a_date_or_is_refused(text: str) -> None:
    for read in (lambda: date_of(text, TODAY), lambda: added(TODAY, text), lambda: zone_of(text)):
        with suppress(UsageError):
            read()
