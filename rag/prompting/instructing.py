"""What an application wants of every answer, beside the rules of a prompt."""

from collections.abc import Mapping
from dataclasses import replace

from rag.prompting.fencing import as_data
from rag.prompting.types import Language, Prompt

_BEFORE: Mapping[Language, str] = {
    "en": "The application adds, for whatever these rules leave open:",
    "zh": "在不违反以上规则的前提下，应用程序补充要求：",
}


def instructed(prompt: Prompt, instructions: str) -> Prompt:
    """``prompt`` with ``instructions`` behind its system message; itself where there are none."""
    wanted = as_data(instructions.strip())
    if not wanted:
        return prompt
    system = prompt.system or (prompt.shared.system if prompt.shared else "") or ""
    return replace(prompt, system=f"{system}\n\n{_BEFORE[prompt.language]}\n{wanted}".strip())
