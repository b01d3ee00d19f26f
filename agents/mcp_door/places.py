"""The names by which documents and passages go out, and come back.

An id is written for models, which copy it: ``NAME/SOURCE``, or ``NAME/SOURCE#start-end`` for
a passage; offsets count characters. A URI is written for programs: ``waggle://NAME/SOURCE``, both
parts percent-encoded.
"""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, unquote

from indexes.errors import UsageError
from indexes.i18n import t

SCHEME: Final = "waggle"
TEMPLATE: Final = "waggle://{collection}/{source}"
"""The resource template of all documents."""
_SPAN: Final = re.compile(r"#(\d{1,12})-(\d{1,12})$|#-$", re.ASCII)
_OPEN: Final = "#-"


@dataclass(frozen=True, slots=True)
class Place:
    """A document of a collection, or the part of it from ``start`` to ``end``."""

    collection: str
    source: str
    span: tuple[int, int] | None = None

    @property
    def id(self) -> str:
        """Its id, which `parse` reads again."""
        if self.span is not None:
            mark = f"#{self.span[0]}-{self.span[1]}"
        else:  # a source that ends like a span is told from one that has a span
            mark = _OPEN if _SPAN.search(self.source) else ""
        return f"{self.collection}/{self.source}{mark}"

    @property
    def uri(self) -> str:
        """The URI of the whole document."""
        return f"{SCHEME}://{quote(self.collection, safe='')}/{quote(self.source, safe='')}"

    @property
    def fragment(self) -> str:
        """Where the chat page shows it (`agents/http/assets/address.js`)."""
        collection, source = quote(self.collection, safe=""), quote(self.source, safe="")
        span = f"?span={self.span[0]}:{self.span[1]}" if self.span else ""
        return f"#/{collection}/document/{source}{span}"

    @classmethod
    def parse(cls, name: str) -> "Place":
        """The place with this id or URI. Raises `UsageError` for anything else."""
        if name.startswith(f"{SCHEME}://"):
            collection, _, source = name.removeprefix(f"{SCHEME}://").partition("/")
            place = cls(unquote(collection), unquote(source))
        else:
            mark = _SPAN.search(name)
            collection, _, source = (name[: mark.start()] if mark else name).partition("/")
            spanned = mark is not None and mark[1] is not None
            span = (int(mark[1]), int(mark[2])) if mark and spanned else None
            place = cls(collection, source, span)
        if not place.collection or not place.source:
            raise UsageError(
                t("«{name}» is not an id. Take one from the results of «search».", name=name)
            )
        return place
