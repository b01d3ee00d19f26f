"""The folders of runs."""

import json
import shutil
import time
from pathlib import Path

import pytest

from agents.loop.keeping import (
    HEADER,
    begin_run,
    new_id,
    open_run,
    read_header,
    runs,
    runs_folder,
)
from agents.loop.removing import remove_run
from agents.loop.types import Run
from indexes import failpoints
from indexes.errors import DamagedError, LockedError, RunError, UsageError
from rag.types import Usage


def ended(run_id: str) -> Run:
    return Run(run_id, "goal", "stopped", "42", (), (), (), Usage(), reason="enough", seconds=3.5)


def begun(home: Path) -> None:
    with begin_run(home, "one"):
        pass


def opened(home: Path, run_id: str) -> None:
    with open_run(home, run_id):
        pass


def test_a_run_is_there_again_as_it_was_begun(tmp_path: Path) -> None:
    with begin_run(tmp_path, "数一数 bees", model="m", mode="plan", approve="never") as kept:
        header = kept.header
    with open_run(tmp_path, header.run_id) as again:
        assert again.header == header
        assert again.header.options == {"approve": "never"}
        assert again.folder == runs_folder(tmp_path) / header.run_id


def test_the_list_tells_how_each_run_stands(tmp_path: Path) -> None:
    with begin_run(tmp_path, "one") as first:
        first.ended(ended(first.run_id))
    with begin_run(tmp_path, "two") as second:
        pass
    with begin_run(tmp_path, "three") as third:
        states = {one.run_id: one.state for one in runs(tmp_path)}
    assert states == {first.run_id: "stopped", second.run_id: "interrupted",
                      third.run_id: "running"}  # fmt: skip
    stored = read_header(tmp_path, first.run_id)
    assert (stored.answer, stored.reason, stored.seconds) == ("42", "enough", 3.5)


def test_the_latest_run_is_the_first(tmp_path: Path) -> None:
    with begin_run(tmp_path, "one") as kept:
        pass
    later = f"9{kept.run_id[1:]}"
    shutil.copytree(kept.folder, kept.folder.with_name(later))
    header = json.loads((kept.folder / HEADER).read_text())
    (kept.folder.with_name(later) / HEADER).write_text(json.dumps({**header, "run_id": later}))
    assert [one.run_id for one in runs(tmp_path)] == [later, kept.run_id]


def test_a_run_that_goes_on_has_not_ended(tmp_path: Path) -> None:
    with begin_run(tmp_path, "one") as kept:
        kept.ended(ended(kept.run_id))
    with open_run(tmp_path, kept.run_id) as again:
        again.going_on()
        assert again.header.seconds == 3.5
    assert runs(tmp_path)[0].state == "interrupted"


def test_one_at_a_time(tmp_path: Path) -> None:
    with begin_run(tmp_path, "one") as kept, pytest.raises(LockedError, match="is being worked"):
        opened(tmp_path, kept.run_id)
    with open_run(tmp_path, kept.run_id):
        pass


@pytest.mark.parametrize("name", ["20260101-000000-abcdef", "../../x", "", "a\0b"])
def test_a_run_that_is_not_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="nor any other"):
        read_header(tmp_path, name)
    with begin_run(tmp_path, "one") as kept:
        pass
    with pytest.raises(UsageError, match=f"The latest are: {kept.run_id}"):
        opened(tmp_path, name)


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"format": 2}', '{"format": 1, "more": 2}', "\0" * 100]
)
def test_a_damaged_or_foreign_header_is_told_in_a_sentence(tmp_path: Path, text: str) -> None:
    with begin_run(tmp_path, "one") as kept:
        pass
    (kept.folder / HEADER).write_text(text)
    with pytest.raises(DamagedError, match=r"does not hold a run that can be read \(.*\)\. Begin"):
        opened(tmp_path, kept.run_id)
    (listed,) = runs(tmp_path)
    assert (listed.header, listed.state) == (None, None)
    assert "does not hold a run" in listed.problem


def test_a_lost_header_is_told(tmp_path: Path) -> None:
    with begin_run(tmp_path, "one") as kept:
        pass
    (kept.folder / HEADER).unlink()
    with pytest.raises(DamagedError):
        read_header(tmp_path, kept.run_id)


def test_the_folder_of_another_run_is_told(tmp_path: Path) -> None:
    with begin_run(tmp_path, "one") as kept:
        pass
    other = "20260101-000000-abcdef"
    kept.folder.rename(kept.folder.with_name(other))
    with pytest.raises(DamagedError, match=f"it is about the run «{kept.run_id}»"):
        read_header(tmp_path, other)


def test_a_damaged_record_lets_the_run_go(tmp_path: Path) -> None:
    """Whoever cannot open it does not keep others from it."""
    with begin_run(tmp_path, "one") as kept:
        kept.journal.write("some", value=1)
    record = kept.journal.file
    whole = record.read_bytes()
    record.write_bytes(b"x\n")
    with pytest.raises(DamagedError):
        opened(tmp_path, kept.run_id)
    record.write_bytes(whole)
    with open_run(tmp_path, kept.run_id) as again:
        assert len(again.journal.before) == 1


def test_without_a_place_for_it_no_run_is_begun(tmp_path: Path) -> None:
    failpoints.plan("header.writing=full@1")
    try:
        with pytest.raises(RunError, match=r"^No run can be kept in .*: No space left .*--home\.$"):
            begun(tmp_path)
    finally:
        failpoints.plan("")
    assert list(runs_folder(tmp_path).iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="No run can be kept in"):
        begun(tmp_path / "file")


def test_an_end_that_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    with begin_run(tmp_path, "one") as kept:
        failpoints.plan("header.written=full@1")
        try:
            with pytest.raises(RunError, match=rf"header.json .* --resume {kept.run_id}\.$"):
                kept.ended(ended(kept.run_id))
        finally:
            failpoints.plan("")
    assert runs(tmp_path)[0].state == "interrupted"
    assert {one.name for one in kept.folder.iterdir()} >= {HEADER}
    assert not (kept.folder / "header.tmp").exists()


def test_a_run_is_removed_whole_and_alone(tmp_path: Path) -> None:
    with begin_run(tmp_path, "one") as one:
        one.notes.mkdir()
        (one.notes / "a.md").write_text("a", "utf-8")
        with pytest.raises(LockedError):
            remove_run(tmp_path, one.run_id)
        assert (one.notes / "a.md").exists()
    with begin_run(tmp_path, "two") as two:
        pass
    remove_run(tmp_path, one.run_id)
    assert not one.folder.exists()
    assert [run.run_id for run in runs(tmp_path)] == [two.run_id]
    with pytest.raises(UsageError, match="no run"):
        remove_run(tmp_path, one.run_id)


def test_what_lies_outside_of_a_run_is_not_removed_with_it(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("kept", "utf-8")
    with begin_run(tmp_path, "one") as one:
        (one.folder / "link").symlink_to(tmp_path / "mine", target_is_directory=True)
    remove_run(tmp_path, one.run_id)
    with pytest.raises(UsageError):
        remove_run(tmp_path, "../../mine")
    assert (tmp_path / "mine" / "file").read_text("utf-8") == "kept"


def test_names_are_in_the_order_of_time() -> None:
    names = []
    for _ in range(20):
        names.append(new_id())
        time.sleep(0.001)
    assert names == sorted(names)
