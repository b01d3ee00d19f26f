"""What clients of OpenAI's API send: its fields that mean something here, and ours beside them.

Fields that are not here are taken and ignored, as clients send many; a wrong type is refused.
"""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from agents.doors.filters import Filter
from agents.http.incoming import Body, Incoming
from indexes.errors import UsageError
from indexes.i18n import t
from rag.types import Sampling

MOST_PASSAGES = 50
MOST_CANDIDATES = 8
_MOST_STOPS = 4
_LONGEST_STOP = 256
_TEXTS = frozenset({"text", "input_text", "output_text", "refusal"})


class WaggleOptions(BaseModel):
    """The field ``waggle`` of a request: what OpenAI's API has no place for. ``contexts`` asks for
    the passages that were read; the rest is as in `rag.answering.AskOptions`."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    k: int | None = Field(default=None, ge=1, le=MOST_PASSAGES)
    where: str | None = None
    plan: str | None = None
    prompt: str | None = None
    strict: bool = False
    min_confidence: float | None = Field(default=None, ge=0, le=1)
    contexts: bool = False


class ContentPart(Incoming):
    type: str
    text: str | None = None
    refusal: str | None = None


Content = str | list[ContentPart] | None


def text_of(content: Content) -> str:
    """The text of a message. Raises `UsageError` for pictures, sound and files."""
    if content is None or isinstance(content, str):
        return content or ""
    for part in content:
        if part.type not in _TEXTS:
            raise UsageError(
                t(
                    "A message holds a part of type «{type}»: only text can be read here. "
                    "Upload documents with /v1/files.",
                    type=part.type,
                )
            )
    return "\n".join(part.text or part.refusal or "" for part in content)


class ChatMessage(Incoming):
    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: Content = None


class StreamOptions(Incoming):
    include_usage: bool | None = None


class Writing(Body):
    """How the text of an answer is to be written; an agent writes as its settings say."""

    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, ge=0, le=1)


class ChatRequest(Writing):
    """``POST /v1/chat/completions``."""

    model: str = Field(examples=["waggle/default"])
    messages: list[ChatMessage] = Field(min_length=1)
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: int | None = Field(default=None, ge=1, le=MOST_CANDIDATES)
    stop: str | list[str] | None = None
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    seed: int | None = Field(default=None, ge=-(2**63), lt=2**63)
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    response_format: dict[str, Any] | None = None
    waggle: WaggleOptions = WaggleOptions()

    def sampling(self) -> Sampling:
        """How the model is to write."""
        most = self.max_completion_tokens or self.max_tokens
        return Sampling(self.temperature, self.top_p, self.seed, most)


class InputItem(Incoming):
    """An item of a conversation. Those that are no messages, such as calls of tools, come back from
    clients that repeat what they were sent, and say nothing here."""

    type: str = "message"
    role: Literal["system", "developer", "user", "assistant"] | None = None
    content: Content = None


class FileSearch(Incoming):
    """The tool that searches files: here it is always used, and this narrows its search."""

    vector_store_ids: list[str] = Field(default=[])
    max_num_results: int | None = Field(default=None, ge=1, le=MOST_PASSAGES)
    filters: Filter | None = None


class TextOptions(Incoming):
    format: dict[str, Any] | None = None


class ResponseRequest(Writing):
    """``POST /v1/responses``."""

    model: str = Field(examples=["waggle/default"])
    input: str | list[InputItem]
    instructions: str | None = None
    previous_response_id: str | None = None
    store: bool | None = None
    stream: bool | None = None
    include: list[str] | None = None
    metadata: dict[str, str] | None = Field(default=None, max_length=16)
    max_output_tokens: int | None = Field(default=None, ge=1)
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    text: TextOptions | None = None
    background: bool | None = None
    conversation: str | dict[str, Any] | None = None
    prompt: dict[str, Any] | None = None
    waggle: WaggleOptions = WaggleOptions()

    def sampling(self) -> Sampling:
        """How the model is to write."""
        return Sampling(self.temperature, self.top_p, max_tokens=self.max_output_tokens)


class EmbeddingRequest(Body):
    """``POST /v1/embeddings``. ``input_type`` is ours: a question is embedded otherwise than a
    document by some models."""

    model: str = Field(examples=["waggle/default"])
    input: str | list[str] | list[int] | list[list[int]]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = Field(default=None, ge=1)
    input_type: Literal["document", "query"] = "document"


def check_format(wanted: dict[str, Any] | None) -> None:
    """Raises `UsageError` for an answer that is to be JSON: it would be one without sources."""
    if wanted and wanted.get("type", "text") != "text":
        raise UsageError(
            t("An answer is text with sources, not JSON: leave out response_format (text.format).")
        )


def stops_of(given: str | Sequence[str] | None) -> tuple[str, ...]:
    """What ends an answer. Raises `UsageError` for more than OpenAI's API takes, as each is looked
    for with every piece of the answer."""
    stops = (given,) if isinstance(given, str) else tuple(given or ())
    if len(stops) > _MOST_STOPS or any(len(stop) > _LONGEST_STOP for stop in stops):
        raise UsageError(
            t("«stop» may hold at most {most} texts, each of at most {longest} characters. "
              "Send fewer.", most=_MOST_STOPS, longest=_LONGEST_STOP)
        )  # fmt: skip
    return stops


def check_tools(tools: Sequence[dict[str, Any]] | None, choice: object) -> tuple[str, ...]:
    """What is to be said of tools that a client offers: they are not called. Raises `UsageError`
    where it demands that one is."""
    functions = [tool for tool in tools or () if tool.get("type") != "file_search"]
    if not functions:
        return ()
    if choice == "required" or isinstance(choice, dict):
        raise UsageError(
            t(
                "tool_choice demands a call, but only the tools of Waggle are used here, by the "
                "models waggle/NAME/agent. Leave out tool_choice."
            )
        )
    if choice == "none":
        return ()
    return (t("The tools that the request offers were not used."),)
