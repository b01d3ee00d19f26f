"""Wrong usage gets one sentence and exit code 2; help and messages speak the user's language."""

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import typer
from typer.main import get_command

import cli
from agents import commands
from agents.commands import help_pages, models

Command = Callable[..., Any]


def pages(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command and group below ``command``, with the words that call it."""
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from pages(inner, (*path, name))


PAGES = dict(pages(get_command(cli.app)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["serch", "x"], "There is no command serch; did you mean search? See: waggle --help"),
        (["zzz"], "There is no command zzz. See: waggle --help"),
        (["models", "zzz"], "There is no command zzz. See: waggle models --help"),
        (["search"], "query is missing. See: waggle search --help"),
        (["index"], "Name at least one file or folder to index."),
        (["remove"], "SOURCE is missing. See: waggle remove --help"),
        (["search", "x", "-k", "abc"], "-k must be a whole number. See: waggle search --help"),
        (["search", "x", "-k", "1.5"], "-k must be a whole number. See: waggle search --help"),
        (["search", "x", "-k"], "-k needs a value. See: waggle --help"),
        (["search", "x", "--json=1"], "--json takes no value. See: waggle --help"),
        (["search", "x", "--mod", "y"], "There is no option --mod; did you mean --mode? "
                                        "See: waggle search --help"),
        (["search", "x", "-Z"], "There is no option -Z. See: waggle search --help"),
        (["search", "x", "--mode", "fast"], "--mode must be one of these: 'hybrid', 'dense', "
                                            "'lexical'. See: waggle search --help"),
        (["ask", "How", "wide?"], "«wide?» is too much. Put quotation marks around words that "
                                  "belong together. See: waggle ask --help"),
        (["search", "\udcff"], "'\\udcff' is not text in UTF-8."),
        (["search", "\x1b[2J", "\x1b[2J"], "«[2J» is too much. Put quotation marks around words "
                                           "that belong together. See: waggle search --help"),
    ],
)  # fmt: skip
def test_wrong_usage(waggle: Command, arguments: list[str], message: str) -> None:
    done = waggle(*arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.replace("\\x1b", "") == message + "\n"
    as_json = waggle(*arguments, "--json")
    assert as_json.code == 2
    assert as_json.json.keys() == {"error", "kind"}


@pytest.mark.parametrize("arguments", [[], ["models"]])
def test_no_command_shows_the_help(waggle: Command, arguments: list[str]) -> None:
    done = waggle(*arguments)
    assert done.code == 2
    assert "Commands" in done.out
    assert done.err == ""


def test_a_traceback_is_for_debug_alone(waggle: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> object:
        raise ZeroDivisionError("all our fault")

    monkeypatch.setattr(models, "build_settings", broken)
    done = waggle("models", "list")
    assert done.code == 1
    assert done.err == (
        "Waggle made a mistake (ZeroDivisionError: all our fault). Run again with --debug to see "
        "where.\n"
    )
    with pytest.raises(ZeroDivisionError):
        waggle("models", "list", "--debug")


def test_settings_that_are_wrong(waggle: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAGGLE_CHAT_TEMPERATURE", "hot")
    done = waggle("models", "status")
    assert done.code == 2
    assert done.err.startswith("The setting «chat.temperature» is not usable: ")


def test_version(waggle: Command) -> None:
    done = waggle("--version")
    assert done.code == 0
    assert done.out.startswith("waggle ")


# -- every command ---------------------------------------------------------------------------


def test_the_groups_are_all_assembled() -> None:
    found = [
        importlib.import_module(f"agents.commands.{module.name}")
        for module in pkgutil.iter_modules(commands.__path__)
    ]
    apps = [module.app for module in found if hasattr(module, "app")]
    assert all(isinstance(app, typer.Typer) for app in apps)
    assembled = [info.typer_instance for info in cli.app.registered_groups]
    assert sorted(map(id, apps)) == sorted(map(id, assembled))
    assert {(), ("ask",), ("models", "serve")} <= PAGES.keys()


@pytest.mark.parametrize("path", PAGES, ids=" ".join)
def test_every_command_explains_itself(path: tuple[str, ...]) -> None:
    command = PAGES[path]
    kind = help_pages.Group if hasattr(command, "commands") else help_pages.Command
    assert isinstance(command, kind)
    assert command.help
    assert all(getattr(parameter, "help", None) for parameter in command.params)


# -- Chinese ---------------------------------------------------------------------------------


@pytest.mark.parametrize("command", PAGES, ids=" ".join)
def test_help_in_chinese(process: Command, command: tuple[str, ...]) -> None:
    done = process(*command, "--help", WAGGLE_LANG="zh", NO_COLOR="1")
    assert done.code == 0
    assert done.out.lstrip().startswith("用法：waggle ")
    for english in ("Usage", "Options", "Arguments", "Commands", "required", "default:", "Show"):
        assert english not in done.out
    assert "显示此帮助并退出。" in done.out


def test_the_locale_decides(process: Command) -> None:
    chinese = process("serch", WAGGLE_LANG="", LC_ALL="zh_CN.UTF-8")
    assert chinese.err == "没有命令 serch，是不是想用 search？ 请看：waggle --help\n"
    english = process("serch", WAGGLE_LANG="", LC_ALL="de_DE.UTF-8")
    assert english.err.startswith("There is no command serch")


def test_messages_in_chinese(
    waggle: Command, shelf: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAGGLE_LANG", "zh")
    assert waggle("search", "").err == "问题是空的。\n"
    assert waggle("list").out.split()[:6] == ["文档", "标题", "格式", "语言", "大小", "段落"]
    assert "嵌入模型" in waggle("status").out
    asked = waggle("ask", "蜜")
    assert asked.code == 1
    assert asked.err.startswith("本机没有对话模型")
    # What programs read stays as it is.
    assert waggle("status", "--json").json["collection"] == "default"
