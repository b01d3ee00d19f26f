"""How the replies of models name the passages that they draw on.

They are asked for ``[1]`` and ``[1, 2]``. Models that were taught otherwise also write ``【1】``,
``[^1]``, ``[[1]]``, ``[1 and 2]``, ``[Passage 1]`` and ``[资料1]``.
"""

import re

_BLANKS = r"[ \t]{0,3}"
# No passage has the number 0: [0, 1] is an interval.
_PLACE = r"[1-9]\d{0,2}"
_WORDS = (
    r"(?i:passages?|sources?|documents?|docs?|references?|refs?|citations?)"
    r"|资料|資料|来源|來源|文档|文檔|文献|文獻|段落|引用"
)
_LABEL = rf"(?:(?:(?:{_WORDS}){_BLANKS}[:：#]?|[\^#]){_BLANKS})?"
_COMMA = rf"{_BLANKS}(?:[,，、;；&]|(?i:and)\b|[和与與及]){_BLANKS}"
_NUMBERS = rf"0|{_LABEL}{_PLACE}(?:{_COMMA}{_LABEL}{_PLACE}){{0,9}}"


def _bracketed(inside: str) -> str:
    return (
        rf"(?:\[\[{_BLANKS}(?:{inside}){_BLANKS}\]\]"
        rf"|[\[［【]{_BLANKS}(?:{inside}){_BLANKS}[\]］】])"
    )


MARK = _bracketed(_NUMBERS)
"""Pattern of a mark, without the space before it."""
# An answer that was checked before says [?] behind a sentence that nothing supported.
MARK_OR_UNKNOWN = _bracketed(rf"{_NUMBERS}|(?<=[\s.!?。！？\]］】][\[［【])[?？]")
"""The same, or the sign for no passage where it stands behind a sentence."""
MARK_BEGUN = re.compile(
    rf"[\[［【]{{1,2}}{_BLANKS}(?:[?？]|[\w \t,，、;；:：&^#]{{0,80}}){_BLANKS}\]?\Z"
)
"""What of a text that still comes may become a mark."""
NUMBER = re.compile(r"\d{1,3}")
