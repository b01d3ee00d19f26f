"""The options that several commands take, each with its help in one place."""

from pathlib import Path
from typing import Annotated, Any

import typer

from indexes.i18n import t


def _shared(*names: str, help: str) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=t("Shared options"))


Home = Annotated[Path | None, _shared("--home", help=t("Folder for collections and models."))]
Name = Annotated[str | None, _shared("-c", "--collection", help=t("Name of the collection."))]
Json = Annotated[bool, _shared("--json", help=t("Write one JSON object to stdout."))]
Quiet = Annotated[bool, _shared("-q", "--quiet", help=t("No notices, no progress."))]
Debug = Annotated[bool, _shared("--debug", help=t("Show the traceback of a failure."))]

Lines = Annotated[bool, typer.Option("--jsonl", help=t("With «-»: write one JSON object a line."))]
Where = Annotated[
    str | None, typer.Option("--where", help=t('Filter, such as: lang = "zh" and year >= 2024'))
]
Url = Annotated[
    str | None, typer.Option("--chat-url", help=t("An OpenAI-compatible server, such as vLLM."))
]
Model = Annotated[str | None, typer.Option("--chat-model", help=t("The chat model's name."))]
Globs = list[str] | None
