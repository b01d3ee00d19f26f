"""Every message has a translation that fits it, and the table holds nothing else."""

import ast
import re
import string
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from agents.loop.types import RunStatus, TaskStatus
from agents.measuring.sets import SETS, set_named
from agents.shapes import StatusShape
from agents.toolbox.effects import Effect
from indexes.messages_zh import MESSAGES
from rag.evaluation.comparing import STEPS
from rag.evaluation.scoring import FIGURES
from rag.models.catalogue import CATALOGUE
from rag.serving.models import SERVED

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("agents", "rag", "indexes")
FILES = [ROOT / "cli.py", *(file for room in ROOMS for file in sorted((ROOT / room).rglob("*.py")))]

# What reaches t() as the value of a variable.
WORDS = {"verbatim", "entailed", "unsupported", "chat", "embedding", "rerank", "embedded", "vllm",
         "running", "interrupted", *get_args(RunStatus), *get_args(TaskStatus), *get_args(Effect),
         *FIGURES, *STEPS, *(figure for name in SETS for figure in set_named(name).figures),
         *StatusShape.model_fields, *(spec.description for spec in CATALOGUE.values()),
         *(model.description for model in SERVED.values())}  # fmt: skip

# An error ends as a sentence, with the command to type, or with what another program said.
ENDING = re.compile(r"[.?]$|: (waggle|pip) [\w {}-]+$|: \{reason\}$")


def is_t(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "t"


def literals(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and is_t(node) and isinstance(node.args[0], ast.Constant):
            yield str(node.args[0].value)


def trees() -> Iterator[ast.Module]:
    for path in FILES:
        yield ast.parse(path.read_text("utf-8"))


USED = {literal for tree in trees() for literal in literals(tree)}
RAISED = {
    str(node.exc.args[0].args[0].value)
    for tree in trees()
    for node in ast.walk(tree)
    if isinstance(node, ast.Raise)
    and isinstance(node.exc, ast.Call)
    and node.exc.args
    and isinstance(node.exc.args[0], ast.Call)
    and is_t(node.exc.args[0])
    and isinstance(node.exc.args[0].args[0], ast.Constant)
}


def fields(template: str) -> set[str | None]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}


def test_there_are_messages() -> None:
    assert len(USED) > 200
    assert len(RAISED) > 40


def test_no_translation_is_missing_and_none_is_left_over() -> None:
    assert sorted(USED | WORDS) == sorted(MESSAGES)


@pytest.mark.parametrize("english", sorted(MESSAGES))
def test_a_translation_has_the_same_fields(english: str) -> None:
    assert fields(MESSAGES[english]) == fields(english)


@pytest.mark.parametrize("english", sorted(MESSAGES))
def test_a_translation_ends_like_its_original(english: str) -> None:
    chinese = MESSAGES[english]
    assert re.search(r"[\u4e00-\u9fff]", chinese) or not re.sub(r"\{\w*\}|\W", "", english)
    sentence = english.endswith(".") and not english.endswith("..") and english not in WORDS
    assert not sentence or chinese.endswith("。")


@pytest.mark.parametrize("english", sorted(RAISED))
def test_an_error_ends_as_a_sentence(english: str) -> None:
    assert ENDING.search(english)
