"""Notes stay in their folder, whatever they are called and whatever lies there."""

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.tools import BaseTool

from agents.toolbox.effects import effect_of, is_tainted
from agents.toolbox.notes import note_tools
from indexes.errors import SourceError, UsageError
from tests.full_disk import no_file_beyond

Tools = dict[str, BaseTool]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "one" / "notes"


@pytest.fixture
def tools(folder: Path) -> Tools:
    return {tool.name: tool for tool in note_tools(folder)}


def write(tools: Tools, name: str, text: str = "text") -> str:
    return str(tools["write_note"].invoke({"name": name, "text": text}))


def read(tools: Tools, name: str, start: int = 0) -> str:
    return str(tools["read_note"].invoke({"name": name, "start": start}))


def test_a_note_is_read_as_it_was_written(tools: Tools, folder: Path) -> None:
    text = "# Findings\n\n价格 300 €\r\n"
    assert write(tools, "findings", text) == f"Written: note «findings», {len(text)} characters."
    assert read(tools, "findings") == text
    assert (folder / "findings.md").read_bytes() == text.encode()
    assert [file.name for file in folder.iterdir()] == ["findings.md"]


def test_a_note_is_replaced(tools: Tools) -> None:
    write(tools, "plan", "a long first version")
    write(tools, "plan.md", "second")
    assert read(tools, " plan ") == "second"
    assert tools["list_notes"].invoke({}) == "- plan"


def test_notes_are_listed(tools: Tools, folder: Path) -> None:
    assert tools["list_notes"].invoke({}) == "There are no notes yet."
    assert not folder.exists()
    for name in ("b", "报价 2024", "a-b_c.d"):
        write(tools, name)
    assert tools["list_notes"].invoke({}) == "- a-b_c.d\n- b\n- 报价 2024"


def test_a_note_that_is_not_there_names_those_that_are(tools: Tools) -> None:
    with pytest.raises(UsageError, match="nor any other yet"):
        read(tools, "plan")
    write(tools, "plan")
    with pytest.raises(UsageError, match="There are: plan"):
        read(tools, "plans")


def test_a_long_note_is_read_in_parts(tools: Tools) -> None:
    text = "".join(f"{n:>9}\n" for n in range(900))
    write(tools, "long", text)
    first = read(tools, "long")
    assert first == text[:4000] + "\n(characters 0–4000 of 9000; go on with start=4000)"
    assert read(tools, "long", 8000) == text[8000:]
    assert read(tools, "long", 9_999) == "The note is empty from there on."


@pytest.mark.parametrize(
    "name",
    [
        "../plan", "..", ".", "", " ", "/etc/passwd", "a/b", "a\\b", "..\\plan", ".hidden", "a\0b",
        "a\nb", "C:plan", "con", "NUL.txt", "lpt1", "plan.", "x" * 65, "a|b", "~root", "$HOME",
        "\ud800", "%2e%2e%2fplan", "a\u202eb", "-rf", "..md",
    ],
)  # fmt: skip
def test_a_name_that_could_lead_elsewhere_is_refused(
    tools: Tools, tmp_path: Path, name: str
) -> None:
    for call in (write, read):
        with pytest.raises(UsageError, match="cannot be the name of a note"):
            call(tools, name)
    assert list(tmp_path.iterdir()) == []


def test_a_link_is_replaced_and_not_followed(tools: Tools, folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.md"
    secret.write_text("secret")
    write(tools, "other")
    (folder / "plan.md").symlink_to(secret)
    assert tools["list_notes"].invoke({}) == "- other"
    with pytest.raises(UsageError, match="no note «plan»"):
        read(tools, "plan")
    write(tools, "plan", "mine")
    assert (secret.read_text(), read(tools, "plan")) == ("secret", "mine")


def test_a_link_in_place_of_the_folder_is_not_followed(
    tools: Tools, folder: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "plan.md").write_text("secret")
    folder.parent.mkdir(parents=True)
    folder.symlink_to(elsewhere)
    for call in (lambda: write(tools, "new"), lambda: read(tools, "plan"),
                 lambda: tools["list_notes"].invoke({})):  # fmt: skip
        with pytest.raises(SourceError, match="is not a folder of notes"):
            call()
    assert [file.name for file in elsewhere.iterdir()] == ["plan.md"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_in_place_of_a_note_does_not_block(tools: Tools, folder: Path) -> None:
    write(tools, "other")
    os.mkfifo(folder / "plan.md")
    with pytest.raises(UsageError, match="There are: other"):
        read(tools, "plan")


def test_notes_are_for_their_owner_only(tools: Tools, folder: Path) -> None:
    write(tools, "plan")
    assert stat.S_IMODE((folder / "plan.md").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_note_has_a_length_and_notes_have_a_number(tools: Tools) -> None:
    with pytest.raises(UsageError, match="at most 50000 can be kept"):
        write(tools, "plan", "x" * 50_001)
    for number in range(100):
        write(tools, f"note {number}")
    with pytest.raises(UsageError, match="100 notes already"):
        write(tools, "another")
    write(tools, "note 5", "replaced")
    assert read(tools, "note 5") == "replaced"


def test_half_a_character_is_written_all_the_same(tools: Tools) -> None:
    write(tools, "plan", "a\ud800b")
    assert read(tools, "plan") == "a?b"


def test_a_full_disk_leaves_the_earlier_note(tools: Tools, folder: Path) -> None:
    write(tools, "plan", "first")
    with no_file_beyond(1_000), pytest.raises(OSError, match="large"):
        write(tools, "plan", "x" * 5_000)
    assert read(tools, "plan") == "first"
    assert [file.name for file in folder.iterdir()] == ["plan.md"]


def test_what_a_killed_writer_left_is_no_note(tools: Tools, folder: Path) -> None:
    write(tools, "plan")
    (folder / f".{os.getpid()}.new").write_text("half")
    assert tools["list_notes"].invoke({}) == "- plan"
    write(tools, "plan", "again")
    assert read(tools, "plan") == "again"


def test_what_the_tools_declare(tools: Tools) -> None:
    declared = {name: (effect_of(tool), is_tainted(tool)) for name, tool in tools.items()}
    assert declared == {
        "write_note": ("write", False),
        "read_note": ("read", True),
        "list_notes": ("read", True),
    }


@given(st.text(max_size=70))
def test_no_name_reaches_out_of_the_folder(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    above = tmp_path_factory.mktemp("above")
    tools = {tool.name: tool for tool in note_tools(above / "notes")}
    try:
        write(tools, name, "text")
    except UsageError:
        assert list(above.iterdir()) == []
    else:
        assert [path.name for path in above.iterdir()] == ["notes"]
        assert len(list((above / "notes").iterdir())) == 1
        assert read(tools, name) == "text"
