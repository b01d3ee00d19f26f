"""Semantic Kernel asks the service, whole and streamed: prints the two texts as a JSON list. Run by
the Python of an environment that has it, with the address of the service."""

import asyncio
import json
import sys

from openai import AsyncOpenAI
from semantic_kernel.connectors.ai.open_ai import (
    OpenAIChatCompletion,
    OpenAIChatPromptExecutionSettings,
)
from semantic_kernel.contents import ChatHistory


async def main(url: str) -> None:
    client = AsyncOpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
    service = OpenAIChatCompletion(ai_model_id="waggle/bees", async_client=client)
    history = ChatHistory(system_message="Be polite.")
    history.add_user_message("What does the waggle run point to?")
    settings = OpenAIChatPromptExecutionSettings(temperature=0.5, max_tokens=200)
    whole = await service.get_chat_message_content(history, settings)
    pieces = service.get_streaming_chat_message_content(history, settings)
    told = [str(whole), "".join([str(piece) async for piece in pieces])]
    sys.stdout.write(json.dumps(told))


asyncio.run(main(sys.argv[1]))
