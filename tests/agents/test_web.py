"""Pages of a real server on this machine, which a test has to allow, and all others refused."""

import gzip
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.tools import BaseTool, ToolException

from agents.toolbox import fetching
from agents.toolbox.effects import does_as_named, effect_of, is_tainted
from agents.toolbox.fetching import AddressCheck, FetchLimits, is_public
from agents.toolbox.web import web_tool

PAGE = """<html><head><title>Bees</title></head><body><nav>menu</nav><h1>The dance</h1>
<p>A bee that dances tells the others where the food is, and how far away it stands.</p>
<p>They follow.\u200b</p></body></html>"""


class _Site(BaseHTTPRequestHandler):
    """One page for each thing that a server can do to whoever fetches from it."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        name = self.path.strip("/").partition("/")[0].partition("?")[0]
        getattr(self, f"page_{name}", self.missing)()

    def missing(self) -> None:
        self.send_error(404)

    def page_bees(self) -> None:
        self._send("text/html; charset=utf-8", PAGE.encode())

    def page_chinese(self) -> None:
        self._send(
            "text/html; charset=gb18030", "<p>蜜蜂用舞蹈告诉同伴花在哪里。</p>".encode("gb18030")
        )

    def page_packed(self) -> None:
        self._send("text/html", gzip.compress(PAGE.encode()), ("Content-Encoding", "gzip"))

    def page_bomb(self) -> None:
        self._send("text/plain", gzip.compress(b"a" * 50_000_000), ("Content-Encoding", "gzip"))

    def page_torn(self) -> None:
        self._send("text/html", gzip.compress(PAGE.encode())[:-9] + b"x" * 40,
                   ("Content-Encoding", "gzip"))  # fmt: skip

    def page_cut(self) -> None:
        self._send("text/plain", gzip.compress(b"Bees dance. " * 900)[:-30],
                   ("Content-Encoding", "gzip"))  # fmt: skip

    def page_strange(self) -> None:
        self._send("text/html", b"?", ("Content-Encoding", "zstd"))

    def page_picture(self) -> None:
        self._send("image/png", b"\x89PNG\r\n\x1a\n")

    def page_untyped(self) -> None:
        self._send("", b"something")

    def page_long(self) -> None:
        self._send("text/plain", "".join(f"line {n}\n" for n in range(3000)).encode())

    def page_broken(self) -> None:
        self._send("application/pdf", b"%PDF-1.4 nothing")

    def page_huge(self) -> None:
        self._begin("text/plain")
        for _ in range(2000):
            self.wfile.write(b"a" * 65_536)

    def page_slow(self) -> None:
        self._begin("text/plain")
        self._drip(b"a")

    def page_silent(self) -> None:
        self.server.silence.wait(20)  # type: ignore[attr-defined]

    def page_dripping(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
        self._drip(b"a")

    def page_to(self) -> None:
        self.send_response(302)
        self.send_header("Location", self.path.removeprefix("/to/"))
        self.send_header("Set-Cookie", "secret=1")
        self.end_headers()

    def page_cookie(self) -> None:
        self._send(
            "text/plain", f"cookie: {self.headers['Cookie']}; {self.headers['Host']}".encode()
        )

    def page_round(self) -> None:
        self.send_response(302)
        self.send_header("Location", "/round")
        self.end_headers()

    def _begin(self, kind: str, *headers: tuple[str, str]) -> None:
        self.send_response(200)
        for name, value in (("Content-Type", kind), *headers):
            self.send_header(name, value)
        self.end_headers()

    def _send(self, kind: str, data: bytes, *headers: tuple[str, str]) -> None:
        self._begin(kind, *headers)
        self.wfile.write(data)

    def _drip(self, data: bytes) -> None:
        while not self.server.silence.wait(0.05):  # type: ignore[attr-defined]
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_: object) -> None:
        """Whoever has seen enough goes away in the middle."""


@dataclass(frozen=True)
class Site:
    url: str
    port: int
    asked: list[str]

    def check(self, address: str, port: int) -> bool:
        """As in earnest, with a door for this server."""
        return (address, port) == ("127.0.0.1", self.port) or is_public(address, port)


@pytest.fixture
def site() -> Iterator[Site]:
    asked: list[str] = []
    handler = type("Handler", (_Site,), {"asked": asked})
    with _Server(("127.0.0.1", 0), handler) as server:
        server.silence = threading.Event()  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield Site(f"http://127.0.0.1:{server.server_port}", server.server_port, asked)
        server.silence.set()  # type: ignore[attr-defined]
        server.shutdown()
        thread.join()


Fetch = Callable[..., str]


@pytest.fixture
def fetch(site: Site) -> Fetch:
    tool = web_tool(site.check, FetchLimits(seconds=10, size=1_000_000, hops=3))
    return lambda path, **more: str(tool.invoke({"url": f"{site.url}{path}", **more}))


def refused(tool: BaseTool, url: str) -> str:
    with pytest.raises(ToolException) as error:
        tool.invoke({"url": url})
    assert str(error.value).endswith(".")
    return str(error.value)


def test_it_goes_to_the_network_and_brings_text_from_outside() -> None:
    tool = web_tool()
    assert (tool.name, effect_of(tool), is_tainted(tool)) == ("fetch_page", "network", True)
    assert does_as_named(tool)


def test_a_page_is_its_text(fetch: Fetch, site: Site) -> None:
    shown = fetch("/bees")
    assert shown.startswith(f"Bees\n{site.url}/bees\n\n# The dance\n\nA bee that dances")
    assert shown.endswith("They follow.")
    assert "menu" not in shown


def test_the_server_may_say_how_a_page_is_coded(fetch: Fetch) -> None:
    assert "蜜蜂用舞蹈告诉同伴花在哪里。" in fetch("/chinese")


def test_a_packed_page_is_unpacked(fetch: Fetch) -> None:
    assert "A bee that dances" in fetch("/packed")


def test_a_long_page_is_read_in_parts(fetch: Fetch) -> None:
    first = fetch("/long")
    assert "line 0\n" in first
    assert "8000 of 28890 characters are shown. Go on with start=8000." in first
    last = fetch("/long", start=28_000)
    assert last.rstrip().endswith("line 2999")
    assert "characters are shown" not in last
    assert "Nothing stands from character 30000 on." in fetch("/long", start=30_000)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/none", "answers 404."),
        ("/picture", "is no text that can be read, but image/png."),
        ("/untyped", "is no text that can be read, but ?."),
        ("/huge", "has more than 0 MB."),
        ("/bomb", "has more than 0 MB."),
        ("/torn", "is damaged on its way."),
        ("/cut", "is damaged on its way."),
        ("/strange", "packed in a way that cannot be read: zstd."),
        ("/broken", "cannot be read: "),
        ("/round", "is sent on more than 3 times."),
    ],
)
def test_what_cannot_be_read_is_told_in_a_sentence(fetch: Fetch, path: str, said: str) -> None:
    with pytest.raises(ToolException) as error:
        fetch(path)
    assert said in str(error.value)
    assert str(error.value).endswith(".")


@pytest.mark.parametrize("path", ["/slow", "/silent", "/dripping"])
def test_a_server_that_takes_its_time_is_left(site: Site, fetch: Fetch, path: str) -> None:
    fetch("/bees")  # what is imported is imported
    tool = web_tool(site.check, FetchLimits(seconds=1))
    began = time.monotonic()
    assert refused(tool, f"{site.url}{path}").endswith("took more than 1 s.")
    assert time.monotonic() - began < 8


def test_a_server_that_is_away() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    tool = web_tool(lambda address, asked: (address, asked) == ("127.0.0.1", port))
    assert "cannot be fetched" in refused(tool, f"http://127.0.0.1:{port}/")


# -- attacks -------------------------------------------------------------------------------------

INNER = [
    "http://127.0.0.1:{port}/bees",
    "http://localhost:{port}/bees",
    "http://127.1:{port}/bees",
    "http://2130706433:{port}/bees",
    "http://0x7f000001:{port}/bees",
    "http://0177.0.0.1:{port}/bees",
    "http://0.0.0.0:{port}/bees",
    "http://[::1]:{port}/bees",
    "http://[::ffff:127.0.0.1]:{port}/bees",
    "http://[::ffff:7f00:1]:{port}/bees",
    "http://[::]:{port}/bees",
    "http://169.254.169.254/latest/meta-data/",
    "http://10.0.0.1/",
    "http://192.168.1.1/",
    "http://172.16.0.1/",
    "http://100.64.0.1/",
    "http://[fe80::1]/",
    "http://[fc00::1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[2002:7f00:1::]/",
    "http://224.0.0.1/",
    "http://255.255.255.255/",
    "http://8.8.8.8:25/",
]


@pytest.mark.parametrize("url", INNER)
def test_nothing_inside_is_fetched(site: Site, url: str) -> None:
    said = refused(web_tool(), url.format(port=site.port))
    assert re.search("is not on the open internet|There is no host|is no address of a page", said)
    assert site.asked == []


@pytest.mark.parametrize("url", [url for url in INNER if "{port}" not in url])
def test_nothing_inside_is_fetched_by_being_sent_on(fetch: Fetch, url: str) -> None:
    with pytest.raises(ToolException, match=r"open internet|There is no host"):
        fetch(f"/to/{url}")


def test_being_sent_on_to_this_machine_is_refused(site: Site, fetch: Fetch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ToolException, match="is not on the open internet"):
            fetch(f"/to/http://127.0.0.1:{port}/secret")
        other.settimeout(0.2)
        with pytest.raises(TimeoutError):
            other.accept()
    assert len(site.asked) == 1


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd", "ftp://127.0.0.1/", "gopher://x/", "javascript:alert(1)", "//x/y", "",
        "data:text/html,x", "http://", "/etc/passwd", "\0",
        "http://" + "a" * 3000 + ".com/",
    ],
)  # fmt: skip
def test_what_is_no_address_of_the_web(fetch: Fetch, site: Site, url: str) -> None:
    said = refused(web_tool(site.check), url)
    assert "must begin with http:// or https://" in said
    with pytest.raises(ToolException):
        fetch(f"/to/{url}")


def test_what_is_no_host_is_told(site: Site) -> None:
    assert refused(web_tool(site.check), "http://*.example/").startswith("There is no host")
    assert "must begin" in refused(web_tool(site.check), "http://127.0.0.1:99999/")


def test_a_name_and_password_are_refused(site: Site) -> None:
    said = refused(web_tool(site.check), f"http://me:secret@127.0.0.1:{site.port}/bees")
    assert "holds a name or password" in said
    assert site.asked == []


def test_a_foreign_page_does_not_lead_to_a_host_that_is_allowed(site: Site) -> None:
    inner = f"http://127.0.0.2:{site.port}/bees"
    limits = FetchLimits(seconds=10, hosts=frozenset({"127.0.0.2"}))
    tool = web_tool(lambda address, _: address == "127.0.0.1", limits)
    assert refused(tool, f"{site.url}/to/{inner}").startswith(f"«{inner}» is not on the open")
    assert "cannot be fetched" in refused(tool, inner)  # allowed, but nothing listens there


def test_who_was_sent_to_a_foreign_page_is_not_sent_back_in(site: Site) -> None:
    inner, foreign = f"http://localhost:{site.port}", site.url
    answers = iter([True, False])  # of the foreign page, and of the host that is named no more
    tool = web_tool(lambda *_: next(answers), FetchLimits(10, hosts=frozenset({"localhost"})))
    said = refused(tool, f"{inner}/to/{foreign}/to/{inner}/bees")
    assert said.startswith(f"«{inner}/bees» is not on the open internet")


def test_what_one_hop_sets_the_next_does_not_send(fetch: Fetch, site: Site) -> None:
    assert "cookie: None; 127.0.0.1" in fetch("/to//cookie")
    assert site.asked == ["/to//cookie", "/cookie"]


def test_a_name_that_changes_its_address_gains_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The resolver is the attacker's here: first an address that may be asked and where nobody is,
    then the one of the server."""
    real, lookups = socket.getaddrinfo, []

    def turning(host: str | bytes, port: int, *rest: int, **more: int) -> object:
        if host in ("evil.example", b"evil.example"):
            lookups.append(host)
            host = "127.0.0.2" if len(lookups) == 1 else "127.0.0.1"
        return real(host, port, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", turning)
    seen: list[str] = []

    def check(address: str, _port: int) -> bool:
        seen.append(address)
        return address == "127.0.0.2"

    tool = web_tool(check, FetchLimits(seconds=20))
    refused(tool, f"http://evil.example:{site.port}/bees")
    assert seen == ["127.0.0.2"]
    assert site.asked == []
    assert "is not on the open internet" in refused(tool, f"http://evil.example:{site.port}/bees")
    assert seen == ["127.0.0.2", "127.0.0.1"]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
@pytest.mark.parametrize(("name", "trusted"), [("bees.example", True), ("wasps.example", False)])
def test_a_certificate_is_that_of_the_name_and_not_of_the_address(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, trusted: bool
) -> None:
    """`site` is not asked here: a second server shows the certificate."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", "/CN=x", "-addext", "subjectAltName=DNS:bees.example",
         "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda _, *rest, **more: real("127.0.0.1", *rest, **more)
    )
    trusting = ssl.create_default_context(cafile=certificate)
    monkeypatch.setattr(fetching, "_certificates", lambda: trusting)
    handler = type("Handler", (_Site,), {"asked": []})
    with _Server(("127.0.0.1", 0), handler) as server:
        shown = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        shown.load_cert_chain(certificate, key)
        server.socket = shown.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        tool = web_tool(lambda *_: True, FetchLimits(seconds=10))
        url = f"https://{name}:{server.server_port}/bees"
        if trusted:
            assert "A bee that dances" in tool.invoke({"url": url})
        else:
            assert "certificate" in refused(tool, url)
        server.shutdown()
        thread.join()


def test_one_inner_address_beside_an_outer_one_is_enough(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo

    def both(host: str | bytes, port: int, *rest: int, **more: int) -> object:
        if host in ("both.example", b"both.example"):
            return [*real("8.8.8.8", port, *rest, **more), *real("127.0.0.1", port, *rest, **more)]
        return real(host, port, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", both)
    said = refused(web_tool(), f"http://both.example:{site.port}/bees")
    assert "is not on the open internet" in said
    assert site.asked == []


def test_the_proxy_of_the_environment_is_not_asked(
    fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert "A bee that dances" in fetch("/bees")


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8",
                                     "64:ff9b::808:808"])  # fmt: skip
def test_the_open_internet(address: str) -> None:
    assert is_public(address, 443)
    assert is_public(address, 8080)
    assert not is_public(address, 22)


@given(st.ip_addresses(v=4, network="10.0.0.0/8") | st.ip_addresses(v=4, network="127.0.0.0/8")
       | st.ip_addresses(v=4, network="100.64.0.0/10") | st.ip_addresses(v=6, network="fc00::/7")
       | st.ip_addresses(v=6, network="::ffff:7f00:0/104"))  # fmt: skip
def test_no_inner_address_is_public(address: object) -> None:
    assert not is_public(str(address), 443)


def test_the_default_check_is_the_strict_one() -> None:
    check: AddressCheck = fetching.is_public
    assert not check("127.0.0.1", 80)
    assert not check("nonsense", 80)
