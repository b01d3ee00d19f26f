"""The command ``waggle``: arguments in, objects built from settings, results printed, exit codes.

0 done · 1 failed · 2 wrong usage · 3 no answer in the documents · 4 some files failed while the
others were indexed · 130 interrupted.
"""

import sys
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn

import typer

from agents.help_pages import Command, Group
from indexes.errors import UsageError, WaggleError
from indexes.i18n import t

if TYPE_CHECKING:
    from agents.terminal import Terminal
    from indexes.collection import Collection
    from indexes.settings import IndexSettings

NO_ANSWER, SOME_FAILED, INTERRUPTED = 3, 4, 130


app = typer.Typer(
    name="waggle",
    cls=Group,
    help=t("Ask your documents, in English and Chinese, and see where each answer stands."),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
models = typer.Typer(
    cls=Group, help=t("The models that can answer and embed here."), no_args_is_help=True
)
app.add_typer(models, name="models")


def _shared(*names: str, help: str) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=t("Shared options"))


Home = Annotated[Path | None, _shared("--home", help=t("Folder for collections and models."))]
Name = Annotated[str | None, _shared("-c", "--collection", help=t("Name of the collection."))]
Json = Annotated[bool, _shared("--json", help=t("Write one JSON object to stdout."))]
Lines = Annotated[bool, typer.Option("--jsonl", help=t("With «-»: write one JSON object a line."))]
Events = Annotated[
    bool, typer.Option("--jsonl", help=t("With --watch: write one JSON object a change."))
]
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


@app.command("index", cls=Command, help=t("Add and update files and folders."))
def index_command(
    paths: Annotated[
        list[str] | None, typer.Argument(metavar="PATH", help=t("Files and folders."))
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
    home: Home = None, name: Name = None, json: Json = False, jsonl: Events = False,
    quiet: Quiet = False, debug: Debug = False,
) -> None:  # fmt: skip
    from agents.indexing import check_index_options, run_index

    check_index_options(paths, watch=watch, reembed=reembed, json=json)
    terminal = _terminal(json or jsonl, quiet)
    with _collection(home, name, terminal, create=not reembed) as collection:
        failed = run_index(
            collection, terminal, paths or [], include or (), exclude or (),
            prune=prune, watch=watch, reembed=reembed,
        )  # fmt: skip
    raise typer.Exit({"": 0, "some": SOME_FAILED, "all": 1}[failed])


@app.command("list", cls=Command, help=t("List the documents of the collection."))
def list_command(
    home: Home = None, name: Name = None, json: Json = False, quiet: Quiet = False,
    debug: Debug = False,
) -> None:  # fmt: skip
    terminal = _terminal(json, quiet)
    with _collection(home, name, terminal) as collection:
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
    terminal = _terminal(json, quiet)
    with _collection(home, name, terminal) as collection:
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
    terminal = _terminal(json, quiet)
    with _collection(home, name, terminal) as collection:
        terminal.remove_report(collection.remove(sources))


@app.command("status", cls=Command, help=t("Show counts, sizes, models and versions."))
def status_command(
    home: Home = None, name: Name = None, json: Json = False, quiet: Quiet = False,
    debug: Debug = False,
) -> None:  # fmt: skip
    from indexes.home import collections

    terminal = _terminal(json, quiet)
    with _collection(home, name, terminal) as collection:
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

    terminal = _terminal(json, quiet)
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
    terminal = _terminal(json or jsonl, quiet)
    with _collection(home, name, terminal) as collection:
        for line in terminal.questions(query, many=jsonl):
            terminal.results(collection.search(line, k, where=where, mode=mode))


@app.command("ask", cls=Command, help=t("Answer a question from the documents, with sources."))
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
                return resolve_chat(collection.home, settings, tick, terminal.notice)

        rag = RAG(collection, chat)
        code = 0
        for line in terminal.questions(question, many=jsonl):
            status = terminal.answer(rag.stream(line, k=k, where=where)).status
            code = max(code, {"answered": 0, "unanswerable": NO_ANSWER, "no_model": 1}[status])
    raise typer.Exit(code)


# -- models ----------------------------------------------------------------------------------


@models.command("list", cls=Command, help=t("List the models that can be pulled or served."))
def models_list(
    home: Home = None, json: Json = False, quiet: Quiet = False, debug: Debug = False
) -> None:
    from agents.models import list_catalogue
    from agents.serving import served_catalogue

    _terminal(json, quiet).models((*list_catalogue(_settings(home).home), *served_catalogue()))


@models.command(
    "pull", cls=Command, help=t("Fetch a model; continues where it stopped, and checks it.")
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


@models.command("status", cls=Command, help=t("Say what would answer a question now."))
def models_status(
    chat_url: Url = None, chat_model: Model = None,
    home: Home = None, json: Json = False, quiet: Quiet = False, debug: Debug = False,
) -> None:  # fmt: skip
    from agents.models import chat_status
    from rag.settings import load_chat_settings

    status = chat_status(_settings(home).home, load_chat_settings(url=chat_url, model=chat_model))
    _terminal(json, quiet).model_status(status)
    raise typer.Exit(not status.ok)


@models.command("serve", cls=Command, help=t("Serve a model with vLLM, or show how (--print)."))
def models_serve(
    model: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help=t("The model, or a folder with one; by default a 7B.")),
    ] = None,
    port: Annotated[int, typer.Option("--port", help=t("The port it answers at."))] = 8000,
    host: Annotated[
        str, typer.Option("--host", help=t("An address of this machine's loopback."))
    ] = "127.0.0.1",
    context: Annotated[
        int | None, typer.Option("--context", min=1, help=t("Tokens of prompt and answer."))
    ] = None,
    gpus: Annotated[
        int | None,
        typer.Option("--gpus", min=0, max=1024, help=t("How many GPUs to use; 0 for none.")),
    ] = None,
    replicas: Annotated[
        int | None, typer.Option("--replicas", min=1, max=1024, help=t("Copies of the model."))
    ] = None,
    lora: Annotated[
        Globs, typer.Option("--lora", metavar="NAME=PATH", help=t("A LoRA adapter (repeatable)."))
    ] = None,
    dtype: Annotated[
        str | None, typer.Option("--dtype", help=t("Type of number: auto, bfloat16, float16."))
    ] = None,
    gpu_memory: Annotated[
        float | None,
        typer.Option("--gpu-memory", metavar="GB", help=t("Plan for GPUs of that size.")),
    ] = None,
    nodes: Annotated[
        str | None, typer.Option("--nodes", metavar="A,B", help=t("Spread it over these machines."))
    ] = None,
    join: Annotated[
        Literal["mp", "ray", "nginx"], typer.Option("--join", help=t("What joins the machines."))
    ] = "mp",
    printed: Annotated[
        bool, typer.Option("--print", help=t("Show the command; start nothing."))
    ] = False,
    systemd: Annotated[bool, typer.Option("--systemd", help=t("Show a unit for systemd."))] = False,
    compose: Annotated[
        bool, typer.Option("--compose", help=t("Show a file for Docker Compose."))
    ] = False,
    home: Home = None, json: Json = False, quiet: Quiet = False, debug: Debug = False,
) -> None:  # fmt: skip
    from agents.serving import ServeRequest, chosen_form, run_serve
    from rag.serving.plan import ServeOptions

    request = ServeRequest(
        model, chosen_form(printed=printed, systemd=systemd, compose=compose),
        ServeOptions(port, host, context, gpus, replicas, dtype=dtype),
        loras=tuple(lora or ()), gpu_memory=gpu_memory, nodes=nodes, join=join,
    )  # fmt: skip
    raise typer.Exit(run_serve(_terminal(json, quiet), _settings(home).home, request))


@app.command("doctor", cls=Command, help=t("Examine this installation and say what mends it."))
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
