"""The chat client behind a network that fails on purpose, and what it asks again."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from indexes.errors import EndpointError
from rag.models.patience import Patience
from tests.rag.asking import MODES, ask, chat, good_server
from tests.rag.faulty_proxy import FaultyProxy, Plan, faulty_proxy
from tests.rag.scripted_server import (
    Script,
    closed_port,
)


@pytest.fixture
def server() -> Iterator[Script]:
    with good_server() as script:
        yield script


@pytest.fixture
def proxy(server: Script) -> Iterator[FaultyProxy]:
    with faulty_proxy(int(server.url.rsplit(":", 1)[1].removesuffix("/v1"))) as made:
        yield made


def raw(status: str, body: bytes, *headers: str) -> bytes:
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers])
    return head.encode() + b"\r\n\r\n" + body


@dataclass(frozen=True)
class Case:
    """A plan and what comes of it; ``partial`` is what a stream had brought."""

    plan: Plan
    whole: str | None
    stream: str | None
    partial: str = ""


BUSY = raw("429 Too Many Requests", b'{"error": {"message": "slow down"}}')
BUSY_FOR = "429 Too Many Requests"
LOADING = raw("503 Service Unavailable", b'{"error": {"message": "Loading model"}}')
SSE = "Content-Type: text/event-stream"
MIDDLE = b"wor"  # inside the third event, and inside a whole answer

CASES = {
    "passes": Case(Plan(), None, None),
    "slow": Case(Plan(rate=1500), None, None),
    "too slow": Case(Plan(rate=100), "did not answer in time", "did not answer in time"),
    "late": Case(Plan(delay=0.2), None, None),
    "too late": Case(Plan(delay=6.0), "did not answer in time", "did not answer in time"),
    "half-open": Case(
        Plan(after=0, then="silence"), "did not answer in time", "did not answer in time"
    ),
    "half-open later": Case(
        Plan(after=MIDDLE, then="silence"),
        "did not answer in time",
        "fell silent in the middle",
        "Hello ",
    ),
    "cut": Case(Plan(after=0), "broke off the connection", "broke off the connection"),
    "cut in mid-chunk": Case(
        Plan(after=MIDDLE), "broke off the connection", "broke off in the middle", "Hello "
    ),
    "cut in the headers": Case(Plan(after=30), "broke off", "broke off the connection"),
    "reset": Case(
        Plan(after=0, then="reset"), "broke off the connection", "broke off the connection"
    ),
    "reset in mid-chunk": Case(
        Plan(after=MIDDLE, then="reset"), "broke off", "broke off in the middle", "Hello "
    ),
    "garbage": Case(Plan(instead=b"\x16\x03\x01\x02\xff" * 30), "does not speak", "does not speak"),
    "garbage without end": Case(
        Plan(instead=b"HTTP/1.1 200 OK\r\n" + b"x" * 300_000), "does not speak", "does not speak"
    ),
    "garbage JSON": Case(
        Plan(instead=raw("200 OK", b'data: {"choices\n\ndata: [DONE]\n\n', SSE)),
        "does not speak",
        "does not speak",
    ),
    "429": Case(Plan(instead=BUSY), "overloaded. Try again", "overloaded. Try again"),
    "429 and when": Case(
        Plan(instead=raw(BUSY_FOR, b"", "Retry-After: 7")), "to wait 7 s", "to wait 7 s"
    ),
    "503": Case(Plan(instead=LOADING), "not ready: Loading model", "not ready: Loading model"),
    "502": Case(Plan(instead=raw("502 Bad Gateway", b"<html>no</html>")), "HTTP 502", "HTTP 502"),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", CASES)
def test_each_fault_has_its_outcome_in_time(proxy: FaultyProxy, name: str, mode: str) -> None:
    case = CASES[name]
    expected = case.stream if "stream" in mode else case.whole
    proxy.plan(case.plan)
    model = chat(proxy.url)
    began = time.monotonic()
    if expected is None:
        assert ask(model, mode) == "Hello world."
    else:
        with pytest.raises(EndpointError, match=expected) as raised:
            ask(model, mode)
        assert proxy.url in str(raised.value)
        assert raised.value.partial == (case.partial if "stream" in mode else "")
    assert time.monotonic() - began < 20
    assert proxy.connections == 1


@pytest.mark.parametrize("mode", MODES)
def test_nobody_there(mode: str) -> None:
    with pytest.raises(EndpointError, match="No model server answers"):
        ask(chat(f"http://127.0.0.1:{closed_port()}/v1"), mode)


PASSING = {
    "cut": Plan(after=0),
    "reset": Plan(after=0, then="reset"),
    "cut before a token": Plan(after=b'"content": "Hel'),
    "429": Plan(instead=BUSY),
    "503": Plan(instead=LOADING),
    "502": Plan(instead=raw("502 Bad Gateway", b"")),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", PASSING)
def test_what_passes_is_survived(proxy: FaultyProxy, name: str, mode: str) -> None:
    proxy.plan(PASSING[name], Plan())
    said: list[tuple[float, str]] = []
    model = chat(proxy.url, retry_seconds=20, waiting=lambda *what: said.append(what))
    assert ask(model, mode) == "Hello world."
    assert proxy.connections == 2
    [(seconds, reason)] = said
    assert 0 <= seconds < 20
    assert proxy.url in reason


@pytest.mark.parametrize("mode", MODES)
def test_a_restart_is_survived(proxy: FaultyProxy, mode: str) -> None:
    said: list[tuple[float, str]] = []
    model = chat(proxy.url, retry_seconds=20, waiting=lambda *what: said.append(what))
    away = proxy.refuse(1.0)
    assert ask(model, mode) == "Hello world."
    away.join()
    assert all("No model server answers" in reason for _, reason in said)
    assert [seconds for seconds, _ in said] == sorted(seconds for seconds, _ in said)
    assert len(said) >= 2


def test_a_connection_kept_from_before_a_restart_does_no_harm(proxy: FaultyProxy) -> None:
    proxy.plan(Plan(after=b'"total_tokens": 5}}'), Plan())
    model = chat(proxy.url, retry_seconds=20)
    assert ask(model, "invoke") == "Hello world."
    assert ask(model, "invoke") == "Hello world."


@pytest.mark.parametrize("mode", ["ainvoke", "astream"])
def test_each_event_loop_gets_its_own_connection(server: Script, mode: str) -> None:
    model = chat(server.url)
    assert [ask(model, mode) for _ in range(3)] == ["Hello world."] * 3


@pytest.mark.parametrize("mode", ["stream", "ainvoke"])
def test_the_server_says_when(proxy: FaultyProxy, mode: str) -> None:
    proxy.plan(Plan(instead=raw(BUSY_FOR, b"", "Retry-After: 2")), Plan())
    began = time.monotonic()
    assert ask(chat(proxy.url, retry_seconds=20), mode) == "Hello world."
    assert 2 <= time.monotonic() - began < 20


@pytest.mark.parametrize(
    "when", ["3600", "Fri, 31 Dec 2099 23:59:59 GMT", "1e300", "Fri, 31 Dec 2099 23:59:59"]
)
def test_a_server_that_wants_more_time_than_there_is_is_not_waited_for(
    proxy: FaultyProxy, when: str
) -> None:
    proxy.plan(Plan(instead=raw(BUSY_FOR, b"", f"Retry-After: {when}")))
    began = time.monotonic()
    with pytest.raises(EndpointError, match=r"overloaded and asks to wait \d+ s"):
        ask(chat(proxy.url, retry_seconds=20), "invoke")
    assert time.monotonic() - began < 15
    assert proxy.connections == 1


@pytest.mark.parametrize("when", ["soon", "-5", "nan", "inf", "Fri, 31 Dec 1999 23:59:59 GMT"])
def test_a_time_that_makes_no_sense_is_as_good_as_none(proxy: FaultyProxy, when: str) -> None:
    proxy.plan(Plan(instead=raw(BUSY_FOR, b"", f"Retry-After: {when}")), Plan())
    assert ask(chat(proxy.url, retry_seconds=20), "invoke") == "Hello world."


@pytest.mark.parametrize("mode", MODES)
def test_patience_ends(proxy: FaultyProxy, mode: str) -> None:
    proxy.plan(Plan(instead=LOADING))
    began = time.monotonic()
    with pytest.raises(EndpointError, match=r"not ready.*tried again for \d+ s"):
        ask(chat(proxy.url, retry_seconds=1.2), mode)
    assert 1.2 <= time.monotonic() - began < 20
    assert 2 <= proxy.connections <= 5


def test_repeats_can_be_counted_as_well(proxy: FaultyProxy) -> None:
    proxy.plan(Plan(instead=LOADING))
    with pytest.raises(EndpointError, match="not ready"):
        ask(chat(proxy.url, retry_seconds=20, max_retries=1), "stream")
    assert proxy.connections == 2


def _status(status: int) -> Plan:
    return Plan(instead=raw(f"{status} No", b'{"error": {"message": "no"}}', "Retry-After: 0"))


@pytest.mark.parametrize("mode", ["invoke", "astream"])
@pytest.mark.parametrize(
    "plan",
    [
        *(_status(status) for status in (400, 401, 403, 404, 409, 413, 422, 500, 504)),
        Plan(after=0, then="silence"),
        Plan(instead=b"\xff" * 20 + b"\r\n\r\n"),
    ],
    ids=str,
)
def test_what_does_not_pass_is_not_repeated(proxy: FaultyProxy, plan: Plan, mode: str) -> None:
    proxy.plan(plan, Plan())
    with pytest.raises(EndpointError):
        ask(chat(proxy.url, retry_seconds=20), mode)
    assert proxy.connections == 1


@pytest.mark.parametrize("mode", ["stream", "astream"])
def test_after_a_token_nothing_is_repeated(proxy: FaultyProxy, mode: str) -> None:
    proxy.plan(Plan(after=MIDDLE), Plan())
    with pytest.raises(EndpointError, match="broke off in the middle") as raised:
        ask(chat(proxy.url, retry_seconds=20), mode)
    assert raised.value.partial == "Hello "
    assert proxy.connections == 1


@pytest.mark.parametrize("mode", MODES)
def test_an_address_that_cannot_be_encrypted_is_named_at_once(
    proxy: FaultyProxy, mode: str
) -> None:
    model = chat(proxy.url.replace("http:", "https:"), retry_seconds=20)
    with pytest.raises(EndpointError, match=r"cannot be encrypted: .*http or https"):
        ask(model, mode)
    assert proxy.connections == 1


def test_pauses_double_up_to_a_limit_and_are_not_all_the_same() -> None:
    pauses = []
    for _ in range(20):
        patience = Patience("http://x/v1", 1000)
        pauses.append([patience.pause(httpx.ConnectError("refused")) for _ in range(7)])
    for limit, column in zip((0.5, 1, 2, 4, 8, 8, 8), zip(*pauses, strict=True), strict=True):
        assert all(limit / 2 <= pause <= limit for pause in column)
        assert len(set(column)) > 10
    assert Patience("http://x/v1", 0.1).pause(httpx.ConnectError("refused")) <= 0.1


def test_the_messages_are_in_the_users_language(
    proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAGGLE_LANG", "zh")
    proxy.plan(Plan(instead=LOADING))
    with pytest.raises(EndpointError, match=r"尚未就绪：Loading model.*已重试"):
        ask(chat(proxy.url, retry_seconds=0.5), "invoke")
