"""Prompts made of a prompt: another instruction, other examples, everything else as it was."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from rag.prompting.files import Head, prompt_from
from rag.prompting.library import PromptLibrary, built_in
from rag.prompting.template import Template
from rag.prompting.types import ALONE, EXAMPLE, MAIN, RULES, STEPS, Example, Prompt

FEW_SHOT = "few-shot"
"""The built-in prompt that says how examples are written."""
_PLACE = "examples"
_REFUSING = ("I don't know", "不知道")
_STOP = re.compile(r"[.!?](?=\s)|[。！？]|\n\n")


@dataclass(frozen=True, slots=True)
class Variant:
    """What is searched for: the instruction, and examples in place of the prompt's own where there
    are some."""

    instruction: str
    examples: tuple[Example, ...] = ()


def instruction_of(prompt: Prompt) -> str:
    """The text before the line with the first of the prompt's variables, after the rules where it
    begins with those, and without how to refuse."""
    return _parts(prompt.steps[MAIN]).instruction


def varied(base: Prompt, variant: Variant, name: str, folder: Path, description: str) -> Prompt:
    """The prompt ``name``, as a file in ``folder`` would hold it: ``base`` with another instruction
    and, where there are some, other examples. The variables stay in their places. Raises
    `UsageError` where no file can hold that."""
    steps = {**base.steps, **_varied_steps(base, variant)}
    if variant.examples and EXAMPLE not in steps:
        steps[EXAMPLE] = built_in().get(FEW_SHOT, base.language).steps[EXAMPLE]
    examples = variant.examples or base.examples
    head = _head(base, steps, examples)
    head |= {"name": name, "version": base.version + 1, "description": description}
    ordered = {key: head[key] for key in _ORDER if key in head}
    dumped = yaml.dump(ordered, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    body = [steps[MAIN].source]
    body += [f"<!-- step: {key} -->\n{text.source}" for key, text in steps.items() if key]
    text = f"---\n{dumped}---\n" + "\n\n".join(body)
    return prompt_from(text, folder / f"{name}.{base.language}.md")


class WithPrompt(PromptLibrary):
    """``library`` and a prompt that is in no file yet."""

    def __init__(self, library: PromptLibrary, prompt: Prompt) -> None:
        super().__init__(library.folders)
        self._prompt = prompt

    def get(self, name: str, lang: str) -> Prompt:
        """As the library, but for that one."""
        if name != self._prompt.name:
            return super().get(name, lang)
        return replace(self._prompt, shared=self._find("shared", lang))


# -- the text -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Parts:
    """A main text: the place of the rules or nothing; the instruction; how it says to refuse, which
    is never searched for; and the rest, from the line with the next variable on."""

    lead: Template
    instruction: str
    refusing: str
    rest: Template


def _parts(main: Template) -> _Parts:
    kept = int(main.places[:1] == (RULES,) and not main.literals[0].strip())
    before, _, start = main.literals[kept].rpartition("\n")
    lead = Template((*main.literals[:kept], "\n\n" * kept), main.places[:kept])
    rest = Template((start, *main.literals[kept + 1 :]), main.places[kept:])
    text = before.strip()
    instruction = text[: _refusal(text)].rstrip()
    return _Parts(lead, instruction, text[len(instruction) :], rest)


def _refusal(text: str) -> int:
    """Where the sentence begins that says how to refuse; at the end where there is none."""
    at = max(text.rfind(words) for words in _REFUSING)
    if at < 0:
        return len(text)
    return max((stop.end() for stop in _STOP.finditer(text, 0, at)), default=0)


def _varied_steps(base: Prompt, variant: Variant) -> dict[str, Template]:
    """The main text, and that of the step ``alone`` where both have the same instruction."""
    own = instruction_of(base)
    return {
        step: _varied_text(base, text, variant)
        for step, text in base.steps.items()
        if step == MAIN or (step == ALONE and _parts(text).instruction == own)
    }


def _varied_text(base: Prompt, text: Template, variant: Variant) -> Template:
    parts = _parts(text)
    lead = parts.lead
    if variant.examples and _PLACE not in parts.rest.places:
        frame = instruction_of(built_in().get(FEW_SHOT, base.language))
        lead = _joined(lead, Template((f"{frame}\n\n", "\n\n"), (_PLACE,)))
    wording = (variant.instruction + parts.refusing).strip()
    instruction = Template((f"{wording}\n\n" if wording else "",), ())
    return _joined(_joined(lead, instruction), parts.rest)


def _joined(first: Template, second: Template) -> Template:
    between = first.literals[-1] + second.literals[0]
    literals = (*first.literals[:-1], between, *second.literals[1:])
    return Template(literals, first.places + second.places)


# -- the head -------------------------------------------------------------------------------------

_ORDER = ("name", "version", "language", "task", "description", "technique", "variables", "output",
          "samples", "temperature", "rounds", "system", "shots", "examples")  # fmt: skip
_NUMBERS = ("samples", "temperature", "rounds")


def _head(base: Prompt, steps: dict[str, Template], examples: Sequence[Example]) -> dict[str, Any]:
    used = {name for step in STEPS[base.technique] for name in steps[step].names}
    head: dict[str, Any] = {
        "language": base.language, "task": base.task, "technique": base.technique,
        "variables": sorted(used),
    }  # fmt: skip
    for name in _NUMBERS:
        if getattr(base, name) != Head.model_fields[name].default:
            head[name] = getattr(base, name)
    if base.output is not None:
        head["output"] = base.output
    if base.system is not None:
        head["system"] = base.system
    if examples:
        head["shots"] = base.shots
        head["examples"] = [
            {"question": e.question, "passages": list(e.passages), "answer": e.answer}
            for e in examples
        ]
    return head


class _Dumper(yaml.SafeDumper):
    """Writes no aliases, which a prompt's head may not have, and texts of several lines as such."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - named by PyYAML
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
