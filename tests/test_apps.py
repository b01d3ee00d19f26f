"""The example apps, started as their README says."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from indexes.collection import Collection
from tests.rag.scripted_server import closed_port

ROOT = Path(__file__).resolve().parent.parent
APPS = ROOT / "apps"
SAID = "Propolis seals the hive against draughts."
QUESTION = "What seals the hive against draughts?"


@pytest.fixture
def environment(home: Path, chat_server: str) -> dict[str, str]:
    """A home with one document, and a server that quotes what it is shown."""
    with Collection.open(home=home) as collection:
        collection.add_texts([SAID], None, ["glue.md"])
    return {
        **os.environ,
        "WAGGLE_HOME": str(home), "WAGGLE_CHAT_URL": chat_server,
        "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "WAGGLE_LANG": "en",
    }  # fmt: skip


@contextmanager
def listening(command: list[str], environment: dict[str, str], url: str) -> Iterator[None]:
    """The command, from when it answers ``url`` on."""
    with subprocess.Popen(command, env=environment, cwd=ROOT) as process:
        try:
            until(lambda: answers(url), process)
            yield
        finally:
            process.terminate()
            process.wait(20)


def answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False


def until(true: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert process.poll() is None, "it ended"
        assert time.monotonic() < end, "it does not begin"
        time.sleep(0.05)


def test_the_fastapi_app(environment: dict[str, str]) -> None:
    port = closed_port()
    command = [sys.executable, "-m", "uvicorn", "--app-dir", "apps", "fastapi_app:app"]
    url = f"http://127.0.0.1:{port}"
    with listening([*command, "--port", str(port)], environment, f"{url}/openapi.json"):
        asked = {"question": QUESTION}
        got = httpx.get(f"{url}/help", params=asked, timeout=60).json()
        assert got["known"]
        assert SAID in got["answer"]
        assert got["sources"] == [f"glue.md:0-{len(SAID)}"]
        assert SAID in httpx.get(f"{url}/help/stream", params=asked, timeout=60).text


def test_the_graph_answers_or_opens_a_ticket(environment: dict[str, str]) -> None:
    def run(question: str, **more: str) -> str:
        command = [sys.executable, "apps/langgraph_desk.py", question]
        done = subprocess.run(
            command, env={**environment, **more}, cwd=ROOT, capture_output=True, text=True,
            timeout=120, check=True,
        )  # fmt: skip
        return done.stdout

    assert SAID in run(QUESTION)
    # Without a chat model nothing can be answered: a person is asked.
    ticket = run(QUESTION, WAGGLE_CHAT_URL="", WAGGLE_CHAT_MODEL="")
    assert ticket.startswith(f"Nobody knows: {QUESTION}")
    assert "- glue.md" in ticket


def test_the_bot_answers_who_names_it(environment: dict[str, str]) -> None:
    messages = [
        {"channel": "bees", "thread": "1", "text": f"@bee {QUESTION}"},
        {"channel": "bees", "thread": "2", "text": "nobody asks the bot"},
        {"channel": "bees", "thread": "3", "text": "@bee"},
        {"channel": "bees", "thread": "1", "text": f"@bee And again: {QUESTION}"},
    ]
    lines = "".join(json.dumps(message) + "\n" for message in messages)
    done = subprocess.run(
        [sys.executable, "apps/bot.py"], input=lines, env=environment, cwd=ROOT,
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    replies = [json.loads(line) for line in done.stdout.splitlines()]
    in_order = [reply for reply in replies if reply["thread"] == "1"]
    assert len(in_order) == 2
    for reply in in_order:
        assert SAID in reply["text"]
        assert reply["quotes"] == [f"glue.md: «{SAID}»"]
    (empty,) = (reply for reply in replies if reply["thread"] == "3")
    assert empty["text"] == "The question is empty."
    assert len(replies) == 3


def test_the_readme_names_every_app() -> None:
    readme = (APPS / "README.md").read_text("utf-8")
    named = set(re.findall(r"^\| `([^`]+)`", readme, re.MULTILINE))
    there = {str(path.relative_to(APPS)) for path in (*APPS.glob("*.py"), *APPS.glob("*/*.html"))}
    assert named == there


def test_each_can_be_copied() -> None:
    """None of them needs another file of its folder."""
    for app in APPS.glob("*.py"):
        imports = re.findall(r"^(?:from|import) (\w+)", app.read_text("utf-8"), re.MULTILINE)
        assert not {path.stem for path in APPS.glob("*.py")} & set(imports)
