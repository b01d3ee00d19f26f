"""The names of uploads: whatever is sent, what is kept is a plain name."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.doors.upload_names import (
    DOCUMENT_ID,
    FILE_ID,
    clean_name,
    file_id_of,
    new_id,
    source_of,
    suffix,
)
from indexes.shown import filename_of


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\ann\\Über uns.docx", "Über uns.docx"),
        ("/abs/olute/", "upload"),
        ("..", "upload"),
        ("", "upload"),
        (".env", "env"),
        ("a\0b\r\nc.txt", "abc.txt"),
        ("gpj.\u202etxt.exe", "gpj.txt.exe"),
        ("zero\u200bwidth.md", "zerowidth.md"),
        ("  two   spaces .txt ", "two spaces .txt"),
        ("蜂蜜.md", "蜂蜜.md"),
        ("e\u0301.txt", "é.txt"),
        ("蜜" * 200 + ".txt", "蜜" * 58 + ".txt"),
        ("\udce4.txt", "txt"),
    ],
)
def test_a_name_is_cleaned(given: str, kept: str) -> None:
    assert clean_name(given) == kept


@given(st.text())
def test_a_clean_name_is_harmless_and_stays_as_it_is(given: str) -> None:
    name = clean_name(given)
    assert 0 < len(name.encode()) <= 180
    assert not {"/", "\\", "\0"} & set(name)
    assert name.strip(". ") == name
    assert not any(unicodedata.category(c) in ("Cc", "Cf", "Cs") for c in name)
    assert clean_name(name) == name


@given(st.text())
def test_an_upload_is_known_by_its_source(given: str) -> None:
    name, file_id = clean_name(given), new_id("file")
    source = source_of(file_id, name)
    assert FILE_ID.fullmatch(file_id)
    assert file_id_of(source) == file_id
    assert filename_of(source) == name
    assert suffix(name) == suffix(name).lower()
    assert suffix(name).isalnum() or not suffix(name)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_every_other_document_has_an_id_of_its_own(source: str) -> None:
    assert DOCUMENT_ID.fullmatch(file_id_of(source))
    assert file_id_of(source) != file_id_of(source + "x")
    assert filename_of(source)
