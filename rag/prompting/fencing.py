"""Passages and other data as they stand in a prompt, so that none of it can pass for the prompt.

Each passage stands between markers that are derived from all passages together: a document cannot
hold the marker of the prompt that it will appear in. And no data holds a control token with which
chat templates begin or end a turn: model servers read those wherever they stand in the text.
"""

import hashlib
import re
from collections.abc import Sequence

from indexes.types import SearchResult

WORD_JOINER = "\u2060"
"""Has no width; stands inside what would be a control token."""

_CONTROL = re.compile(
    r"<(?=\|[^<>|\n]{1,64}\|>)"  # <|im_start|>: ChatML, Llama 3, Phi
    r"|<(?=｜[^<>｜\n]{1,64}｜>)"  # <｜User｜>: DeepSeek
    r"|<(?=/?(?:s|bos|eos|pad|unk|start_of_turn|end_of_turn|think|thinking)>)"
    r"|<(?=</?SYS>>)"
    r"|\[(?=/?(?:INST|SYSTEM_PROMPT|TOOL_CALLS|TOOL_RESULTS|AVAILABLE_TOOLS)\])"
)


def as_data(text: str, marker: str = "") -> str:
    """``text`` as it may stand in a prompt whose passages stand between ``marker``: itself, to the
    character, unless it holds the marker or a control token, which a word joiner then breaks."""
    if marker and marker in text:
        text = text.replace(marker, f"{marker[:1]}{WORD_JOINER}{marker[1:]}")
    return _CONTROL.sub(lambda match: match[0] + WORD_JOINER, text)


def marker_of(contexts: Sequence[SearchResult]) -> str:
    """A name that stands in none of the passages, the same for the same ones in the same order."""
    text = "\0".join(context.text for context in contexts)
    shown = "\0".join((text, *map(place, contexts)))
    while True:
        digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
        marker = f"passage-{digest[:8]}"
        if marker not in shown:
            return marker
        text = digest


def fenced(contexts: Sequence[SearchResult], marker: str, first: int = 1) -> str:
    """The passages between markers, numbered from ``first``."""
    return "\n\n".join(
        f"<{marker}>\n[{number}] {as_data(place(context))}\n{as_data(context.text)}\n</{marker}>"
        for number, context in enumerate(contexts, first)
    )


def place(context: SearchResult) -> str:
    """The title of the document and the headings above the passage."""
    return " › ".join(dict.fromkeys((context.title, *context.heading)))
