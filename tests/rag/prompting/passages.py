"""Passages, and any text, for the tests of the prompts."""

from collections.abc import Sequence

from hypothesis import strategies as st
from langchain_core.messages import BaseMessage

from indexes.types import SearchResult


def passage(
    number: int, text: str, title: str = "Bees", heading: tuple[str, ...] = ("Dance",)
) -> SearchResult:
    return SearchResult(number, 0.5, f"c{number}", f"/{number}.md", title, None, heading, 0,
                        len(text), text, {})  # fmt: skip


BEES = (
    passage(1, "Karl von Frisch decoded the waggle dance."),
    passage(2, "He shared a Nobel Prize in 1973."),
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
passages = st.lists(st.tuples(texts, texts, texts), min_size=1, max_size=4).map(
    lambda entries: tuple(passage(n, a, b, (c,)) for n, (a, b, c) in enumerate(entries, 1))
)
names = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)


def rendered(messages: Sequence[BaseMessage]) -> str:
    """As a chat template does it: turn after turn."""
    return "".join(f"<|im_start|>{message.type}\n{message.text}<|im_end|>" for message in messages)
