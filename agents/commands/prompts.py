"""``waggle prompts …``: the prompts that there are, and what they lead to."""

from typing import Annotated, Literal

import typer

from agents.commands.building import (
    build_settings,
    build_terminal,
    chat_starter,
    open_collection,
)  # fmt: skip
from agents.commands.help_pages import Command, Group
from agents.commands.options import Debug, Home, Json, Model, Name, Passages, Quiet, Url, Where
from indexes.i18n import language, t

app = typer.Typer(
    cls=Group, help=t("The prompts that questions are asked with."), no_args_is_help=True
)


@app.command("list", cls=Command, help=t("List the prompts, built in and your own."))
def prompts_list(
    home: Home = None, json: Json = False, quiet: Quiet = False, debug: Debug = False
) -> None:
    from agents.prompting import list_prompts

    list_prompts(build_terminal(json, quiet), build_settings(home).home)


@app.command("show", cls=Command, help=t("Show the file of a prompt."))
def prompts_show(
    name: Annotated[str, typer.Argument(metavar="NAME", help=t("The prompt."))],
    lang: Annotated[
        Literal["en", "zh"] | None,
        typer.Option("--language", help=t("The prompt's language; by default yours.")),
    ] = None,
    home: Home = None, json: Json = False, quiet: Quiet = False, debug: Debug = False,
) -> None:  # fmt: skip
    from agents.prompting import show_prompt

    show_prompt(build_terminal(json, quiet), build_settings(home).home, name, lang or language())


@app.command("try", cls=Command, help=t("Ask one question with a prompt, or show what is sent."))
def prompts_try(
    name: Annotated[str, typer.Argument(metavar="NAME", help=t("The prompt."))],
    question: Annotated[str, typer.Argument(metavar="QUESTION", help=t("The question."))],
    k: Passages = 5,
    where: Where = None,
    printed: Annotated[
        bool, typer.Option("--print", help=t("Show the first messages; ask no model."))
    ] = False,
    chat_url: Url = None, chat_model: Model = None,
    home: Home = None, collection_name: Name = None, json: Json = False,
    quiet: Quiet = False, debug: Debug = False,
) -> None:  # fmt: skip
    from agents.prompting import Trial, print_trial, try_prompt
    from rag.settings import load_chat_settings

    terminal = build_terminal(json, quiet)
    trial = Trial(name, question, k, where)
    with open_collection(home, collection_name, terminal) as collection:
        if printed:
            print_trial(terminal, collection, trial)
            return
        chat = load_chat_settings(url=chat_url, model=chat_model)
        try_prompt(terminal, collection, trial, chat_starter(collection, terminal, chat))
