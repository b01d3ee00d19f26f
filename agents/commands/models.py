"""``waggle models …``: what can answer and embed here."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from agents.commands.building import build_settings, build_terminal
from agents.commands.help_pages import Command, Group
from agents.commands.options import Debug, Globs, Home, Json, Model, Quiet, Url
from indexes.i18n import t

app = typer.Typer(
    cls=Group, help=t("The models that can answer and embed here."), no_args_is_help=True
)


@app.command("list", cls=Command, help=t("List the models that can be pulled or served."))
def models_list(
    home: Home = None, json: Json = False, quiet: Quiet = False, debug: Debug = False
) -> None:
    from agents.chat_models import list_catalogue
    from agents.serving import served_catalogue

    catalogue = (*list_catalogue(build_settings(home).home), *served_catalogue())
    build_terminal(json, quiet).models(catalogue)


@app.command(
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
    from agents.chat_models import fetch

    terminal = build_terminal(json, quiet)
    with terminal.transferring(t("Fetching")) as bar:
        pulled = fetch(build_settings(home).home, model, file, bar)
    terminal.pulled(pulled)


@app.command("status", cls=Command, help=t("Say what would answer a question now."))
def models_status(
    chat_url: Url = None, chat_model: Model = None,
    home: Home = None, json: Json = False, quiet: Quiet = False, debug: Debug = False,
) -> None:  # fmt: skip
    from agents.chat_models import chat_status
    from rag.settings import load_chat_settings

    chat = load_chat_settings(url=chat_url, model=chat_model)
    status = chat_status(build_settings(home).home, chat)
    build_terminal(json, quiet).model_status(status)
    raise typer.Exit(int(not status.ok))


@app.command("serve", cls=Command, help=t("Serve a model with vLLM, or show how (--print)."))
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
        str | None,
        typer.Option("--dtype", help=t("Type of number: auto, bfloat16, float16, float32.")),
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
    raise typer.Exit(run_serve(build_terminal(json, quiet), build_settings(home).home, request))
