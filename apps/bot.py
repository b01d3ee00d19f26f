"""The loop of a chat bot: messages come in, and each thread has a conversation of its own.

It speaks lines of JSON, as the gateways of chat services hand them over:

    {"channel": "bees", "thread": "17", "text": "@bee When is the honey harvested?"}

    python apps/bot.py < messages.jsonl
"""

import asyncio
import json
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Callable

from indexes import Collection, WaggleError
from rag import RAG
from rag.retrieval.types import Turn

NAME = "@bee"
REMEMBERED = 5


class Bot:
    """Answers messages that name it. Threads are answered side by side, and each in order."""

    def __init__(self, rag: RAG, say: Callable[[dict[str, object]], None]) -> None:
        self._rag, self._say = rag, say
        self._said: dict[str, list[Turn]] = defaultdict(list)
        self._turn: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def serve(self, messages: AsyncIterator[dict[str, str]]) -> None:
        """Until there are no more messages, and all are answered."""
        async with asyncio.TaskGroup() as tasks:
            async for message in messages:
                if NAME in message["text"]:
                    tasks.create_task(self._answer(message))

    async def _answer(self, message: dict[str, str]) -> None:
        thread = f"{message['channel']}/{message['thread']}"
        question = message["text"].replace(NAME, "").strip()
        async with self._turn[thread]:
            said = self._said[thread]
            try:
                answer = await self._rag.aask(question, history=tuple(said[-REMEMBERED:]))
            except WaggleError as error:
                self._reply(message, str(error), [])
                return
            said.append(Turn(question, answer.text))
            quotes = [f"{c.source}: «{c.quote}»" for c in answer.supported]
            self._reply(message, answer.text, quotes)

    def _reply(self, message: dict[str, str], text: str, quotes: list[str]) -> None:
        place = {"channel": message["channel"], "thread": message["thread"]}
        self._say({**place, "text": text, "quotes": quotes})


async def from_stdin() -> AsyncIterator[dict[str, str]]:
    """A message from each line of standard input."""
    while line := await asyncio.to_thread(sys.stdin.readline):
        yield json.loads(line)


def to_stdout(reply: dict[str, object]) -> None:
    """A reply as a line of JSON."""
    sys.stdout.write(json.dumps(reply, ensure_ascii=False) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    with Collection.open(create=False) as documents:
        asyncio.run(Bot(RAG(documents), to_stdout).serve(from_stdin()))
