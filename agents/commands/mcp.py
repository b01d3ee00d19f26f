"""``waggle mcp``: the documents for assistants and editors."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agents.commands.building import build_settings, build_terminal, home_chat_starter
from agents.commands.help_pages import Command, Group
from agents.commands.options import Debug, Home, Model, Name, Quiet, Url
from agents.mcp_door.configurations import Client
from indexes.errors import UsageError
from indexes.i18n import t

if TYPE_CHECKING:
    from agents.mcp_door.access import Access
    from agents.mcp_door.configurations import Address, Program
    from agents.terminal import Terminal

app = typer.Typer(cls=Group)


@app.command("mcp", cls=Command, help=t("Lend the documents to assistants and editors (MCP)."))
def mcp_command(
    config: Annotated[
        Client | None,
        typer.Option("--config", help=t("Show what to write into the settings of this program.")),
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help=t("Let texts be added to the documents."))
    ] = False,
    folders: Annotated[
        list[Path] | None,
        typer.Option("--folder", metavar="FOLDER",
                     help=t("Let files below it be added as well (repeatable).")),
    ] = None,
    http: Annotated[
        bool, typer.Option("--http", help=t("Over HTTP, at /mcp of the service."))
    ] = False,
    host: Annotated[str | None, typer.Option("--host", help=t("With --http: where."))] = None,
    port: Annotated[int | None, typer.Option("--port", help=t("With --http: where."))] = None,
    chat_url: Url = None, chat_model: Model = None,
    home: Home = None, name: Name = None, quiet: Quiet = False, debug: Debug = False,
) -> None:  # fmt: skip
    _check(http=http, local=bool(write or folders), at=host is not None or port is not None)
    terminal = build_terminal(as_json=False, quiet=quiet)
    if config is not None:
        server = (
            _address(host, port, name)
            if http
            else _program(home, name, chat_url, chat_model, write, folders or [])
        )
        _show(terminal, config, server)
    elif http:
        from agents.commands.serve import serve_command

        terminal.notice(t("Assistants connect at {url}.", url=_address(host, port, name).url))
        serve_command(host, port, chat_url=chat_url, chat_model=chat_model, home=home, quiet=quiet)
    else:
        from agents.mcp_door.stdio import serve

        access = _access(home, name, terminal, chat_url, chat_model, write, folders or [])
        try:
            serve(access)
        finally:
            access.shelf.close()


def _check(*, http: bool, local: bool, at: bool) -> None:
    if http and local:
        raise UsageError(
            t("Over HTTP the key says what may be written: waggle serve --new-key NAME")
        )
    if at and not http:
        raise UsageError(t("--host and --port are for --http."))


def _access(
    home: Path | None, name: str | None, terminal: "Terminal", chat_url: str | None,
    chat_model: str | None, write: bool, folders: list[Path],
) -> "Access":  # fmt: skip
    """What the person who starts the program lends to it."""
    from agents.doors.audit import Audit
    from agents.doors.rights import Caller, Right
    from agents.doors.shelf import Shelf
    from agents.mcp_door.access import Access
    from rag.settings import load_chat_settings

    settings = build_settings(home)
    chat = load_chat_settings(url=chat_url, model=chat_model)
    shelf = Shelf(settings.home, home_chat_starter(settings.home, terminal, chat), terminal.notice)
    rights: set[Right] = {"read", "write"} if write or folders else {"read"}
    return Access(
        shelf, Caller("local", frozenset(rights)), Audit(settings.home),
        bound=name, first=settings.collection, folders=tuple(folders), local=True,
    )  # fmt: skip


def _program(
    home: Path | None, name: str | None, chat_url: str | None, chat_model: str | None,
    write: bool, folders: list[Path],
) -> "Program":  # fmt: skip
    """The command that starts us, so that it does the same wherever it is started."""
    from agents.mcp_door.configurations import Program, own_command
    from rag.settings import load_chat_settings

    chat = load_chat_settings(url=chat_url, model=chat_model)
    command, started = own_command()
    arguments = [*started, "mcp", "--home", str(build_settings(home).home)]
    for option, value in (("-c", name), ("--chat-url", chat.url), ("--chat-model", chat.model)):
        arguments += [option, value] if value else []
    arguments += ["--write"] if write else []
    for folder in folders:
        arguments += ["--folder", str(folder.expanduser().absolute())]
    return Program(command, arguments, {})


def _address(host: str | None, port: int | None, name: str | None) -> "Address":
    from agents.doors.settings import load_serve_settings
    from agents.mcp_door.configurations import Address

    settings = load_serve_settings(host=host, port=port)
    where = f"http://{settings.host}:{settings.port}/mcp" + (f"/{name}" if name else "")
    return Address(where, keyed=not settings.open)


def _show(terminal: "Terminal", config: Client, server: "Program | Address") -> None:
    from agents.mcp_door.configurations import VARIABLE, Address, configuration

    file, text = configuration(config, server)
    terminal.notice(t("For {file}:", file=file))
    terminal.write(text + "\n")
    if isinstance(server, Address) and server.keyed:
        terminal.notice(
            t("The key belongs into the variable {name}. Make one with: waggle serve --new-key "
              "NAME", name=VARIABLE)
        )  # fmt: skip
