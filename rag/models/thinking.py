"""What a reasoning model thinks, told from what it answers, where the server does not do it.

Models such as Qwen3 and DeepSeek-R1 write ``<think>…</think>`` before the answer; a server without
a reasoning parser passes that on as text
(https://docs.vllm.ai/en/latest/features/reasoning_outputs.html).
"""

from typing import Literal

_OPEN, _CLOSE = "<think>", "</think>"


class ThinkSplitter:
    """Takes a text in pieces, cut anywhere, and tells thoughts from the answer.

    Only a block at the very beginning counts, so that an answer may speak of the tag. White space
    around the block is dropped; a block without an end is all thoughts.
    """

    def __init__(self) -> None:
        self._state: Literal["before", "inside", "after", "answer"] = "before"
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
            if text.startswith(_OPEN):
                self._state, self._held = "inside", text.removeprefix(_OPEN)
            elif not _OPEN.startswith(text):
                self._state = "answer"
        return self._state == "inside"

    def _inside(self) -> str:
        thought, closed, rest = self._held.partition(_CLOSE)
        if closed:
            self._state, self._held = "after", rest
            return thought
        kept = next(n for n in range(len(_CLOSE) - 1, -1, -1) if thought.endswith(_CLOSE[:n]))
        self._held = thought[len(thought) - kept :]
        return thought[: len(thought) - kept]

    def _answer(self) -> str:
        if self._state == "after":
            self._held = self._held.lstrip()
            self._state = "answer" if self._held else "after"
        if self._state != "answer":
            return ""
        text, self._held = self._held, ""
        return text
