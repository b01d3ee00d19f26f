"""The command ``waggle``: arguments in, objects built from settings, results printed, exit codes.

0 done · 1 failed · 2 wrong usage · 3 no answer in the documents · 4 some files failed while the
others were indexed · 130 interrupted.
"""

import sys
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from indexes.errors import UsageError, WaggleError
from indexes.i18n import t

if TYPE_CHECKING:
    from agents.terminal import Terminal
    from indexes.collection import Collection
    from indexes.settings import IndexSettings

NO_ANSWER, SOME_FAILED, INTERRUPTED = 3, 4, 130


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


class _Command(_Translated, TyperCommand):
    pass


class _Group(_Translated, TyperGroup):
    pass


app = typer.Typer(
    name="waggle",
    cls=_Group,
    help=t("Ask your documents, in English and Chinese, and see where each answer stands."),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
models = typer.Typer(
    cls=_Group, help=t("The models that can answer and embed here."), no_args_is_help=True
)
app.add_typer(models, name="models")


def _shared(*names: str, help: str) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=t("Shared options"))


Home = Annotated[Path | None, _shared("--home", help=t("Folder for collections and models."))]
Name = Annotated[str | None, _shared("-c", "--collection", help=t("Name of the collection."))]
Json = Annotated[bool, _shared("--json", help=t("Write one JSON object to stdout."))]
Lines = Annotated[bool, typer.Option("--jsonl", help=t("With «-»: write one JSON object a line."))]
Quiet = Annotated[bool, _shared("-q", "--quiet", help=t("No notices, no progress."))]
Debug = Annotated[bool, _shared("--debug", help=t("Show the traceback of a failure."))]
Where = Annotated[
    str | None, typer.Option("--where", help=t('Filter, such as: lang = "zh" and year >= 2024'))
]
Url = Annotated[
    str | None, typer.Option("--chat-url", help=t("An OpenAI-compatible server, such as vLLM."))
]
Model = Annotated[str | None, typer.Option("--chat-model", help=t("The chat model's name."))]
Globs = list[str] | None


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"waggle {version('waggledance')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help=t("Show the version and exit.")
        ),
    ] = False,
) -> None:
    pass


# -- documents -------------------------------------------------------------------------------


@app.command("index", cls=_Command, help=t("Add and update files and folders."))
def index_command(
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help=t("Files and folders."))],
    include: Annotated[
        Globs, typer.Option("--include", help=t("Only files that match this glob (repeatable)."))
    ] = None,
    exclude: Annotated[
        Globs, typer.Option("--exclude", help=t("No files that match this glob (repeatable)."))
    ] = None,
    prune: Annotated[
        bool, typer.Option("--prune", help=t("Remove documents whose files have vanished."))
    ] = False,
    home: Home = None, name: Name = None, json: Json = False, quiet: Quiet = False,
    debug: Debug = False,
) -> None:  # fmt: skip
    terminal = _terminal(json, quiet)
    with _collection(home, name, terminal, create=True) as collection, terminal.indexing() as bar:
        report = collection.add(
            paths, include=include or (), exclude=exclude or (), prune=prune, progress=bar
        )
    terminal.index_report(report)
    if report.failed:
        done = report.added + report.updated + report.unchanged
        raise typer.Exit(SOME_FAILED if done else 1)


@app.command("list", cls=_Command, help=t("List the documents of the collection."))
def list_command(
    home: Home = None, name: Name = None, json: Json = False, quiet: Quiet = False,
    debug: Debug = False,
) -> None:  # fmt: skip
    terminal = _terminal(json, quiet)
    with _collection(home, name, terminal) as collection:
        terminal.documents(collection.name, collection.documents())


@app.command(
    "show", cls=_Command, help=t("Show the extracted text of a document, or a span of it.")
)
def show_command(
    source: Annotated[str, typer.Argument(help=t("The document, as «waggle list» names it."))],
    span: Annotated[
        str | None,
        typer.Option("--span", metavar="A:B", help=t("Characters from A up to, not including, B.")),
    ] = None,
    home: Home = None, name: Name = None, json: Json = False, quiet: Quiet = False,
    debug: Debug = False,
) -> None:  # fmt: skip
    terminal = _terminal(json, quiet)
    with _collection(home, name, terminal) as collection:
        terminal.text(collection.document(source), span)


@app.command(
    "remove", cls=_Command, help=t("Remove documents from the collection (not from the disk).")
)
def remove_command(
    sources: Annotated[
        list[str], typer.Argument(metavar="SOURCE...", help=t("Documents, or folders of them."))
    ],
    home: Home = None, name: Name = None, json: Json = False, quiet: Quiet = False,
    debug: Debug = False,
) -> None:  # fmt: skip
    terminal = _terminal(json, quiet)
    with _collection(home, name, terminal) as collection:
        terminal.remove_report(collection.remove(sources))


@app.command("status", cls=_Command, help=t("Show counts, sizes, models and versions."))
def status_command(
    home: Home = None, name: Name = None, json: Json = False, quiet: Quiet = False,
    debug: Debug = False,
) -> None:  # fmt: skip
    from indexes.home import collections

    terminal = _terminal(json, quiet)
    with _collection(home, name, terminal) as collection:
        terminal.status(collection.status(), collections(collection.home))


# -- questions -------------------------------------------------------------------------------


@app.command("search", cls=_Command, help=t("Find passages; no chat model is needed."))
def search_command(
    query: Annotated[str, typer.Argument(help=t("What to look for; «-» reads standard input."))],
    k: Annotated[int, typer.Option("-k", help=t("Number of passages."))] = 10,
    where: Where = None,
    mode: Annotated[
        Literal["hybrid", "dense", "lexical"], typer.Option(help=t("Which index to ask."))
    ] = "hybrid",
    home: Home = None, name: Name = None, json: Json = False, jsonl: Lines = False,
    quiet: Quiet = False, debug: Debug = False,
) -> None:  # fmt: skip
    terminal = _terminal(json or jsonl, quiet)
    with _collection(home, name, terminal) as collection:
        for line in terminal.questions(query, many=jsonl):
            terminal.results(collection.search(line, k, where=where, mode=mode))


@app.command("ask", cls=_Command, help=t("Answer a question from the documents, with sources."))
def ask_command(
    question: Annotated[str, typer.Argument(help=t("The question; «-» reads standard input."))],
    k: Annotated[int, typer.Option("-k", help=t("Number of passages to read."))] = 5,
    where: Where = None, chat_url: Url = None, chat_model: Model = None,
    home: Home = None, name: Name = None, json: Json = False, jsonl: Lines = False,
    quiet: Quiet = False, debug: Debug = False,
) -> None:  # fmt: skip
    from rag.models.resolve import resolve_chat
    from rag.settings import load_chat_settings

    terminal = _terminal(json or jsonl, quiet)
    settings = load_chat_settings(url=chat_url, model=chat_model)
    with _collection(home, name, terminal) as collection:
        from rag.answering import RAG

        def chat() -> Any:
            with terminal.waiting(t("Starting the chat model…")) as tick:
                return resolve_chat(collection.home, settings, tick)

        rag = RAG(collection, chat)
        code = 0
        for line in terminal.questions(question, many=jsonl):
            status = terminal.answer(rag.stream(line, k=k, where=where)).status
            code = max(code, {"answered": 0, "unanswerable": NO_ANSWER, "no_model": 1}[status])
    raise typer.Exit(code)


# -- models ----------------------------------------------------------------------------------


@models.command("list", cls=_Command, help=t("List the models that can be pulled by name."))
def models_list(
    home: Home = None, json: Json = False, quiet: Quiet = False, debug: Debug = False
) -> None:
    from agents.models import list_catalogue

    _terminal(json, quiet).models(list_catalogue(_settings(home).home))


@models.command(
    "pull", cls=_Command, help=t("Fetch a model; continues where it stopped, and checks it.")
)
def models_pull(
    model: Annotated[
        str | None, typer.Argument(metavar="NAME", help=t("The model; by default the chat model."))
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help=t("Take the weights from this file instead."))
    ] = None,
    home: Home = None, json: Json = False, quiet: Quiet = False, debug: Debug = False,
) -> None:  # fmt: skip
    from agents.models import fetch

    terminal = _terminal(json, quiet)
    with terminal.transferring(t("Fetching")) as bar:
        pulled = fetch(_settings(home).home, model, file, bar)
    terminal.pulled(pulled)


@models.command("status", cls=_Command, help=t("Say what would answer a question now."))
def models_status(
    chat_url: Url = None, chat_model: Model = None,
    home: Home = None, json: Json = False, quiet: Quiet = False, debug: Debug = False,
) -> None:  # fmt: skip
    from agents.models import chat_status
    from rag.settings import load_chat_settings

    status = chat_status(_settings(home).home, load_chat_settings(url=chat_url, model=chat_model))
    _terminal(json, quiet).model_status(status)
    raise typer.Exit(not status.ok)


@app.command("doctor", cls=_Command, help=t("Examine this installation and say what mends it."))
def doctor_command(
    home: Home = None, json: Json = False, quiet: Quiet = False, debug: Debug = False
) -> None:
    from agents.doctor import examine
    from rag.settings import load_chat_settings

    checks = tuple(examine(_settings(home), load_chat_settings()))
    ok = all(check.state != "error" for check in checks)
    _terminal(json, quiet).checks(checks, ok=ok)
    raise typer.Exit(not ok)


# -- from arguments to objects -----------------------------------------------------------------


def _terminal(as_json: bool, quiet: bool) -> "Terminal":
    from agents.terminal import Terminal

    return Terminal(as_json=as_json, quiet=quiet)


def _settings(home: Path | None) -> "IndexSettings":
    from indexes.settings import IndexSettings, load_settings

    return load_settings(IndexSettings, "index", home=home)


def _collection(
    home: Path | None, name: str | None, terminal: "Terminal", *, create: bool = False
) -> "Collection":
    from indexes.collection import Collection

    return Collection.open(name, home=home, create=create, notice=terminal.notice)


# -- from failures to exit codes ---------------------------------------------------------------


def main() -> NoReturn:
    """Run the command line; every failure becomes one sentence and an exit code."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="strict" if stream is sys.stdin else "backslashreplace")
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    as_json = "--json" in arguments or "--jsonl" in arguments
    try:
        _check_text(arguments)
        code = app(args=arguments, prog_name="waggle", standalone_mode=False) or 0
    except Exception as error:
        if "--debug" in arguments:
            raise
        message, code = _explain(error)
        if message:
            _terminal(as_json, quiet=False).error(message, type(error).__name__)
    if code == INTERRUPTED:
        _terminal(as_json, quiet=False).error(t("Interrupted."), "Interrupted")
    return code


def _check_text(arguments: list[str]) -> None:
    """What the shell passes need not be text, and nothing here could store it."""
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise UsageError(t("{name} is not text in UTF-8.", name=ascii(argument))) from None


def _explain(error: Exception) -> tuple[str, int]:
    """What the user reads, empty where help was shown instead, and the exit code."""
    from agents.failures import explain, usage

    if not isinstance(error, typer.TyperException):
        return explain(error), error.exit_code if isinstance(error, WaggleError) else 1
    context = getattr(error, "ctx", None)
    see = t("See: {command} --help", command=context.command_path if context else "waggle")
    message = error.format_message()
    return message and f"{usage(message)} {see}", error.exit_code


if __name__ == "__main__":
    main()
