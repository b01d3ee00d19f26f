"""What documents are called before others than the owner of this machine.

A document whose source is a path here is shown as ``doc-…/NAME``: a digest of the path, and the
name of the file. Any other source is shown as it is.
"""

import hashlib
import re

_PATH = re.compile(r"[/\\]|[A-Za-z]:[/\\]|file:", re.IGNORECASE)


def shown(source: str) -> str:
    """What the document ``source`` is called there. Also a function of the databases' SQL."""
    return f"{document_id(source)}/{filename_of(source)}" if is_path(source) else source


def is_path(source: str) -> bool:
    """Whether it is an absolute path."""
    return _PATH.match(source) is not None


def document_id(source: str) -> str:
    """A short name that depends on nothing but the source."""
    return f"doc-{hashlib.sha256(source.encode()).hexdigest()[:24]}"


def filename_of(source: str) -> str:
    """The name of the file that the document ``source`` came from."""
    return re.split(r"[/\\]", source.rstrip("/\\"))[-1] or source
