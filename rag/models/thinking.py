"""What a reasoning model thinks, told from what it answers, where the server does not do it.

Models such as Qwen3 and DeepSeek-R1 write ``<think>…</think>`` before the answer, some others
``<thinking>…</thinking>``; a server without a reasoning parser passes that on as text
(https://docs.vllm.ai/en/latest/features/reasoning_outputs.html).
"""

import re
from typing import Literal

_OPEN = ("<think>", "<thinking>")
_CLOSE = ("</think>", "</thinking>")
_CLOSED = re.compile("|".join(_CLOSE))


class ThinkSplitter:
    """Takes a text in pieces, cut anywhere, and tells thoughts from the answer.

    Only a block at the very beginning counts, so that an answer may speak of the tag. White space
    around the block is dropped; a block without an end is all thoughts. ``begun`` says that the
    text begins within the block.
    """

    def __init__(self, *, begun: bool = False) -> None:
        self._state: Literal["before", "inside", "after", "answer"] = (
            "inside" if begun else "before"
        )
        self._held = ""

    def feed(self, piece: str) -> tuple[str, str]:
        """The thoughts and the answer that are certain now; the rest is held back."""
        if self._state == "answer":
            return "", piece
        self._held += piece
        thought = self._inside() if self._opened() else ""
        return thought, self._answer()

    def finish(self) -> tuple[str, str]:
        """What was held back when the text ended."""
        held, self._held = self._held, ""
        if self._state == "inside":
            return held, ""
        return "", "" if self._state == "after" else held

    def _opened(self) -> bool:
        if self._state == "before":
            text = self._held.lstrip()
            tag = next((tag for tag in _OPEN if text.startswith(tag)), None)
            if tag is not None:
                self._state, self._held = "inside", text.removeprefix(tag)
            elif not any(tag.startswith(text) for tag in _OPEN):
                self._state = "answer"
        return self._state == "inside"

    def _inside(self) -> str:
        closed = _CLOSED.search(self._held)
        if closed:
            thought, self._held = self._held[: closed.start()], self._held[closed.end() :]
            self._state = "after"
            return thought
        kept = max(_begun_at_the_end(self._held, tag) for tag in _CLOSE)
        end = len(self._held) - kept
        thought, self._held = self._held[:end], self._held[end:]
        return thought

    def _answer(self) -> str:
        if self._state == "after":
            self._held = self._held.lstrip()
            self._state = "answer" if self._held else "after"
        if self._state != "answer":
            return ""
        text, self._held = self._held, ""
        return text


def split_thoughts(text: str, *, begun: bool = False) -> tuple[str, str]:
    """The thoughts and the answer of a whole text, told apart as `ThinkSplitter` does."""
    splitter = ThinkSplitter(begun=begun)
    thought, answer = splitter.feed(text)
    more_thought, more_answer = splitter.finish()
    return thought + more_thought, answer + more_answer


def without_thoughts(text: str) -> str:
    """The answer alone, of a whole text that holds a JSON object; nothing if the model did not come
    to it."""
    # Some chat templates write the opening tag themselves, and the reply begins within the block.
    # But a tag may also stand in the object's own text.
    begun = not text.lstrip().startswith(("{", "```", *_OPEN)) and bool(_CLOSED.search(text))
    return split_thoughts(text, begun=begun)[1]


def _begun_at_the_end(text: str, tag: str) -> int:
    """How many characters of ``tag`` stand at the end of ``text``, without the rest of it."""
    return next(n for n in range(len(tag) - 1, -1, -1) if text.endswith(tag[:n]))
