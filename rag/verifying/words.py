"""The words of a text that carry its meaning, and which of them another text holds."""

import re
from collections.abc import Iterable

import rjieba

from indexes.folding import HAN, fold, is_han
from indexes.words import terms

_RUN = re.compile(rf"{HAN}+|(?:(?!{HAN})[^\W_])+")
_HAN_GAP = re.compile(rf"(?<={HAN})[^\S\n]*\n\s*(?={HAN})")
COUNTED = "年月日号天个只群种次岁人元米克公斤度倍名座条位张层级届周章分秒小时点块支瓶头部本家所篇"
"""What may stand behind a Chinese numeral."""
_FUNCTION_WORDS = frozenset(
    re.findall(
        r"\w+",
        "a an the and or but of to in on at by for from with as is are was were be been being it "
        "its this that these those he she they him his her their there which who whom whose what "
        "when where how why do does did has have had not no also than then so such can could will "
        "would may might should must about into over under after before because if while both each "
        "january february march april june july august september october november december "
        "i we you our your us me my them one s t yes most some all any only very "
        "因为 所以 但是 而且 并且 以及 或者 如果 由于 因此 是因为 这个 那个 这些 那些 它们 他们 "
        "她们 我们 你们 可以 能够 没有 不是 就是 还是 已经 之一 其中 进行 一个 一种 以下 根据 资料 "
        "通过 对于 关于 使得 所述 属于 是的 不是的",
    )
)
_REFERS = re.compile(
    r"\b(?:he|she|it|they|his|her|its|their|him|them|this|these|those|such)\b"
    r"|[他她它其该該此这這](?!中|次|外|后|後|前|时|時|余|餘|他)",
    re.IGNORECASE,
)
_ASKING = frozenset(
    re.findall(
        r"\w+",
        "year date many much kind type sort name named called often long "
        "什么 哪里 哪儿 哪年 哪个 哪些 哪位 哪种 哪一年 谁 多少 多少钱 多大 多长 多高 多久 怎么 "
        "怎样 如何 为什么 为何 何时 何地 何种 几个 几年 几种 什么样 是否 时候 时间 名字 分别 哪一 "
        "多少年 多少天 多少次 多少个 哪天 几天 几次 一年 哪国 哪座 何人 请问 一下 什么时候 年份",
    )
)
# Other usual words for the same event: without them «founded in 1998» is not found in
# «established in 1998», which every reader takes for the same.
_ALIKE = (
    "found founded founding establish established start started begin began begun create created "
    "opened open set launched formed form origin originated",
    "die died death dead killed passed",
    "born birth",
    "win won winning receive received award awarded awards prize shared earned",
    "write wrote written author published publish book",
    "build built construct constructed construction completed erected",
    "make made produce produced manufacture manufactured",
    "live lives lived life lifespan inhabit",
    "cost costs price sell sells sold worth",
    "big large size area wide width",
    "people population inhabitants residents persons",
    "movie film films movies",
    "创建 成立 创办 建立 设立 始建 兴建 创立 组建 建成 开办 创始 建于 始建于 建造 建场",
    "去世 逝世 死亡 病逝 辞世 身亡 死于 卒于",
    "出生 生于 诞生 出生于",
    "获得 荣获 取得 赢得 夺得 得到 获颁",
    "发表 出版 发行 推出 发布 问世 上映",
    "位于 坐落 地处 坐落于",
    "担任 出任 任职 就任 当选",
    "毕业 就读 毕业于 就读于",
    "价格 售价 单价 多少钱",
)


def content_words(text: str) -> list[str]:
    """The distinct words of ``text`` that carry meaning, folded: words of letters and numbers
    but for common function words, and Chinese words of two characters and more."""
    return list(dict.fromkeys(ordered_words(text)))


def ordered_words(text: str) -> list[str]:
    """The same words one after another, repetitions kept."""
    words: list[str] = []
    for run in _RUN.findall(fold(text).text):
        pieces = rjieba.cut(run) if is_han(run[0]) else [run]
        words += [p for p in pieces if p not in _FUNCTION_WORDS and _heavy(p)]
    return words


def refers(text: str) -> bool:
    """Whether a sentence speaks of something that was named before it."""
    return bool(_REFERS.search(text))


def asked_words(question: str) -> list[str]:
    """The content words of a question without those that only ask, such as «which year»."""
    return [word for word in content_words(question) if word not in _ASKING]


def line_of(text: str) -> str:
    """A text on one line. Between Chinese characters a line break is no blank."""
    return " ".join(_HAN_GAP.sub("", text).split())


def is_figure(word: str) -> bool:
    """Whether a word is a number, in digits or written out: «3rd», «三十», «三十七个», but not
    «三角形»."""
    counted = word[:-1] if len(word) > 1 and word[-1] in COUNTED else word
    return word[0].isdigit() or all(char.isnumeric() for char in counted)


def _heavy(word: str) -> bool:
    return len(word) > 1 or not is_han(word[0])


class Vocabulary:
    """The words of a text, to look others up in."""

    def __init__(self, folded: str) -> None:
        self._folded = folded
        self._terms = set(terms(folded))

    def __contains__(self, word: str) -> bool:
        """English words in any inflection, Chinese ones anywhere; both in other usual words."""
        return any(self._has(form) for form in _forms(word))

    def held(self, words: Iterable[str]) -> float:
        """The share of ``words`` (from `content_words`) that the text holds, 0..1; none: 1."""
        asked = list(words)
        return sum(word in self for word in asked) / len(asked) if asked else 1.0

    def _has(self, word: str) -> bool:
        if is_han(word[0]):
            return word in self._folded
        return not self._terms.isdisjoint(terms(word))


def _forms(word: str) -> tuple[str, ...]:
    return _SAME.get(word, (word,))


_SAME = {
    word: tuple(dict.fromkeys((word, *group.split()))) for group in _ALIKE for word in group.split()
}
