"""What every peer answers to. Standard library only, for it runs in the peers' environments.

::

    python -m benchmarks.peers.NAME index FOLDER STORE MODEL    index the files of FOLDER
    python -m benchmarks.peers.NAME query STORE MODEL K         answer questions, one a line

`index` prints one JSON object, ``{"documents": int, "entries": int}``. `query` reads questions from
standard input and prints for each one ``{"sources": [path, ...]}``, best first, as soon as it is
known. Whoever calls measures time and memory from outside, so that all are measured alike.
"""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

Index = Callable[[Path, Path, str], tuple[int, int]]
"""(folder, store, model) to the numbers of documents and of entries in the index."""
Search = Callable[[str, int], Sequence[str]]
"""(question, k) to the paths of the files that the k best entries come from, best first."""
Open = Callable[[Path, str], Search]
"""(store, model) to the search."""


def main(index: Index, open_store: Open) -> None:
    """Do what the command line says."""
    command, *arguments = sys.argv[1:]
    if command == "index":
        folder, store, model = arguments
        documents, entries = index(Path(folder), Path(store), model)
        _say({"documents": documents, "entries": entries})
    else:
        store, model, k = arguments
        search = open_store(Path(store), model)
        for question in map(str.strip, sys.stdin):
            _say({"sources": list(search(question, int(k)))})


def texts(folder: Path) -> Iterator[tuple[str, str]]:
    """The path and the text of every file, for libraries that leave reading to the user."""
    for file in sorted(folder.glob("*.txt")):
        yield str(file), file.read_text(encoding="utf-8")


def paragraphs(text: str) -> list[str]:
    """Cut at empty lines, for libraries that leave cutting to the user."""
    return [part for part in text.split("\n\n") if part.strip()]


def _say(answer: object) -> None:
    print(json.dumps(answer), flush=True)
