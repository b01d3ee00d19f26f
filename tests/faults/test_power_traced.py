"""What `recording` says of other people's code is what the kernel is asked to do. Needs ``strace``,
and that a process may be traced."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

_CALLS = "write,pwrite64,fsync,fdatasync,ftruncate,rename,renameat,renameat2,openat"
_SCRIPT = """
import json, sys
from pathlib import Path
from tests.faults.recording import record
from tests.faults.scenarios import SCENARIOS
home = Path(sys.argv[1])
home.mkdir()
ops = record(lambda **_: None, home, SCENARIOS["index"].act)[1]
Path(sys.argv[2]).write_text(json.dumps([[op.kind, op.path, op.at, len(op.data)] for op in ops]))
"""
_ON_FILE = re.compile(r"(pwrite64|write|fsync|fdatasync|ftruncate)\(\d+<([^>]*)>(.*)")
_RENAME = re.compile(r'rename\w*\([^"]*"([^"]*)"[^"]*"([^"]*)"')
_CREATE = re.compile(r'openat\([^"]*"([^"]*)", [A-Z_|]*O_CREAT')
_NUMBERS = re.compile(r", (\d+)(?:, (\d+))?(?:\)| <unfinished)")


@dataclass(frozen=True)
class Call:
    """``kind`` is ``write``, ``truncate``, ``sync``, ``rename`` (``path`` is the new name) or
    ``create``; ``numbers`` are those at its end."""

    kind: str
    path: str
    numbers: tuple[int, ...] = ()


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Call], list[list[object]]]:
    """The calls that the kernel saw below the home, and the operations that were recorded."""
    if shutil.which("strace") is None:
        pytest.skip("there is no strace here")
    folder = tmp_path_factory.mktemp("traced").resolve()
    home, trace, ops = folder / "home", folder / "trace", folder / "ops.json"
    command = ["strace", "-f", "-y", "-o", str(trace), "-e", f"trace={_CALLS}"]
    ran = subprocess.run(
        [*command, sys.executable, "-c", _SCRIPT, str(home), str(ops)],
        cwd=Path(__file__).resolve().parents[2], capture_output=True, text=True, check=False,
    )  # fmt: skip
    if ran.returncode and "ptrace" in ran.stderr.lower():
        pytest.skip("no process may be traced here")
    assert ran.returncode == 0, ran.stderr[-2000:]
    calls = [_call(line, f"{home}/") for line in trace.read_text("utf-8", "replace").splitlines()]
    return [call for call in calls if call], json.loads(ops.read_text())


def _call(line: str, home: str) -> Call | None:
    if (found := _ON_FILE.search(line)) and found[2].startswith(home):
        kind = {"pwrite64": "write", "ftruncate": "truncate"}.get(found[1], found[1])
        kind = "sync" if kind in ("fsync", "fdatasync") else kind
        last = _NUMBERS.findall(found[3])[-1:] or [()]
        return Call(kind, found[2].removeprefix(home), tuple(int(n) for n in last[0] if n))
    if (found := _RENAME.search(line)) and found[2].startswith(home):
        return Call("rename", found[2].removeprefix(home))
    if (found := _CREATE.search(line)) and found[1].startswith(home):
        return Call("create", found[1].removeprefix(home))
    return None


def test_sqlite_is_recorded_to_the_byte(
    traced: tuple[list[Call], list[list[object]]],
) -> None:
    calls, ops = traced
    database = re.compile(r"/waggle\.db(-wal|-journal)?$")
    kinds = ("write", "truncate", "sync")
    recorded = [
        Call(str(kind), str(path), _numbers(kind, at, size))
        for kind, path, at, size in ops
        if kind in kinds and database.search(str(path))
    ]
    seen = [call for call in calls if call.kind in kinds and database.search(call.path)]
    assert recorded == seen


def _numbers(kind: object, at: object, size: object) -> tuple[int, ...]:
    numbers = {"write": (size, at), "truncate": (at,)}.get(str(kind), ())
    return tuple(int(str(number)) for number in numbers)


def test_a_new_log_takes_its_folder_to_the_disk(
    traced: tuple[list[Call], list[list[object]]],
) -> None:
    calls, _ = traced
    logs = [i for i, c in enumerate(calls) if c.kind == "create" and c.path.endswith("-wal")]
    assert logs
    for at in logs:
        log, folder = calls[at].path, calls[at].path.rpartition("/")[0]
        syncs = [call.path for call in calls[at:] if call.kind == "sync"]
        assert log not in syncs or syncs[syncs.index(log) + 1] == folder


def test_tantivy_syncs_all_that_it_then_names(
    traced: tuple[list[Call], list[list[object]]],
) -> None:
    calls, _ = traced
    renames = [i for i, c in enumerate(calls) if (c.kind, c.path[-9:]) == ("rename", "meta.json")]
    assert len(renames) >= 3
    for at in renames:
        index = calls[at].path.rpartition("/")[0] + "/"
        before = [(i, call) for i, call in enumerate(calls[:at]) if call.path.startswith(index)]
        synced = {call.path: i for i, call in before if call.kind == "sync"}
        folder = max(
            i for i, c in enumerate(calls[:at]) if (c.kind, c.path + "/") == ("sync", index)
        )
        for i, call in before:
            if call.kind == "write":
                assert synced.get(call.path, -1) > i, call.path
            if call.kind == "create" and ".tmp" not in call.path and ".lock" not in call.path:
                assert folder > i, call.path
