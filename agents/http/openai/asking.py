"""A request to be answered: what it is put to, and with which options."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from agents.doors.rights import Caller
from agents.doors.service import Service
from agents.http.depending import rag_of
from agents.http.openai.answers import Part, Parts, acted, answered
from agents.http.openai.candidates import candidates, side_by_side
from agents.http.openai.naming import Target
from agents.http.openai.shapes import WaggleOptions
from indexes.errors import UsageError
from indexes.i18n import t
from rag.answering import RAG, AskOptions
from rag.conversing import Conversation
from rag.types import Sampling

Numbered = AsyncGenerator[tuple[int, Part]]


@dataclass(frozen=True, slots=True)
class Asking:
    """``count`` answers are wanted, written as ``sampling`` says; each ends at the first of
    ``stops``. ``notices`` is what is to be said of the request itself."""

    service: Service
    caller: Caller
    target: Target
    conversation: Conversation
    options: WaggleOptions
    stops: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    count: int = 1
    sampling: Sampling = field(default_factory=Sampling)

    async def parts(self) -> Numbered:
        """What comes, with the number of the answer from 0; its first part has come already, so
        that what is wrong with the request is raised here. Raises `ForbiddenError` and
        `UnknownCollectionError` where the key does not reach that far."""
        self.caller.check("read")
        if self.target.agent:
            self.caller.check("agent")
            if self.count > 1:
                raise UsageError(t("An agent works on a goal once: leave out n."))
        rag = await rag_of(self.service, self.caller, self.target.collection)
        streams = [await self._acted()] if self.target.agent else await self._answers(rag)
        return await _begun(side_by_side(streams))

    async def _answers(self, rag: RAG) -> list[Parts]:
        options: AskOptions = {
            name: value
            for name, value in self.options.model_dump(exclude={"contexts"}).items()
            if value is not None
        }  # type: ignore[assignment]
        rags = await candidates(rag, self.count, self.sampling.temperature)
        return [
            answered(
                one, self.conversation, {**options, "sampling": self._sampling(number)},
                self.stops, self.notices, contexts=self.options.contexts,
            )
            for number, one in enumerate(rags)
        ]  # fmt: skip

    def _sampling(self, number: int) -> Sampling:
        """That of an answer: with one seed, all of them would be alike."""
        seed = self.sampling.seed
        return self.sampling if seed is None else replace(self.sampling, seed=seed ^ number)

    async def _acted(self) -> Parts:
        from agents.doors.acting import agent_of

        name = self.target.collection
        agent = await asyncio.to_thread(agent_of, self.service, self.caller, name)
        return acted(agent, self.conversation, self.notices)


async def _begun(stream: Numbered) -> Numbered:
    """The stream, whose first part has come."""
    try:
        first = await anext(stream)
    except BaseException:
        await stream.aclose()
        raise
    return _again(first, stream)


async def _again(first: tuple[int, Part], rest: Numbered) -> Numbered:
    async with aclosing(rest):
        yield first
        async for part in rest:
            yield part
