"""The command ``waggle``: arguments in, objects built from settings, results printed, exit codes.

0 done · 1 failed · 2 wrong usage · 3 no answer in the documents, or an agent that was stopped · 4
some files failed while the others were indexed · 5 an agent waits for a decision · 130 interrupted.
"""

import sys
from functools import partial
from io import TextIOWrapper
from typing import Annotated, Literal, NoReturn

import typer

from agents.commands import agent, chat, explain, mcp, models, prompts, safe, serve
from agents.commands import eval as evaluating
from agents.commands.building import (
    build_asking,
    build_rag,
    build_settings,
    build_terminal,
    open_collection,
)
from agents.commands.help_pages import Command, Group
from agents.commands.options import (
    Candidates,
    Debug,
    Globs,
    Home,
    Json,
    Lines,
    MinConfidence,
    Model,
    Name,
    Passages,
    Plan,
    PromptName,
    Quiet,
    Strict,
    Url,
    Where,
    Why,
)
from agents.streams import settled, stand_in
from indexes.errors import UsageError, WaggleError
from indexes.i18n import t

SOME_FAILED, INTERRUPTED = 4, 130

app = typer.Typer(
    name="waggle",
    cls=Group,
    help=t("Ask your documents, in English and Chinese, and see where each answer stands."),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

# The groups, each in its module of agents/commands/; the everyday commands stand below.
app.add_typer(agent.app, name="agent")
app.add_typer(chat.app)
app.add_typer(evaluating.app, name="eval")
app.add_typer(explain.app, name="explain")
app.add_typer(mcp.app)
app.add_typer(models.app, name="models")
app.add_typer(prompts.app, name="prompts")
app.add_typer(safe.app)
app.add_typer(serve.app)


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


@app.command("index", cls=Command, help=t("Add and update files and folders."))
def index_command(
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="PATH", help=t("Files and folders; with --web, addresses.")),
    ] = None,
    include: Annotated[
        Globs, typer.Option("--include", help=t("Only files that match this glob (repeatable)."))
    ] = None,
    exclude: Annotated[
        Globs, typer.Option("--exclude", help=t("No files that match this glob (repeatable)."))
    ] = None,
    prune: Annotated[
        bool, typer.Option("--prune", help=t("Remove documents whose files have vanished."))
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help=t("Keep following the folders, until Ctrl-C."))
    ] = False,
    reembed: Annotated[
        bool,
        typer.Option("--reembed", help=t("Cut and embed again all that the collection holds.")),
    ] = False,
    web: Annotated[
        bool, typer.Option("--web", help=t("Fetch what is named by its address (http, https)."))
    ] = False,
    home: Home = None, name: Name = None, json: Json = False,
    jsonl: Annotated[
        bool, typer.Option("--jsonl", help=t("With --watch: write one JSON object a change."))
    ] = False,
    quiet: Quiet = False, debug: Debug = False,
) -> None:  # fmt: skip
    from agents.indexing import check_index_options, run_index

    settings = build_settings(home)
    check_index_options(paths, watch=watch, reembed=reembed, json=json, web=web or settings.web)
    terminal = build_terminal(json or jsonl, quiet)
    with open_collection(home, name, terminal, create=not reembed) as collection:
        failed = run_index(
            collection, terminal, paths or [], include or (), exclude or (),
            prune=prune, watch=watch, reembed=reembed, web_hosts=settings.web_hosts,
        )  # fmt: skip
    raise typer.Exit({"": 0, "some": SOME_FAILED, "all": 1}[failed])


@app.command("list", cls=Command, help=t("List the documents of the collection."))
def list_command(
    home: Home = None, name: Name = None, json: Json = False, quiet: Quiet = False,
    debug: Debug = False,
) -> None:  # fmt: skip
    terminal = build_terminal(json, quiet)
    with open_collection(home, name, terminal) as collection:
        terminal.documents(collection.name, collection.documents())


@app.command("show", cls=Command, help=t("Show the extracted text of a document, or a span of it."))
def show_command(
    source: Annotated[str, typer.Argument(help=t("The document, as «waggle list» names it."))],
    span: Annotated[
        str | None,
        typer.Option("--span", metavar="A:B", help=t("Characters from A up to, not including, B.")),
    ] = None,
    home: Home = None, name: Name = None, json: Json = False, quiet: Quiet = False,
    debug: Debug = False,
) -> None:  # fmt: skip
    terminal = build_terminal(json, quiet)
    with open_collection(home, name, terminal) as collection:
        terminal.text(collection.document(source), span)


@app.command(
    "remove", cls=Command, help=t("Remove documents from the collection (not from the disk).")
)
def remove_command(
    sources: Annotated[
        list[str], typer.Argument(metavar="SOURCE...", help=t("Documents, or folders of them."))
    ],
    home: Home = None, name: Name = None, json: Json = False, quiet: Quiet = False,
    debug: Debug = False,
) -> None:  # fmt: skip
    terminal = build_terminal(json, quiet)
    with open_collection(home, name, terminal) as collection:
        terminal.remove_report(collection.remove(sources))


@app.command("status", cls=Command, help=t("Show counts, sizes, models and versions."))
def status_command(
    home: Home = None, name: Name = None, json: Json = False, quiet: Quiet = False,
    debug: Debug = False,
) -> None:  # fmt: skip
    from indexes.home import collections

    terminal = build_terminal(json, quiet)
    with open_collection(home, name, terminal) as collection:
        terminal.status(collection.status(), collections(collection.home))


@app.command(
    "verify", cls=Command, help=t("Check documents, passages, vectors and words for damage.")
)
def verify_command(
    mend: Annotated[
        bool,
        typer.Option("--repair", help=t("Mend what is damaged, from the rest and the files.")),
    ] = False,
    home: Home = None, name: Name = None, json: Json = False, quiet: Quiet = False,
    debug: Debug = False,
) -> None:  # fmt: skip
    from indexes.upkeep import check

    terminal = build_terminal(json, quiet)
    with terminal.steps() as watch:
        report = check(name, home=home, mend=mend, watch=watch, notice=terminal.notice)
    terminal.verify_report(report)
    raise typer.Exit(int(not report.ok))


# -- questions -------------------------------------------------------------------------------


@app.command("search", cls=Command, help=t("Find passages; no chat model is needed."))
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
    from agents.asking import DONE, check_search, each

    terminal = build_terminal(json or jsonl, quiet)
    check_search(k, where)
    with open_collection(home, name, terminal) as collection:

        def search(line: str) -> int:
            terminal.results(collection.search(line, k, where=where, mode=mode))
            return DONE

        code = each(terminal, query, search, lines=jsonl, name="query", debug=debug)
    raise typer.Exit(code)


@app.command("ask", cls=Command, help=t("Answer a question from the documents, with sources."))
def ask_command(
    question: Annotated[str, typer.Argument(help=t("The question; «-» reads standard input."))],
    k: Passages = 3, where: Where = None, plan: Plan = None, prompt: PromptName = None,
    candidates: Candidates = 1, strict: Strict = False, min_confidence: MinConfidence = None,
    explain: Why = False,
    chat_url: Url = None, chat_model: Model = None,
    home: Home = None, name: Name = None, json: Json = False, jsonl: Lines = False,
    quiet: Quiet = False, debug: Debug = False,
) -> None:  # fmt: skip
    from agents.asking import Answering, each
    from rag.settings import load_chat_settings

    terminal = build_terminal(json or jsonl, quiet)
    settings = load_chat_settings(url=chat_url, model=chat_model)
    options = build_asking(
        k, where, plan, prompt, candidates, strict=strict, min_confidence=min_confidence,
        attribute=explain,
    )  # fmt: skip
    with open_collection(home, name, terminal) as collection:
        build = partial(build_rag, collection, terminal)
        answering = Answering(terminal, build, settings, options, explain=explain)
        answering.check()
        code = each(terminal, question, answering.answer, lines=jsonl, name="question", debug=debug)
    raise typer.Exit(code)


@app.command("doctor", cls=Command, help=t("Examine this installation and say what mends it."))
def doctor_command(
    home: Home = None, json: Json = False, quiet: Quiet = False, debug: Debug = False
) -> None:
    from agents.doctor import examine
    from rag.settings import load_chat_settings

    checks = tuple(examine(build_settings(home), load_chat_settings()))
    ok = all(check.state != "error" for check in checks)
    build_terminal(json, quiet).checks(checks, ok=ok)
    raise typer.Exit(int(not ok))


# -- from failures to exit codes ---------------------------------------------------------------


def main() -> NoReturn:
    """Run the command line; every failure becomes one sentence and an exit code."""
    stand_in()
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="strict" if stream is sys.stdin else "backslashreplace")
    sys.exit(settled(run(sys.argv[1:])))


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
            build_terminal(as_json, quiet=False).error(message, type(error).__name__)
    if code == INTERRUPTED:
        build_terminal(as_json, quiet=False).error(t("Interrupted."), "Interrupted")
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
