"""``waggle explain …``: what goes on inside."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from agents.commands.building import build_settings, build_terminal
from agents.commands.help_pages import Command, Group
from agents.commands.options import Debug, Home, Json, Quiet
from indexes.i18n import t

app = typer.Typer(cls=Group, help=t("See what goes on inside a model."), no_args_is_help=True)


@app.command("attention", cls=Command, help=t("Show which words of a text a model attends to."))
def explain_attention(
    text: Annotated[str, typer.Argument(help=t("The text; «-» reads standard input."))],
    against: Annotated[
        str | None,
        typer.Option("--against", metavar="TEXT", help=t("A second text to compare it with.")),
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help=t("Write a page with heat maps."))
    ] = None,
    png: Annotated[
        Path | None, typer.Option("--png", metavar="FILE", help=t("Write a picture."))
    ] = None,
    layer: Annotated[
        int | None, typer.Option("--layer", help=t("Show the heat map of this layer, from 1."))
    ] = None,
    method: Annotated[
        Literal["norms", "rollout", "occlusion"] | None,
        typer.Option("--method", help=t("What counts as importance; by default norms.")),
    ] = None,
    home: Home = None, json: Json = False, quiet: Quiet = False, debug: Debug = False,
) -> None:  # fmt: skip
    from agents.explaining import AttentionRequest, run_attention
    from agents.streams import text_of
    from indexes.embedding import embedder_of

    terminal = build_terminal(json, quiet)
    text = text_of(text)
    embedder = embedder_of(build_settings(home), terminal.notice)
    run_attention(
        terminal, embedder, AttentionRequest(text, against, method, layer, html, png)
    )  # fmt: skip
