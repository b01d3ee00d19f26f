"""``waggle chat``: a conversation with the documents."""

import typer

from agents.commands.building import build_asking, build_rag, build_terminal, open_collection
from agents.commands.help_pages import Command, Group
from agents.commands.options import (
    Candidates,
    Debug,
    Explain,
    Home,
    Model,
    Name,
    Passages,
    Plan,
    PromptName,
    Quiet,
    Strict,
    Url,
    Where,
)
from indexes.i18n import t

app = typer.Typer(cls=Group)


@app.command("chat", cls=Command, help=t("Hold a conversation with the documents."))
def chat_command(
    k: Passages = 3, where: Where = None, plan: Plan = None, prompt: PromptName = None,
    candidates: Candidates = 1, strict: Strict = False, explain: Explain = False,
    chat_url: Url = None, chat_model: Model = None,
    home: Home = None, name: Name = None, quiet: Quiet = False, debug: Debug = False,
) -> None:  # fmt: skip
    from agents.chatting import Conversation
    from rag.settings import load_chat_settings

    terminal = build_terminal(as_json=False, quiet=quiet)
    settings = load_chat_settings(url=chat_url, model=chat_model)
    options = build_asking(k, where, plan, prompt, candidates, strict=strict)
    with open_collection(home, name, terminal) as collection:
        rag = build_rag(collection, terminal, settings)
        Conversation(terminal, rag, options, explain=explain).hold()
