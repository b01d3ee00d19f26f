"""The log-probabilities that a model server gives with a reply, where it was asked for them.

Both vLLM and llama.cpp's server take OpenAI's ``logprobs`` and ``top_logprobs``
(``ask(..., logprobs=True, top_logprobs=10)``) and tell what the model itself thought, before
temperature and sampling (vLLM: ``logprobs_mode=raw_logprobs``, llama.cpp:
``post_sampling_probs=false``, each the default). A schema or grammar that the reply has to follow
is another matter: llama.cpp still tells the model's own, vLLM only what the schema has left of it,
close to 0 wherever it leaves one token. So ask vLLM without one.
"""

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

NEVER = -9000.0
"""Servers say differently that a token could not come: ``-inf``, -9999, the lowest float."""
_PUNCTUATION = ".,:;!?。，：；！？\"'“”*`"


@dataclass(frozen=True, slots=True)
class Alternative:
    """A token that might have come, with the natural logarithm of its probability. ``data`` are its
    bytes, for a token can be a piece of a character."""

    token: str
    data: bytes
    logprob: float


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token of a reply; ``top`` are the most probable tokens in its place, itself among them,
    the most probable first. ``id`` is its number, where the server tells it (llama.cpp does)."""

    token: str
    data: bytes
    logprob: float
    top: tuple[Alternative, ...] = ()
    id: int | None = None


def token_logprobs(message: "BaseMessage") -> tuple[TokenLogprob, ...] | None:
    """The tokens of a reply; ``None`` where its server gave no log-probabilities, or something that
    is none."""
    given = message.response_metadata.get("logprobs")
    content = given.get("content") if isinstance(given, dict) else None
    if not isinstance(content, list) or not content:
        return None
    try:
        return tuple(_token(entry) for entry in content)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def yes_probability(
    message: "BaseMessage", yes: Collection[str], no: Collection[str]
) -> float | None:
    """How probable the model thought an answer of ``yes``, against one of ``no``: 0 to 1.

    Looks at the first token that is not blank: the alternatives that are one of the words or how
    one of them begins, whatever their case, surrounding space and punctuation. One that begins a
    word of each side counts for neither. ``None`` where there are no log-probabilities or none of
    the words is among the alternatives: ask for enough of them (``top_logprobs=10`` or more).
    """
    first = next((one for one in token_logprobs(message) or () if one.token.strip()), None)
    if first is None:
        return None
    mass = {True: 0.0, False: 0.0}
    for alternative in first.top:
        affirms, denies = _begins(alternative, yes), _begins(alternative, no)
        if affirms != denies:
            mass[affirms] += math.exp(alternative.logprob)
    both = mass[True] + mass[False]
    return mass[True] / both if both > 0 else None


def prompt_logprobs(message: "BaseMessage") -> tuple[TokenLogprob, ...] | None:
    """The tokens of the prompt but the first, where the server was asked for them and gives them:
    vLLM does (``extra_body={"prompt_logprobs": 0}``)."""
    given = message.response_metadata.get("prompt_logprobs")
    if not isinstance(given, list):
        return None
    try:
        return tuple(_prompt_token(entry) for entry in given if entry)
    except (StopIteration, KeyError, TypeError, ValueError, AttributeError):
        return None


def _prompt_token(entry: dict[str, Any]) -> TokenLogprob:
    """The token itself comes first; others only where more were asked for."""
    itself = next(iter(entry.values()))
    return _token({"token": itself["decoded_token"] or "", "logprob": itself["logprob"]})


def _token(entry: dict[str, Any]) -> TokenLogprob:
    itself = _alternative(entry)
    top = {one.data: one for one in _alternatives(entry.get("top_logprobs"))}
    top.setdefault(itself.data, itself)
    ordered = sorted(top.values(), key=lambda one: -one.logprob)
    number = entry.get("id")
    return TokenLogprob(
        itself.token, itself.data, itself.logprob, tuple(ordered),
        number if isinstance(number, int) else None,
    )  # fmt: skip


def _alternatives(entries: Any) -> Iterator[Alternative]:
    return (_alternative(entry) for entry in entries or ())


def _alternative(entry: dict[str, Any]) -> Alternative:
    token, logprob = str(entry["token"]), entry["logprob"]
    given = entry.get("bytes")
    data = token.encode("utf-8", "replace") if given is None else bytes(given)
    # JSON has no infinity: some servers write null for it.
    value = NEVER if logprob is None else float(logprob)
    if math.isnan(value):
        raise ValueError("not a number")
    return Alternative(token, data, max(NEVER, min(0.0, value)))


def _begins(alternative: Alternative, words: Collection[str]) -> bool:
    try:
        text = alternative.data.decode("utf-8").strip().strip(_PUNCTUATION).lower()
    except UnicodeDecodeError:  # the beginning of a character, as of a Chinese word
        piece = alternative.data.strip()
        return any(word.lower().encode().startswith(piece) for word in words)
    # A token of Chinese may be longer than the word: 是的, 不是.
    return bool(text) and any(
        word.lower().startswith(text) or (not word.isascii() and text.startswith(word))
        for word in words
    )
