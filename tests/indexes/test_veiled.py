"""Whoever sees a collection through the veil learns no path of this machine, by no question."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.doors.upload_names import file_id_of
from indexes.collection import Collection
from indexes.errors import UnknownSourceError
from indexes.shown import document_id, filename_of, is_path, shown
from indexes.veiled import VeiledCollection
from tests.indexes.hash_embedder import HashEmbedder

CANARY = "zirkonkanari"
UPLOAD = "file-0123456789abcdef01234567/b.md"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / CANARY
    for name, text in (("x/a.md", "Bees dance."), ("y/a.md", "Bees sing."), ("c.md", "Bees.")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"# Of bees\n\n{text}\n", "utf-8")
    return folder


@pytest.fixture
def whole(folder: Path, tmp_path: Path) -> Iterator[Collection]:
    with Collection.open("bees", home=tmp_path / "home", embedder=HashEmbedder()) as whole:
        whole.add([folder])
        whole.add_texts(["Bees were uploaded."], [{}], [UPLOAD])
        yield whole


@pytest.fixture
def veiled(whole: Collection) -> VeiledCollection:
    return VeiledCollection(whole)


def test_what_goes_out_is_found_by_its_name(
    whole: Collection, veiled: VeiledCollection, folder: Path
) -> None:
    known = {str(folder / "c.md"), str(folder / "x/a.md"), str(folder / "y/a.md"), UPLOAD}
    names = {shown(source): source for source in known}
    assert names.keys() == {document.source for document, _ in veiled.documents()}
    assert names.keys() == {match.document.source for match in veiled.matching(mentions="bees")}
    assert names.keys() == {one.source for one in veiled.search("bees").results}
    assert veiled.held([*names, "doc-" + 24 * "0" + "/a.md"]) == names.keys()
    for name, source in names.items():
        assert veiled.document(name).text == whole.document(source).text
        assert VeiledCollection(whole).document(name).source == name  # also if none was found yet
        assert veiled.count(f'source = "{name}"').documents == 1
    assert CANARY not in repr((veiled.documents(), veiled.matching(), veiled.search("bees")))


def test_the_end_of_a_name_is_enough(veiled: VeiledCollection, folder: Path) -> None:
    assert veiled.document("c.md").source == shown(str(folder / "c.md"))
    assert veiled.document("b.md").source == UPLOAD
    with pytest.raises(UnknownSourceError, match="2") as raised:
        veiled.document("a.md")
    assert CANARY not in str(raised.value)


def test_a_path_cannot_be_guessed(
    veiled: VeiledCollection, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    path = str(folder / "c.md")
    for guess in (path, str(folder), f"{CANARY}/c.md", "x/a.md", "x", "", "/", "."):
        assert not veiled.held([guess])
        with pytest.raises(UnknownSourceError):
            veiled.document(guess)
        with pytest.raises(UnknownSourceError):
            veiled.remove([guess])
    for where in (
        f'source like "*{CANARY}*"', f'source = "{path}"', 'source like "/*"', "source < 'a'",
        f'`source` like "*{CANARY}*"', f'source in ("{path}")', 'source like "x/*"',
    ):  # fmt: skip
        assert veiled.count(where).documents == 0, where
        assert veiled.matching(where) == ()
        assert veiled.search("bees", where=where).results == ()


def test_removing(whole: Collection, veiled: VeiledCollection, folder: Path) -> None:
    name = shown(str(folder / "x/a.md"))
    veiled.document(name)
    assert veiled.remove([name]).removed == (name,)
    with pytest.raises(UnknownSourceError):
        veiled.document(name)
    assert not veiled.held([name])
    assert len(whole.documents()) == 3


def test_the_owner_sees_paths(whole: Collection, veiled: VeiledCollection, folder: Path) -> None:
    veiled.search("bees")
    assert whole.document(folder / "c.md").source == str(folder / "c.md")
    assert str(folder / "c.md") in {one.source for one in whole.search("bees").results}
    assert whole.count(f'source like "*{CANARY}*"').documents == 3


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=1))
def test_names(parts: list[str]) -> None:
    for path in ("/" + "/".join(parts), "C:\\" + "\\".join(parts), "file:///" + "/".join(parts)):
        assert is_path(path)
        name = shown(path)
        assert not is_path(name)
        assert shown(name) == name
        assert name.startswith(f"{document_id(path)}/")
        if "/" not in (last := filename_of(path)):
            assert file_id_of(name) == file_id_of(path)
            assert filename_of(name) == last


@pytest.mark.parametrize("source", ["https://x.example/a", UPLOAD, "text:of bees", "a/b.md"])
def test_what_is_no_path_keeps_its_name(source: str) -> None:
    assert shown(source) == source
