"""A call that waits for a decision, put to somebody at a terminal."""

import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agents.loop.taint import visible
from agents.loop.types import Decision, Pending
from indexes.i18n import t

if TYPE_CHECKING:
    from agents.terminal import Terminal


def somebody_is_there() -> bool:
    """Whether a person reads and types here; what the command writes may go elsewhere."""
    return sys.stdin.isatty() and sys.stderr.isatty()


class Dialogue:
    """Shows each call as it would be done, and waits for what is typed. Nothing is taken for yes
    but a yes that was typed after the call was shown."""

    def __init__(self, terminal: "Terminal") -> None:
        self._terminal = terminal

    def decide(self, pending: Pending) -> Decision | None:
        """The decision; ``None`` after Ctrl-D, which leaves the call waiting."""
        arguments = pending.arguments
        while True:
            self._show(replace(pending, arguments=arguments))
            typed = self._typed(_question(pending))
            match typed and typed.lower():
                case None:
                    return None
                case "y" | "yes" | "是":
                    return _approved(pending, arguments)
                case "n" | "no" | "否":
                    reason = self._typed(t("Why not? The model is told; it may be empty."))
                    return Decision(pending.call_id, "reject", reason=reason or "")
                case "e" | "edit" if pending.editable:
                    arguments = self._edited(arguments)

    def _show(self, pending: Pending) -> None:
        from agents.loop.policy import shown

        self._terminal.urgent()
        self._terminal.urgent(pending.reason, "yellow")
        self._terminal.urgent(shown(pending), "bold")

    def _edited(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Other arguments, or the same where what was written cannot be taken for arguments."""
        text = json.dumps(dict(arguments), ensure_ascii=False, indent=2, default=str)
        editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
        if editor:
            written = self._in_editor(editor, text)
        else:
            written = self._typed(t("The arguments as one JSON object:"))
        if written is None:
            return arguments
        try:
            changed = json.loads(written)
        except json.JSONDecodeError as error:
            self._terminal.urgent(
                t("That is not JSON ({reason}); nothing is changed.", reason=error), "red"
            )
            return arguments
        if not isinstance(changed, dict):
            self._terminal.urgent(t("That is no JSON object; nothing is changed."), "red")
            return arguments
        seen: dict[str, Any] = visible(changed)  # what is shown is what is done
        return seen

    def _in_editor(self, editor: str, text: str) -> str | None:
        with tempfile.TemporaryDirectory(prefix="waggle-") as folder:
            file = Path(folder) / "arguments.json"
            file.write_text(text, encoding="utf-8")
            try:
                subprocess.run([*shlex.split(editor), str(file)], check=True, stdout=sys.stderr)
                return file.read_text(encoding="utf-8")
            except (OSError, ValueError, subprocess.CalledProcessError) as error:
                self._terminal.urgent(
                    t("The editor {editor} failed ({reason}); nothing is changed.",
                      editor=editor, reason=error), "red",
                )  # fmt: skip
                return None

    def _typed(self, question: str) -> str | None:
        """A line, without what was typed before it was asked for; ``None`` at the end of input."""
        with suppress(ImportError, OSError, ValueError):
            import termios

            termios.tcflush(sys.stdin, termios.TCIFLUSH)
        self._terminal.urgent(question, "bold")
        try:
            line = sys.stdin.readline()
        except UnicodeDecodeError:
            return ""
        return line.strip() if line else None


def _question(pending: Pending) -> str:
    if pending.editable:
        return t("Do it? y = yes, n = no, e = edit, Ctrl-D = later")
    return t("Do it again? y = yes, n = no, Ctrl-D = later")


def _approved(pending: Pending, arguments: Mapping[str, Any]) -> Decision:
    if arguments == pending.arguments:
        return Decision(pending.call_id, "approve")
    return Decision(pending.call_id, "edit", arguments)
