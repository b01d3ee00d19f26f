"""docs/serve.md tells the truth: its settings, routes, figures and options are in the code."""

import re
import tomllib
from pathlib import Path

from fastapi.testclient import TestClient

from agents.doors.settings import ServeSettings
from cli import app as commands

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "serve.md").read_text("utf-8")
CHANGED = {"hosts", "public_url", "origins", "key_concurrency"}  # they have no default to show


def test_the_settings_are_all_there_with_their_defaults() -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    shown = tomllib.loads(block)["serve"]
    assert list(shown) == list(ServeSettings.model_fields)
    made, usual = ServeSettings(**shown), ServeSettings()
    for name in set(shown) - CHANGED:
        assert getattr(made, name) == getattr(usual, name), name


def test_the_routes_and_figures_are_there(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    table = TEXT.partition("## Routes")[2].partition("\n\nAn error")[0]
    for path in re.findall(r"`(/v1/\w+|/\w+z|/metrics)`", table):
        assert path in paths
    for path in ("/", "/widget.js", "/docs"):
        assert client.get(path).status_code == 200
    figures = client.get("/metrics").text
    for name in re.findall(r"`(waggle_\w+)", TEXT):
        assert f"# TYPE {name.removesuffix('_total')}" in figures, name


def test_the_options_are_there() -> None:
    from typer.main import get_command

    command = get_command(commands).commands["serve"]  # type: ignore[attr-defined]
    known = {option for parameter in command.params for option in parameter.opts}
    assert set(re.findall(r"--[a-z][a-z-]+", TEXT)) <= known
