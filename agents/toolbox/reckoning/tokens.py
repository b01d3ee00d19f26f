"""The numbers, words and signs of a calculation."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from agents.toolbox.reckoning.words import BARE, CONVERT, CURRENCIES, FUNCTIONS, HAN, WORDS

Kind = Literal["number", "name", "function", "currency", "convert", "sign", "unknown", "end"]

_GROUPED: Final = re.compile(r"\d{1,3}(?:,\d{3})+(?![\d,])(?:\.\d+)?")
_NUMBER: Final = re.compile(r"(?:\d[\d_]*(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?!\.?\d)")
_NAME: Final = re.compile(
    r"(?:math\.)?([^\W\d_\u3400-\u9fff]+\d*(?:_[^\W_\u3400-\u9fff]+)*|°[CFcf]?)"
)
_HAN: Final = re.compile("[\u3400-\u9fff]+")
_SIGN: Final = re.compile(r"\*\*|//|<=|>=|==|!=|->|[-+*/%‰^!√()<>=,;$€£¥]")


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the text, which begins at ``at``, ``spaced`` from what is before it."""

    kind: Kind
    text: str
    at: int
    spaced: bool = False


def tokens(text: str) -> Iterator[Token]:
    """The pieces of ``text``, with words such as ``plus`` and ``of`` as what they mean."""
    found = list(_pieces(text))
    for token, after in zip(found, [*found[1:], found[-1]], strict=True):
        kind, text = _meaning(token, after)
        yield Token(kind, text, token.at, token.spaced)


def _meaning(token: Token, after: Token) -> tuple[Kind, str]:
    word, next_word = token.text.lower(), after.text.lower()
    if token.text in CURRENCIES:
        return ("currency", token.text) if after.kind == "number" else ("name", CURRENCIES[word])
    if token.kind not in ("name", "sign"):
        return token.kind, token.text
    if word in FUNCTIONS and (next_word == "(" or word in BARE):
        return "function", word
    # The inch stays one where nothing to convert to comes behind it.
    if word == "->" or (word in CONVERT and (word != "in" or _unit_follows(after))):
        return "convert", word
    return ("sign", WORDS[word]) if word in WORDS else (token.kind, token.text)


def _unit_follows(after: Token) -> bool:
    return after.kind == "name" and after.text.lower() not in {*CONVERT, *WORDS}


def _pieces(text: str) -> Iterator[Token]:
    """The words, numbers and signs. In the brackets of a function a comma separates."""
    at, calls, before = 0, [False], ""
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        token = _token(text, at, grouped=not calls[-1])
        if token.text == "(":
            calls.append(before.lower() in FUNCTIONS)
        elif token.text == ")" and len(calls) > 1:
            calls.pop()
        yield token
        before, at = token.text, at + len(token.text) + _skipped(text, at, token)
    yield Token("end", "", len(text), True)


def _skipped(text: str, at: int, token: Token) -> int:
    return len("math.") if token.kind == "name" and text.startswith("math.", at) else 0


def _token(text: str, at: int, *, grouped: bool) -> Token:
    spaced = at == 0 or text[at - 1].isspace()
    if match := (grouped and _GROUPED.match(text, at)) or _NUMBER.match(text, at):
        return Token("number", match[0], at, spaced)
    if match := _HAN.match(text, at):
        word = next((word for word in HAN if match[0].startswith(word)), match[0])
        return Token("name", word, at, spaced)
    if match := _NAME.match(text, at):
        return Token("name", match[1], at, spaced)
    if match := _SIGN.match(text, at):
        return Token("sign", match[0], at, spaced)
    return Token("unknown", text[at], at, spaced)
