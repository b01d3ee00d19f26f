"""``waggle prompts …``: the prompts that there are, and what they lead to."""

from typing import Annotated, Literal

import typer

from agents.commands.building import (
    build_settings,
    build_terminal,
    chat_starter,
    home_chat_starter,
    open_collection,
)  # fmt: skip
from agents.commands.eval import Concurrency, Half, Limit, Seed
from agents.commands.eval import Passages as AtLeastOne
from agents.commands.help_pages import Command, Group
from agents.commands.options import (
    Debug,
    Home,
    Json,
    Model,
    Name,
    Passages,
    Plan,
    Quiet,
    Url,
    Where,
)
from indexes.i18n import language, t

On = Annotated[
    str,
    typer.Option(
        "--on", metavar="DATASET",
        help=t("An evaluation set, or a JSONL file with your questions."),
    ),
]  # fmt: skip
Resume = Annotated[
    bool, typer.Option("--resume", help=t("Do not ask again what the same command was answered."))
]

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
    k: Passages = 3,
    where: Where = None,
    plan: Plan = None,
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
    trial = Trial(name, question, k, where, plan)
    with open_collection(home, collection_name, terminal) as collection:
        if printed:
            print_trial(terminal, collection, trial)
            return
        chat = load_chat_settings(url=chat_url, model=chat_model)
        try_prompt(terminal, collection, trial, chat_starter(collection, terminal, chat))


@app.command("compare", cls=Command, help=t("Ask the same questions with several prompts."))
def prompts_compare(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME…", help=t("The prompts; the first is the measure."))
    ],
    on: On,
    limit: Limit = 20, half: Half = None, seed: Seed = 0, k: AtLeastOne = 3, plan: Plan = None,
    concurrency: Concurrency = None, resume: Resume = False,
    chat_url: Url = None, chat_model: Model = None,
    home: Home = None, collection_name: Name = None, json: Json = False,
    quiet: Quiet = False, debug: Debug = False,
) -> None:  # fmt: skip
    from agents.prompt_comparing import compare_prompts
    from rag.evaluation.evaluator import Plan as Evaluation
    from rag.settings import load_chat_settings

    terminal, folder = build_terminal(json, quiet), build_settings(home).home
    chat = load_chat_settings(url=chat_url, model=chat_model)
    evaluation = Evaluation(
        on, collection_name, limit or None, half, seed,
        concurrency=concurrency or (4 if chat.url else 1), options=_options(k, plan),
    )  # fmt: skip
    start = home_chat_starter(folder, terminal, chat)
    compare_prompts(terminal, folder, names, evaluation, start, resume=resume)


@app.command("improve", cls=Command, help=t("Search for a better prompt, and measure it."))
def prompts_improve(
    name: Annotated[str, typer.Argument(metavar="NAME", help=t("The prompt."))],
    on: On,
    new: Annotated[
        str | None,
        typer.Option("--as", metavar="NAME", help=t("What it will be called: NAME-improved.")),
    ] = None,
    lang: Annotated[
        Literal["en", "zh"] | None,
        typer.Option("--language", help=t("The language of prompt and questions.")),
    ] = None,
    rounds: Annotated[
        int, typer.Option("--rounds", min=1, max=20, help=t("How often to propose anew."))
    ] = 2,
    force: Annotated[
        bool, typer.Option("--force", help=t("Let it take the place of a prompt of that name."))
    ] = False,
    limit: Limit = 20, seed: Seed = 0, k: AtLeastOne = 3, plan: Plan = None,
    concurrency: Concurrency = None, resume: Resume = False,
    chat_url: Url = None, chat_model: Model = None,
    home: Home = None, collection_name: Name = None, json: Json = False,
    quiet: Quiet = False, debug: Debug = False,
) -> None:  # fmt: skip
    from agents.prompt_improving import Improving, improve_prompt
    from rag.evaluation.evaluator import Plan as Evaluation
    from rag.settings import load_chat_settings

    terminal, folder = build_terminal(json, quiet), build_settings(home).home
    chat = load_chat_settings(url=chat_url, model=chat_model)
    wanted = Improving(name, new or f"{name}-improved", lang, rounds, force, resume)
    evaluation = Evaluation(
        on, collection_name, limit or None, "all", seed,
        concurrency=concurrency or (4 if chat.url else 1), options=_options(k, plan),
    )  # fmt: skip
    start = home_chat_starter(folder, terminal, chat)
    improve_prompt(terminal, folder, wanted, evaluation, start)


def _options(k: int, plan: str | None) -> dict[str, int | str]:
    return {"k": k} if plan is None else {"k": k, "plan": plan}
