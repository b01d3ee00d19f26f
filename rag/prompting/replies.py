"""What a model wrote under the labels that a prompt asks for, and which short answers are equal.

A line that begins with ``Reason:``, ``Answer:`` or ``Short:`` (``理由：``, ``答案：``, ``简答：``)
begins a part; what stands without a label is the answer.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from indexes.words import normalised
from rag.marks import without_marks

_LABEL = re.compile(
    r"^[\s*#>_-]*(?:(?P<reason>reason(?:ing)?|理由|推理)|(?P<answer>(?:final )?answer|答案|回答)"
    r"|(?P<short>short(?: answer)?|简答|简短答案))[\s*_]*[:：][\s*_]*",
    re.IGNORECASE | re.MULTILINE,
)
_ARTICLE = re.compile(r"\b(?:a|an|the)\b")
_STOPS = " \t\n.。!！?？,，、;；:：*_`"
_PAIRS = ('""', "''", "“”", "‘’", "「」", "『』", "«»", "()", "（）", "《》")


@dataclass(frozen=True, slots=True)
class Reply:
    """The parts of a reply; each is empty where the model did not write it."""

    answer: str
    short: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Vote:
    """A short answer, by how many samples it was given, and the first of these in full."""

    short: str
    count: int
    text: str


def split_reply(text: str) -> Reply:
    """The parts of ``text``. The last of several equal labels counts; a short answer alone is the
    answer as well, and a reason alone is no answer."""
    parts = {"answer": "", "short": "", "reason": ""}
    marks = list(_LABEL.finditer(text))
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    for mark, end in zip(marks, ends, strict=False):
        parts[str(mark.lastgroup)] = text[mark.end() : end].strip()
    before = text[: marks[0].start()] if marks else text
    answer = parts["answer"] or before.strip() or parts["short"]
    return Reply(answer, bare(parts["short"]), parts["reason"])


def bare(text: str) -> str:
    """A short answer without the numbers of passages, and the stops and quotes around it."""
    words = without_marks(text).strip(_STOPS)
    while len(words) > 2 and words[0] + words[-1] in _PAIRS and words[0] not in words[1:-1]:
        words = words[1:-1].strip(_STOPS)
    return words


def vote(replies: Sequence[Reply]) -> tuple[Vote, ...]:
    """The short answers by the number of replies that give them, the most frequent first and among
    equals the earliest. Two are equal up to case, width, spacing, punctuation, articles and
    simplified or traditional characters; an answer without a short form stands for itself.

    Wang et al. 2023, Self-Consistency Improves Chain of Thought Reasoning,
    https://arxiv.org/abs/2203.11171.
    """
    groups: dict[str, list[Reply]] = {}
    for reply in replies:
        groups.setdefault(_key(reply.short or reply.answer), []).append(reply)
    votes = [
        Vote(group[0].short or bare(group[0].answer), len(group), group[0].answer)
        for group in groups.values()
    ]
    return tuple(sorted(votes, key=lambda v: -v.count))


def _key(short: str) -> str:
    """`short` in comparable form."""
    folded = normalised(bare(short)).casefold()
    plain = "".join(c for c in _ARTICLE.sub(" ", folded) if c.isalnum() or c in ".-+%")
    return plain or folded or short  # the answer may be the letter A
