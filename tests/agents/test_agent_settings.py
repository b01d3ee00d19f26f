"""The [agent] table: files, variables, options, and what is wrong with them."""

from pathlib import Path

import pytest

from agents.agent_settings import load_agent_settings
from agents.loop.types import Limits
from indexes.errors import UsageError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_defaults_are_those_of_the_class() -> None:
    settings = load_agent_settings()
    assert settings.limits == Limits()
    assert (settings.approve, settings.mode, settings.web, settings.tools) == (
        "ask", "loop", False, None,
    )  # fmt: skip


def test_options_win_over_variables_and_those_over_the_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "waggle.toml").write_text(
        '[agent]\nsteps = 3\nseconds = 5.5\nprices = [0.5, 1]\ntools = ["today"]\n'
    )
    assert load_agent_settings().limits == Limits(steps=3, seconds=5.5, prices=(0.5, 1.0))
    monkeypatch.setenv("WAGGLE_AGENT_STEPS", "4")
    monkeypatch.setenv("WAGGLE_AGENT_TOOLS", "calculate, today,")
    monkeypatch.setenv("WAGGLE_AGENT_PRICES", "1,2")
    settings = load_agent_settings(steps=5)
    assert settings.limits == Limits(steps=5, seconds=5.5, prices=(1.0, 2.0))
    assert settings.tools == ("calculate", "today")


def test_nought_is_no_limit() -> None:
    limits = load_agent_settings(tokens=0, seconds=0, cost=0).limits
    assert (limits.tokens, limits.seconds, limits.cost) == (None, None, None)


@pytest.mark.parametrize(
    ("name", "value"),
    [("STEPS", "0"), ("TOKENS", "-1"), ("SECONDS", "soon"), ("PRICES", "1"), ("PRICES", "1,-2"),
     ("APPROVE", "maybe"), ("MODE", "tree"), ("CALLS", "xml"), ("IDLE", "0"), ("WEB", "perhaps")],
)  # fmt: skip
def test_what_cannot_be_is_named(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"WAGGLE_AGENT_{name}", value)
    with pytest.raises(UsageError, match=rf"«agent\.{name.lower()}"):
        load_agent_settings()


def test_an_entry_that_is_not_known(folder: Path) -> None:
    (folder / "waggle.toml").write_text("[agent]\nstep = 3\n")
    with pytest.raises(UsageError, match=r"«agent\.step»"):
        load_agent_settings()
