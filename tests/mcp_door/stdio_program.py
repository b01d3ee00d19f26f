"""The server on standard input and output as a program: ``stdio_program.py HOME [FOLDER]``.

Its embedding model is a noisy one: it prints, writes to the bare output, and starts a child that
reads its own standard input and writes too.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from agents.doors.audit import Audit
from agents.doors.rights import LOCAL
from agents.doors.shelf import Shelf
from agents.mcp_door.access import Access
from agents.mcp_door.stdio import serve
from indexes.embedding.base import Matrix
from tests.indexes.hash_embedder import HashEmbedder


class Noisy(HashEmbedder):
    def encode(self, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> Matrix:
        print("loading…")  # noqa: T201 - that is the point
        os.write(1, b"a library in C\n")
        subprocess.run(["cat"], check=True)
        subprocess.run(["echo", "a child"], check=True)
        return super().encode(texts, progress)


if __name__ == "__main__":
    home = Path(sys.argv[1])
    shelf = Shelf(home, lambda: None, None, Noisy())
    folders = tuple(map(Path, sys.argv[2:]))
    serve(Access(shelf, LOCAL, Audit(home), folders=folders, local=True))
    shelf.close()
