"""Collections that each version of the format has left behind open, answer and are sound."""

import json
import shutil
from pathlib import Path

import pytest

from indexes.collection import Collection
from indexes.embedding import LocalEmbedder
from indexes.schema import FORMAT
from tests.data.golden.make import NEWER, TEXTS

GOLDEN = Path(__file__).resolve().parents[1] / "data" / "golden"
FORMATS = sorted(folder.name for folder in GOLDEN.iterdir() if folder.name.startswith("format-"))
ALIVE = {**TEXTS, "golden:old": NEWER}
del ALIVE["golden:gone"]


@pytest.fixture(params=FORMATS)
def golden(request: pytest.FixtureRequest, tmp_path: Path, embedder: LocalEmbedder) -> Collection:
    shutil.copytree(GOLDEN / request.param, tmp_path / "collections" / "golden")
    return Collection.open("golden", home=tmp_path, embedder=embedder, create=False)


def test_there_is_one_of_each_format() -> None:
    assert [f"format-{number}" for number in range(1, FORMAT + 1)] == FORMATS


def test_every_document_is_there_as_it_was(golden: Collection) -> None:
    assert {document.source for document, _ in golden.documents()} == set(ALIVE)
    for source, text in ALIVE.items():
        document = golden.document(source)
        assert document.text == text
        assert document.title == source.split(":")[1]
        assert json.dumps(dict(document.metadata)).count("year") == 1
    assert golden.status().format_version == FORMAT
    assert golden.status().generation >= 3


@pytest.mark.parametrize("mode", ["hybrid", "dense", "lexical"])
def test_it_answers(golden: Collection, mode: str) -> None:
    for query, source in (
        ("Which hive is painted blue?", "golden:apiary"),
        ("Where does the smoker hang?", "golden:old"),
    ):
        assert golden.search(query, mode=mode).results[0].source == source  # type: ignore[arg-type]
    found = golden.search("槐花蜜", where="year = 2025").results
    assert [result.source for result in found] == ["golden:蜜源"]


def test_it_is_sound_and_goes_on(golden: Collection) -> None:
    assert golden.search("hive").results
    assert golden.verify().problems == ()
    golden.add_texts(["Propolis seals the hive."], None, ["golden:new"])
    golden.remove(["golden:ledger"])
    assert golden.search("Propolis").results[0].source == "golden:new"
    assert golden.verify().problems == ()
    golden.close()
