"""``waggle serve``: the door for other apps, and the keys to it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agents.commands.building import build_settings, build_terminal
from agents.commands.help_pages import Command
from agents.commands.options import Debug, Home, Json, Model, Quiet, Url
from indexes.errors import UsageError
from indexes.i18n import t

if TYPE_CHECKING:
    from agents.terminal import Terminal
    from rag.settings import ChatSettings

app = typer.Typer()

Key = str | None


@app.command("serve", cls=Command, help=t("Serve the collections to other apps, over HTTP."))
def serve_command(
    host: Annotated[
        Key, typer.Option("--host", metavar="HOST",
                          help=t("The address to listen at; by default the loopback's.")),
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", metavar="PORT", min=0, max=65535,
                                 help=t("The port; by default 8400.")),
    ] = None,
    new_key: Annotated[
        Key, typer.Option("--new-key", metavar="NAME", help=t("Make a key, and show it once."))
    ] = None,
    rights: Annotated[
        Key, typer.Option("--rights", metavar="A,B",
                          help=t("With --new-key: read, write, agent; by default read.")),
    ] = None,
    collections: Annotated[
        Key, typer.Option("--collections", metavar="A,B",
                          help=t("With --new-key: only these; by default all.")),
    ] = None,
    origins: Annotated[
        Key, typer.Option("--origins", metavar="A,B",
                          help=t("With --new-key: web pages whose scripts may use it.")),
    ] = None,
    rate: Annotated[
        int | None, typer.Option("--rate", metavar="N", min=0,
                                 help=t("With --new-key: requests a minute; 0 for any number.")),
    ] = None,
    list_keys: Annotated[bool, typer.Option("--list-keys", help=t("Show the keys."))] = False,
    rotate: Annotated[
        Key, typer.Option("--rotate", metavar="ID", help=t("Give a key another secret."))
    ] = None,
    revoke: Annotated[
        Key, typer.Option("--revoke", metavar="ID", help=t("Let a key hold no more."))
    ] = None,
    chat_url: Url = None, chat_model: Model = None,
    home: Home = None, json: Json = False, quiet: Quiet = False, debug: Debug = False,
) -> None:  # fmt: skip
    from agents.key_screen import KeyScreen, NewKey
    from rag.settings import load_chat_settings

    terminal, folder = build_terminal(json, quiet), build_settings(home).home
    wanted = [one for one in (new_key, rotate, revoke) if one is not None]
    if len(wanted) + list_keys > 1:
        raise UsageError(t("Give one of --new-key, --list-keys, --rotate and --revoke."))
    if new_key is None and (rights, collections, origins, rate) != (None,) * 4:
        raise UsageError(t("--rights, --collections, --origins and --rate go with --new-key."))
    keys = KeyScreen(terminal, folder)
    if new_key is not None:
        keys.make(NewKey.of(new_key, rights, collections, origins, rate))
    elif list_keys:
        keys.list()
    elif rotate is not None:
        keys.rotate(rotate)
    elif revoke is not None:
        keys.revoke(revoke)
    else:
        _serve(terminal, folder, load_chat_settings(url=chat_url, model=chat_model), host, port)


def _serve(
    terminal: "Terminal", home: Path, chat: "ChatSettings", host: str | None, port: int | None
) -> None:
    from contextlib import closing

    from agents.doors.keys import Keys
    from agents.doors.service import open_service
    from agents.doors.settings import load_serve_settings
    from agents.http.running import address, bind, check_keys, serve
    from rag.models.resolve import resolve_chat

    settings = load_serve_settings(host=host, port=port)
    check_keys(Keys(home), settings)
    with closing(bind(settings.host, settings.port)) as listening:
        service = open_service(
            home, settings, lambda: resolve_chat(home, chat, None, terminal.notice),
            terminal.notice,
        )  # fmt: skip
        with closing(service):
            url = address(listening)
            terminal.notice(t("Waggle answers at {url}. Ctrl-C ends it.", url=url))
            serve(service, listening, terminal.notice)
