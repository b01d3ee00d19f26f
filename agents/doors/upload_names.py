"""What uploads are called: their ids, the names of their files, and their sources in a collection.

An uploaded file has the id ``file-…``. The document that it becomes in a collection has the source
``file-…/NAME``, so that citations name the file as its owner did. A document that came to a
collection in another way is called ``doc-…`` where an API asks for the id of a file; see
`indexes.shown`.
"""

import re
import secrets
import unicodedata

from indexes.shown import document_id

FILE_ID = re.compile(r"file-[0-9a-f]{24}")
DOCUMENT_ID = re.compile(r"doc-[0-9a-f]{24}")
_LONGEST = 180
"""Bytes of a name."""
_SOURCE = re.compile(rf"({FILE_ID.pattern}|{DOCUMENT_ID.pattern})/([^/]+)")
_SUFFIX = re.compile(r"\.([A-Za-z0-9]{1,12})$")
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Categories of characters that show nothing, or make others show something else."""


def new_id(kind: str) -> str:
    """A new id: the ``kind`` and 96 random bits."""
    return f"{kind}-{secrets.token_hex(12)}"


def clean_name(given: str) -> str:
    """The name of a file as it is kept: its last part, without characters that cannot be seen, of
    at most 180 bytes, its suffix kept; «upload» where nothing is left."""
    last = re.split(r"[/\\]", given)[-1]
    seen = (c for c in unicodedata.normalize("NFC", last) if unicodedata.category(c) not in _UNSEEN)
    name = " ".join("".join(seen).split()).strip(". ")
    if len(name.encode()) > _LONGEST:
        match = _SUFFIX.search(name)
        ending = match[0] if match else ""
        kept = name.removesuffix(ending).encode()[: _LONGEST - len(ending)]
        name = kept.decode("utf-8", "ignore").rstrip(". ") + ending
    return name or "upload"


def suffix(name: str) -> str:
    """The suffix of a clean name, in lower case, without its dot; may be empty."""
    match = _SUFFIX.search(name)
    return match[1].lower() if match else ""


def source_of(file_id: str, name: str) -> str:
    """The source of the document that an uploaded file becomes."""
    return f"{file_id}/{name}"


def file_id_of(source: str) -> str:
    """The id under which the APIs show the document ``source``."""
    match = _SOURCE.fullmatch(source)
    return match[1] if match else document_id(source)
