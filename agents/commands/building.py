"""From arguments to the objects that a command works with. What is built loads what it needs, so
that `waggle --help` loads none of it."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from indexes.i18n import t

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from agents.terminal import Terminal
    from indexes.collection import Collection
    from indexes.settings import IndexSettings
    from rag.answering import RAG, AskOptions
    from rag.settings import ChatSettings


def build_terminal(as_json: bool, quiet: bool) -> "Terminal":
    """Where the results go."""
    from agents.terminal import Terminal

    return Terminal(as_json=as_json, quiet=quiet)


def build_settings(home: Path | None) -> "IndexSettings":
    """The settings of the collections. Raises `UsageError` for one that is not usable."""
    from indexes.settings import IndexSettings, load_settings

    return load_settings(IndexSettings, "index", home=home)


def open_collection(
    home: Path | None, name: str | None, terminal: "Terminal", *, create: bool = False
) -> "Collection":
    """The collection, which the caller closes. Raises `UnknownCollectionError` where there is none
    and ``create`` is false."""
    from indexes.collection import Collection

    return Collection.open(name, home=home, create=create, notice=terminal.notice)


def build_rag(collection: "Collection", terminal: "Terminal", chat: "ChatSettings") -> "RAG":
    """What answers questions from the collection."""
    from rag.answering import RAG

    return RAG(collection, chat_starter(collection, terminal, chat))


def chat_starter(
    collection: "Collection", terminal: "Terminal", chat: "ChatSettings"
) -> "Callable[[], BaseChatModel | None]":
    """Makes the chat model; the terminal says that it starts, which is when it is first needed."""
    return home_chat_starter(collection.home, terminal, chat)


def home_chat_starter(
    home: Path, terminal: "Terminal", chat: "ChatSettings"
) -> "Callable[[], BaseChatModel | None]":
    """`chat_starter` where no collection is open."""
    from rag.models.resolve import resolve_chat

    def start() -> "BaseChatModel | None":
        with terminal.waiting(t("Starting the chat model…")) as tick:
            return resolve_chat(home, chat, tick, terminal.notice)

    return start


def build_asking(
    k: int, where: str | None, plan: str | None, prompt: str | None, candidates: int, *,
    strict: bool, min_confidence: float | None = None, attribute: bool = False,
) -> "AskOptions":  # fmt: skip
    """How questions are answered; what is not given is left to the settings."""
    options: AskOptions = {
        "k": k, "where": where, "plan": plan, "candidates": candidates, "strict": strict,
        "min_confidence": min_confidence, "attribute": attribute,
    }  # fmt: skip
    if prompt is not None:
        options["prompt"] = prompt
    return options
