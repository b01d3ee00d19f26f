"""A small collection to be damaged, and what is done to it."""

import os
import random
import shutil
from collections.abc import Sequence
from pathlib import Path

from indexes import Collection
from indexes.findings import VerifyReport
from indexes.made_with import Making
from indexes.pages import PAGE
from indexes.repair import repair
from indexes.verify import verify
from tests.indexes.hash_embedder import HashEmbedder

SEED = int(os.environ.get("WAGGLE_TEST_SEED", random.randrange(10**9)))
ANIMALS = ("heron", "otter", "badger", "plover", "marten", "bittern", "dormouse", "sturgeon")


def text_of(animal: str) -> str:
    words = " ".join(
        f"{animal}{n % 40} river{n % 7}" for n in range(600 if animal == "otter" else 60)
    )
    return (
        f"# The {animal}\n\nThe {animal} lives at the {animal} pond.\n\n{words}\n\n月饼 {animal}\n"
    )


def copied(pristine: Path, home: Path) -> Path:
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(pristine, home)
    return home


def folder_of(home: Path) -> Path:
    return home / "collections" / "t"


def verified(home: Path) -> VerifyReport:
    return verify(folder_of(home), "t")


def repaired(home: Path) -> VerifyReport:
    def reindex(files: Sequence[str]) -> None:
        with Collection.open("t", home=home, embedder=HashEmbedder()) as collection:
            collection.add(files)

    return repair(folder_of(home), "t", reindex=reindex, making=Making(HashEmbedder()))


def flip(path: Path, offset: int, change: int = 0x41) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ change]))


def kinds(report: VerifyReport) -> set[str]:
    return {problem.kind for problem in report.problems}


def assert_whole(home: Path, animals: Sequence[str] = ANIMALS) -> None:
    """Every document is found, by its words and by its vector."""
    assert verified(home).problems == ()
    with Collection.open("t", home=home, embedder=HashEmbedder()) as collection:
        assert len(collection.documents()) == len(animals)
        for animal in animals:
            for mode in ("lexical", "dense"):
                found = collection.search(f"{animal} pond {animal} lives", 1, mode=mode)
                assert Path(found.results[0].source).stem == animal, (animal, mode)


def files_of(home: Path) -> list[Path]:
    """All files that hold something, relative to the collection's folder."""
    folder = folder_of(home)
    found = (path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)
    return sorted(path.relative_to(folder) for path in found)


def offsets(size: int, some: int, chance: random.Random) -> set[int]:
    edges = {0, size - 1, PAGE - 1, PAGE, 20, 28, 60, 100}
    return {o for o in edges if o < size} | {chance.randrange(size) for _ in range(some)}


def restore(path: Path, content: bytes) -> None:
    for other in path.parent.glob(f"{path.name}-*"):
        other.unlink()
    path.write_bytes(content)


def make_sources(folder: Path) -> Path:
    """A file about each animal, and one that will be removed."""
    for animal in (*ANIMALS, "weasel"):
        (folder / f"{animal}.md").write_text(text_of(animal), encoding="utf-8")
    return folder


def make_home(sources: Path, home: Path) -> Path:
    """A home with a collection whose database has free pages, closed in good order."""
    with Collection.open("t", home=home, embedder=HashEmbedder()) as collection:
        collection.add([sources])
        collection.remove([sources / "weasel.md"])
    return home
