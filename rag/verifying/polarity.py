"""Whether a sentence says the opposite of a claim: one of them denies, or they use opposite words.

It errs towards yes. A claim that is refused here in error is shown as unsupported; one that is let
through in error is shown as if the document said it.
"""

import re

from indexes.words import normalised
from rag.verifying.words import Vocabulary, content_words

_DENIES = re.compile(
    r"\b(?:not|no|never|none|nobody|nothing|neither|nor|cannot)\b|n['’]t\b|[不没未无非勿莫]"
)
_SEEMS_TO = re.compile(
    "不仅|不但|不同|不断|不久|不过|不少|不论|不管|无论|非常|不只|无数|未来|非洲|不止|不得不|无锡|"
    "不禁|不愧|莫斯科|除非|并非不|无不|莫名|不如|不等|不锈钢|不良|不幸|no one else|not only"
)
_DENIES_SOFTLY = re.compile(
    r"\b(?:without|hardly|fail\w*|lack\w*|refus\w*|den(?:y|ied|ies)|avoid\w*|prevent\w*|unable"
    r"|impossible|rather|instead|few|little|absent)\b|难|缺|拒绝|禁止|避免|防止|很少"
)
_SAME = 0.5
"""The share of a clause's words from which another one speaks of the same."""
_CLAUSE = re.compile(r"[,;:，；：、。.!?！？—–]|\b(?:but|while|whereas|and)\b")
_OPPOSITES = tuple(
    (tuple(a.split()), tuple(b.split()))
    for a, b in (
        ("increase increased rise rose grow grew", "decrease decreased fall fell shrink"),
        ("more", "less fewer"),
        ("higher high highest", "lower low lowest"),
        ("before", "after"),
        ("largest biggest large", "smallest small"),
        ("first earliest", "last latest"),
        ("north northern", "south southern"),
        ("east eastern", "west western"),
        ("longer long longest", "shorter short shortest"),
        ("warm hot warmer", "cold cool colder"),
        ("fast faster quickly", "slow slower slowly"),
        ("dark darker", "light lighter pale"),
        ("won win", "lost lose"),
        ("male males", "female females"),
        ("open opened", "closed close"),
        ("allowed permitted legal", "forbidden prohibited banned illegal"),
        ("always", "never"),
        ("增加 上升 增长 提高 升高", "减少 下降 降低"),
        ("高于 多于 大于 超过", "低于 少于 小于 不到"),
        ("最大 最多 最高 最长", "最小 最少 最低 最短"),
        ("之前 以前", "之后 以后"),
        ("北部 北方", "南部 南方"),
        ("东部 东方", "西部 西方"),
        ("允许 可以", "禁止 不得"),
        ("深色 色深", "浅色 色浅"),
        ("白天", "夜间 夜里 晚上"),
    )
)  # fmt: skip


def opposed(claim: str, sentence: str) -> bool:
    """Whether ``sentence``, the nearest to ``claim``, denies it."""
    claim, sentence = normalised(claim).casefold(), normalised(sentence).casefold()
    for clause in _clauses(claim):
        if _denies(clause):
            if not _denies(sentence) and not _DENIES_SOFTLY.search(sentence):
                return True
        elif _denies(_nearest(clause, sentence)) and not _DENIES_SOFTLY.search(claim):
            return True
    ours, theirs = Vocabulary(claim), Vocabulary(sentence)
    return any(
        _one_sided(a, b, ours, theirs) or _one_sided(b, a, ours, theirs) for a, b in _OPPOSITES
    )


def _denies(text: str) -> bool:
    return bool(_DENIES.search(_SEEMS_TO.sub(" ", text)))


def _one_sided(
    a: tuple[str, ...], b: tuple[str, ...], ours: Vocabulary, theirs: Vocabulary
) -> bool:
    def has(known: Vocabulary, words: tuple[str, ...]) -> bool:
        return any(word in known for word in words)

    return has(ours, a) and has(theirs, b) and not has(ours, b) and not has(theirs, a)


def _clauses(text: str) -> list[str]:
    return [clause for clause in _CLAUSE.split(text) if clause.strip()]


def _nearest(clause: str, sentence: str) -> str:
    """The part of ``sentence`` that speaks of the same as ``clause``, or nothing."""
    words = content_words(clause)
    parts = [(Vocabulary(part).held(words), part) for part in _clauses(sentence)]
    share, part = max(parts, key=lambda pair: pair[0], default=(0.0, ""))
    return part if share >= _SAME else ""
