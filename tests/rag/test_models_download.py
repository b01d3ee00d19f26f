"""Pulling model files: from packages in a local folder, and from a hub on the loopback."""

import hashlib
import os
import signal
import subprocess
import sys
import textwrap
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexes.errors import ModelError, ModelFileError
from rag.models.catalogue import HubFile, ModelSpec, PackagePart
from rag.models.download import import_file, local_path, pull
from rag.models.partial import PartialFile

PART = 40_000
ROOT = Path(__file__).resolve().parents[2]
CONTENT = hashlib.shake_256(b"weights").digest(2 * PART + 1_234)
HUB_PATH = "/owner/tiny/resolve/main/tiny.gguf"


def pieces() -> list[bytes]:
    return [CONTENT[start : start + PART] for start in range(0, len(CONTENT), PART)]


def tiny(*, packages: bool = True, hub: bool = False, content: bytes = CONTENT) -> ModelSpec:
    parts = tuple(
        PackagePart(
            f"tinypart{n}==1.0", f"tinypart{n}/data.bin", len(p), hashlib.sha256(p).hexdigest()
        )
        for n, p in enumerate(pieces(), start=1)
    )
    return ModelSpec(
        name="tiny",
        kind="chat",
        file="tiny.gguf",
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        licence="CC0-1.0",
        languages=("en",),
        context=128,
        description="noise",
        packages=parts if packages else (),
        hub=HubFile("owner/tiny", "tiny.gguf") if hub else None,
    )


def make_wheel(folder: Path, number: int, data: bytes, member: str | None = None) -> Path:
    name = f"tinypart{number}"
    info = f"{name}-1.0.dist-info"
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member or f"{name}/data.bin", data)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture
def index(tmp_path: Path) -> Path:
    folder = tmp_path / "wheels"
    folder.mkdir()
    for number, piece in enumerate(pieces(), start=1):
        make_wheel(folder, number, piece)
    return folder


def from_index(index: Path) -> list[str]:
    return ["--no-index", "--find-links", str(index)]


@dataclass
class Hub:
    """What the hub serves, how it misbehaves, and what it was asked."""

    content: bytes = CONTENT
    status: int = 0
    ranges: bool = True
    cut_after: int | None = None
    url: str = ""
    asked: list[str | None] = field(default_factory=list)


@pytest.fixture
def hub() -> Iterator[Hub]:
    state = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append(self.headers.get("Range"))
            if state.status or self.path != HUB_PATH:
                self.send_error(state.status or 404)
                return
            start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
            start = start if state.ranges else 0
            body = state.content[start:]
            self.send_response(206 if state.ranges else 200)
            if state.ranges:
                end, total = len(state.content) - 1, len(state.content)
                self.send_header("Content-Range", f"bytes {start}-{end}/{total}")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: state.cut_after])

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


def placed(models: Path) -> Path:
    """The model, brought there without pip."""
    mine = models.parent / f"{models.name}-mine.gguf"
    mine.write_bytes(CONTENT)
    return import_file(tiny(), mine, models)


def run_pull(setup: str, models: Path, arguments: str) -> subprocess.CompletedProcess[str]:
    """Pull in a process of its own, after ``setup``; ``spec`` and ``models`` are defined there."""
    program = textwrap.dedent(
        f"""
        import os, signal, sys, resource
        from pathlib import Path
        sys.path[:0] = [{str(ROOT)!r}, {str(Path(__file__).parent)!r}]
        from test_models_download import tiny, PART
        from rag.models.download import pull
        models = Path({str(models)!r})
        seen = 0
        def progress(done, total): pass
        """
    )
    program += textwrap.dedent(setup) + f"\npull({arguments})\n"
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120
    )


def test_packages_are_joined_into_the_published_file(tmp_path: Path, index: Path) -> None:
    spec, models, told = tiny(), tmp_path / "models", []
    path = pull(spec, models, lambda *told_: told.append(told_), pip_arguments=from_index(index))
    assert path == models / "tiny" / "tiny.gguf"
    assert path.read_bytes() == CONTENT
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1] == (len(CONTENT), len(CONTENT))
    names = {p.name for p in path.parent.iterdir()}
    assert names == {"tiny.gguf", "manifest.json", ".lock"}


def test_pip_is_configured_through_its_own_variables(
    tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    assert pull(tiny(), tmp_path).read_bytes() == CONTENT


def test_a_second_pull_fetches_nothing(tmp_path: Path) -> None:
    spec = tiny()
    path = placed(tmp_path)
    before = path.stat()
    told: list[tuple[int, int]] = []
    nothing = ["--no-index"]
    assert pull(spec, tmp_path, lambda *d: told.append(d), pip_arguments=nothing) == path
    assert told == [(spec.size, spec.size)]
    assert pull(spec, tmp_path, verify=True, pip_arguments=nothing) == path
    assert path.stat().st_ino == before.st_ino


def test_ctrl_c_leaves_the_finished_parts(tmp_path: Path, index: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        if done > PART:
            raise KeyboardInterrupt

    spec = tiny()
    with pytest.raises(KeyboardInterrupt):
        pull(spec, tmp_path, interrupt, pip_arguments=from_index(index))
    assert local_path(spec, tmp_path) is None
    assert (tmp_path / "tiny" / "tiny.gguf.part").stat().st_size == PART
    assert not list((tmp_path / "tiny").glob(".pull-*"))
    (index / "tinypart1-1.0-py3-none-any.whl").unlink()  # fetched again, it would be missed
    assert pull(spec, tmp_path, pip_arguments=from_index(index)).read_bytes() == CONTENT


def test_a_wrong_part_is_refused_and_the_good_ones_are_kept(tmp_path: Path, index: Path) -> None:
    make_wheel(index, 2, bytes(PART))
    spec = tiny()
    for _ in range(2):
        with pytest.raises(ModelFileError, match=r"tinypart2==1\.0 does not hold.*pull tiny"):
            pull(spec, tmp_path, pip_arguments=from_index(index))
        assert local_path(spec, tmp_path) is None
    make_wheel(index, 2, pieces()[1])
    (index / "tinypart1-1.0-py3-none-any.whl").unlink()
    assert pull(spec, tmp_path, pip_arguments=from_index(index)).read_bytes() == CONTENT


@pytest.mark.parametrize("damage", ["short", "long", "elsewhere", "cut"])
def test_a_damaged_package_is_refused(tmp_path: Path, index: Path, damage: str) -> None:
    piece = pieces()[0]
    data = {"short": piece[:-1], "long": piece + b"x"}.get(damage, piece)
    wheel = make_wheel(index, 1, data, "tinypart1/other.bin" if damage == "elsewhere" else None)
    if damage == "cut":
        wheel.write_bytes(wheel.read_bytes()[: PART // 2])
    with pytest.raises(ModelError, match=r"tinypart1==1\.0"):
        pull(tiny(), tmp_path, pip_arguments=from_index(index))
    assert (tmp_path / "tiny" / "tiny.gguf.part").stat().st_size == 0


def test_a_wrong_whole_is_deleted_so_that_the_next_pull_starts_afresh(
    tmp_path: Path, hub: Hub
) -> None:
    spec = tiny(packages=False, hub=True)
    hub.content = bytes(spec.size)
    with pytest.raises(ModelFileError, match="deleted"):
        pull(spec, tmp_path, hub_url=hub.url)
    hub.content = CONTENT
    assert pull(spec, tmp_path, hub_url=hub.url).read_bytes() == CONTENT


def test_the_hub_is_asked_for_what_the_index_could_not_give(
    tmp_path: Path, index: Path, hub: Hub
) -> None:
    (index / "tinypart2-1.0-py3-none-any.whl").unlink()
    spec = tiny(hub=True)
    path = pull(spec, tmp_path, pip_arguments=from_index(index), hub_url=hub.url)
    assert path.read_bytes() == CONTENT
    assert hub.asked == [f"bytes={PART}-"]


def test_without_any_source_each_reason_is_told(tmp_path: Path, hub: Hub) -> None:
    hub.status = 503
    spec = tiny(hub=True)
    with pytest.raises(ModelError) as raised:
        pull(spec, tmp_path, pip_arguments=["--no-index"], hub_url=hub.url)
    message = str(raised.value)
    assert "pip could not download tinypart1==1.0: No matching distribution" in message
    assert "503" in message
    assert spec.sha256 in message
    assert str(tmp_path / "tiny") in message


def test_a_hub_that_is_not_there_is_named(tmp_path: Path) -> None:
    spec = tiny(packages=False, hub=True)
    with pytest.raises(ModelError, match=r"127\.0\.0\.1:9/owner/tiny.* was not reached"):
        pull(spec, tmp_path, hub_url="http://127.0.0.1:9")


def test_a_python_without_pip_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pip", None)
    with pytest.raises(ModelError, match="ensurepip"):
        pull(tiny(), tmp_path)


def test_a_broken_download_from_the_hub_goes_on_where_it_stopped(tmp_path: Path, hub: Hub) -> None:
    spec = tiny(packages=False, hub=True)
    hub.cut_after = PART + 17
    with pytest.raises(ModelError):
        pull(spec, tmp_path, hub_url=hub.url)
    hub.cut_after = None
    assert pull(spec, tmp_path, hub_url=hub.url).read_bytes() == CONTENT
    assert hub.asked[0] == "bytes=0-"
    assert hub.asked[1] != "bytes=0-"


def test_a_hub_that_cannot_resume_starts_again(tmp_path: Path, hub: Hub) -> None:
    spec = tiny(hub=True)
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "tiny.gguf.part").write_bytes(CONTENT[: PART + 5])
    hub.ranges = False
    path = pull(spec, tmp_path, pip_arguments=["--no-index"], hub_url=hub.url)
    assert path.read_bytes() == CONTENT
    assert hub.asked == [f"bytes={PART}-"]


def test_a_hub_that_sends_too_much_is_refused(tmp_path: Path, hub: Hub) -> None:
    spec = tiny(packages=False, hub=True)
    hub.content = CONTENT + b"more"
    with pytest.raises(ModelFileError, match="not the published file"):
        pull(spec, tmp_path, hub_url=hub.url)


def test_a_full_disk_is_named_and_the_pull_goes_on_afterwards(tmp_path: Path, index: Path) -> None:
    limit = f"spec = tiny()\nresource.setrlimit(resource.RLIMIT_FSIZE, ({PART + 9_000},) * 2)"
    arguments = f"spec, models, progress, pip_arguments={from_index(index)!r}"
    done = run_pull(limit, tmp_path, arguments)
    assert "ModelError: The disk that holds" in done.stderr
    assert "Make room" in done.stderr
    assert local_path(tiny(), tmp_path) is None
    (index / "tinypart1-1.0-py3-none-any.whl").unlink()
    assert pull(tiny(), tmp_path, pip_arguments=from_index(index)).read_bytes() == CONTENT


def test_pip_on_a_full_disk_is_a_full_disk(tmp_path: Path, index: Path) -> None:
    limit = f"spec = tiny()\nresource.setrlimit(resource.RLIMIT_FSIZE, ({PART // 2},) * 2)"
    arguments = f"spec, models, progress, pip_arguments={from_index(index)!r}"
    done = run_pull(limit, tmp_path, arguments)
    assert "ModelError: The disk that holds" in done.stderr


def test_a_model_bigger_than_the_disk_is_refused_at_once(tmp_path: Path) -> None:
    spec = tiny()
    huge = replace(
        spec, size=1 << 60, packages=(*spec.packages, replace(spec.packages[0], size=1 << 59))
    )
    with pytest.raises(ModelError, match="is full"):
        pull(huge, tmp_path, pip_arguments=["--no-index"])


def test_killed_at_any_moment_the_next_pull_succeeds(
    tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Nth progress call kills the process, N = 1, 2, … until one pull gets through."""
    monkeypatch.setitem(sys.modules, "pip", None)  # straight to the hub, for speed
    spec = tiny(hub=True)
    for n in range(1, 30):
        models = tmp_path / str(n)
        setup = f"""
            sys.modules["pip"] = None
            spec = tiny(hub=True)
            def progress(done, total):
                global seen
                seen += 1
                if seen == {n}:
                    os.kill(os.getpid(), signal.SIGKILL)
            """
        code = run_pull(setup, models, f"spec, models, progress, hub_url={hub.url!r}").returncode
        assert pull(spec, models, hub_url=hub.url).read_bytes() == CONTENT
        if code == 0:
            assert n > 2
            return
        assert code == -signal.SIGKILL
    raise AssertionError("no pull got through")


def test_two_pulls_at_once_fetch_once(tmp_path: Path, hub: Hub) -> None:
    spec = tiny(packages=False, hub=True)
    paths: list[Path] = []
    threads = [
        threading.Thread(target=lambda: paths.append(pull(spec, tmp_path, hub_url=hub.url)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert paths == [tmp_path / "tiny" / "tiny.gguf"] * 4
    assert len(hub.asked) == 1


def test_verify_finds_a_changed_byte_and_fetches_only_what_is_missing(
    tmp_path: Path, index: Path
) -> None:
    spec = tiny()
    path = placed(tmp_path)
    status = path.stat()
    with path.open("r+b") as file:
        file.seek(PART + 3)
        file.write(b"\0\0\0\0")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert pull(spec, tmp_path, pip_arguments=["--no-index"]) == path  # size and time are the same
    (index / "tinypart1-1.0-py3-none-any.whl").unlink()
    pull(spec, tmp_path, verify=True, pip_arguments=from_index(index))
    assert path.read_bytes() == CONTENT


def test_a_file_put_there_by_hand_is_checked_before_use(tmp_path: Path, hub: Hub) -> None:
    spec = tiny(packages=False, hub=True)
    target = tmp_path / "tiny" / "tiny.gguf"
    target.parent.mkdir()
    target.write_bytes(CONTENT)
    assert pull(spec, tmp_path, hub_url=hub.url) == target
    assert hub.asked == []
    target.write_bytes(bytes(len(CONTENT)))
    assert pull(spec, tmp_path, hub_url=hub.url).read_bytes() == CONTENT
    assert len(hub.asked) == 1


@pytest.mark.parametrize("manifest", [b"", b"\xff\xfe", b"[]", b'{"version": 1}', b"null"])
def test_a_damaged_manifest_costs_one_more_reading(tmp_path: Path, manifest: bytes) -> None:
    spec = tiny()
    path = placed(tmp_path)
    (path.parent / "manifest.json").write_bytes(manifest)
    assert pull(spec, tmp_path, pip_arguments=["--no-index"]) == path


def test_local_path_wants_the_right_size(tmp_path: Path) -> None:
    spec = tiny()
    assert local_path(spec, tmp_path) is None
    path = placed(tmp_path)
    assert local_path(spec, tmp_path) == path
    path.write_bytes(CONTENT[:-1])
    assert local_path(spec, tmp_path) is None


def test_a_file_at_hand_is_imported(tmp_path: Path) -> None:
    spec, mine = tiny(), tmp_path / "mine.gguf"
    mine.write_bytes(CONTENT)
    path = import_file(spec, mine, tmp_path / "models")
    assert path.read_bytes() == CONTENT
    assert mine.read_bytes() == CONTENT
    assert pull(spec, tmp_path / "models", pip_arguments=["--no-index"]) == path


@pytest.mark.parametrize("content", [b"", CONTENT[:-1], bytes(len(CONTENT))])
def test_another_file_is_not_imported(tmp_path: Path, content: bytes) -> None:
    spec, mine = tiny(), tmp_path / "mine.gguf"
    mine.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"mine\.gguf is not the published tiny\.gguf"):
        import_file(spec, mine, tmp_path / "models")
    assert mine.read_bytes() == content
    assert local_path(spec, tmp_path / "models") is None
    assert not list((tmp_path / "models" / "tiny").glob("*.incoming"))


def test_a_file_that_is_not_there_is_not_imported(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="There is no file"):
        import_file(tiny(), tmp_path / "none.gguf", tmp_path)


def test_a_models_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("not a folder")
    with pytest.raises(ModelError, match="cannot be used for models"):
        pull(tiny(), tmp_path / "models")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    length=st.integers(0, len(CONTENT)),
    flipped=st.none() | st.integers(0, len(CONTENT) - 1),
    tail=st.binary(max_size=20),
)
def test_a_partial_file_keeps_exactly_its_whole_correct_parts(
    tmp_path: Path, length: int, flipped: int | None, tail: bytes
) -> None:
    data = bytearray(CONTENT[:length] + tail)
    if flipped is not None and flipped < len(data):
        data[flipped] ^= 1
    path = tmp_path / "tiny.gguf.part"
    path.write_bytes(data)
    partial = PartialFile(path, tiny(), lambda done, total: None)
    partial.close()
    expected = 0
    for piece in pieces():
        if bytes(data[expected : expected + len(piece)]) != piece:
            break
        expected += len(piece)
    assert partial.size == expected
    assert path.read_bytes() == CONTENT[:expected]
    assert partial.is_complete() == (expected == len(CONTENT))
