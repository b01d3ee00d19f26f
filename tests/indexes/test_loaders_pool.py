"""The pool: limits, crashes, order, and what a parser may not do."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import indexes
from indexes.errors import LoadError
from indexes.loaders import Limits, LoaderPool, load
from indexes.types import Extracted


@pytest.fixture(scope="module")
def pool() -> Iterator[LoaderPool]:
    with LoaderPool(2) as shared:
        yield shared


def page(folder: Path, name: str, words: str) -> Path:
    path = folder / name
    path.write_text(f"<html><body><p>{words}</p></body></html>", encoding="utf-8")
    return path


def large(folder: Path) -> Path:
    """A page that takes a parser seconds."""
    path = folder / "large.html"
    path.write_text("<html><body>" + "<p>Bees <b>fly</b>, and come back.</p>" * 400_000)
    return path


def test_a_child_gives_what_this_process_would(tmp_path: Path, pool: LoaderPool) -> None:
    path = page(tmp_path, "页面.html", "蜜蜂 and snake_case")
    assert pool.load(path) == load(path)
    code = tmp_path / "a.py"
    code.write_text("x = 1\n")
    assert pool.load(code) == load(code)


def test_a_file_name_that_is_not_utf8(tmp_path: Path, pool: LoaderPool) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.html"))
    try:
        path.write_text("<html><body>words</body></html>")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    assert pool.load(path).text == "words"


def test_many_files_keep_their_order(tmp_path: Path, pool: LoaderPool) -> None:
    paths = [page(tmp_path, f"{n}.html", f"page {n}") for n in range(20)]
    paths[3].write_bytes(b"")
    paths[7] = tmp_path / "absent.pdf"
    found = list(pool.load_many(paths))
    assert [path for path, _ in found] == paths
    for number, (_, outcome) in enumerate(found):
        if number in (3, 7):
            assert isinstance(outcome, LoadError)
        else:
            assert isinstance(outcome, Extracted)
            assert outcome.text == f"page {number}"


def test_many_files_may_be_left_half_way(tmp_path: Path, pool: LoaderPool) -> None:
    paths = (page(tmp_path, f"{n}.html", f"page {n}") for n in range(1000))
    found = pool.load_many(paths)
    next(found)
    found.close()  # type: ignore[attr-defined]
    assert len(list(tmp_path.iterdir())) < 10


def test_a_slow_file_is_stopped_and_the_next_is_read(tmp_path: Path) -> None:
    quick = tmp_path / "a.xml"
    quick.write_text("<o>words</o>")
    with LoaderPool(limits=Limits(seconds=2), grow=False) as pool:
        started = time.monotonic()
        with pytest.raises(LoadError, match="took more than 2 s"):
            pool.load(large(tmp_path))
        assert time.monotonic() - started < 6
        assert pool.load(quick).text == "o: words"


def test_a_file_that_needs_too_much_memory_is_an_error(tmp_path: Path) -> None:
    with LoaderPool(limits=Limits(memory=300 * 1024**2), grow=False) as pool:
        with pytest.raises(LoadError, match="memory"):
            pool.load(large(tmp_path))
        assert pool.load(page(tmp_path, "a.html", "words")).text == "words"


def test_a_killed_child_is_replaced(tmp_path: Path) -> None:
    path = page(tmp_path, "a.html", "words")
    with LoaderPool() as pool:
        pool.load(path)
        for _ in range(2):
            process = pool._children[0]._process
            assert process is not None
            process.kill()
            process.wait()
            assert pool.load(path).text == "words"


def test_closing_ends_the_children(tmp_path: Path) -> None:
    with LoaderPool() as pool:
        pool.load(page(tmp_path, "a.html", "words"))
        process = pool._children[0]._process
        assert process is not None
        assert process.poll() is None
    assert process.poll() is not None


def test_the_cap_on_characters_holds_in_both_ways(tmp_path: Path) -> None:
    text = tmp_path / "a.txt"
    text.write_text("eleven char")
    with LoaderPool(max_characters=10) as pool:
        for path in (text, page(tmp_path, "a.html", "eleven char")):
            with pytest.raises(LoadError, match="limit is 10"):
                pool.load(path)


def test_large_files_get_more_time_and_memory() -> None:
    limits = Limits()
    megabyte = 1024**2
    assert (limits.seconds, limits.memory) == (10, 1024**3)
    assert limits.for_size(megabyte) == limits
    assert limits.for_size(11 * megabyte) == Limits(40, 1024**3 + 320 * megabyte)
    assert limits.for_size(10_000 * megabyte) == Limits(120, 3 * 1024**3)
    assert Limits(600, 8 * 1024**3).for_size(10_000 * megabyte) == Limits(600, 8 * 1024**3)


def test_a_pdf_of_500_pages_keeps_the_limits(tmp_path: Path) -> None:
    from reportlab.pdfgen.canvas import Canvas

    path = tmp_path / "book.pdf"
    canvas = Canvas(str(path), pageCompression=1)
    for number in range(500):
        for line in range(20):
            words = f"Line {line} of page {number} tells of bees that fly out in the morning."
            canvas.drawString(72, 780 - 16 * line, words)
        canvas.showPage()
    canvas.save()
    with LoaderPool(limits=Limits(seconds=30)) as pool:  # a busy machine is not what is tested
        child = pool._children[0]
        assert len(pool.load(path).page_starts) == 500
        assert child._process is not None
        status = Path(f"/proc/{child._process.pid}/status")
        if status.exists():
            peak = re.search(r"VmHWM:\s+(\d+) kB", status.read_text("ascii"))
            assert peak is not None
            assert int(peak[1]) < 300_000


def run_python(code: str, folder: Path) -> str:
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": root}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_child_starts_without_the_heavy_libraries(tmp_path: Path) -> None:
    code = "import sys, json, indexes.loaders.worker as w; print(json.dumps(sorted(sys.modules)))"
    modules = set(json.loads(run_python(code, tmp_path)))
    heavy = {"torch", "faiss", "langchain_core", "lxml", "trafilatura", "markitdown", "openpyxl"}
    assert not modules & heavy


def test_a_module_in_the_users_folder_is_not_imported(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('imported')")
    path = page(tmp_path, "a.html", "words")
    code = f"""
import sys; sys.path.remove('')
from pathlib import Path
from indexes.loaders import LoaderPool
with LoaderPool() as pool:
    sys.stdout.write(pool.load(Path({str(path)!r})).text)
"""
    assert run_python(code, tmp_path) == "words"


def test_a_child_leaves_no_bytecode_behind(tmp_path: Path, pool: LoaderPool) -> None:
    package = tmp_path / "site-packages" / "indexes"
    shutil.copytree(
        Path(indexes.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__")
    )
    path = page(tmp_path, "a.html", "words")
    code = f"""
import sys; sys.dont_write_bytecode = True
from pathlib import Path
from indexes.loaders import LoaderPool
with LoaderPool() as pool:
    sys.stdout.write(pool.load(Path({str(path)!r})).text)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(package.parent)},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "words", done.stderr
    assert not list(package.rglob("*.pyc*"))


def test_a_parser_may_not_reach_the_network_or_start_programs(tmp_path: Path) -> None:
    code = """
import socket, subprocess, sys
from indexes.loaders.worker import _forbid
sys.addaudithook(_forbid)
for attempt in (lambda: socket.create_connection(("127.0.0.1", 9)),
                lambda: subprocess.run(["true"]),
                lambda: socket.getaddrinfo("localhost", 80)):
    try:
        attempt()
    except PermissionError:
        sys.stdout.write("refused ")
"""
    assert run_python(code, tmp_path).split() == ["refused"] * 3
