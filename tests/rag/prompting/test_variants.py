"""Prompts made of prompts: another instruction, other examples, everything else as it was."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexes.errors import UsageError
from rag.prompting.library import SHARED, PromptLibrary, built_in
from rag.prompting.rendering import examples_text
from rag.prompting.techniques import first_messages
from rag.prompting.template import Template
from rag.prompting.types import ALONE, EXAMPLE, MAIN, Example, Prompt
from rag.prompting.variants import Variant, WithPrompt, instruction_of, varied
from tests.rag.prompting.passages import passage

FOLDER = Path("/nowhere")
PROMPTS = [p for p in built_in().shelf().prompts if p.task == "answer"]
EXAMPLES = (
    Example("Who: me?\nno", ("- yes", "---", "a: {b} #c"), 'It\'s "so". [2]'),
    Example("Who: me?\nno", ("- yes", "---", "a: {b} #c"), 'It\'s "so". [2]'),
)


def made(base: Prompt, variant: Variant) -> Prompt:
    return varied(base, variant, "made", FOLDER, "Made: of it.")


@pytest.mark.parametrize("base", PROMPTS, ids=lambda p: p.path.stem)
def test_with_its_own_instruction_it_is_the_same(base: Prompt) -> None:
    same = made(base, Variant(instruction_of(base)))
    kept = ("language", "task", "technique", "steps", "examples", "output", "system", "shots",
            "samples", "temperature", "rounds")  # fmt: skip
    assert {name: getattr(same, name) for name in kept} == {
        name: getattr(base, name) for name in kept
    }
    assert set(same.variables) == set(base.variables)
    assert (same.name, same.version, same.path.name) == (
        "made", base.version + 1, f"made.{base.language}.md",
    )  # fmt: skip
    assert same.text.endswith(base.text.rpartition("---\n")[2].rpartition("\n")[2])


@pytest.mark.parametrize("base", PROMPTS, ids=lambda p: p.path.stem)
def test_another_instruction_stands_before_the_variables(base: Prompt) -> None:
    other = made(base, Variant("Be {brief}, 100 %."))
    main = other.steps[MAIN]
    assert re.match(r"(\{rules\}\n\n)?Be \{\{brief\}\}, 100 %\.", main.source)
    assert main.places == base.steps[MAIN].places
    old = instruction_of(base)
    assert not old or old not in main.source
    if ALONE in base.steps:
        assert "Be {{brief}}, 100 %.\n\n" in other.steps[ALONE].source
        assert other.steps[ALONE].places == base.steps[ALONE].places
    searched = (MAIN, ALONE)
    assert {k: v for k, v in other.steps.items() if k not in searched} == {
        k: v for k, v in base.steps.items() if k not in searched
    }


def test_examples_are_written_into_a_prompt_that_has_none() -> None:
    base = replace(built_in().get("short", "en"), shots=2)
    shown = made(base, Variant("Briefly.", EXAMPLES))
    assert shown.examples == EXAMPLES
    assert shown.shots == 2
    assert shown.steps[EXAMPLE] == built_in().get("few-shot", "en").steps[EXAMPLE]
    text = str(first_messages(shown, "Why?", (passage(1, "One."),))[-1].content)
    assert text.index(examples_text(shown, EXAMPLES)) < text.index("Briefly.")
    assert text.endswith("Question: Why?")
    again = made(built_in().get("few-shot", "en"), Variant("Look:", EXAMPLES[:1]))
    assert "Look:\n\n{examples}\n\nNow answer" in again.steps[MAIN].source
    assert again.examples == EXAMPLES[:1]


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_how_to_refuse_is_no_part_of_what_is_searched(lang: str) -> None:
    """Be it among the rules that all share, or in the prompt's own words."""
    wording = {"en": "I don't know.", "zh": "不知道。"}[lang]
    short = built_in().get("short", lang)
    assert wording in short.steps[MAIN].source
    assert wording not in instruction_of(short)
    other = made(short, Variant("Guess!" if lang == "en" else "随便猜！"))
    kept = short.steps[MAIN].source.partition(instruction_of(short))[2]
    assert wording in kept
    assert other.steps[MAIN].source.endswith(kept)
    for base in (prompt for prompt in PROMPTS if prompt.language == lang):
        assert made(base, Variant("x")).steps[MAIN].places == base.steps[MAIN].places


def test_what_no_file_can_hold_is_refused() -> None:
    with pytest.raises(UsageError, match="no step «x»"):
        made(built_in().get("short", "en"), Variant("a\n<!-- step: x -->\nb"))


def test_a_prompt_in_no_file_is_found_beside_the_others(tmp_path: Path) -> None:
    (tmp_path / "shared.en.md").write_text(
        built_in().get(SHARED, "en").text.replace("one to three", "two"), "utf-8"
    )
    library = PromptLibrary([tmp_path])
    prompt = made(built_in().get("short", "en"), Variant("x"))
    both = WithPrompt(library, prompt)
    found = both.get("made", "en")
    assert found.digest == prompt.digest
    assert found.ident.startswith(f"{prompt.ident}+shared@")
    assert both.get("short", "en") == library.get("short", "en")
    with pytest.raises(UsageError):
        library.get("made", "en")


@given(st.text("ab{} \n", max_size=20), st.lists(st.sampled_from(["a", "bc"]), max_size=3))
def test_a_template_is_made_of_its_source(text: str, names: list[str]) -> None:
    template = Template((text, *[text] * len(names)), tuple(names))
    assert Template.parse(template.source) == template
