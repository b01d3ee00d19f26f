"""Which files a set of paths stands for."""

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from pathspec import GitIgnoreSpec

from indexes.errors import SourceError, UsageError
from indexes.i18n import t
from indexes.loaders import supported

_SKIPPED_FOLDERS = frozenset({"node_modules", "__pycache__"})


@dataclass(frozen=True, slots=True)
class Scan:
    """The files under ``roots``, absolute and in a stable order; each root is absolute."""

    roots: tuple[Path, ...]
    files: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Globs:
    """Which files of a folder count: any ``include`` (all where empty) and no ``exclude``."""

    include: Sequence[str] = field(default=())
    exclude: Sequence[str] = field(default=())

    def accept(self, relative: str) -> bool:
        if any(_matches(relative, glob) for glob in self.exclude):
            return False
        return not self.include or any(_matches(relative, glob) for glob in self.include)


def _matches(relative: str, glob: str) -> bool:
    return fnmatch(relative, glob) or fnmatch(relative.rpartition("/")[2], glob)


def absolute(path: str | os.PathLike[str]) -> Path:
    """Absolute, ``~`` expanded, ``..`` folded, symbolic links kept as the user wrote them."""
    return Path(os.path.abspath(Path(path).expanduser()))  # noqa: PTH100 - resolve() follows links


def scan(paths: Iterable[str | os.PathLike[str]], globs: Globs, skip: Path | None = None) -> Scan:
    """List the files to index. Folders are walked: hidden entries, what ``.gitignore`` names,
    links that leave the folder, formats that cannot be read, and the folder ``skip`` are left out.
    A file named by itself is always taken.

    Raises `SourceError` for a path that does not exist or cannot be read, and when nothing is
    found at all.
    """
    roots = tuple(dict.fromkeys(absolute(_local(path)) for path in paths))
    files: dict[Path, None] = {}
    for root in roots:
        mode = _mode(root)
        if stat.S_ISDIR(mode):
            files.update(dict.fromkeys(_walk(root, globs, skip)))
        elif stat.S_ISREG(mode):
            files[root] = None
        else:
            raise SourceError(t("{path} is neither a file nor a folder.", path=root))
    return Scan(roots, tuple(files))


def _local(path: str | os.PathLike[str]) -> str | os.PathLike[str]:
    if not os.fspath(path):
        raise UsageError(t("A path is empty."))
    if isinstance(path, str) and path.startswith(("http://", "https://")):
        raise SourceError(
            t("{url} is on the web, and nothing is fetched. Save the page and index it.", url=path)
        )
    return path


def named(source: str, known: Sequence[str]) -> list[str]:
    """Which of the ``known`` sources a name stands for: itself, a path as it is typed here, a
    folder, or the end of a path."""
    path = str(absolute(source)) if source else ""
    for match in (
        [s for s in known if s in (source, path)],
        [s for s in known if path and s.startswith(path.rstrip("/") + "/")],
        [s for s in known if source and s.endswith("/" + source.lstrip("/"))],
    ):
        if match:
            return match
    return []


def _mode(path: Path) -> int:
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            os.scandir(path).close()
    except (FileNotFoundError, NotADirectoryError):
        raise SourceError(
            t("There is no file or folder {path}. Check the spelling.", path=path)
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SourceError(
            t("{path} cannot be read: {reason}.", path=path, reason=reason)
        ) from error
    return mode


def _walk(root: Path, globs: Globs, skip: Path | None) -> Iterator[Path]:
    real_root = os.path.realpath(root)
    rules: dict[str, list[tuple[str, GitIgnoreSpec]]] = {}
    for folder, names, files in os.walk(root):
        above = rules.get(str(Path(folder).parent), []) if folder != str(root) else []
        rules[folder] = above + _gitignore(folder)
        names[:] = sorted(
            name
            for name in names
            if not name.startswith(".")
            and name not in _SKIPPED_FOLDERS
            and Path(folder, name) != skip
            and not _ignored(os.path.join(folder, name) + "/", rules[folder])  # noqa: PTH118
        )
        for name in sorted(files):
            path = Path(folder, name)
            if name.startswith(".") or not supported(path) or _ignored(str(path), rules[folder]):
                continue
            if globs.accept(path.relative_to(root).as_posix()) and _inside(path, real_root):
                yield path


def _gitignore(folder: str) -> list[tuple[str, GitIgnoreSpec]]:
    try:
        lines = Path(folder, ".gitignore").read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return [(folder, GitIgnoreSpec.from_lines(lines))]


def _ignored(path: str, rules: list[tuple[str, GitIgnoreSpec]]) -> bool:
    """The deepest ``.gitignore`` that has a say decides, as in git."""
    for folder, spec in reversed(rules):
        verdict = spec.check_file(path[len(folder) + 1 :].replace(os.sep, "/")).include
        if verdict is not None:
            return verdict
    return False


def _inside(path: Path, real_root: str) -> bool:
    """A regular file, and a symbolic link only to one under the same root."""
    try:
        mode = path.lstat().st_mode
        if stat.S_ISREG(mode):
            return True
        target = os.path.realpath(path)
        return (
            stat.S_ISLNK(mode) and target.startswith(real_root + os.sep) and Path(target).is_file()
        )
    except OSError:
        return False
