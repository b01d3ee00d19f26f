"""A list of sources behind an answer: its citations say the same, and say where."""

import re
from collections.abc import Iterable
from dataclasses import replace

from indexes.folding import fold
from indexes.types import SearchResult
from rag.verifying.segments import Segment

_HEADING = re.compile(
    r"[*_# ]{0,6}(?:references?|sources?(?: used)?|citations?|参考资料|參考資料|参考文献|參考文獻"
    r"|资料来源|資料來源|引用来源|来源|來源|出处|出處)(?:[*_]{0,2}\s{0,3}[:：]\s{0,3}[*_]{0,2}|[*_]{0,2}\Z)",
    re.IGNORECASE,
)
_ASKED = re.compile(
    r"\b(?:sources?|references?|citations?|files?|documents?|pages?|where|which|notes?"
    r"|articles?|papers?|reports?|books?)\b"
    r"|来源|來源|出处|出處|文件|文档|文檔|资料|資料|文献|文獻|文章|论文|論文|报告|報告|书|書|哪",
    re.IGNORECASE,
)
"""Questions that a name of a document may answer."""
_BETWEEN = re.compile(r"[,，;；、]|\band\b|和")
_WHERE = re.compile(
    r"[ ,，(（]{0,3}(?:(?:lines?|pages?|pp?\.|characters?)\s{0,3}\d+(?:\s?[-–]\s?\d+)?"
    r"|第\s?\d+\s?[页頁行])[)）]?|:\d+(?:-\d+)?",
    re.IGNORECASE,
)
_LONGEST = 400


class SourceList:
    """Takes the sentences out that only name passages which an answer drew on: those behind a
    heading, and footnotes (``[^1]: notes.md, line 3``). Nothing goes where the question asks for
    documents; a heading goes with its list, or where nothing follows it."""

    def __init__(self, question: str, contexts: Iterable[SearchResult]) -> None:
        self._off = bool(_ASKED.search(question))
        self._files, titles = set[str](), set[str]()
        for context in contexts:
            last = re.split(r"[/\\]", context.source.rstrip("/\\"))[-1]
            self._files.update(map(_folded, (context.source, last)))
            titles.update(map(_folded, (last.rpartition(".")[0], context.title)))
        self._names = self._files | titles
        self._begun = False
        self._heading: list[Segment] = []

    def rest(self, segment: Segment, *, begun: bool) -> list[Segment]:
        """What is to be checked now that ``segment`` has come: nothing of a list, a heading too
        if no list follows it; of other footnotes what is behind the colon. ``begun``: the answer
        has."""
        noted = segment.text.startswith((":", "："))
        said = replace(segment, text=segment.text.lstrip(":： ")) if noted else segment
        if self._off or not begun:
            return [said]
        held, self._heading = self._heading, []
        found = None if segment.is_code else _HEADING.match(segment.text)
        listed = segment.text[found.end() if found else 0 :]
        if found and not any(map(str.isalnum, listed)):
            self._begun, self._heading = True, [segment]
            return held
        names = self._files if found else self._names
        self._begun = (self._begun or noted or found is not None) and _names(listed, names)
        return [] if self._begun else [*held, said]


def _names(listed: str, names: set[str]) -> bool:
    """Whether it holds ``names``, with places within them, and nothing else."""
    if len(listed) > _LONGEST:
        return False
    bare = _WHERE.sub("", listed)
    parts = [part for part in map(_folded, _BETWEEN.split(bare)) if part]
    return bool(parts) and (_folded(bare) in names or names.issuperset(parts))


def _folded(name: str) -> str:
    return fold(name).text.strip()
