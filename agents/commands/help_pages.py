"""The help pages of the command line in the user's language."""

from typing import Any

from typer.core import TyperCommand, TyperGroup

from indexes.i18n import t


class _Translated:
    """The words that Typer itself puts on a help page, in the user's language."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        from typer import rich_utils

        rich_utils.ARGUMENTS_PANEL_TITLE = t("Arguments")
        rich_utils.OPTIONS_PANEL_TITLE = t("Options")
        rich_utils.COMMANDS_PANEL_TITLE = t("Commands")
        rich_utils.REQUIRED_LONG_STRING = t("[required]")
        rich_utils.DEFAULT_STRING = t("[default: {}]")
        helps = {
            "help": t("Show this message and exit."),
            "install_completion": t("Install completion for this shell."),
            "show_completion": t("Show the completion script of this shell."),
        }
        for parameter in ctx.command.get_params(ctx):
            parameter.help = helps.get(parameter.name, parameter.help)
        super().format_help(ctx, formatter)  # type: ignore[misc]

    def format_usage(self, ctx: Any, formatter: Any) -> None:
        pieces = " ".join(ctx.command.collect_usage_pieces(ctx))
        pieces = pieces.replace("[OPTIONS]", t("[OPTIONS]"))
        pieces = pieces.replace("COMMAND [ARGS]...", t("COMMAND [ARGS]..."))
        formatter.write_usage(ctx.command_path, pieces, prefix=t("Usage: "))


class Command(_Translated, TyperCommand):
    """A command with a translated help page."""


class Group(_Translated, TyperGroup):
    """A group of commands with a translated help page."""
