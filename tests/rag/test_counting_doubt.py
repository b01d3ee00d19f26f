"""What may mean something else than a count is a search, and no question takes long to read."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.counting import count_query

SEARCHED = [
    # A place, a time or a person before 被提到.
    "手册里蜜蜂被提到几次", "第三章里蜜蜂被提到几次", "去年蜜蜂被提到几次", "今天被提到几次",
    "今天蜜蜂被提到几次", "小明昨天被提到几次", "他被提到几次", "月饼被提到几次？",
    "全书蜜蜂被提到几次？", "春季蜜蜂被提到几次？",
    "说蜜蜂的书被提到几次？",
    # Times that may be about the world.
    "How many times was Napoleon mentioned in 2020?",
    "How many times was Napoleon mentioned since 2020?",
    "How many times was Karl Holm mentioned in 2020?",
    "How many times is Napoleon mentioned in English?",
    # Two conditions that no document fulfils.
    "How many English documents in Chinese mention bees?",
    "How many documents from 2023 in 2024 mention bees?",
    "有多少中文的英文文档提到“蜜蜂”？",
    # Any of a kind.
    "How many documents do not mention a date?", "How many documents do not mention an author?",
    "How many documents do not mention the price?", "How many documents do not mention any author?",
    "How many documents do not mention authors?", "How many documents do not mention anyone?",
    "有多少文档没有提到任何人？", "有多少文档没有提到人名？",
    # No phrase, or two in one.
    "多少文件提到了", "有多少文件提到了？", "提到飞机或火车票的文档有几份？",
]  # fmt: skip
PHRASES = [
    "Passwords in /etc/passwd", "Docker in /var/lib", "Files in /tmp/", "Docker in “/var/lib”",
    "Songs in English", "Teaching in English", "Literature in English", "The Office in English",
    "Germany between 1933 and 1945", "Germany before 1945", "Europe since 1945",
    "Britain after 1945", "life or death", "trick or treat", "dead or alive", "War or Peace",
    "bees or wasps", "the or a", "both the and the", "both bees and Bees", "“bee” or “bee”", "the",
    "a date", "prices", "bees explicitly", "bees excluding wasps", "bees & wasps", "bees&wasps",
    "bees + wasps", "bees/wasps", "bees plus wasps", "bees besides wasps", "just bees",
    "bees already", "bees etc", "bees please", "nothing", "anything", "nobody",
]  # fmt: skip
CHINESE_PHRASES = [
    "直接或间接", "一个或多个", "部分或全部", "飞机或火车票", "蜜蜂或黄蜂", "A或B",
    "蜜蜂而不提黄蜂", "蜜蜂不提黄蜂", "蜜蜂三次", "蜜蜂两次以上", "蜜蜂至少两遍", "除蜜蜂外",
    "蜜蜂还有黄蜂", "蜜蜂加黄蜂", "蜜蜂等", "蜜蜂除外", "不止蜜蜂",
    "蜜蜂吗", "它", "他", "这些", "以上两者", "任何人", "人名",
    "“蜂”和“蜂”",
]  # fmt: skip
COUNTED = [
    ("How many documents mention both mother and daughter?", None, "mother"),
    ("How many documents mention either bees or wasps?", None, "bees"),
    ("How many documents mention “Songs” in English?", 'lang = "en"', "Songs"),
    ("How many documents mention Karl Holm before 1945?", "year < 1945", "Karl Holm"),
    ("How many documents mention “Europe” since 1945?", "year >= 1945", "Europe"),
    ("How many documents mention bees modified since 2024?", 'modified >= "2024"', "bees"),
    ("How many documents mention Docker under /var/lib?", 'source like "/var/lib/*"', "Docker"),
    ("How many documents mention “Files” in /tmp/?", 'source like "/tmp/*"', "Files"),
    ("How many documents mention bees in reports/?", 'source like "reports/*"', "bees"),
    ("How many documents mention R&D?", None, "R&D"),
    ("How many documents do not mention “a date”?", None, "a date"),
    ("How many times was “Napoleon” mentioned in 2020?", "year = 2020", "Napoleon"),
    ("Karl被提到几次？", None, "Karl"),
    ("有多少文档提到加拿大？", None, "加拿大"),
    ("有多少文档提到过过滤？", None, "过滤"),
    ("有多少文档提到过滤？", None, "过滤"),
    ("有多少文档提到了解？", None, "了解"),
    ("有多少文档提到了蜜蜂？", None, "蜜蜂"),
    ("在src/app里的文件有哪些？", 'source like "src/app/*"', None),
    ("在reports/目录下的文件有哪些？", 'source like "reports/*"', None),
    ("2020年到2022年的文档有哪些？", "year >= 2020 and year <= 2022", None),
    ("资料/下的2024年的英文的文件有哪些？",
     'source like "资料/*" and year = 2024 and lang = "en"', None),
    # The examples of the READMEs.
    ("How many documents mention «mites»?", None, "mites"),
    ("How many documents do not mention «mites»?", None, "mites"),
    ("How many documents mention both «mites» and «heather»?", None, "mites"),
    ("How many times is «mites» mentioned?", None, "mites"),
    ("Which files are from 2024?", "year = 2024", None),
    ("有多少份文档提到蜂螨？", None, "蜂螨"),
    ("哪些文件是 2024 年的？", "year = 2024", None),
    ("有多少文档没有提到蜂螨？", None, "蜂螨"),
    ("哪些文档同时提到蜂螨和蜜源？", None, "蜂螨"),
    ("蜂螨被提到多少次？", None, "蜂螨"),
]  # fmt: skip


@pytest.mark.parametrize("question", SEARCHED)
def test_a_question_in_doubt_is_searched_for(question: str) -> None:
    assert count_query(question) is None


@pytest.mark.parametrize("phrase", PHRASES)
def test_a_phrase_in_doubt_is_searched_for(phrase: str) -> None:
    assert count_query(f"How many documents mention {phrase}?") is None


@pytest.mark.parametrize("phrase", CHINESE_PHRASES)
def test_a_chinese_phrase_in_doubt_is_searched_for(phrase: str) -> None:
    assert count_query(f"有多少文档提到{phrase}？") is None


@pytest.mark.parametrize(("question", "where", "phrase"), COUNTED)
def test_what_is_clear_is_still_counted(
    question: str, where: str | None, phrase: str | None
) -> None:
    found = count_query(question)
    assert found is not None
    assert (found.where, found.mentions) == (where, phrase)


SLOW = [
    "在a/里" * 10 + "x",
    "/里" * 20,
    "/里" * 150,
    "目录结构是src/app里的models/里的base/下的core/中的utils/里的io/里的json/下的parser/里面的main/"
    "中的配置是什么",
    "提到蜜蜂的" + "中文的" * 97 + "!x",
    "2024年" + " " * 285 + " are there",
    "2024年" + "/" * 290 + "!x",
    "提到蜜蜂的" + "a/里" * 90 + "x",
    "How many documents mention a in " + "/" * 260 + "!x",
    "How many documents mention a" + " in English" * 24 + " x",
    "How many times is a mentioned" + " in a/" * 44 + " x",
]
FRAGMENTS = (
    "在a/里", "/里", "/", "里", "下面", "中", "的", "a", "目录", "中文的", "中文", "2024年",
    "2024", "到", " ", "提到", "提到蜜蜂的", "没有", "过", "了", "或", "和", "被提到", "几次",
    "有多少", "哪些", "列出", "文档", "都是", "修改", "“a”", "'", "!", "x", "how many documents",
    "how many times is", " in ", " in a/", " in English", " since 2024", " are there",
    " mention ", " mentioned", " and ", " or ", "both ", "the ", " modified",
    " between 2020 and 2022", " not ", "b.md", ",",
)  # fmt: skip
STARTS = (
    "",
    "有多少文档提到",
    "提到蜜蜂的",
    "How many documents ",
    "How many times is a mentioned",
)


def seconds(question: str) -> float:
    start = time.process_time()
    count_query(question)
    return time.process_time() - start


@pytest.mark.parametrize("question", SLOW)
def test_no_question_takes_long_to_read(question: str) -> None:
    assert seconds(question) < 0.25


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(STARTS),
    st.lists(st.sampled_from(FRAGMENTS), min_size=1, max_size=5),
    st.sampled_from(("", "x", "!x", "文档有几份")),
)
def test_no_question_of_repeated_fragments_takes_long(
    start: str, fragments: list[str], end: str
) -> None:
    part = "".join(fragments)
    room = 300 - len(start) - len(end)
    assert seconds(start + part * (room // len(part)) + end) < 0.25


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(FRAGMENTS), min_size=20, max_size=150))
def test_no_question_of_mixed_fragments_takes_long(fragments: list[str]) -> None:
    assert seconds("".join(fragments)[:300]) < 0.25
