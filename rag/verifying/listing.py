"""A list of sources behind an answer: its citations say the same, and say where."""

import re
from collections.abc import Iterable, Iterator

from indexes.folding import fold
from indexes.types import SearchResult
from rag.verifying.segments import Segment

_HEADING = re.compile(
    r"(references?|sources?|citations?|参考资料|參考資料|参考文献|參考文獻|资料来源|資料來源|引用来源|来源|來源)"
    r"(?:[*_]{0,2}\s*[:：]\s*[*_]{0,2}|[*_]{0,2}\Z)",
    re.IGNORECASE,
)
_BETWEEN = re.compile(r"[,，;；、]|\band\b|和")
_WHERE = re.compile(
    r"[\s,，(（]*(?:(?:lines?|pages?|pp?\.|chars?|characters?)\s*\d+(?:\s*[-–]\s*\d+)?|第\s*\d+\s*[页頁行])[)）]?",
    re.IGNORECASE,
)


class SourceList:
    """Tells the sentences that only name passages which an answer drew on: those behind a heading
    that the question does not ask for, and footnotes (``[^1]: notes.md, line 3``)."""

    def __init__(self, question: str, contexts: Iterable[SearchResult]) -> None:
        self._question = fold(question).text
        self._names = {name for context in contexts for name in _names(context)}
        self._begun = False

    def takes(self, segment: Segment) -> bool:
        """Whether ``segment``, the next of the answer, belongs to such a list."""
        text = segment.text.lstrip("*_# ")
        heading = _HEADING.match(text)
        asked = heading is not None and fold(heading[1]).text in self._question
        begun = self._begun or heading is not None or text.startswith((":", "："))
        listed = _WHERE.sub("", text[heading.end() if heading else 0 :])
        parts = (fold(part).text.strip() for part in _BETWEEN.split(listed))
        self._begun = begun and not asked and self._names.issuperset(filter(None, parts))
        return self._begun


def _names(context: SearchResult) -> Iterator[str]:
    last = re.split(r"[/\\]", context.source.rstrip("/\\"))[-1]
    for name in (context.source, last, last.rpartition(".")[0], context.title):
        yield from (fold(part).text.strip() for part in (name, *_BETWEEN.split(name)))
