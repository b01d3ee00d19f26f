"""What begins with everything imported ends as it would have by itself."""

import os
from pathlib import Path

from tests.warmed import python, waggle


def test_a_command_tells_its_code_and_what_it_wrote(tmp_path: Path) -> None:
    bees = "$NAME" + " 'bees  and' \"it's\""
    line = f"waggle serch {bees}  # no such command"
    ended = waggle(line, tmp_path, {**os.environ, "NAME": "honey"})
    assert (ended.code, ended.out) == (2, "")
    assert "search" in ended.err
    refused = waggle("waggle ask '  ' honey", tmp_path, {**os.environ})
    assert refused.code == 2
    assert "honey" in refused.err


def test_a_program_has_its_folder_and_environment_and_leaves_nothing(tmp_path: Path) -> None:
    code = "import os, sys; print(os.getcwd(), os.environ['BEES'], '蜜蜂'); sys.exit(3)"
    ended = python(code, tmp_path, {**os.environ, "BEES": "some"})
    assert (ended.code, ended.out, ended.err) == (3, f"{tmp_path} some 蜜蜂\n", "")
    ended = python("import os; print('BEES' in os.environ)", tmp_path, {**os.environ})
    assert (ended.code, ended.out) == (0, "False\n")
