"""OpenAI's ``chat.completions`` as LangChain calls it, with plain dictionaries for its objects.

The official client checks every request, and makes an object of three layers of each piece of an
answer. With many streams at a time that is a third of all that a service does; LangChain needs none
of it, and turns each object into the dictionary that it was before. Connections, headers, statuses
and errors are still the client's.
"""

from dataclasses import dataclass
from typing import Any, Final

import openai

from rag.models.gathering import GatheredStream

_PATH: Final = "/chat/completions"
_OPTIONS: Final = {"timeout": "timeout", "extra_headers": "headers", "extra_query": "params",
                   "extra_body": "extra_json"}  # fmt: skip
"""What is said of the request, not in it: the parameter, and the client's word for it."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A response where LangChain asks for a raw one, to parse it."""

    body: Any

    def parse(self) -> Any:
        """The dictionary; a text where the server sent no JSON."""
        return self.body


@dataclass(frozen=True, slots=True)
class Completions:
    """In the place of ``client.chat.completions``."""

    client: openai.OpenAI

    @property
    def with_raw_response(self) -> "Raw":
        """The same for whole answers, to be parsed."""
        return Raw(self)

    def create(self, **payload: Any) -> Any:
        """A dictionary; of a streamed answer an `openai.Stream` of them."""
        body, options = _parts(payload)
        stream = bool(body.get("stream"))
        return self.client.post(
            _PATH, cast_to=object, body=body, options=options, stream=stream,
            stream_cls=openai.Stream[object],
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Raw:
    """See `Completions.with_raw_response`."""

    completions: Completions

    def create(self, **payload: Any) -> Parsed:
        """The whole answer."""
        return Parsed(self.completions.create(**payload))


@dataclass(frozen=True, slots=True)
class AsyncCompletions:
    """In the place of the asynchronous ``client.chat.completions``."""

    client: openai.AsyncOpenAI

    @property
    def with_raw_response(self) -> "AsyncRaw":
        """The same for whole answers, to be parsed."""
        return AsyncRaw(self)

    async def create(self, **payload: Any) -> Any:
        """A dictionary; of a streamed answer a `GatheredStream` of them."""
        body, options = _parts(payload)
        stream = bool(body.get("stream"))
        return await self.client.post(
            _PATH, cast_to=object, body=body, options=options, stream=stream,
            stream_cls=GatheredStream,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class AsyncRaw:
    """See `AsyncCompletions.with_raw_response`."""

    completions: AsyncCompletions

    async def create(self, **payload: Any) -> Parsed:
        """The whole answer."""
        return Parsed(await self.completions.create(**payload))


def _parts(payload: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    body = {name: value for name, value in payload.items() if name not in _OPTIONS}
    given = {name: payload[name] for name in _OPTIONS if payload.get(name) is not None}
    return body, {
        "security": {"bearer_auth": True},
        **{_OPTIONS[name]: value for name, value in given.items()},
    }
