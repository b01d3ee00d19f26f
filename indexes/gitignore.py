"""``.gitignore``: which paths its rules name, as git reads them."""

import os
import re
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

NAME = ".gitignore"
_MAX_BYTES = 1_000_000
# How pathspec marks, in the expression of a pattern, the end of what the pattern names.
_MARK = "(?P<ps_d>/)"


class Ignore:
    """One ``.gitignore``. It is asked about each folder on the way down, so a pattern needs to name
    the path itself, not a folder above it: else "!docs" would win over "build/" in docs/build."""

    def __init__(self, folder: str, patterns: Sequence["_Pattern"]) -> None:
        self._start = len(folder.rstrip(os.sep)) + 1
        self._patterns = [(re.compile(one.regex), one.ignores) for one in reversed(patterns)]
        # Most files are named by no pattern, and two expressions say so ten times as fast.
        self._names = _any(one.regex for one in patterns if one.by_name)
        self._paths = _any(one.regex for one in patterns if not one.by_name)

    def verdict(self, path: str) -> bool | None:
        """Whether ``path`` (a folder ends in a slash) is ignored; None if no pattern names it."""
        relative = path[self._start :].replace(os.sep, "/")
        name = relative[relative.rfind("/", 0, -1) + 1 :]
        if not self._names.search(name) and not self._paths.search(relative):
            return None
        return next((ignores for regex, ignores in self._patterns if regex.search(relative)), None)


@dataclass(frozen=True, slots=True)
class _Pattern:
    """One line: the expression that finds what it names, whether that is ignored, and whether the
    last name of a path decides."""

    regex: str
    ignores: bool
    by_name: bool


def _any(regexes: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(regexes) or "(?!)")


Rules = tuple[Ignore, ...]  # the deepest first


def own_rules(folder: str) -> Rules:
    path = os.path.join(folder, NAME)  # noqa: PTH118 - hot
    try:
        # As in git, a link is none; a pipe would block.
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return ()
        with open(path, "rb") as file:  # noqa: PTH123 - hot
            text = file.read(_MAX_BYTES).decode("utf-8-sig", errors="replace")
    except OSError:
        return ()
    patterns = [pattern for line in text.split("\n") for pattern in _pattern(line)]
    return (Ignore(folder, patterns),) if patterns else ()


def _pattern(line: str) -> list[_Pattern]:
    try:
        pattern = GitIgnoreSpecPattern(line)
    except (ValueError, re.error):
        # In git, a line that is no pattern names nothing.
        return []
    if pattern.regex is None or pattern.include is None:
        return []
    line = line.rstrip()
    regex = _itself(pattern.regex.pattern, line)
    return [_Pattern(regex, pattern.include, by_name="/" not in line.removesuffix("/"))]


def _itself(regex: str, line: str) -> str:
    """pathspec's expressions also match what lies below the path that is named; this one does
    not."""
    if regex == ".":
        return regex
    end = r"\Z"
    if line.endswith("/**/") and regex != _MARK:
        end = r".+/\Z"
    elif not regex.endswith((_MARK, "|$)")):  # "folder/**": all that is in it
        end = "."
    return f"(?s:{regex.replace(_MARK, '/')}{end})"


def repository_above(root: str) -> list[str]:
    """The folders above ``root`` up to the one of its repository, the nearest first."""
    folders: list[str] = []
    folder = root
    while not os.path.lexists(os.path.join(folder, ".git")):  # noqa: PTH118
        parent = os.path.dirname(folder)  # noqa: PTH120
        if parent == folder:
            return []
        folder = parent
        folders.append(folder)
    return folders


def ignored(path: str, rules: Rules) -> bool:
    """The deepest ``.gitignore`` that has a say decides, as in git."""
    for one in rules:
        verdict = one.verdict(path)
        if verdict is not None:
            return verdict
    return False
