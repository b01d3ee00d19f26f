"""Which files a set of paths stands for."""

import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import translate
from functools import lru_cache
from itertools import chain
from pathlib import Path

from indexes.addresses import is_web
from indexes.errors import SourceError, UsageError
from indexes.gitignore import NAME as GITIGNORE
from indexes.gitignore import Rules, ignored, own_rules, repository_above
from indexes.i18n import t
from indexes.loaders import supported

_SKIPPED_FOLDERS = frozenset({"node_modules", "__pycache__"})


@dataclass(frozen=True, slots=True)
class Scan:
    """The files under ``roots``, absolute and in a stable order; each root is absolute. Of the
    folders ``unread`` nothing is known, because they could not be listed."""

    roots: tuple[Path, ...]
    files: tuple[str, ...]
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Globs:
    """Which files of a folder count: any ``include`` (all where empty) and no ``exclude``. A glob
    is matched with the path below the folder, and with the name alone."""

    include: Sequence[str] = field(default=())
    exclude: Sequence[str] = field(default=())

    def acceptance(self) -> Callable[[str], bool]:
        """The test of a path below the folder, compiled."""
        included, excluded = _any_glob(self.include), _any_glob(self.exclude)
        if not self.include:
            return lambda relative: not excluded(relative)
        return lambda relative: included(relative) and not excluded(relative)


def _any_glob(globs: Sequence[str]) -> Callable[[str], bool]:
    if not globs:
        return lambda _: False
    match = re.compile("|".join(translate(os.path.normcase(glob)) for glob in globs)).match

    def matches(relative: str) -> bool:
        path = os.path.normcase(relative)
        return bool(match(path) or match(os.path.basename(path)))  # noqa: PTH119 - hot

    return matches


def absolute(path: str | os.PathLike[str]) -> Path:
    """Absolute, ``~`` expanded, ``..`` folded, symbolic links kept as the user wrote them."""
    return Path(os.path.abspath(Path(path).expanduser()))  # noqa: PTH100 - resolve() follows links


def scan(paths: Iterable[str | os.PathLike[str]], globs: Globs, skip: Path | None = None) -> Scan:
    """List the files to index. Folders are walked: hidden entries, what ``.gitignore`` names,
    links that leave the folder, formats that cannot be read, and the folder ``skip`` are left out.
    A file named by itself is always taken.

    Raises `SourceError` for a path that does not exist or cannot be read. What vanishes, or
    cannot be read, below a folder is passed over.
    """
    return Selection(paths, globs, skip).scan()


class Selection:
    """The rules by which a set of paths is scanned, to be asked again while the disk changes."""

    def __init__(
        self, paths: Iterable[str | os.PathLike[str]], globs: Globs, skip: Path | None = None
    ) -> None:
        self.roots = tuple(dict.fromkeys(absolute(_local(path)) for path in paths))
        self._globs = globs
        real = os.path.realpath(skip) if skip else ""
        # For each root, the path by which a walk from it meets ``skip``.
        self._skips = {str(root): _as_walked(str(root), real) for root in self.roots}

    def scan(self) -> Scan:
        """The present files; see `scan`."""
        unread: list[str] = []
        parts = [self._at(root, unread) for root in self.roots]
        files = chain.from_iterable(parts)
        # Two roots may overlap; one alone holds nothing twice, and the table would cost 10 MB.
        found = tuple(files) if len(parts) == 1 else tuple(dict.fromkeys(files))
        return Scan(self.roots, found, tuple(unread))

    def below(self, paths: Iterable[str]) -> list[str]:
        """The files, of those that `scan` would give now, that are one of the absolute ``paths``
        or lie below one. Neither a path nor a root needs to exist."""
        wanted = list(paths)
        found: dict[str, None] = {}
        for root in map(str, self.roots):
            if Path(root).is_dir():
                tree = self._tree(root, [])
                found.update(dict.fromkeys(f for path in wanted for f in tree.below(path)))
            elif Path(root).is_file() and any(_within(root, path) for path in wanted):
                found[root] = None
        return list(found)

    def present(self) -> list[Path]:
        """The roots that can be read now."""
        return [root for root in self.roots if _is_readable(root)]

    def concerns(self, path: str) -> bool:
        """Whether a change at the absolute ``path`` may change what `scan` gives, as far as its
        name tells."""
        for root, skipped in self._skips.items():
            if _within(path, root):
                *folders, name = Path(path[len(root) :]).parts or ("",)
                if (
                    not (skipped and _within(path, skipped))
                    and all(map(_passable, folders))
                    and (_passable(name) or name == GITIGNORE)
                ):
                    return True
        return False

    def ignore_files(self) -> list[str]:
        """The ``.gitignore`` files above the roots, there or not, that have or would have a say."""
        folders = dict.fromkeys(f for root in self.roots for f in repository_above(str(root)))
        return [os.path.join(folder, GITIGNORE) for folder in folders]  # noqa: PTH118

    def _at(self, root: Path, unread: list[str]) -> Iterator[str]:
        mode = _mode(root)
        if stat.S_ISDIR(mode):
            return self._tree(str(root), unread).walk()
        if stat.S_ISREG(mode):
            return iter((str(root),))
        raise SourceError(t("{path} is neither a file nor a folder.", path=root))

    def _tree(self, root: str, unread: list[str]) -> "_Tree":
        return _Tree(root, self._globs.acceptance(), self._skips[root], unread)


def _as_walked(root: str, real: str) -> str | None:
    """The path by which a walk from ``root`` meets the folder ``real``: links to folders are not
    followed, so there is but one."""
    try:
        real_root = os.path.realpath(root)
    except ValueError:  # no path at all, as the scan will say
        return None
    if not real or not _within(real, real_root):
        return None
    return root.rstrip(os.sep) + real[len(real_root.rstrip(os.sep)) :]


def _passable(folder: str) -> bool:
    return not folder.startswith(".") and folder not in _SKIPPED_FOLDERS


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _local(path: str | os.PathLike[str]) -> str | os.PathLike[str]:
    if not os.fspath(path):
        raise UsageError(t("A path is empty."))
    if isinstance(path, str) and is_web(path):
        raise SourceError(
            t("{url} is on the web, and nothing is fetched. Save the page and index it.", url=path)
        )
    return path


def _is_readable(path: Path) -> bool:
    try:
        return bool(_mode(path))
    except SourceError:
        return False


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


@lru_cache(1024)
def _known_suffix(suffix: str) -> bool:
    return supported(Path(f"x.{suffix}"))


def _readable(name: str) -> bool:
    _, dot, suffix = name.rpartition(".")
    return bool(dot and _known_suffix(suffix)) or supported(Path(name))


def _link_mode(path: str) -> int | None:
    """The mode of what stands there itself, were it a link; None if nothing does."""
    try:
        return os.lstat(path).st_mode
    except (OSError, ValueError):
        return None


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _is_regular(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file(follow_symlinks=False)
    except OSError:
        return False


class _Tree:
    """What of one folder counts."""

    def __init__(
        self, root: str, accept: Callable[[str], bool], skip: str | None, unread: list[str]
    ) -> None:
        self._root = root
        self._real_root = os.path.realpath(root)
        self._start = len(root.rstrip(os.sep)) + 1
        self._accept = accept
        self._unread = unread
        self._skip = skip
        above = tuple(rule for folder in repository_above(root) for rule in own_rules(folder))
        # Who names a folder means it, though its repository ignores it.
        above = () if ignored(root.rstrip(os.sep) + os.sep, above) else above
        self._entered: dict[str, Rules | None] = {root: own_rules(root) + above}

    def walk(self) -> Iterator[str]:
        """Every file that counts."""
        return self._walk(self._root, self._entered[self._root] or ())

    def below(self, path: str) -> Iterator[str]:
        """Those that are ``path`` or lie below it."""
        if _within(self._root, path):
            yield from self.walk()
        elif _within(path, self._root):
            folder, name = os.path.split(path)
            rules = self._rules_in(folder)
            mode = _link_mode(path)
            if rules is None or mode is None:
                return
            if not stat.S_ISDIR(mode):
                if self._takes(path, name, stat.S_ISREG(mode), rules):
                    yield path
            elif self._enters(path, name, rules):
                yield from self._walk(path, own_rules(path) + rules)

    def _rules_in(self, folder: str) -> Rules | None:
        """The rules for the entries of a folder below the root; None if a walk misses it."""
        missing = []
        while folder not in self._entered:
            missing.append(folder)
            folder = os.path.dirname(folder)  # noqa: PTH120
        for folder in reversed(missing):
            parent, name = os.path.split(folder)
            rules = self._entered[parent]
            entered = (
                rules is not None
                and stat.S_ISDIR(_link_mode(folder) or 0)
                and self._enters(folder, name, rules)
            )
            self._entered[folder] = own_rules(folder) + (rules or ()) if entered else None
        return self._entered[missing[0] if missing else folder]

    def _walk(self, folder: str, rules: Rules) -> Iterator[str]:
        waiting = [(folder, rules)]
        while waiting:
            folder, rules = waiting.pop()
            below: list[str] = []
            for entry in self._entries(folder):
                if _is_folder(entry):
                    if self._enters(entry.path, entry.name, rules):
                        below.append(entry.path)
                elif self._takes(entry.path, entry.name, _is_regular(entry), rules):
                    yield entry.path
            waiting += [(path, own_rules(path) + rules) for path in reversed(below)]

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                return sorted(entries, key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError:
            self._unread.append(folder)
            return []

    def _enters(self, path: str, name: str, rules: Rules) -> bool:
        return _passable(name) and path != self._skip and not ignored(path + os.sep, rules)

    def _takes(self, path: str, name: str, regular: bool, rules: Rules) -> bool:
        return (
            not name.startswith(".")
            and _readable(name)
            and not ignored(path, rules)
            and self._accept(path[self._start :].replace(os.sep, "/"))
            and (regular or self._links_inside(path))
        )

    def _links_inside(self, path: str) -> bool:
        """A symbolic link to a regular file under the same root."""
        mode = _link_mode(path)
        target = os.path.realpath(path)
        return (
            mode is not None
            and stat.S_ISLNK(mode)
            and _within(target, self._real_root)
            and Path(target).is_file()
        )
