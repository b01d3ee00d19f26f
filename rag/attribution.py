"""Which passages an answer leans on: how much less probable it is without each of them.

Leave-one-out, the exact form of the counterfactual attribution of ContextCite (Cohen-Wang et al.
2024, https://arxiv.org/abs/2409.00729): that fits a linear model to many random omissions, because
it tells hundreds of sentences apart; a prompt has few passages, and each is left out once. The
probability is the model's own of what the answer states, after the prompt that was asked, in which
the other passages keep their numbers. What two passages both say seems to lean on neither, which
the probability without any passage shows.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from indexes.errors import ModelError
from indexes.i18n import t
from indexes.types import SearchResult
from rag.models.forcing import Forced, forced
from rag.prompting.fencing import fenced, marker_of
from rag.steps import Steps, work
from rag.types import Answer, Attribution, Weighed

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import BaseMessage

    from rag.models.tokens import PromptBudget

MOST_TOKENS = 64
"""Of what the answer states, from its beginning: the model has to write it for each passage."""
_MOST_WIDTH = 4 * MOST_TOKENS
"""About as many tokens in ASCII characters; another character counts as `_WIDE`, a token or so."""
_WIDE = 4
_MOST_PROMPT = 4096
"""Tokens of a prompt that is read again for each passage. vLLM holds the probabilities of its whole
vocabulary for each token of a prompt at once: gigabytes for some thousands."""


def attributed(
    chat: "BaseChatModel",
    asked: "Sequence[BaseMessage]",
    answer: Answer,
    budget: "PromptBudget | None" = None,
) -> Steps[Answer]:
    """``answer``, which came of the messages ``asked``, with its attributions; or with a notice
    that says why it has none. One that states nothing stays as it is."""
    text = stated(answer)
    numbers, prompts = without_each(asked, answer.contexts)
    if not text or not numbers:
        return answer
    started = time.perf_counter()
    try:
        if budget is not None:
            count = yield from work(lambda: budget.count(prompts[0]).tokens)
            if count > _MOST_PROMPT:
                return _noted(answer, _too_long(count))
        found = yield from forced(chat, prompts, text, MOST_TOKENS)
    except ModelError as error:
        reason = t("It is not known which passages the answer leans on. {reason}", reason=error)
        return _noted(answer, reason)
    if found.logprobs is None:
        return _noted(answer, _missing())
    return _weighed(answer, numbers, found, time.perf_counter() - started)


def stated(answer: Answer) -> str:
    """The claims of the answer that passages support, as one text without marks: as many of them as
    come to about `MOST_TOKENS` tokens, and of a first one that is longer its beginning."""
    text = ""
    for claim in dict.fromkeys(citation.claim.strip() for citation in answer.supported):
        space = " " if text and text[-1].isascii() else ""
        if text and _width(text + space + claim) > _MOST_WIDTH:
            break
        text += space + claim
    if answer.status != "answered" or _width(text) <= _MOST_WIDTH:
        return text if answer.status == "answered" else ""
    while _width(text) > _MOST_WIDTH:
        words, space, _ = text.rpartition(" ")
        text = words if space else text[:-1]
    return text


def without_each(
    asked: "Sequence[BaseMessage]", contexts: Sequence[SearchResult]
) -> "tuple[list[int], list[list[BaseMessage]]]":
    """The numbers of the passages that stand in ``asked``, and the messages whole, without each of
    these, and without all.

    The last passage is left out first: so each prompt begins with all that the server still has in
    its cache of the prompt before.
    """
    texts = [str(message.content) for message in asked]
    blocks = dict(reversed([*_blocks("\n".join(texts), contexts).items()]))
    prompts = [list(asked), *(_cut(asked, [block]) for block in blocks.values())]
    return [*blocks], [*prompts, _cut(asked, [*blocks.values()])]


def _blocks(text: str, contexts: Sequence[SearchResult]) -> dict[int, str]:
    """How each passage stands in a prompt, by its number: those found later may be fenced with
    another marker than the first. The marker of them all counts first: no passage can hold it."""
    found: dict[int, str] = {}
    for known in range(len(contexts), 0, -1):
        marker = marker_of(contexts[:known])
        if f"<{marker}>" not in text:
            continue
        for number, context in enumerate(contexts, 1):
            block = fenced((context,), marker, number)
            if block in text:
                found.setdefault(number, block)
    return dict(sorted(found.items()))


def _cut(asked: "Sequence[BaseMessage]", blocks: Sequence[str]) -> "list[BaseMessage]":
    def text(content: str) -> str:
        for block in blocks:
            content = content.replace(f"{block}\n\n", "").replace(block, "")
        return content

    return [
        message.model_copy(update={"content": text(message.content)})
        if isinstance(message.content, str)
        else message
        for message in asked
    ]


def _weighed(answer: Answer, numbers: Sequence[int], found: Forced, seconds: float) -> Answer:
    assert found.logprobs is not None
    whole, *each, alone = found.logprobs
    gained = sum(max(whole - one, 0.0) for one in each)
    attributions = [
        Attribution(number, whole, one, max(whole - one, 0.0) / gained if gained else 0.0)
        for number, one in zip(numbers, each, strict=True)
    ]
    milliseconds = round(seconds * 1000, 2)
    total = round(answer.timings_ms.get("total", 0.0) + milliseconds, 2)
    return replace(
        answer,
        attributions=tuple(sorted(attributions, key=lambda one: one.number)),
        weighed=Weighed(whole, alone, found.tokens, found.usage, seconds),
        timings_ms={**answer.timings_ms, "attribute": milliseconds, "total": total},
    )


def _noted(answer: Answer, sentence: str) -> Answer:
    return replace(answer, notices=(*answer.notices, sentence))


def _missing() -> str:
    return t(
        "Which passages the answer leans on is not known: this model server gives no "
        "log-probabilities of a given text."
    )


def _too_long(count: int) -> str:
    return t(
        "Which passages the answer leans on was not computed: the prompt has {count} tokens. Ask "
        "with fewer passages (-k).",
        count=f"{count:,}",
    )


def _width(text: str) -> int:
    return sum(1 if character.isascii() else _WIDE for character in text)
