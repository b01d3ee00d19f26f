"""``waggle backup`` and ``waggle restore``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agents.commands.building import build_settings, build_terminal, open_collection
from agents.commands.help_pages import Command, Group
from agents.commands.options import Debug, Home, Json, Quiet
from indexes.i18n import t

if TYPE_CHECKING:
    from agents.keeping_safe import Copied
    from agents.terminal import Terminal

app = typer.Typer(cls=Group)


@app.command(
    "backup", cls=Command,
    help=t("Copy all that the home holds into one file, also while it is served."),
)  # fmt: skip
def backup_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help=t("The file to write."))],
    home: Home = None, json: Json = False, quiet: Quiet = False, debug: Debug = False,
) -> None:  # fmt: skip
    from agents.keeping_safe import backup

    done = backup(build_settings(home).home, file)
    _tell(build_terminal(json, quiet), done, t("Written: {path}", path=file))


@app.command("restore", cls=Command, help=t("Bring back a home from a backup."))
def restore_command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help=t("The backup."))],
    home: Home = None, json: Json = False, quiet: Quiet = False, debug: Debug = False,
) -> None:  # fmt: skip
    from agents.keeping_safe import restore

    terminal, folder = build_terminal(json, quiet), build_settings(home).home
    done = restore(file, folder)
    for name in done.collections:
        # What a collection makes of its database was not in the backup; a writer's turn makes it.
        with open_collection(folder, name, terminal) as collection, collection.writing():
            pass
    _tell(terminal, done, t("Restored into {home}", home=folder))


def _tell(terminal: "Terminal", done: "Copied", sentence: str) -> None:
    from agents.shapes import CopiedShape

    if terminal.as_json:
        terminal.json(CopiedShape.model_validate(done))
        return
    terminal.line(sentence, "green")
    terminal.line(
        t("{files} files of {collections} collections, {size} MB, as of {made}.",
          files=done.files, collections=len(done.collections),
          size=f"{done.bytes / 1e6:.1f}", made=done.made),
        "dim",
    )  # fmt: skip
