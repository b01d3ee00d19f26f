"""A service's uploads, at work in a process that may be killed."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agents.doors.rights import LOCAL
from agents.doors.settings import ServeSettings
from agents.doors.shelf import Shelf
from agents.doors.upload_types import StoreFacts
from agents.doors.uploads import Uploads
from tests.indexes.hash_embedder import HashEmbedder

TEXTS = {
    "lime": b"Lime honey is pale and strong.",
    "heather": b"Heather honey is thick like jelly.",
    "acacia": b"Acacia honey stays liquid for years.",
    "ivy": b"Ivy honey sets within days.",
}
NAME = "honey"
Say = Callable[..., None]


class Opened:
    """The uploads of a home, at work."""

    def __init__(self, home: Path, **settings: Any) -> None:
        home.mkdir(exist_ok=True)
        self.shelf = Shelf(home, lambda: None, None, HashEmbedder())
        self.uploads = Uploads(home, self.shelf, ServeSettings(**settings))
        self.uploads.start()

    def __enter__(self) -> "Opened":
        return self

    def __exit__(self, *_: object) -> None:
        self.uploads.close()
        self.shelf.close()

    def upload(self, name: str, data: bytes) -> str:
        with self.uploads.incoming(LOCAL) as incoming:
            incoming.write(data)
            return self.uploads.keep(LOCAL, incoming, f"{name}.txt", "assistants").id


def act(say: Say, home: Path) -> None:
    """Upload, attach, detach and delete, and tell of each thing when it is acknowledged."""
    with Opened(home) as opened:
        uploads = opened.uploads
        uploads.create(LOCAL, NAME, StoreFacts(NAME))
        ids = {}
        for name, data in TEXTS.items():
            ids[name] = opened.upload(name, data)
            say(kept=name)
            uploads.attach(LOCAL, NAME, {ids[name]: {"of": name}})
            say(attached=name)
        uploads.settle(30)
        say(detaching="heather")
        asyncio.run(uploads.removed(uploads.detach(LOCAL, NAME, ids["heather"])))
        say(detached="heather")
        say(deleting="acacia")
        asyncio.run(uploads.removed(uploads.delete(LOCAL, ids["acacia"])))
        say(deleted="acacia")


def look(_: Say, home: Path) -> dict[str, Any]:
    """Open them again, let them come to rest, and see what is there."""
    with Opened(home) as opened:
        rested = opened.uploads.settle(30)
        names = opened.shelf.names(LOCAL)
        found = opened.uploads.attachments(LOCAL, NAME) if names else []
        files = opened.uploads.files(LOCAL)
        collection = opened.shelf.collection(LOCAL, NAME) if names else None
        return {
            "rested": rested,
            "files": [one.name for one in files],
            "states": {one.name: one.state for one in found},
            "documents": sorted(one.source for one, _ in collection.documents())
            if collection
            else [],
            "sources": sorted(one.source for one in found),
            "attributes": {one.source.rpartition("/")[2]: dict(one.metadata).get("of")
                           for one, _ in (collection.documents() if collection else [])},
            "contents": sorted(path.name for path in (home / "uploads" / "content").iterdir()),
            "needed": sorted({one.content for one in files}),
            "damage": list(map(str, collection.verify().problems)) if collection else [],
        }  # fmt: skip
