"""What a chat model is asked and what it replies, kept while a question is on its way."""

import hashlib
import json
from typing import TYPE_CHECKING, Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler

from rag.evaluation.records import Call
from rag.types import Usage

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import BaseMessage
    from langchain_core.outputs import LLMResult


class Recorder(BaseCallbackHandler):
    """Counts for one question at a time; calls that are made side by side may come from several
    threads."""

    raise_error = True

    def __init__(self) -> None:
        self._calls: dict[UUID, Call] = {}

    def take(self) -> tuple[Call, ...]:
        """The calls since the last time, in the order in which they began."""
        calls, self._calls = tuple(self._calls.values()), {}
        return calls

    def on_chat_model_start(
        self,
        serialized: dict[str, Any],  # noqa: ARG002 - named by LangChain
        messages: "list[list[BaseMessage]]",
        *,
        run_id: UUID,
        **_: Any,
    ) -> None:
        """A request is about to be sent."""
        self._calls[run_id] = Call(prompt=prompt_digest(messages[0]), reply="")

    def on_llm_end(self, response: "LLMResult", *, run_id: UUID, **_: Any) -> None:
        """Its reply is complete."""
        message: Any = getattr(response.generations[0][0], "message", None)
        usage = Usage.of(message)
        self._calls[run_id] = self._calls[run_id].model_copy(
            update={
                "reply": str(message.text),
                "prompt_tokens": usage.prompt_tokens,
                "completion_tokens": usage.completion_tokens,
            }
        )

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:  # noqa: ARG002
        """Nothing came. Which question finds out what a server does not know depends on the order
        in which they are asked, so it does not belong to the question."""
        self._calls.pop(run_id, None)


def recorded(chat: "BaseChatModel", recorder: Recorder, seed: int) -> "BaseChatModel":
    """A copy of ``chat`` over the same connections that tells ``recorder``, and asks for ``seed``
    where its kind of server knows of one."""
    known = list(chat.callbacks) if isinstance(chat.callbacks, list) else []
    changes: dict[str, Any] = {"callbacks": [*known, recorder]}
    if "seed" in type(chat).model_fields:
        changes["seed"] = seed
    return chat.model_copy(update=changes)


def prompt_digest(messages: "list[BaseMessage]") -> str:
    """Equal for the same messages."""
    shown = [[message.type, message.content] for message in messages]
    return hashlib.sha256(json.dumps(shown, ensure_ascii=True).encode()).hexdigest()[:16]
