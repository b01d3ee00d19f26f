"""Keys: whom they let in, how they are kept, and that what is changed holds at once."""

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.doors.keys import Keys
from agents.doors.rights import RIGHTS, Right
from indexes.errors import AccessError, ForbiddenError, UnauthorizedError, UsageError

ROOT = Path(__file__).resolve().parents[2]


def test_a_key_lets_in_whom_it_was_made_for(tmp_path: Path) -> None:
    keys = Keys(tmp_path)
    record, secret = keys.new(
        "shop", ["write", "read"], ["bees"], ["https://Shop.example:443/"], 90, 4
    )
    caller = keys.caller(secret)
    assert caller.key == record.id
    assert caller.rights == frozenset({"read", "write"})
    assert caller.collections == frozenset({"bees"})
    assert caller.origins == ("https://shop.example",)
    assert (caller.rate, caller.concurrency) == (90, 4)
    assert caller.sees("bees")
    assert not caller.sees("wasps")
    caller.check("write")
    with pytest.raises(ForbiddenError, match="agent"):
        caller.check("agent")


def test_only_the_owner_reads_the_file_and_no_secret_is_in_it(tmp_path: Path) -> None:
    _, secret = Keys(tmp_path).new("one")
    file = tmp_path / "keys.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert secret not in file.read_text("utf-8")
    assert secret.removeprefix("wgl_")[:12] not in file.read_text("utf-8")


def test_what_is_revoked_or_rotated_holds_no_more(tmp_path: Path) -> None:
    keys, other = Keys(tmp_path), Keys(tmp_path)
    record, first = keys.new("one")
    assert other.caller(first).key == record.id
    _, second = keys.rotate(record.id)
    with pytest.raises(UnauthorizedError):
        other.caller(first)
    assert other.caller(second).key == record.id
    keys.revoke(record.id)
    with pytest.raises(UnauthorizedError):
        other.caller(second)
    assert [r.id for r in other.all()] == [record.id]
    assert not other.any()
    with pytest.raises(UsageError, match="revoked"):
        other.rotate(record.id)


def test_another_process_revokes_and_it_holds_at_once(tmp_path: Path) -> None:
    keys = Keys(tmp_path)
    record, secret = keys.new("one")
    assert keys.caller(secret)
    code = (
        "from pathlib import Path\nfrom agents.doors.keys import Keys\n"
        f"Keys(Path({str(tmp_path)!r})).revoke({record.id!r})"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)
    with pytest.raises(UnauthorizedError):
        keys.caller(secret)


def test_a_damaged_file_lets_nobody_in(tmp_path: Path) -> None:
    keys = Keys(tmp_path)
    _, secret = keys.new("one")
    (tmp_path / "keys.json").write_text("{", "utf-8")
    with pytest.raises(AccessError, match="nobody is let in"):
        keys.caller(secret)
    with pytest.raises(AccessError):
        keys.new("two")


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"name": ""}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"rights": []}, "right"),
        ({"rights": ["read", "fly"]}, "fly"),
        ({"collections": ["../up"]}, "cannot be the name"),
        ({"origins": ["*"]}, "origin"),
        ({"origins": ["https://a.example/path"]}, "origin"),
        ({"origins": ["javascript://a.example"]}, "origin"),
        ({"origins": ["https://*.example"]}, "origin"),
    ],
)
def test_what_cannot_be_is_told(tmp_path: Path, given: dict[str, object], what: str) -> None:
    keys = Keys(tmp_path)
    with pytest.raises(UsageError, match=what):
        keys.new(**{"name": "one", **given})  # type: ignore[arg-type]
    assert keys.all() == ()


@settings(max_examples=30, deadline=None)
@given(
    made=st.lists(
        st.tuples(
            st.sets(st.sampled_from(RIGHTS), min_size=1),
            st.none() | st.sets(st.sampled_from(["a", "b", "蜜"])),
        ),
        min_size=1,
        max_size=4,
    ),
    data=st.data(),
)
def test_each_secret_is_one_caller_s_through_any_changes(
    tmp_path_factory: pytest.TempPathFactory,
    made: list[tuple[set[Right], set[str] | None]],
    data: st.DataObject,
) -> None:
    """Against a dict of what should hold: the secret that each key has now, and no other."""
    keys = Keys(tmp_path_factory.mktemp("keys"))
    now: dict[str, str] = {}
    expected = {}
    old: set[str] = set()
    for rights, bound in made:
        record, secret = keys.new("k", sorted(rights), None if bound is None else sorted(bound))
        now[record.id] = secret
        expected[record.id] = (frozenset(rights), None if bound is None else frozenset(bound))
    for _ in range(data.draw(st.integers(0, 4))):
        key = data.draw(st.sampled_from(sorted(expected)))
        if key not in now:
            continue
        old.add(now.pop(key))
        if data.draw(st.booleans()):
            now[key] = keys.rotate(key)[1]
        else:
            keys.revoke(key)
    for key, secret in now.items():
        caller = keys.caller(secret)
        assert (caller.key, caller.rights, caller.collections) == (key, *expected[key])
    for secret in old:
        with pytest.raises(UnauthorizedError):
            keys.caller(secret)
    stored = json.loads((keys._path).read_text("utf-8"))["keys"]
    assert {one["id"] for one in stored} == set(expected)


@settings(deadline=None)
@given(st.text(max_size=60))
def test_no_other_text_is_a_secret(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    keys = Keys(tmp_path_factory.getbasetemp())
    with pytest.raises(UnauthorizedError):
        keys.caller(text)
