"""Whether a prompt fits into what the model reads at once, found out before the model is asked.

The tokens are counted by the server, with the model's own tokenizer and chat template. vLLM has
``POST /tokenize`` for that, llama.cpp ``POST /v1/chat/completions/input_tokens``, and before that
``/apply-template`` followed by its own ``/tokenize``. Where none of them answers, an estimate that
errs upward stands in.
"""

import time
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from indexes.addresses import is_loopback
from indexes.errors import ContextOverflowError, EndpointError
from indexes.i18n import t
from rag.models.chat import context_window, is_count, key_of, model_name

if TYPE_CHECKING:
    import httpx
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import BaseMessage

Post = Callable[[str, dict[str, Any]], Any]
Route = Callable[[Post, str, list[dict[str, Any]]], Any]

_FRESH_SECONDS = 60.0
"""A server that is started anew at the same address may read less, or count in another way."""
_ANSWER_TOKENS = 512
"""Kept free for the answer where the chat model sets no limit of its own."""
_CHECK_TOKENS = 128
"""The question of a check without its claim, the template around it, and the reply."""
_TEMPLATE_TOKENS = 256
"""What a chat template writes around the messages: markers of turns, a date, a standing text."""


@dataclass(frozen=True, slots=True)
class Count:
    """Tokens of a prompt; not ``exact``: more than it can have."""

    tokens: int
    exact: bool


@dataclass(frozen=True, slots=True)
class Fitted:
    """How many passages a prompt can have, and a sentence about those that it cannot."""

    passages: int
    notices: tuple[str, ...] = ()


class PromptBudget:
    """What the model at ``url`` (the root of OpenAI's protocol) reads at once, in tokens.

    ``answer_tokens`` are kept free for the answer; ``timeout`` is how many seconds one question to
    the server may take. What the server offers is learned once for a minute, in which one that did
    not count is not asked again. Its methods may be called by several threads.
    """

    def __init__(
        self,
        url: str,
        model: str,
        api_key: str | None = None,
        *,
        answer_tokens: int = _ANSWER_TOKENS,
        timeout: float = 5.0,
    ) -> None:
        self.url, self.model, self.answer_tokens = url.rstrip("/"), model, answer_tokens
        self._api_key, self._timeout = api_key, timeout
        self._client: httpx.Client | None = None
        self._window: int | None = None
        self._routes: tuple[Route, ...] = _ROUTES
        self._fresh_until = 0.0

    @classmethod
    def of(cls, chat: "BaseChatModel") -> "PromptBudget | None":
        """That of a chat model behind an address; ``None`` for one of another make."""
        url = getattr(chat, "openai_api_base", None)
        if not isinstance(url, str) or not url:
            return None
        limit = getattr(chat, "max_tokens", None) or _ANSWER_TOKENS
        return cls(url, model_name(chat), key_of(chat), answer_tokens=limit)

    def window(self) -> int | None:
        """Tokens that prompt and answer may have together; ``None`` where the server does not say,
        or not now: it will tell what is wrong when it is asked the question."""
        if time.monotonic() >= self._fresh_until:
            try:
                self._window = self._ask_window()
            except EndpointError:
                return None
            self._routes = _ROUTES
            self._fresh_until = time.monotonic() + _FRESH_SECONDS
        return self._window

    def count(self, messages: "Sequence[BaseMessage]") -> Count:
        """The tokens of ``messages`` and of the template around them, as the model reads them."""
        import httpx
        from langchain_core.messages import convert_to_openai_messages

        asked = convert_to_openai_messages(list(messages))
        try:
            for route in self._routes:
                tokens = route(self._post, self.model, list(asked))
                if is_count(tokens):
                    self._routes = (route,)
                    return Count(tokens, True)
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError):
            pass  # the estimate is good enough for an answer, and a refusal would be none
        self._routes = ()
        return Count(_estimate(messages), False)

    def fit(self, prompt: "Callable[[int], Sequence[BaseMessage]]", found: int) -> Fitted:
        """How many of the ``found`` passages the prompt can have, at least one.

        ``prompt(n)`` is the prompt with the first ``n``. Room is left for the answer and, if at
        least one passage still fits then, for the checks that continue the conversation: they
        repeat the answer, and a claim of it that may be as long. Raises `ContextOverflowError`
        where the server counts that not even one fits.
        """
        window = self.window()
        if window is None:
            return Fitted(found)
        room = window - self.answer_tokens
        checked = room - self.answer_tokens - _CHECK_TOKENS
        if self._fits(prompt(found), checked):
            return Fitted(found)
        few, many = 0, found
        while many - few > 1:
            middle = (few + many) // 2
            if self._fits(prompt(middle), checked):
                few = middle
            else:
                many = middle
        if few == 0 and self._overflows(prompt(1), room):
            raise _too_long(self.model, window, self.answer_tokens)
        kept = max(few, 1)
        return Fitted(kept, (_left_out(found - kept, found, window),) if kept < found else ())

    def _fits(self, messages: "Sequence[BaseMessage]", room: int) -> bool:
        return upper_bound(messages) <= room or self.count(messages).tokens <= room

    def _overflows(self, messages: "Sequence[BaseMessage]", room: int) -> bool:
        """Only what has been counted: an estimate never refuses a question."""
        counted = self.count(messages)
        return counted.exact and counted.tokens > room

    def _ask_window(self) -> int | None:
        """From the list of models; vLLM leaves it out there for a LoRA adapter, and tells it when
        it counts."""
        import httpx

        window = context_window(self.url, self._api_key, self.model, self._timeout)
        if window is not None:
            return window
        try:
            body = _vllm_body(self.model, [{"role": "user", "content": "."}])
            window = _member(self._post("/tokenize", body), "max_model_len")
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError):
            return None
        return window if is_count(window) else None

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        """What the server answers, read as JSON; ``None`` where it does not know the route, which
        stands beside ``/v1`` unless ``path`` names that, or answers otherwise."""
        from rag.models.wire import client

        if self._client is None:  # kept: making one takes longer than the counting
            self._client = client(trust_env=not is_loopback(self.url))
        headers = {"Authorization": f"Bearer {self._api_key}"} if self._api_key else {}
        address = self.url.removesuffix("/v1") + path
        response = self._client.post(address, json=body, headers=headers, timeout=self._timeout)
        try:
            return response.json() if response.status_code == 200 else None
        except (ValueError, RecursionError):
            return None


def upper_bound(messages: "Sequence[BaseMessage]") -> int:
    """More tokens than ``messages`` can have, without asking anyone: their bytes.

    The tokenizers of chat models are byte-level BPE, or SentencePiece with bytes for what it does
    not know: each of their tokens stands for one byte of the text or more, save the markers that
    the chat template adds. Some compose the text first (NFC), which may lengthen it.
    """
    return _TEMPLATE_TOKENS + sum(_bytes(message.text) for message in messages)


def _bytes(text: str) -> int:
    composed = unicodedata.normalize("NFC", text)
    return max(len(form.encode("utf-8", "surrogatepass")) for form in (text, composed))


def _estimate(messages: "Sequence[BaseMessage]") -> int:
    from indexes.embedding.adapter import estimate_tokens
    from indexes.embedding.base import well_formed

    texts = (well_formed(message.text) for message in messages)
    return _TEMPLATE_TOKENS + sum(estimate_tokens(text) for text in texts)


def _vllm_body(model: str, messages: list[dict[str, Any]]) -> dict[str, Any]:
    return {"model": model, "messages": messages, "add_generation_prompt": True}


def _vllm(post: Post, model: str, messages: list[dict[str, Any]]) -> Any:
    return _member(post("/tokenize", _vllm_body(model, messages)), "count")


def _llama_cpp(post: Post, model: str, messages: list[dict[str, Any]]) -> Any:
    body = {"model": model, "messages": messages}
    return _member(post("/v1/chat/completions/input_tokens", body), "input_tokens")


def _older_llama_cpp(post: Post, _: str, messages: list[dict[str, Any]]) -> Any:
    prompt = _member(post("/apply-template", {"messages": messages}), "prompt")
    if not isinstance(prompt, str):
        return None
    body = {"content": prompt, "add_special": True, "parse_special": True, "with_pieces": False}
    tokens = _member(post("/tokenize", body), "tokens")
    return len(tokens) if isinstance(tokens, list) else None


_ROUTES: tuple[Route, ...] = (_vllm, _llama_cpp, _older_llama_cpp)


def _member(answer: Any, name: str) -> Any:
    return answer.get(name) if isinstance(answer, dict) else None


def _left_out(left: int, found: int, window: int) -> str:
    return t(
        "{left} of {found} passages were left out: the model reads at most {window} tokens.",
        left=left,
        found=found,
        window=f"{window:,}",
    )


def _too_long(model: str, window: int, answer: int) -> ContextOverflowError:
    return ContextOverflowError(
        t(
            "The model {model} reads at most {window} tokens: too few for this question, one "
            "passage and an answer of {answer}. Ask a shorter question, serve the model with a "
            "larger context, or lower max_tokens in [chat].",
            model=model,
            window=f"{window:,}",
            answer=answer,
        )
    )
