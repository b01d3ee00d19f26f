"""From a path to its text: find the format, run its parser, finish the draft."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import cast
from zipfile import BadZipFile

from indexes.errors import LoadError
from indexes.i18n import t
from indexes.loaders.draft import MAX_CHARACTERS, Draft, finish, too_deep
from indexes.loaders.formats import LANGUAGES, PLAIN, format_of
from indexes.types import Extracted

MAX_BYTES = 256 * 1024 * 1024

Parser = Callable[[bytes], Draft]

# By name, so that a parser's libraries are imported when its first file comes.
_PARSERS = {
    "md": "text:read_markdown",
    "json": "text:read_json",
    "jsonl": "text:read_jsonl",
    "ipynb": "text:read_notebook",
    "csv": "tables:read_csv",
    "tsv": "tables:read_tsv",
    "html": "web:read_html",
    "xml": "markup:read_xml",
    "fb2": "markup:read_xml",
    "pdf": "pdf:read_pdf",
    "docx": "office:read_docx",
    "pptx": "slides:read_pptx",
    "xlsx": "office:read_xlsx",
    "odt": "odf:read_odf",
    "odp": "odf:read_odf",
    "ods": "odf:read_odf",
    "epub": "epub:read_epub",
    "eml": "mail:read_eml",
    "mhtml": "mail:read_mhtml",
    "msg": "mail:read_msg",
    "rtf": "rtf:read_rtf",
}


def read_bytes(path: Path) -> bytes:
    """The file's content.

    Raises:
        LoadError: it cannot be read, is no regular file, or exceeds ``MAX_BYTES``.
    """
    try:
        # A pipe or a device would block, or never end.
        if not path.is_file():
            raise LoadError(t("There is no such file. Check the path."))
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise LoadError(
                t("The file has {size} MB; the limit is {limit} MB. Split it into parts.",
                  size=size // 1_000_000, limit=MAX_BYTES // 1_000_000)
            )  # fmt: skip
        return path.read_bytes()
    except OSError as error:
        raise LoadError(
            t("The file cannot be read: {reason}. Check its permissions.", reason=error.strerror)
        ) from error


def load(
    path: Path, data: bytes | None = None, *, max_characters: int = MAX_CHARACTERS
) -> Extracted:
    """The text of one file, parsed in this process.

    ``data`` is the content where the caller has read it already; ``path`` then only names it.

    Raises:
        LoadError: the text cannot be extracted; the message says why and what to do.
    """
    content = read_bytes(path) if data is None else data
    found = ""
    try:
        found = format_of(path, content)
        return finish(_parser(found)(content), max_characters)
    except LoadError:
        raise
    except (BadZipFile, EOFError) as error:
        raise LoadError(t("The file is damaged. Get a fresh copy.")) from error
    except RecursionError as error:
        raise LoadError(too_deep()) from error
    except Exception as error:
        # A parser meets every kind of malformed input; whatever it trips over, it is this one
        # file that cannot be read, and the other files of the run go on.
        if _out_of_memory(error):
            raise LoadError(
                t("Reading the file needs too much memory. Split it into parts.")
            ) from error
        raise LoadError(
            t("The file is damaged or unusual: {format} parser failed ({reason}). "
              "Save it again or convert it to PDF or text.",
              format=(found or path.suffix.lstrip(".")).upper(), reason=type(error).__name__)
        ) from error  # fmt: skip


def _out_of_memory(error: Exception) -> bool:
    # libxml2 reports it as a syntax error whose log tells.
    return isinstance(error, MemoryError) or "NO_MEMORY" in str(getattr(error, "error_log", ""))


def _parser(found: str) -> Parser:
    if found in PLAIN or found in LANGUAGES:
        from indexes.loaders.text import read_text

        return lambda data: read_text(data, found)
    module, function = _PARSERS[found].split(":")
    return cast(Parser, getattr(import_module(f"indexes.loaders.{module}"), function))
