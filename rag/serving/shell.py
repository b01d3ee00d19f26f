"""Commands as text that a POSIX shell takes back."""

import shlex
from collections.abc import Mapping, Sequence

_INDENT = " \\\n    "


def by_flag(command: Sequence[str]) -> list[list[str]]:
    """The words of a command in lines: the program and what belongs to it, then each flag with its
    values."""
    lines: list[list[str]] = [[]]
    for word in command:
        if word.startswith("--"):
            lines.append([])
        lines[-1].append(word)
    return lines


def command_text(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """The command with its variables before it, quoted, each flag on a line of its own. It ends
    without a newline."""
    variables = [f"{name}={shlex.quote(value)}" for name, value in environment.items()]
    first, *rest = by_flag(command)
    lines = [" ".join([*variables, shlex.join(first)]), *map(shlex.join, rest)]
    return _INDENT.join(lines)
