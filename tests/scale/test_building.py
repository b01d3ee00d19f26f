"""The file of vectors of a large collection is made in a thread of its own, whoever is at work."""

import threading
import time
from pathlib import Path

import pytest
from filelock import FileLock

from indexes import derived
from indexes.collection import Collection
from indexes.home import VECTORS, collection_folder
from tests.indexes.hash_embedder import HashEmbedder
from tests.scale.large import NAME, file_name


def test_a_builder_waits_for_who_cleans_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(derived, "_AT_ONCE", 0)
    folder = collection_folder(tmp_path, NAME, create=True) / VECTORS
    folder.mkdir()
    held, released = threading.Event(), threading.Event()

    def clean() -> None:
        with FileLock(folder / "build.lock"):
            held.set()
            released.wait(20)
            time.sleep(0.3)

    cleaner = threading.Thread(target=clean)
    cleaner.start()
    held.wait(20)
    with Collection.open(NAME, home=tmp_path, embedder=HashEmbedder()) as collection:
        collection.add_texts(["The only document."])
        assert not file_name(tmp_path)
        released.set()
    cleaner.join()
    assert file_name(tmp_path)
