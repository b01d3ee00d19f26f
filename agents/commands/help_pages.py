"""The help pages of the command line in the user's language."""

from typing import Any, Final

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


RUN: Final = "run"
"""The command of an `OpenGroup` that nobody names."""


class OpenGroup(Group):
    """A group in which all that is not one of its commands goes to its hidden command `RUN`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        named = args and args[0] in {*self.commands, *ctx.help_option_names}
        if not named and (args or not self.no_args_is_help):
            args = [RUN, *args]
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        # The options of the hidden command are shown here, and parsed there.
        self.params = self.commands[RUN].params
        super().format_help(ctx, formatter)


class Unnamed(Command):
    """The command `RUN` of an `OpenGroup`, whose arguments are the group's own."""

    def make_context(
        self,
        info_name: str | None,  # noqa: ARG002 - it is not shown
        args: list[str],
        parent: Any = None,
        **extra: Any,
    ) -> Any:
        plain = "--" not in args
        context = super().make_context(parent.info_name, args, parent.parent, **extra)
        first = context.params.get(self.params[0].name or "")
        if plain and first in parent.command.commands:
            context.fail(
                t("The command {name} goes before its options; anything else of that name after "
                  "«--».", name=first)
            )  # fmt: skip
        return context
