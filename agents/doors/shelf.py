"""The collections of the service, kept open, and who may know of them."""

import shutil
import socket
import threading
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from agents.doors.rights import Caller
from indexes.addresses import is_loopback, port_of
from indexes.collection import Collection, Notice
from indexes.embedding import Embedder, embedder_of
from indexes.errors import ForbiddenError, UnknownCollectionError, UsageError
from indexes.home import check_name, collections, is_collection, sync_folder
from indexes.i18n import t
from indexes.settings import IndexSettings, load_settings
from indexes.veiled import VeiledCollection
from rag.answering import RAG, ChatFactory
from rag.types import Answer

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

_Place = tuple[int, int]

PATIENCE = 5.0
"""Seconds that a request waits for whoever writes to a collection."""


class Shelf:
    """The collections below ``home``, each opened when it is first asked for, all with one
    embedding model and one chat model. Safe to use from several threads; its methods may block.

    ``chat`` makes the chat model when it is first needed, and again where there was none, or where
    its server on this machine is gone: the embedded engine ends when nobody asks it. ``embedder``
    is by default that of the settings. ``heard`` is told each answer. Whoever needs a key is shown
    no path of this machine (`indexes.veiled`).
    """

    def __init__(
        self, home: Path, chat: ChatFactory, notice: Notice | None = None,
        embedder: Any | None = None, heard: Callable[[Answer], None] = lambda _: None,
    ) -> None:  # fmt: skip
        self.home = home
        self._make_chat, self._notice, self._heard = chat, notice, heard
        self._given, self._embedder = embedder, _Once(self._make_embedder)
        self._chat: BaseChatModel | None = None
        self._chat_lock, self._lock = threading.Lock(), threading.RLock()
        self._open: dict[str, _Opened] = {}
        self._forget: Callable[[str], None] = lambda _: None

    def forgetting(self, forget: Callable[[str], None]) -> None:
        """Have ``forget`` told the name of each collection that is deleted, or about to be made,
        while nobody else here can make or delete one. What it knows is of an earlier one."""
        self._forget = forget

    def names(self, caller: Caller) -> list[str]:
        """The collections that the caller sees, in order of their names."""
        return [name for name in collections(self.home) if caller.sees(name)]

    def rag(self, caller: Caller, name: str) -> RAG:
        """What answers from a collection. Raises `UnknownCollectionError`, in the same words
        whether it is not there or not for this caller to know of."""
        if not caller.sees(name):
            raise _unknown(name)
        return self._opened(name).seen_by(caller)

    def ready(self, caller: Caller, name: str) -> RAG | None:
        """`rag` where that takes no time, because the collection is open already; else ``None``."""
        known = self._open.get(name) if caller.sees(name) else None
        return known.seen_by(caller) if known and known.place == self._place(name) else None

    def collection(self, caller: Caller, name: str) -> Collection:
        """A collection. Raises as `rag` does."""
        return self.rag(caller, name).collection

    def create(self, caller: Caller, name: str) -> Collection:
        """A new collection. Raises `ForbiddenError` without the right «write» and for a name that
        the caller's key is not bound to, `UsageError` for one that is there."""
        caller.check("write")
        if not caller.sees(check_name(name)):
            raise ForbiddenError(
                t("This key is bound to certain collections, and «{name}» is none of them.",
                  name=name)
            )  # fmt: skip
        embedder = self._embedder()
        with self._lock:
            if self._place(name) is not None:
                raise UsageError(t("There is a collection «{name}» already.", name=name))
            self._forget(name)
            return self._open_new(name, embedder, create=True).seen_by(caller).collection

    def delete(self, caller: Caller, name: str) -> None:
        """Delete a collection with all that is in it. Answers that are being written keep what
        they read. Raises as `rag` does, `ForbiddenError` without the right «write» and
        `LockedError` while somebody writes to it."""
        caller.check("write")
        rag = self.rag(caller, name)
        trash = self.home / "deleted" / f"{name}-{uuid.uuid4().hex}"
        with ExitStack() as turn:
            turn.enter_context(rag.collection.writing(PATIENCE))  # nobody else waits meanwhile
            with self._lock:
                if self.ready(caller, name) is not rag:
                    raise _unknown(name)
                folder = self.home / "collections" / name
                trash.parent.mkdir(exist_ok=True, mode=0o700)
                folder.rename(trash)
                sync_folder(folder.parent)
                del self._open[name]
                self._forget(name)
                turn.close()  # before there can be a new one in the same place
        shutil.rmtree(trash, ignore_errors=True)

    def forget_missing(self, name: str) -> None:
        """Have a collection forgotten that is not there, unless there is one by now."""
        with self._lock:
            if self._place(name) is None:
                self._forget(name)

    def sweep(self) -> None:
        """Delete what a kill has left of collections that were deleted."""
        for remains in (self.home / "deleted").glob("*"):
            shutil.rmtree(remains, ignore_errors=True)

    def opened(self) -> list[RAG]:
        """The collections that are open now."""
        with self._lock:
            return [one.rag for one in self._open.values()]

    def embedder(self) -> Embedder:
        """The embedding model, loaded when it is first needed."""
        return self._embedder()

    def chat(self) -> "BaseChatModel | None":
        """The chat model, made when it is first needed; ``None`` where there is none. Raises
        `ModelError` where it cannot be reached."""
        with self._chat_lock:
            if self._chat is None or _is_gone(self._chat):
                self._chat = self._make_chat()
            return self._chat

    def close(self) -> None:
        """Close every collection."""
        with self._lock:
            gone, self._open = list(self._open.values()), {}
        for one in gone:
            one.rag.collection.close()

    def _opened(self, name: str) -> "_Opened":
        with self._lock:
            if (known := self._known(name)) is not None:
                return known
        embedder = self._embedder()  # may have to be loaded, for which nobody else shall wait
        with self._lock:
            return self._known(name) or self._open_new(name, embedder, create=False)

    def _known(self, name: str) -> "_Opened | None":
        """The collection where it is open. Raises `UnknownCollectionError` where there is none."""
        place = self._place(name)
        known = self._open.get(name)
        if known and known.place == place:
            return known
        self._open.pop(name, None)  # another process has deleted it, or made it anew
        if place is None:
            raise _unknown(name)
        return None

    def _open_new(self, name: str, embedder: Embedder, *, create: bool) -> "_Opened":
        try:
            collection = Collection.open(
                name, home=self.home, embedder=embedder, create=create, notice=self._notice
            )
        except UnknownCollectionError:  # its message names the others
            raise _unknown(name) from None
        rag, veiled = (
            _ServedRAG(one, self.chat, heard=self._heard)
            for one in (collection, VeiledCollection(collection))
        )
        place = self._place(name)
        assert place is not None
        self._open[name] = opened = _Opened(place, rag, veiled)
        return opened

    def _place(self, name: str) -> _Place | None:
        """Where the collection lies on the disk; ``None`` where there is none of that name."""
        folder = self.home / "collections" / name
        try:
            check_name(name)
            found = folder.stat()
        except (OSError, UsageError):
            return None
        return (found.st_dev, found.st_ino) if is_collection(folder) else None

    def _make_embedder(self) -> Embedder:
        if self._given is not None:
            return self._given  # type: ignore[no-any-return]
        return embedder_of(load_settings(IndexSettings, "index", home=self.home), self._notice)


@dataclass(frozen=True, slots=True)
class _Opened:
    """A collection that is open: as its owner sees it, and as others do."""

    place: _Place
    rag: RAG
    veiled: RAG

    def seen_by(self, caller: Caller) -> RAG:
        return self.rag if caller.is_local else self.veiled


class _ServedRAG(RAG):
    """One that stays open for long: its chat model may have to be made anew."""

    def chat(self) -> "BaseChatModel | None":
        chat = self._make_chat()
        if chat is not self._chat:
            self._chat, self._budget = chat, None
        return chat


class _Once:
    """What is made once, by the first who asks."""

    def __init__(self, make: Callable[[], Embedder]) -> None:
        self._make, self._lock = make, threading.Lock()
        self._made: Embedder | None = None

    def __call__(self) -> Embedder:
        with self._lock:
            if self._made is None:
                self._made = self._make()
            return self._made


def _is_gone(chat: "BaseChatModel") -> bool:
    """Whether nobody listens any more at the chat model's port of this machine."""
    from rag.models.chat import server_of

    url, _ = server_of(chat) or ("", "")
    if not url or not is_loopback(url):
        return False
    try:
        with socket.create_connection((urlsplit(url).hostname or "", port_of(url) or 80), 1):
            return False
    except ConnectionRefusedError:
        return True
    except OSError:
        return False


def _unknown(name: str) -> UnknownCollectionError:
    return UnknownCollectionError(
        t("There is no collection «{name}» for this key. Look at the list of those that there are.",
          name=name)
    )  # fmt: skip
