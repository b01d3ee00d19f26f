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


# -- how a question is answered ------------------------------------------------------------------


def _plans(incomplete: str) -> list[str]:
    from rag.retrieval.plan import PLANS

    return [name for name in PLANS if name.startswith(incomplete)]


def _prompts(ctx: typer.Context, incomplete: str) -> list[str]:
    from agents.commands.building import build_settings
    from rag.prompting.library import PromptLibrary

    shelf = PromptLibrary.of(build_settings(ctx.params.get("home")).home).shelf()
    names = dict.fromkeys(prompt.name for prompt in shelf.prompts if prompt.task == "answer")
    return [name for name in names if name.startswith(incomplete)]


Passages = Annotated[int, typer.Option("-k", help=t("Number of passages to read."))]
Plan = Annotated[
    str | None,
    typer.Option("--plan", metavar="NAME", autocompletion=_plans,
                 help=t("How passages are found: default, plain, thorough and others.")),
]  # fmt: skip
PromptName = Annotated[
    str | None,
    typer.Option("--prompt", metavar="NAME", autocompletion=_prompts,
                 help=t("The prompt, as «waggle prompts list» names it.")),
]  # fmt: skip
Candidates = Annotated[
    int,
    typer.Option("--candidates", metavar="N",
                 help=t("Write so many answers and take the most frequent.")),
]  # fmt: skip
Strict = Annotated[
    bool, typer.Option("--strict", help=t("Leave out sentences that no passage supports."))
]
MinConfidence = Annotated[
    float | None,
    typer.Option("--min-confidence", metavar="P", min=0, max=1,
                 help=t("Answer only from this confidence on; 0 for always.")),
]  # fmt: skip
Explain = Annotated[
    bool, typer.Option("--explain", help=t("Show how the passages were found, with scores."))
]
Why = Annotated[
    bool,
    typer.Option("--explain",
                 help=t("Show how the passages were found, and which the answer leans on.")),
]  # fmt: skip
