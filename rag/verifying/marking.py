"""How the replies of models name the passages that they draw on.

They are asked for ``[1]`` and ``[1, 2]``. Models that were taught otherwise also write ``【1】``,
``[[1]]``, ``[1 and 2]``, ``[^1]``, ``[Passage 1]`` and ``[资料1]``. The last three are words of the
text, too («[Document 2] is the contract», «[^1] leaves out the digit»); they are taken for marks
only where something ends behind them. What stands before a parenthesis is a link.
"""

import re

_BLANKS = r"[ \t]{0,3}"
# No passage has the number 0: [0, 1] is an interval.
_PLACE = r"[1-9]\d{0,2}"
_WORDS = (
    r"(?i:passages?|sources?|documents?|docs?|references?|refs?|citations?)"
    r"|资料|資料|来源|來源|文档|文檔|文献|文獻|段落|引用"
)
LABEL = rf"(?:(?:{_WORDS}){_BLANKS}(?:[:：#]{_BLANKS})?|\^{_BLANKS})"
"""What may stand before the number in a mark."""
_COMMA = rf"(?:{_BLANKS}(?:[,，、;；&]|(?i:and)\b|[和與与及]){_BLANKS})"
_NUMBERS = rf"{_PLACE}(?:{_COMMA}{_PLACE}){{0,9}}"
_LABELLED = rf"{LABEL}{_PLACE}(?:{_COMMA}{LABEL}?{_PLACE}){{0,9}}"
_ENDS = rf"(?={_BLANKS}(?:[\n.。,，、;；:：!！?？)）\]\[［【”’」』]|\Z)|[ \t](?=[A-Z“\"]))"
# x[[1]] is an element.
_APART = r"(?<![A-Za-z0-9_\])])"
_NO_INDEX = r"(?<![A-Za-z0-9_\])]\[)"


def _mark(unknown: str) -> str:
    one = rf"{_BLANKS}(?:0|{_NUMBERS}{unknown}){_BLANKS}"
    pairs = rf"\[\[{_NUMBERS}(?:\]{_COMMA}?\[{_NUMBERS}){{0,9}}\]\]"
    return (
        rf"(?:{_APART}{pairs}|{pairs}{_ENDS}|{_NO_INDEX}[\[［【]{one}[\]］】]"
        rf"|[\[［【]{_BLANKS}{_LABELLED}{_BLANKS}[\]］】]{_ENDS})(?!\]?\()"
    )


MARK = _mark("")
"""Pattern of a mark, without the space before it."""
# An answer that was checked before says [?] behind a sentence that nothing supported.
MARK_OR_UNKNOWN = _mark(r"|(?<=[\s.!?。！？\]］】][\[［【])[?？]")
"""The same, or the sign for no passage where it stands behind a sentence."""
MARK_BEGUN = re.compile(r"[\[［【]{1,2}[\w \t,，、;；:：&^#?？\[\]]{0,200}\Z")
"""What of a text that still comes may become a mark."""
NUMBER = re.compile(r"\d{1,3}")
