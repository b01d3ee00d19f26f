"""Pages of a real server on this machine are indexed beside files, where that is allowed."""

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]
ROOT = Path(__file__).resolve().parents[2]
DANCE = "<title>Bees</title><h1>The dance</h1><p>A dancing bee tells how far away the food is.</p>"


@dataclass(frozen=True)
class Site:
    """``pages`` by path: their type and content, or where they have moved."""

    port: int
    pages: dict[str, tuple[str, bytes | str]]

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"


class _Handler(BaseHTTPRequestHandler):
    pages: dict[str, tuple[str, bytes | str]]

    def do_GET(self) -> None:
        kind, content = self.pages.get(self.path, ("", b""))
        if not content:
            self.send_error(404)
            return
        moved = isinstance(content, str)
        self.send_response(301 if moved else 200)
        self.send_header("Location" if moved else "Content-Type", content if moved else kind)  # type: ignore[arg-type]
        self.end_headers()
        if isinstance(content, bytes):
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A site whose address may be fetched, and an empty home."""
    monkeypatch.setenv("WAGGLE_HOME", str(home))
    monkeypatch.setenv("WAGGLE_WEB_HOSTS", "127.0.0.1")
    pages: dict[str, tuple[str, bytes | str]] = {"/dance": ("text/html", DANCE.encode())}
    handler = type("Handler", (_Handler,), {"pages": pages})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield Site(server.server_port, pages)
        server.shutdown()
        thread.join()


def test_nothing_is_fetched_unless_it_is_allowed(
    waggle: Command, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = waggle("index", site.url("/dance"))
    assert refused.code == 1
    assert "--web" in refused.err
    monkeypatch.setenv("WAGGLE_WEB", "true")
    assert waggle("index", site.url("/dance"), "--json").json["added"] == 1


@pytest.mark.parametrize("moved", [False, True])
def test_the_own_network_is_not_read_unless_its_host_is_named(
    waggle: Command, site: Site, moved: bool
) -> None:
    inner = site.url("/dance", "localhost")
    site.pages["/moved"] = ("", inner)
    url = site.url("/moved") if moved else inner
    outcome = waggle("index", "--web", url, "--json")
    assert outcome.code == 1
    assert outcome.json["failed"] == [
        {
            "source": url,
            "reason": f"«{inner}» is not on the open internet. Only public pages can be fetched. "
            "If its host is yours, name it in web_hosts (WAGGLE_WEB_HOSTS).",
        }
    ]


def test_a_page_is_a_document_like_any_other(waggle: Command, site: Site) -> None:
    url = site.url("/dance")
    assert waggle("index", "--web", f"{url}#dance", url, "--json").json["added"] == 1
    (listed,) = waggle("list", "--json").json["documents"]
    assert (listed["source"], listed["title"], listed["format"]) == (url, "Bees", "html")
    assert waggle("search", "how far", "--json").json["results"][0]["source"] == url
    assert "dancing bee" in waggle("show", url).out
    assert waggle("remove", url).code == 0
    assert waggle("list", "--json").json["documents"] == []


def test_a_page_counts_as_changed_when_its_text_does(waggle: Command, site: Site) -> None:
    url = site.url("/dance")

    def counts() -> tuple[int, ...]:
        told = waggle("index", "--web", url, "--json").json
        return told["added"], told["updated"], told["unchanged"], len(told["failed"])

    assert counts() == (1, 0, 0, 0)
    site.pages["/dance"] = ("text/html", f"<!-- {7**9} -->{DANCE}".encode())
    assert counts() == (0, 0, 1, 0)
    site.pages["/dance"] = ("text/html", DANCE.replace("food", "nectar").encode())
    assert counts() == (0, 1, 0, 0)
    del site.pages["/dance"]
    assert counts() == (0, 0, 0, 1)
    assert "nectar" in waggle("show", url).out


def test_pages_stand_beside_files_and_are_not_pruned(
    waggle: Command, site: Site, tmp_path: Path
) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    for name in ("a.md", "b.md"):
        (folder / name).write_text("# Bees\n\nA hive holds one queen.\n", "utf-8")
    url, missing = site.url("/dance"), site.url("/none")
    told = waggle("index", "--web", folder, url, missing, "--json")
    assert (told.code, told.json["added"]) == (4, 3)
    assert told.json["failed"] == [{"source": missing, "reason": f"«{missing}» answers 404."}]
    (folder / "b.md").unlink()
    assert waggle("index", folder, "--prune", "--json").json["removed"] == 1
    sources = [one["source"] for one in waggle("list", "--json").json["documents"]]
    assert sources == [str(folder / "a.md"), url]


def test_what_the_server_does_not_tell_the_address_does(waggle: Command, site: Site) -> None:
    pdf = ROOT / "examples" / "bee-handbook.pdf"
    site.pages.update({
        "/honey.md": ("text/plain", b"# Honey\n\nIt keeps.\n"),
        "/book.pdf?v=1": ("application/octet-stream", pdf.read_bytes()),
        "/mail": ("", b"Only words.\n"),
        "/about.pdf": ("text/plain", b"Only words about a book.\n"),
        "/hives.yaml": ("application/yaml", b"hives: 3\n"),
        "/picture.png": ("image/png", b"\x89PNG\r\n\x1a\n"),
    })  # fmt: skip
    told = waggle("index", "--web", *map(site.url, site.pages), "--json").json
    assert [one["reason"].split(" is ")[1] for one in told["failed"]] == [
        "no text that can be read, but image/png."
    ]
    formats = {one["source"]: one["format"] for one in waggle("list", "--json").json["documents"]}
    assert formats == {
        site.url("/dance"): "html", site.url("/honey.md"): "md", site.url("/book.pdf?v=1"): "pdf",
        site.url("/mail"): "txt", site.url("/about.pdf"): "txt", site.url("/hives.yaml"): "yaml",
    }  # fmt: skip


def test_a_wrong_path_is_told_before_anything_is_fetched(waggle: Command, site: Site) -> None:
    site.pages["/dance"] = ("text/html", b"")
    outcome = waggle("index", "--web", "nothing-here", site.url("/dance"))
    assert outcome.code == 1
    assert "no file or folder" in outcome.err
    assert "404" not in outcome.err


def test_an_address_that_cannot_be_one_harms_no_other(waggle: Command, site: Site) -> None:
    site.pages["/moved"] = ("", "http://127.0.0.1:99999/")
    told = waggle("index", "--web", site.url("/moved"), site.url("/dance"), "--json")
    assert (told.code, told.json["added"], len(told.json["failed"])) == (4, 1, 1)


def test_one_page_has_one_spelling(waggle: Command, site: Site) -> None:
    site.pages["/"] = ("text/html", DANCE.encode())
    home = f"HTTP://127.0.0.1:{site.port}"
    told = waggle("index", "--web", home, site.url("/"), site.url("/#end"), "--json")
    assert told.json["added"] == 1


@pytest.mark.parametrize(("hosts", "code"), [("LOCALHOST.", 0), ("http://localhost", 2)])
def test_the_hosts_are_names(
    waggle: Command, site: Site, monkeypatch: pytest.MonkeyPatch, hosts: str, code: int
) -> None:
    monkeypatch.setenv("WAGGLE_WEB_HOSTS", hosts)
    outcome = waggle("index", "--web", site.url("/dance", "localhost"))
    assert outcome.code == code
    assert code == 0 or "web_hosts" in outcome.err


def test_an_interrupted_fetch_ends_at_once(waggle: Command, site: Site) -> None:
    waggle("index", "--web", site.url("/dance"))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        running = subprocess.Popen(
            [sys.executable, "-m", "cli", "index", "--web", url], cwd=ROOT,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            # A run in the background of a shell ignores interrupts.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
        with silent.accept()[0]:
            started = time.monotonic()
            running.send_signal(signal.SIGINT)
            told, _ = running.communicate(timeout=50)
    assert (running.returncode, time.monotonic() - started < 15) == (130, True)
    assert told.decode().endswith("Interrupted.\n")


def test_pages_are_not_watched(waggle: Command, site: Site) -> None:
    outcome = waggle("index", "--web", "--watch", site.url("/dance"))
    assert outcome.code == 2
    assert "cannot be watched" in outcome.err
