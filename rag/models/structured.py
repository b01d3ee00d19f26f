"""Objects from a chat model: the one place that asks for a pydantic model and gets a valid one.

The schema always stands in the prompt (unless the caller has said what it wants), and the server is
asked to enforce it as far as it can: vLLM and llama.cpp's server, and most others, take
``response_format`` with a JSON schema (https://docs.vllm.ai/en/latest/features/structured_outputs;
llama.cpp makes its grammar of it); some know only JSON as such, some nothing. What comes is parsed,
validated, and sent back with the errors in it when it does not fit.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, cast

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from indexes.errors import EndpointError, StructuredOutputError
from indexes.i18n import t
from rag.models.chat import model_name, server_of, within
from rag.models.failures import is_refused
from rag.models.structured_json import (
    Unfit,
    is_bare_object,
    json_schema,
    parse_object,
    structure,
)
from rag.models.thinking import without_thoughts
from rag.prompts import prompt_language
from rag.steps import Steps, ask, run
from rag.types import Usage

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from pydantic import BaseModel

Way = Literal["json_schema", "json_object", "prompt"]
"""``json_schema``: the server was asked to enforce the schema, did not refuse, and the reply is not
evidence to the contrary; ``json_object``: the same of JSON as such; ``prompt``: the model was told
and obeyed."""

_WAYS: tuple[Way, ...] = ("json_schema", "json_schema", "json_object", "prompt")
"""From the strictest down. The second has the schema's structure alone, without the patterns,
formats and limits that some servers refuse; validation still sees to them."""

_LAST = len(_WAYS) - 1

_known: dict[tuple[str, str], int] = {}
"""The strictest of `_WAYS` that a server understands, by its address and its model's name; learned
from its replies, for as long as the process lives. Where one schema was refused for its
patterns, the later ones are sent without theirs."""

_ASK = {
    "en": "Reply with one JSON object: values that fit this JSON schema, not the schema itself. "
    "Write nothing else: no explanation, no code fence.\n{schema}",
    "zh": "请只回复一个 JSON 对象：内容符合下面的 JSON Schema，不要重复 Schema 本身。不要写"
    "其他内容：不要解释，不要代码块。\n{schema}",
}
_MEND = {
    "en": "Your reply does not fit the JSON schema:\n{problem}\nReply with the corrected JSON "
    "object, whole, and nothing else.",
    "zh": "你的回复不符合 JSON Schema：\n{problem}\n请只回复改正后的完整 JSON 对象，"
    "不要写其他内容。",
}

_QUESTION = 300
"""Characters at the end of the last message whose language the instruction takes."""

_MAX_SHOWN = 4000
"""Characters of a wrong reply that the model is shown again: a ramble must not fill the context."""


ValueT = TypeVar("ValueT")


@dataclass(frozen=True, slots=True)
class Written:
    """What a model wrote; ``cut`` off by the limit of tokens, or the ``last`` that is asked of
    it."""

    text: str
    cut: bool
    last: bool


@dataclass(frozen=True, slots=True)
class Form(Generic[ValueT]):
    """An object that no pydantic model describes.

    ``read`` makes a value of what was written, or raises ``Unfit``. ``note`` says what to write
    where no server enforces the ``schema``. ``patient``: a reply that was cut off is sent back as
    any other that does not fit.
    """

    name: str
    schema: dict[str, Any]
    read: Callable[[Written], ValueT]
    note: str | None = None
    patient: bool = False


@dataclass(frozen=True, slots=True)
class Structured(Generic[ValueT]):
    """A valid object; ``usage`` counts the tokens of all ``attempts``, failed ones too."""

    value: ValueT
    usage: Usage
    way: Way
    attempts: int


def object_of(
    chat: "BaseChatModel",
    messages: Sequence[BaseMessage],
    schema: "type[ValueT] | Form[ValueT]",
    *,
    max_retries: int = 2,
    max_tokens: int | None = None,
    explain: bool = True,
    deadline: float | None = None,
) -> Steps[Structured[ValueT]]:
    """Ask ``chat`` for a ``schema``: a pydantic model, or a `Form`, of a JSON object.

    A reply that does not fit is sent back with what is wrong, ``max_retries`` times at most.
    ``max_tokens`` limits each reply. ``explain=False`` leaves the schema out of the first prompt
    where the server enforces it: for messages that already say what each field means. At the
    ``deadline``, a time of `time.monotonic`, a server that has not replied has failed.

    Raises ``StructuredOutputError`` when no reply fits or one is cut off by the limit of tokens,
    ``EndpointError`` when the server fails, and ``TypeError`` for a schema of something else than
    an object.
    """
    talk = _Conversation(chat, messages, schema, max_retries, max_tokens, explain, deadline)
    while talk.result is None:
        try:
            reply = yield from ask(chat, talk.messages(), **talk.options())
        except EndpointError as error:
            talk.refused(error)
        else:
            talk.replied(reply)
    return talk.result


def ask_object(
    chat: "BaseChatModel",
    messages: Sequence[BaseMessage],
    schema: "type[ValueT] | Form[ValueT]",
    **options: Any,
) -> Structured[ValueT]:
    """`object_of`, performed at once."""
    return run(object_of(chat, messages, schema, **options))


def _form_of(model: type[ValueT]) -> Form[ValueT]:
    schema = cast("type[BaseModel]", model)

    def read(written: Written) -> ValueT:
        return cast("ValueT", parse_object(written.text, schema))

    return Form(schema.__name__, json_schema(schema), read)


class _Conversation(Generic[ValueT]):
    """What to send next, until there is a result."""

    def __init__(
        self,
        chat: "BaseChatModel",
        messages: Sequence[BaseMessage],
        schema: "type[ValueT] | Form[ValueT]",
        max_retries: int,
        max_tokens: int | None,
        explain: bool,
        deadline: float | None,
    ) -> None:
        self.result: Structured[ValueT] | None = None
        self._chat, self._asked = chat, messages
        self._form = schema if isinstance(schema, Form) else _form_of(schema)
        self._max_retries, self._max_tokens, self._explain = max_retries, max_tokens, explain
        self._deadline = deadline
        self._lang = prompt_language(str(messages[-1].text)[-_QUESTION:] if messages else "")
        self._server = server_of(chat)
        self._way = _LAST if self._server is None else _known.get(self._server, 0)
        self._attempts, self._usage = 0, Usage()
        self._wrong, self._problem = "", ""

    def messages(self) -> list[BaseMessage]:
        """The caller's messages with the schema, then the last reply and what is wrong with it."""
        note, mend = "", ""
        if self._explain or self._problem or _WAYS[self._way] != "json_schema":
            note = self._form.note or self._shown()
        if self._problem:
            mend = _MEND[self._lang].format(problem=self._problem)
        if not self._wrong:  # chat templates refuse an empty turn
            return _with_note(self._asked, "\n\n".join(filter(None, (note, mend))))
        again = [AIMessage(self._wrong[:_MAX_SHOWN]), HumanMessage(mend)]
        return [*_with_note(self._asked, note), *again]

    def _shown(self) -> str:
        shown = json.dumps(self._form.schema, ensure_ascii=False)
        return _ASK[self._lang].format(schema=shown)

    def options(self) -> dict[str, Any]:
        """Keyword arguments of the call."""
        options: dict[str, Any] = within(self._chat, self._deadline)
        if self._max_tokens is not None:
            options["max_tokens"] = self._max_tokens
        wanted = self._response_format(self._way)
        if wanted is not None:
            # Not as a keyword: LangChain then hands it to a part of OpenAI's client that turns a
            # reply cut off by the limit of tokens into an error without the reply.
            body = getattr(self._chat, "extra_body", None) or {}
            options["extra_body"] = {**body, "response_format": wanted}
        return options

    def refused(self, error: EndpointError) -> None:
        """Go on in a way that asks less of the server, if it was that which it refused."""
        if self._way == _LAST or not is_refused(error):
            raise error
        self._step_down()

    def replied(self, reply: BaseMessage) -> None:
        """Take the object, or what is wrong with it; raise when there is no more to try."""
        self._attempts += 1
        self._usage += Usage.of(reply)
        written = without_thoughts(str(reply.text))
        truncated = _is_truncated(reply)
        enforced = is_bare_object(written)  # nothing stands around what a server enforces
        if written.strip() and not enforced and not truncated:
            self._step_down()
        if self._server is not None:
            _known[self._server] = max(self._way, _known.get(self._server, 0))
        last = self._attempts > self._max_retries
        try:
            value = self._form.read(Written(written, truncated, last))
        except Unfit as unfit:
            self._wrong, self._problem = written.strip(), str(unfit)
            if last or (truncated and not self._form.patient):
                raise self._failure(truncated, str(reply.text)) from unfit
        else:
            way = _WAYS[self._way] if enforced else "prompt"
            self.result = Structured(value, self._usage, way, self._attempts)

    def _failure(self, truncated: bool, written: str) -> StructuredOutputError:
        tokens = self._usage.prompt_tokens, self._usage.completion_tokens
        if truncated:
            return StructuredOutputError(
                t(
                    "The model {model} reached its limit of tokens before its reply was complete. "
                    "Allow it more ([chat] max_tokens), or ask for less.",
                    model=model_name(self._chat),
                ),
                written,
                tokens,
            )
        return StructuredOutputError(
            t(
                "The model {model} did not write what was asked of it, in {count} attempts: "
                "{problem}. Try another model, best a larger one.",
                model=model_name(self._chat),
                count=self._attempts,
                problem=self._problem.splitlines()[0].rstrip("."),
            ),
            written,
            tokens,
        )

    def _step_down(self) -> None:
        """Give up this way, and the next as well if it comes to the same request."""
        tried = self._response_format(self._way)
        while self._way < _LAST and self._response_format(self._way) == tried:
            self._way += 1

    def _response_format(self, way: int) -> dict[str, Any] | None:
        if _WAYS[way] == "prompt":
            return None
        if _WAYS[way] == "json_object":
            return {"type": "json_object"}
        schema = self._form.schema if way == 0 else structure(self._form.schema)
        name = re.sub(r"[^A-Za-z0-9_-]", "_", self._form.name)[:64]
        described = {"name": name, "schema": schema, "strict": True}
        return {"type": "json_schema", "json_schema": described}


def _is_truncated(reply: BaseMessage) -> bool:
    return reply.response_metadata.get("finish_reason") in ("length", "max_tokens")


def _with_note(messages: Sequence[BaseMessage], note: str) -> list[BaseMessage]:
    """The note at the end of the last question: the beginning stays as the server's cache has it,
    and many chat templates refuse two questions in a row."""
    if not note:
        return list(messages)
    if not messages or not isinstance(messages[-1], HumanMessage):
        return [*messages, HumanMessage(note)]
    content = messages[-1].content
    if isinstance(content, str):
        longer: Any = f"{content}\n\n{note}"
    else:
        longer = [*content, {"type": "text", "text": note}]
    return [*messages[:-1], messages[-1].model_copy(update={"content": longer})]
