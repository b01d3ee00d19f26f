"""The lines of a run's record."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.loop.journal import RECORD, Journal, Line, read_journal
from indexes import failpoints
from indexes.errors import DamagedError, RunError

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def written(folder: Path, *values: Any) -> Path:
    journal = Journal(folder)
    for value in values:
        journal.write("some", value=value)
    journal.close()
    return folder / RECORD


@settings(deadline=None, max_examples=50)
@given(values=st.lists(PLAIN, max_size=4))
def test_what_is_written_is_read(
    values: list[Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("run")
    written(folder, *values)
    again = [line.values["value"] for line in read_journal(folder)]
    assert json.dumps(again) == json.dumps(values)


def test_what_has_no_plain_form_is_told_as_text(tmp_path: Path) -> None:
    written(tmp_path, {"path": Path("a/b"), "several": (1, 2)})
    assert read_journal(tmp_path) == (
        Line("some", {"value": {"path": str(Path("a/b")), "several": [1, 2]}}),
    )


def test_a_torn_last_line_is_dropped_and_written_over(tmp_path: Path) -> None:
    file = written(tmp_path, "one", "two", "three")
    whole = file.read_bytes()
    for end in range(len(whole) - 1, len(whole) - 12, -1):
        file.write_bytes(whole[:end])
        journal = Journal(tmp_path)
        assert [line.values["value"] for line in journal.before] == ["one", "two"]
        journal.write("some", value="four")
        journal.close()
        assert [line.values["value"] for line in read_journal(tmp_path)] == ["one", "two", "four"]


def test_zeros_in_the_place_of_a_last_line_are_dropped(tmp_path: Path) -> None:
    file = written(tmp_path, "one")
    file.write_bytes(file.read_bytes() + b"\0" * 40 + b"\n")
    assert len(read_journal(tmp_path)) == 1


def test_every_changed_character_is_seen(tmp_path: Path) -> None:
    file = written(tmp_path, "one", "two")
    whole = file.read_bytes()
    for place in range(whole.index(b"\n")):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(DamagedError, match=r"^Line 1 of .*record.jsonl is not"):
            Journal(tmp_path)


def test_without_room_nothing_of_a_line_is_there(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.write("some", value="one")
    before = (tmp_path / RECORD).read_bytes()
    failpoints.plan("record.half_written=full@1")
    try:
        with pytest.raises(RunError, match=r"record.jsonl cannot be written: No space left"):
            journal.write("some", value="two")
    finally:
        failpoints.plan("")
    assert (tmp_path / RECORD).read_bytes() == before
    journal.write("some", value="three")
    journal.close()
    assert [line.values["value"] for line in read_journal(tmp_path)] == ["one", "three"]
