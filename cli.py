"""The command ``waggle``: arguments in, objects built from settings, results printed, exit codes.

0 done · 1 failed · 2 wrong usage · 3 no answer in the documents · 4 some files failed while the
others were indexed · 130 interrupted.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, Optional

import typer

from indexes.errors import UsageError, WaggleError
from indexes.i18n import t

if TYPE_CHECKING:
    from agents.terminal import Terminal
    from indexes.collection import Collection
    from indexes.retrieval import Mode
    from indexes.settings import IndexSettings
    from rag.answering import RAG
    from rag.types import Answer

NO_ANSWER, SOME_FAILED, INTERRUPTED = 3, 4, 130

app = typer.Typer(
    name="waggle",
    help=t("Ask your documents, in English and Chinese, and see where each answer stands."),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
models = typer.Typer(help=t("The models that can answer and embed here."), no_args_is_help=True)
app.add_typer(models, name="models")

_SHARED = t("Shared options")
Home = Annotated[
    Optional[Path],  # noqa: UP045 - read at run time
    typer.Option("--home", help=t("Folder for collections and models."), rich_help_panel=_SHARED),
]
Name = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("-c", "--collection", help=t("Name of the collection."), rich_help_panel=_SHARED),
]
Json = Annotated[
    bool,
    typer.Option("--json", help=t("Write one JSON object to stdout."), rich_help_panel=_SHARED),
]
Lines = Annotated[bool, typer.Option("--jsonl", help=t("With «-»: write one JSON object a line."))]
Quiet = Annotated[
    bool,
    typer.Option("-q", "--quiet", help=t("No notices, no progress."), rich_help_panel=_SHARED),
]
Debug = Annotated[
    bool,
    typer.Option("--debug", help=t("Show the traceback of a failure."), rich_help_panel=_SHARED),
]
Where = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--where", help=t('Filter, such as: lang = "zh" and year >= 2024')),
]
ChatUrl = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--chat-url", help=t("An OpenAI-compatible server, such as vLLM.")),
]
ChatModel = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--chat-model", help=t("The chat model's name.")),
]


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


@app.command("index", help=t("Add and update files and folders."))
def index_command(
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help=t("Files and folders."))],
    include: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--include", help=t("Only files that match this glob (repeatable).")),
    ] = None,
    exclude: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--exclude", help=t("No files that match this glob (repeatable).")),
    ] = None,
    prune: Annotated[
        bool, typer.Option("--prune", help=t("Remove documents whose files have vanished."))
    ] = False,
    home: Home = None, name: Name = None, json: Json = False, quiet: Quiet = False,
    debug: Debug = False,
) -> None:  # fmt: skip
    from agents.shapes import IndexShape

    terminal = _terminal(json, quiet)
    with _collection(home, name, terminal, create=True) as collection, terminal.indexing() as bar:
        report = collection.add(
            paths, include=include or (), exclude=exclude or (), prune=prune, progress=bar
        )
    if json:
        terminal.json(IndexShape.of(report))
    else:
        terminal.index_report(report)
    if report.failed:
        done = report.added + report.updated + report.unchanged
        raise typer.Exit(SOME_FAILED if done else 1)


@app.command("list", help=t("List the documents of the collection."))
def list_command(
    home: Home = None, name: Name = None, json: Json = False, quiet: Quiet = False,
    debug: Debug = False,
) -> None:  # fmt: skip
    from agents.shapes import DocumentShape, ListShape

    terminal = _terminal(json, quiet)
    with _collection(home, name, terminal) as collection:
        documents = collection.documents()
        if json:
            shapes = tuple(DocumentShape.of(document, chunks) for document, chunks in documents)
            terminal.json(ListShape(collection=collection.name, documents=shapes))
        else:
            terminal.documents(documents)


@app.command("show", help=t("Show the extracted text of a document, or a span of it."))
def show_command(
    source: Annotated[str, typer.Argument(help=t("The document, as «waggle list» names it."))],
    span: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--span", metavar="A:B", help=t("Characters from A up to, not including, B.")),
    ] = None,
    home: Home = None, name: Name = None, json: Json = False, quiet: Quiet = False,
    debug: Debug = False,
) -> None:  # fmt: skip
    from agents.shapes import ShowShape

    terminal = _terminal(json, quiet)
    with _collection(home, name, terminal) as collection:
        document = collection.document(source)
    start, end = _span(span, len(document.text))
    text = document.text[start:end]
    if json:
        terminal.json(
            ShowShape(source=document.source, title=document.title, start=start, end=end, text=text)
        )
    else:
        terminal.text(text)


@app.command("remove", help=t("Remove documents from the collection (not from the disk)."))
def remove_command(
    sources: Annotated[
        list[str], typer.Argument(metavar="SOURCE...", help=t("Documents, or folders of them."))
    ],
    home: Home = None, name: Name = None, json: Json = False, quiet: Quiet = False,
    debug: Debug = False,
) -> None:  # fmt: skip
    from agents.shapes import RemoveShape

    terminal = _terminal(json, quiet)
    with _collection(home, name, terminal) as collection:
        report = collection.remove(sources)
    if json:
        terminal.json(RemoveShape.of(report))
    else:
        terminal.remove_report(report)


@app.command("status", help=t("Show counts, sizes, models and versions."))
def status_command(
    home: Home = None, name: Name = None, json: Json = False, quiet: Quiet = False,
    debug: Debug = False,
) -> None:  # fmt: skip
    from agents.shapes import StatusShape
    from indexes.home import collections

    terminal = _terminal(json, quiet)
    with _collection(home, name, terminal) as collection:
        shape = StatusShape.of(collection.status(), tuple(collections(collection.home)))
    if json:
        terminal.json(shape)
    else:
        terminal.facts(shape)


# -- questions -------------------------------------------------------------------------------


@app.command("search", help=t("Find passages; no chat model is needed."))
def search_command(
    query: Annotated[str, typer.Argument(help=t("What to look for; «-» reads standard input."))],
    k: Annotated[int, typer.Option("-k", help=t("Number of passages."))] = 10,
    where: Where = None,
    mode: Annotated[
        str, typer.Option("--mode", metavar="hybrid|dense|lexical", help=t("Which index to ask."))
    ] = "hybrid",
    home: Home = None, name: Name = None, json: Json = False, jsonl: Lines = False,
    quiet: Quiet = False, debug: Debug = False,
) -> None:  # fmt: skip
    from agents.shapes import SearchShape

    terminal = _terminal(json or jsonl, quiet)
    with _collection(home, name, terminal) as collection:
        for line in _questions(query, jsonl):
            response = collection.search(line, k, where=where, mode=_mode(mode))
            if terminal.as_json:
                terminal.json(SearchShape.of(response))
            else:
                terminal.results(response.results)


@app.command("ask", help=t("Answer a question from the documents, with sources."))
def ask_command(
    question: Annotated[str, typer.Argument(help=t("The question; «-» reads standard input."))],
    k: Annotated[int, typer.Option("-k", help=t("Number of passages to read."))] = 5,
    where: Where = None,
    chat_url: ChatUrl = None, chat_model: ChatModel = None,
    home: Home = None, name: Name = None, json: Json = False, jsonl: Lines = False,
    quiet: Quiet = False, debug: Debug = False,
) -> None:  # fmt: skip
    from rag.models.resolve import resolve_chat
    from rag.settings import load_chat_settings

    terminal = _terminal(json or jsonl, quiet)
    settings = load_chat_settings(url=chat_url, model=chat_model)
    with _collection(home, name, terminal) as collection:
        from rag.answering import RAG

        def chat() -> object:
            with terminal.waiting(t("Starting the chat model…")) as tick:
                return resolve_chat(collection.home, settings, tick)

        rag = RAG(collection, chat)  # type: ignore[arg-type]
        codes = [_ask(rag, line, k, where, terminal) for line in _questions(question, jsonl)]
    if any(codes):
        raise typer.Exit(max(codes))


def _ask(rag: "RAG", question: str, k: int, where: str | None, terminal: "Terminal") -> int:
    from agents.shapes import AnswerShape

    answer: Answer
    if terminal.as_json:
        answer = rag.ask(question, k=k, where=where)
        terminal.json(AnswerShape.of(answer))
    else:
        answer = terminal.stream_answer(rag.stream(question, k=k, where=where))
    if answer.status == "no_model":
        terminal.notice(
            t(
                "There is no chat model here, so these are the best passages. Get one with: "
                "waggle models pull"
            )
        )
    return {"answered": 0, "unanswerable": NO_ANSWER, "no_model": 1}[answer.status]


# -- models ----------------------------------------------------------------------------------


@models.command("list", help=t("List the models that can be pulled by name."))
def models_list(
    home: Home = None, json: Json = False, quiet: Quiet = False, debug: Debug = False
) -> None:
    from agents.models import list_catalogue
    from agents.shapes import ModelsShape

    terminal = _terminal(json, quiet)
    shapes = list_catalogue(_settings(home).home)
    if json:
        terminal.json(ModelsShape(models=shapes))
    else:
        terminal.models(shapes)


@models.command("pull", help=t("Fetch a model; continues where it stopped, and checks it."))
def models_pull(
    model: Annotated[
        Optional[str],  # noqa: UP045
        typer.Argument(metavar="NAME", help=t("The model; by default the chat model.")),
    ] = None,
    file: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--file", help=t("Take the weights from this file instead.")),
    ] = None,
    home: Home = None, json: Json = False, quiet: Quiet = False, debug: Debug = False,
) -> None:  # fmt: skip
    from agents.shapes import PulledShape
    from rag.models.catalogue import DEFAULT_CHAT_MODEL, find
    from rag.models.download import import_file, pull
    from rag.models.resolve import models_dir

    terminal = _terminal(json, quiet)
    spec = find(model or DEFAULT_CHAT_MODEL)
    folder = models_dir(_settings(home).home)
    with terminal.transferring(spec.name) as bar:
        path = import_file(spec, file, folder, bar) if file else pull(spec, folder, bar)
    if json:
        terminal.json(PulledShape(name=spec.name, path=str(path), sha256=spec.sha256))
    else:
        terminal.line(t("{name} is here and checked: {path}", name=spec.name, path=path))


@models.command("status", help=t("Say what would answer a question now."))
def models_status(
    chat_url: ChatUrl = None, chat_model: ChatModel = None,
    home: Home = None, json: Json = False, quiet: Quiet = False, debug: Debug = False,
) -> None:  # fmt: skip
    from agents.models import chat_status
    from rag.settings import load_chat_settings

    terminal = _terminal(json, quiet)
    settings = load_chat_settings(url=chat_url, model=chat_model)
    status = chat_status(_settings(home).home, settings)
    if json:
        terminal.json(status)
    else:
        terminal.line(status.detail)
    if not status.ok:
        raise typer.Exit(1)


@app.command("doctor", help=t("Examine this installation and say what mends it."))
def doctor_command(
    home: Home = None, json: Json = False, quiet: Quiet = False, debug: Debug = False
) -> None:
    from agents.doctor import examine
    from agents.shapes import DoctorShape
    from rag.settings import load_chat_settings

    terminal = _terminal(json, quiet)
    checks = tuple(examine(_settings(home), load_chat_settings()))
    ok = all(check.state != "error" for check in checks)
    if json:
        terminal.json(DoctorShape(ok=ok, checks=checks))
    else:
        terminal.checks(checks)
    if not ok:
        raise typer.Exit(1)


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


def _mode(text: str) -> "Mode":
    if text in ("hybrid", "dense", "lexical"):
        return text  # type: ignore[return-value]
    raise UsageError(
        t("There is no search mode «{mode}». Use hybrid, dense or lexical.", mode=text)
    )


def _span(text: str | None, length: int) -> tuple[int, int]:
    if text is None:
        return 0, length
    start, colon, end = text.partition(":")
    if not (colon and start.isdecimal() and end.isdecimal() and int(start) <= int(end) <= length):
        raise UsageError(
            t(
                "«{span}» is no span of this document: write A:B with 0 ≤ A ≤ B ≤ {length}.",
                span=text,
                length=length,
            )
        )
    return int(start), int(end)


def _questions(text: str, many: bool) -> Iterator[str]:
    """The question itself; for «-» the lines of standard input, or all of it as one question."""
    if text != "-":
        yield text
    elif many:
        yield from (line for line in map(str.strip, sys.stdin) if line)
    else:
        yield sys.stdin.read().strip()


def main() -> NoReturn:
    """Run the command line; every failure becomes one sentence and an exit code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    debug = "--debug" in arguments
    as_json = "--json" in arguments or "--jsonl" in arguments
    try:
        result = app(args=arguments, prog_name="waggle", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if debug:
            raise
        message, code = _explain(error)
        _terminal(as_json, quiet=False).error(message, type(error).__name__)
        return code


def _explain(error: Exception) -> tuple[str, int]:
    """What the user reads, and the exit code; a traceback is for --debug alone."""
    if isinstance(error, WaggleError):
        return str(error), error.exit_code
    if isinstance(error, typer.TyperException):
        return _usage(error), error.exit_code
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}.", 1
    return (
        t(
            "Waggle made a mistake ({kind}: {reason}). Run again with --debug to see where.",
            kind=type(error).__name__,
            reason=error,
        ),
        1,
    )


def _usage(error: typer.TyperException) -> str:
    """Typer's message, in the user's language where it is a common one, and where help is."""
    context = getattr(error, "ctx", None)
    parameter = getattr(error, "param", None)
    name = parameter.get_error_hint().strip("'") if parameter is not None else ""
    match type(error).__name__:
        case "NoArgsIsHelpError":
            return error.format_message()
        case "NoSuchOption":
            message = t("There is no option {name}.", name=getattr(error, "option_name", ""))
        case "MissingParameter" if name:
            message = t("{name} is missing.", name=name)
        case "BadParameter" if name:
            message = t("{name} is not usable: {reason}", name=name, reason=error.message)
        case _:
            message = error.format_message()
    command = context.command_path if context is not None else "waggle"
    return f"{message} {t('See: {command} --help', command=command)}"


if __name__ == "__main__":
    main()
