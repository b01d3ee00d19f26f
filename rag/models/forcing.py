"""How probable a model finds a given text after a given prompt, over OpenAI's protocol.

Servers differ in what they can be asked, so there are two ways, tried in this order:

- the text stands at the end of the prompt, and the server tells the log-probabilities of that
  (vLLM: ``prompt_logprobs`` with ``continue_final_message``);
- the model writes under a grammar that allows this text alone (llama.cpp), which leaves its own
  log-probabilities as they are. Every further prompt is held to the same tokens as the first: a
  model that does not expect a word would spell it, which is less probable still. Only for tokens
  that are pieces of a character the grammar has no word, so there it may.

vLLM is not asked for the second: what it tells there is what the grammar left.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessage, BaseMessage

from indexes.errors import EndpointError
from rag.models.failures import is_refused
from rag.models.logprobs import NEVER, TokenLogprob, prompt_logprobs, token_logprobs
from rag.steps import Steps, ask, ask_all, work
from rag.types import Usage

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

Tokens = tuple[TokenLogprob, ...]
Prompts = Sequence[Sequence[BaseMessage]]

_NOT_FOUND = 404
_END = 4
"""Tokens that a chat template may want behind the text."""


@dataclass(frozen=True, slots=True)
class Forced:
    """The log-probability of the first ``tokens`` of the text after each prompt; ``None`` where the
    server gave none. ``usage`` counts all that was asked."""

    logprobs: tuple[float, ...] | None
    tokens: int
    usage: Usage


def forced(chat: "BaseChatModel", prompts: Prompts, text: str, most: int) -> Steps[Forced]:
    """What the model thinks of the first ``most`` tokens of ``text`` after each of ``prompts``.

    The first prompt is asked alone, and the others, side by side, only if the server can tell.
    Raises `EndpointError` where it fails, `ContextOverflowError` where a prompt with the text is
    too long.
    """
    from rag.models.endpoint_chat import EndpointChat

    usage = Usage()
    # What a model of another make would do with these options is not known.
    for way in (_read, _written) if isinstance(chat, EndpointChat) else ():
        if way is _read and (yield from work(lambda: _serves_adapters(chat))):
            continue
        tokens, spent = yield from _tried(chat, way(text), prompts[0])
        usage += spent
        if tokens is None:
            continue
        again = way(text, tokens)
        many = [again.messages(prompt) for prompt in prompts[1:]]
        replies = yield from ask_all(chat, many, **_options(chat, again))
        usage = sum((Usage.of(reply) for reply in replies), usage)
        found = _compared([tokens, *map(again.tokens, replies)], most)
        return Forced(*found, usage) if found else Forced(None, 0, usage)
    return Forced(None, 0, usage)


def _serves_adapters(chat: "BaseChatModel") -> bool:
    """vLLM 0.32 with adapters dies of a request for the prompt's log-probabilities: its layer for
    adapters takes the rows of the prompt for those of the requests."""
    from rag.models.chat import key_of, server_of, serves_adapters

    server = server_of(chat)
    return server is not None and serves_adapters(server[0], key_of(chat))


@dataclass(frozen=True, slots=True)
class _Way:
    """``messages`` are what is sent for a prompt, ``tokens`` those of the text in a reply."""

    messages: Callable[[Sequence[BaseMessage]], Sequence[BaseMessage]]
    options: Mapping[str, Any]
    body: Mapping[str, Any]
    tokens: Callable[[BaseMessage], Tokens | None]


def _read(text: str, _: Tokens = ()) -> _Way:
    body = {"prompt_logprobs": 0, "continue_final_message": True, "add_generation_prompt": False}
    return _Way(
        lambda prompt: [*prompt, AIMessage(text)],
        {"max_tokens": 1, "temperature": 0},
        body,
        lambda reply: _end_of_prompt(reply, text),
    )


def _written(text: str, tokens: Tokens = ()) -> _Way:
    options = {"max_tokens": len(text.encode()) + _END, "temperature": 0}
    return _Way(
        lambda prompt: prompt,
        {**options, "logprobs": True, "top_logprobs": 2},
        {"grammar": f"root ::= {_grammar(text, tokens)}"},
        lambda reply: _whole_reply(reply, text),
    )


def _tried(
    chat: "BaseChatModel", way: _Way, prompt: Sequence[BaseMessage]
) -> Steps[tuple[Tokens | None, Usage]]:
    """The tokens of the text, where the server knows this way."""
    try:
        reply = yield from ask(chat, way.messages(prompt), **_options(chat, way))
    except EndpointError as error:
        if not is_refused(error, _NOT_FOUND):
            raise
        return None, Usage()
    return way.tokens(reply), Usage.of(reply)


def _options(chat: "BaseChatModel", way: _Way) -> dict[str, Any]:
    body = getattr(chat, "extra_body", None) or {}
    return {**way.options, "extra_body": {**body, **way.body}}


def _grammar(text: str, tokens: Tokens) -> str:
    """In llama.cpp's form (GBNF): the text, each of its tokens by its number where it is known."""
    if not tokens:
        return json.dumps(text, ensure_ascii=False)
    return " ".join(
        json.dumps(token.token, ensure_ascii=False) if token.id is None else f"<[{token.id}]>"
        for token in tokens
    )


def _end_of_prompt(reply: BaseMessage, text: str) -> Tokens | None:
    """The fewest last tokens of the prompt that hold ``text``. A token can be no more than a piece
    of a character, and is empty then; those before the first character belong to it."""
    given = prompt_logprobs(reply) or ()
    length, start = 0, len(given)
    while length < len(text) or (start and not given[start - 1].token):
        if start == 0:
            return None
        start -= 1
        length += len(given[start].token)
    found = given[start:]
    return found if "".join(token.token for token in found).endswith(text) else None


def _whole_reply(reply: BaseMessage, text: str) -> Tokens | None:
    """The tokens of a reply that is ``text``; ``None`` for another text, or where only what the
    grammar allowed has been given a probability.

    llama.cpp tells the pieces of one character as one token with the number of the last piece; so
    where it has counted more tokens than it tells, a number says nothing but for an ASCII token."""
    given = token_logprobs(reply) or ()
    whole = Usage.of(reply).completion_tokens <= len(given)
    wanted, written, tokens = text.encode(), b"", list[TokenLogprob]()
    for token in given:
        if written == wanted:
            break
        written += token.data
        tokens.append(token if whole or token.token.isascii() else replace(token, id=None))
    if written != wanted:
        return None
    masked = any(one.logprob <= NEVER for token in tokens for one in token.top)
    return None if masked or not any(token.logprob for token in tokens) else tuple(tokens)


def _compared(readings: Sequence[Tokens | None], most: int) -> tuple[tuple[float, ...], int] | None:
    """The sums over the first ``most`` tokens of the first reading, or fewer if these end where
    another reading has no end of a token; and how many those are."""
    sums = [dict(_sums(reading)) for reading in readings if reading]
    if len(sums) < len(readings):
        return None
    first = list(sums[0])
    shared = [n for n, place in enumerate(first, 1) if all(place in other for other in sums)]
    counted = max((n for n in shared if n <= most), default=None)
    if counted is None:
        return None
    return tuple(one[first[counted - 1]] for one in sums), counted


def _sums(tokens: Tokens) -> Iterator[tuple[tuple[int, int], float]]:
    """The log-probability of the text up to the end of each token: by the bytes that follow, and by
    the number of the token among those that are empty there."""
    left = sum(len(token.data) for token in tokens)
    nth, total = 0, 0.0
    for token in tokens:
        nth = 0 if token.data else nth + 1
        left -= len(token.data)
        total += token.logprob
        yield (left, nth), total
