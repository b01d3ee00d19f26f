"""The Chinese questions about the documents themselves, in simplified or traditional characters;
see `rag.counting`."""

import re

from indexes.folding import HAN, fold
from indexes.words import normalised, terms
from rag.counting_grammar import (
    FILE,
    FORMAT,
    SIGN,
    YEAR,
    CountQuery,
    How,
    Kind,
    Masked,
    What,
    of_noun,
    together,
    unnamed,
)  # fmt: skip

_UNIT = "(?:个|份|篇|条|段)?"
_NOUN = rf"(?P<what>段落)|(?:{FORMAT}\s*)?(?:文档|文件)|(?P<pdfs>pdf)"
_STEP = r"(?:(?!目录|文件夹|资料夹)[^\s,，/里中下的])*+"
_PATH = rf"(?P<path>{SIGN}|{_STEP}(?:/{_STEP})++)"
_CONDITION = (
    rf"在?\s*(?:(?P<first>{YEAR})\s*年?[到至](?P<last>{YEAR})\s*年?"
    rf"|(?P<year>{YEAR})\s*年?(?P<compared>以来|以后|之后|以前|之前|)|(?P<lang>中文|汉语|英文|英语)"
    rf"|{_PATH}\s*(?:目录|文件夹|资料夹)?(?:下面|下|里面|里|中))(?:(?P<touched>修改|改动))?(?:过)?的?\s*"
)
_NOT = "(?P<negated>(?:从来?)?(?:没有?|未曾?|不))"
_MENTIONS = (
    "(?:提到|提及)(?:过(?![滤敏去程度年期节于多冬渡错失剩热冷夏氧境户关路时]))?+"
    "(?:了(?![解结却]|不起))?+"
)
_SAYS = rf"(?P<together>同时)?都?(?:{_NOT}|有)?(?:{_MENTIONS}|(?P<holds>包含|含有))\s*"
_MENTION = rf"{_SAYS}(?P<phrase>.+?)"
_HERE = r"(?:集合里|索引里|库里|这里|我的|我们的)?"
_ASKED = rf"(?:一共|总共|共)?(?:有)?(?:多少|几){_UNIT}"
_CONDITIONS = rf"(?:{unnamed(_CONDITION)})"
_FEW = "{0,3}"
_ANY = rf"{_HERE}(?P<conditions>{_CONDITIONS}{_FEW})"
_WITH = rf"(?P<conditions>{_CONDITIONS}{_FEW})(?:{_NOUN})\s*"
_OF = rf"{_ANY}(?:{_MENTION}的(?P<further>{_CONDITIONS}{_FEW}))?\s*(?:{_NOUN})\s*"
_ARE = rf"(?:都?是)\s*(?P<conditions>{_CONDITIONS}{_CONDITIONS}?)"
_COUNTS = (
    rf"{_HERE}{_ASKED}\s*(?:{_NOUN}){_ARE}",
    rf"{_HERE}{_ASKED}\s*{_WITH}(?:{_MENTION})?",
    rf"{_ANY}{_ASKED}\s*(?:{_NOUN})\s*(?:{_MENTION})?",
    rf"{_OF}(?:一共|总共|共)?有?(?:多少|几){_UNIT}",
)
_LISTS = (
    rf"(?:有)?哪些\s*{_WITH}{_MENTION}",
    rf"{_OF}有哪些",
    rf"(?:请)?(?:列出|列举)(?:所有|全部)?(?:的)?\s*{_OF}",
    rf"(?:有)?哪些\s*(?:{_NOUN}){_ARE}",
)
_IN = (
    rf"(?:(?:在\s*{FILE}|在?(?:文档|文件|库|集合))\s*(?:里面|里|中))?"
    r"(?:一共|总共|共)?"
)
_TIMES = rf"(?P<phrase>.+?){_IN}被(?:提到|提及)过?了?(?:多少|几)次"
_APPEARS = rf"(?P<phrase>{SIGN})(?:这个词|一词)?{_IN}出现过?了?(?:多少|几)次"
_SHAPES: tuple[tuple[re.Pattern[str], Kind], ...] = (
    *((re.compile(shape, re.I), "count") for shape in (*_COUNTS, _TIMES, _APPEARS)),
    *((re.compile(shape, re.I), "list") for shape in _LISTS),
)
_PART = re.compile(_CONDITION, re.I)
_OPEN = re.compile(
    "[，、；：？（）()和与或及跟没只在自]|还是|什么|怎么|怎样|如何|为什么|哪|谁|需要|必须|应该|可以|"
    "是否|最|以来|以后|之后|以前|之前|期间|里面|下面|其中|文档|文件|目录|次数|几次|多次|提到|提及|"
    "以上|两者|二者|前者|后者|[这那]些?个|[这那]些|[他她它我你]们|其[他它]|任何|所有|全部|一些|有些|"
    r"至少|至多|还有|而[不非]|不[提说谈含]|^除.*外|除了|外加|加上|连同|包括|(?<!第)[一二两三四五六七八九十百"
    r"千几数多每\d][次遍回](?!性)|^(?:了|[他她它我你您谁这那]|大家|[人地姓]名|名字|日期|时间|地点|年份|作者|"
    r"价格|金额|数字|电话)$|[吗呢吧嘛么啊等外]$|上述|不止|不仅|"
    rf"但|并且|而且|\.(?:pdf|docx|xlsx|pptx|md|html|csv|epub|txt)[^\x00-\x7f]|/.*{HAN}"
)  # fmt: skip
_AROUND = re.compile(
    "[里中上下内章节页册去今昨明年月天时候他她它们我你您谁第处]|^[这那本该此其每各某]"
)
"""In what is mentioned some times, what may be a place, a time or a person: «去年蜜蜂»."""
_CONDITIONED = re.compile(rf"{YEAR}|中文|汉语|英文|英语")
_BOTH = re.compile("以及|[和与跟]")
_TWICE = re.compile("[，,]?(?:又|也|并|且|并且)(?:提到|提及)过?了?")
_EITHER = re.compile("或者|或是|或")
_LONGEST = 8
_WORD = 4
_SHORT = 2


def chinese(asked: str) -> CountQuery | None:
    """The counting that a Chinese question asks for."""
    masked = Masked.of(asked)
    if masked is None:
        return None
    known = _simplified(masked.text)
    shapes = ((pattern.fullmatch(known), kind) for pattern, kind in _SHAPES)
    match, kind = next((found for found in shapes if found[0]), (None, "count"))
    if match is None:
        return None
    parts = match.groupdict()
    conditions = _conditions(parts, masked)
    read = _read(match, masked) if parts.get("phrase") else ((), "mention")
    if conditions is None or read is None:
        return None
    phrases, how = read
    if "what" not in parts and not _sure(parts["phrase"] or ""):
        return None
    what: What = "passages" if parts.get("what") else "documents"
    if "what" not in parts:
        what = "mentions"
    if what != "documents" and (not phrases or how != "mention"):
        return None
    first, other = (*phrases, None, None)[:2]
    if "what" in parts:
        conditions = [*of_noun(match), *conditions]
    if together(conditions) is None:
        return None
    where = " and ".join(conditions) or None
    return CountQuery(kind, what, where, first, "zh", how, other)


def _simplified(text: str) -> str:
    """As long as the text."""
    text = text.replace("檔案", "文件")
    return "".join(one if len(one := normalised(char)) == 1 else char for char in text)


def _conditions(parts: dict[str, str | None], masked: Masked) -> list[str] | None:
    found: list[str | None] = []
    for said in (parts.get("conditions"), parts.get("further")):
        at = 0
        while at < len(said or ""):
            part = _PART.match(said or "", at)
            if part is None:
                return None
            found.append(masked.condition(part.groupdict()))
            at = part.end()
    if parts.get("file"):
        nothing = dict.fromkeys(("year", "lang", "first", "path"))
        found.append(masked.condition({**nothing, "file": parts["file"]}))
    return together(found)


def _sure(known: str) -> bool:
    """Whether what is mentioned some times is quoted or one short word."""
    if re.search(SIGN, known):
        return True
    short = len(known) <= _SHORT or (len(known) <= _WORD and _is_word(known))
    return not _AROUND.search(known) and (short or not re.search(HAN, known))


def _read(match: "re.Match[str]", masked: Masked) -> tuple[tuple[str, ...], How] | None:
    """The phrases, and what is asked of them."""
    parts = match.groupdict()
    said = masked.text[match.start("phrase") : match.end("phrase")].strip()
    known = _simplified(said)
    holds, negated = bool(parts.get("holds")), bool(parts.get("negated"))
    how: How = "lack" if negated else "mention"
    twice, either = list(_TWICE.finditer(known)), list(_EITHER.finditer(known))
    both = list(_BOTH.finditer(known))
    joint: re.Match[str] | None = None
    if len(twice) == 1 and not either and not parts.get("together"):
        joint, how = twice[0], "both"
    elif not twice and len(either) + len(both) == 1:
        joint = (either or both)[0]
        how = "either" if either else "both"
    if joint is None:
        phrase = _phrase(said, holds, masked)
        return ((phrase,), how) if phrase and not parts.get("together") else None
    sides = [said[: joint.start()].strip(), said[joint.end() :].strip()]
    quoted = all(re.fullmatch(SIGN, side) for side in sides)
    told = bool(parts.get("together")) or joint in twice or quoted
    if negated or not told or not (quoted or _parted(*sides)):
        return None
    if how == "either" and (parts.get("together") or not quoted):
        return None
    phrases = tuple(filter(None, (_phrase(side, holds, masked) for side in sides)))
    return (phrases, how) if len({fold(phrase).text for phrase in phrases}) == 2 else None


def _parted(left: str, right: str) -> bool:
    """Whether each is one word or name, and the left one lacks nothing that stands at the right:
    in «红色或白色葡萄酒» it does."""
    if any("的" in side or (len(side) < 2 and re.match(HAN, side)) for side in (left, right)):
        return False
    words = all(_is_word(side) for side in (left, right))
    return bool(left and right) and (words or (len(right) <= len(left) <= 4))


def _is_word(side: str) -> bool:
    return bool(re.fullmatch(rf"{SIGN}|[\w-]+", side)) and (
        not re.search(HAN, side) or _simplified(side) in terms(side)
    )


def _phrase(said: str, holds: bool, masked: Masked) -> str | None:
    """What is to be mentioned: what stands in quotation marks, else one word or name."""
    quoted = re.fullmatch(rf"({SIGN})\s*(?:这个词|一词)?", _simplified(said))
    if quoted:
        return masked.open(quoted[1])
    if re.search(SIGN, said) or holds:
        return None
    plain = re.sub(r"^(?:the|an?)\s+", "", said, flags=re.I)
    known = _simplified(plain)
    rest = re.sub(rf"^(?:{YEAR}(?:年\d*月?\d*日?)?|中文|汉语|英文|英语)$", "", known)
    if len(plain) > _LONGEST or _OPEN.search(known) or _CONDITIONED.search(rest):
        return None
    if "加" in known[1:] and not _is_word(plain):
        return None
    return plain if fold(plain).text else None
