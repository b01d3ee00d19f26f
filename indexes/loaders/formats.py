"""Which formats there are, and which of them a file is, by its first bytes and its name."""

import re
from pathlib import Path

from indexes.errors import LoadError
from indexes.i18n import t
from indexes.loaders.zips import open_zip

# Suffix to tree-sitter grammar.
LANGUAGES = {
    "py": "python", "pyi": "python", "js": "javascript", "mjs": "javascript", "cjs": "javascript",
    "jsx": "javascript", "ts": "typescript", "mts": "typescript", "cts": "typescript",
    "tsx": "tsx", "java": "java", "go": "go", "rs": "rust", "c": "c", "h": "c", "cc": "cpp",
    "cpp": "cpp", "cxx": "cpp", "hh": "cpp", "hpp": "cpp", "hxx": "cpp", "cs": "c_sharp",
    "rb": "ruby", "php": "php", "sh": "bash", "bash": "bash",
}  # fmt: skip
_SAME = {
    "markdown": "md", "mdx": "md", "htm": "html", "xhtml": "html", "text": "txt", "log": "txt",
    "asc": "txt", "ndjson": "jsonl", "tab": "tsv", "docm": "docx", "dotx": "docx", "pptm": "pptx",
    "ppsx": "pptx", "xlsm": "xlsx", "xltx": "xlsx", "adoc": "asciidoc", "latex": "tex",
    "yml": "yaml", "mht": "mhtml", "shtml": "html", "xht": "html", "rmd": "md", "qmd": "md",
    "rss": "xml", "atom": "xml", "opml": "xml", "dita": "xml", "xsd": "xml", "jsonc": "txt",
}  # fmt: skip
# Text whose markup the reader understands as it stands.
PLAIN = frozenset({
    "txt", "tex", "rst", "asciidoc", "org", "wiki", "yaml", "toml", "ini", "cfg", "conf",
    "properties", "env", "sql", "css", "scss", "less", "vue", "svelte", "swift", "kt", "kts",
    "scala", "lua", "r", "jl", "pl", "pm", "dart", "ex", "exs", "erl", "hs", "clj", "ml", "f90",
    "m", "ps1", "bat", "cmd", "gradle", "cmake", "tf", "proto", "graphql", "srt", "vtt", "diff",
    "patch", "bib", "po", "ics", "vcf", "textile", "mediawiki", "pod",
})  # fmt: skip
_TEXT = PLAIN | LANGUAGES.keys() | {"md"}
_MARKUP = frozenset({"html", "xml", "fb2", "json", "jsonl", "ipynb", "csv", "tsv", "eml", "mhtml"})
ZIPPED = frozenset({"docx", "pptx", "xlsx", "epub", "odt", "odp", "ods"})
# Old Office files cannot be read, but must not be passed over in silence, and some of them are RTF
# or HTML under another name.
_OLD_OFFICE = frozenset({"doc", "xls", "ppt", "wps", "et", "dps"})
_BINARY = ZIPPED | {"pdf", "rtf", "msg"}
_NAMES = frozenset({
    "makefile", "dockerfile", "readme", "license", "licence", "copying", "changelog", "authors",
    "contributing", "notice", "todo", "news", "install", "jenkinsfile", "vagrantfile", "gemfile",
    "rakefile", "procfile", "justfile",
})  # fmt: skip
# Formats whose reading is a decode and a few linear passes.
IN_PROCESS = _TEXT | {"csv", "tsv", "json", "jsonl"}

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OTHER_MAGIC = (
    b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"II*\0", b"MM\0*", b"BM", b"RIFF", b"OggS", b"ID3",
    b"fLaC", b"\x1a\x45\xdf\xa3", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf", b"Rar!",
    b"\x28\xb5\x2f\xfd", b"\x7fELF", b"MZ", b"\xca\xfe\xba\xbe", b"\xcf\xfa\xed\xfe", b"ITSF",
    b"SQLite format 3", b"\0asm", b"wOF", b"8BPS", b"!<arch>",
)  # fmt: skip
_HTML_START = re.compile(rb"\s*(?:<\?xml[^>]*>\s*)?<(?:!doctype\s+html|html)\b", re.I)
_COMMENT = re.compile(rb"<!--.*?-->", re.S)


def suffix_of(path: Path) -> str:
    """The lower-case suffix in its usual spelling: ``"md"`` for ``.MARKDOWN``, or ``""``."""
    suffix = path.suffix.lower().lstrip(".")
    return _SAME.get(suffix, suffix)


def supported(path: Path) -> bool:
    """Whether a walk over a folder should offer this file to the loaders, by its name only."""
    suffix = suffix_of(path)
    if suffix in _TEXT | _MARKUP | _BINARY | _OLD_OFFICE:
        return True
    return path.name.lower().split(".")[0] in _NAMES and suffix in ("", "in", "am")


def format_of(path: Path, data: bytes) -> str:
    """The format of ``data``: what its bytes say, else what its name says, else ``"txt"``.

    Raises:
        LoadError: a format that holds no text, or none that can be read.
    """
    if not data:
        raise LoadError(t("The file is empty. Nothing of it can be indexed."))
    suffix = suffix_of(path)
    found = _by_magic(suffix, data)
    if found:
        return found
    head = data[:2048].removeprefix(b"\xef\xbb\xbf")
    if suffix not in _TEXT or suffix == "txt":
        if _HTML_START.match(_COMMENT.sub(b"", head)):
            return "html"
        if head.lstrip().startswith(b"<?xml") and suffix not in _MARKUP:
            return "xml"
    if suffix in _BINARY:
        raise LoadError(
            t("The name says {format}, the content does not. The file is damaged or wrongly named.",
              format=suffix.upper())
        )  # fmt: skip
    if suffix in _TEXT or suffix in _MARKUP:
        return suffix
    return "txt"


def _by_magic(suffix: str, data: bytes) -> str:
    if b"%PDF-" in data[:1024] and suffix not in _TEXT:
        return "pdf"
    if data.startswith(b"%PDF-"):
        return "pdf"
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zipped(data)
    if data.startswith(_OLE):
        return _ole(data)
    if data.startswith(b"{\\rtf"):
        return "rtf"
    if (data.startswith(_OTHER_MAGIC) and not _ascii_only(data[:512])) or data[4:8] == b"ftyp":
        raise LoadError(
            t("Images, sound, archives and programs hold no readable text. "
              "Convert the file to PDF or text first.")
        )  # fmt: skip
    return ""


def _ascii_only(head: bytes) -> bool:
    """Prose may begin with "BM" or "MZ" too; binary files do not stay in ASCII."""
    return head.isascii() and b"\0" not in head


def _zipped(data: bytes) -> str:
    archive = open_zip(data)
    names = frozenset(archive.namelist())
    for name, found in (
        ("word/document.xml", "docx"),
        ("ppt/presentation.xml", "pptx"),
        ("xl/workbook.xml", "xlsx"),
        ("META-INF/container.xml", "epub"),
    ):
        if name in names:
            return found
    if "content.xml" in names and "mimetype" in names:
        kind = archive.read("mimetype").decode("ascii", errors="replace")
        for word, found in (("text", "odt"), ("presentation", "odp"), ("spreadsheet", "ods")):
            if kind.startswith(f"application/vnd.oasis.opendocument.{word}"):
                return found
    raise LoadError(t("The file is a ZIP archive. Unpack it and index the files in it."))


def _ole(data: bytes) -> str:
    # Outlook messages are OLE files as well; their property stream's name is stored as UTF-16.
    if "__properties_version1.0".encode("utf-16-le") in data:
        return "msg"
    raise LoadError(
        t("The file is password protected or in the old Office format. "
          "Save it as DOCX, PPTX or XLSX without a password.")
    )  # fmt: skip
