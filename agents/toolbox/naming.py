"""What a model calls a document: the end of its path, or the number of a passage that it saw."""

import difflib
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from indexes.errors import UnknownSourceError
from indexes.i18n import t

if TYPE_CHECKING:
    from agents.loop.evidence import Evidence
    from indexes.collection import Collection
    from indexes.types import Document

_PARTS: Final = 2
_NEAREST: Final = 5
_NUMBER: Final = re.compile(r"\[?(\d{1,6})\]?")


def line(text: str) -> str:
    """``text`` on one line."""
    return " ".join(text.split())


def tail(source: str, parts: int = _PARTS) -> str:
    """The last ``parts`` of a path; an address stays whole."""
    if "://" in source:
        return source
    return "/".join(source.rsplit("/", parts)[-parts:])


class Names:
    """The short names of the documents of a collection, some of which have been seen."""

    def __init__(self, collection: "Collection", evidence: "Evidence") -> None:
        self._collection, self._evidence = collection, evidence

    def short(self, source: str) -> str:
        """A name that tells the document from the others that were seen; all of its source where
        two have the same."""
        name = tail(source)
        same = any(tail(other) == name for other in self._seen() if other != source)
        return line(source if same else name)

    def document(self, name: str) -> "Document":
        """The document with its text. Raises `UnknownSourceError`, which names the nearest ones, or
        those that were seen."""
        source = self._numbered(name) or self._ending(name) or name
        try:
            return self._collection.document(source)
        except UnknownSourceError:
            return self._collection.document(self._only(name))

    def _seen(self) -> list[str]:
        return list(dict.fromkeys(passage.source for passage in self._evidence.contexts))

    def _numbered(self, name: str) -> str | None:
        number = _NUMBER.fullmatch(name.strip())
        contexts = self._evidence.contexts
        at = int(number[1]) if number else 0
        return contexts[at - 1].source if 1 <= at <= len(contexts) else None

    def _ending(self, name: str) -> str | None:
        wanted = line(name)
        found = [source for source in self._seen() if _ends(source, wanted)]
        return found[0] if len(found) == 1 else None

    def _only(self, name: str) -> str:
        """The one document whose source or title is ``name``, but for case and the ending."""
        wanted = line(name).strip("«»\"'").casefold()
        documents = [document for document, _ in self._collection.documents()]
        found = {
            document.source
            for document in documents
            if wanted
            and (
                _ends(document.source.casefold(), wanted)
                or line(document.title).casefold() == wanted
            )
        }
        if len(found) == 1:
            return found.pop()
        near = _nearest(wanted, (document.source for document in documents))
        raise _unknown(name, sorted(found) or near or self._seen())


def _ends(source: str, name: str) -> bool:
    shown = line(source)
    return shown == name or shown.endswith("/" + name.lstrip("/"))


def _nearest(wanted: str, sources: Iterable[str]) -> list[str]:
    """The sources whose last part is most like ``wanted``."""
    by_name = {tail(source, 1).casefold(): source for source in sources}
    last = tail(wanted, 1)
    near = difflib.get_close_matches(last, by_name, n=_NEAREST, cutoff=0.5)
    near += [name for name in by_name if last and last in name and name not in near]
    return [by_name[name] for name in near][:_NEAREST]


def _apart(sources: Iterable[str]) -> list[str]:
    """Short names of documents; whole ones where two would be the same."""
    whole = list(sources)
    short = [tail(source) for source in whole]
    return [
        line(source if short.count(name) > 1 else name)
        for source, name in zip(whole, short, strict=True)
    ]


def _unknown(name: str, near: list[str]) -> UnknownSourceError:
    if not near:
        return UnknownSourceError(
            t("No document is named «{name}». Find its name with list_documents.", name=line(name))
        )
    return UnknownSourceError(
        t(
            "No one document is named «{name}». The nearest are: {near}.",
            name=line(name),
            near=", ".join(_apart(near[:_NEAREST])),
        )
    )
