"""Hayhooks: a retriever, a prompt and OpenAI's chat generator, over its own OpenAI protocol.

``LOAD_DOCUMENTS`` is a folder of Markdown files, each paragraph of which is a document in memory;
``LOAD_MODEL_URL`` the root of the model server's protocol.
"""

import os
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

from hayhooks import (  # type: ignore[import-not-found]
    BasePipelineWrapper,
    async_streaming_generator,
    get_last_user_message,
)
from haystack import Document, Pipeline  # type: ignore[import-not-found]
from haystack.components.builders import ChatPromptBuilder  # type: ignore[import-not-found]
from haystack.components.generators.chat import (  # type: ignore[import-not-found]
    OpenAIChatGenerator,
)
from haystack.components.retrievers.in_memory import (  # type: ignore[import-not-found]
    InMemoryBM25Retriever,
)
from haystack.dataclasses import ChatMessage  # type: ignore[import-not-found]
from haystack.document_stores.in_memory import (  # type: ignore[import-not-found]
    InMemoryDocumentStore,
)
from haystack.utils import Secret  # type: ignore[import-not-found]

_PROMPT = """Answer the question from the numbered passages below, and name them.
{% for document in documents %}
<passage>
[{{ loop.index }}] {{ document.meta.title }}
{{ document.content }}
</passage>
{% endfor %}
Question: {{ question }}"""


class PipelineWrapper(BasePipelineWrapper):  # type: ignore[misc]
    """Retriever, prompt, generator."""

    def setup(self) -> None:
        """Read the documents and put the parts together."""
        store = InMemoryDocumentStore()
        store.write_documents([
            Document(content=part, meta={"title": file.stem})
            for file in sorted(Path(os.environ["LOAD_DOCUMENTS"]).rglob("*.md"))
            for part in file.read_text("utf-8").split("\n\n")
            if not part.startswith("#")
        ])  # fmt: skip
        pipeline = Pipeline()
        pipeline.add_component("retriever", InMemoryBM25Retriever(store, top_k=6))
        template = [ChatMessage.from_user(_PROMPT)]
        pipeline.add_component("prompt", ChatPromptBuilder(template, required_variables="*"))
        pipeline.add_component("llm", OpenAIChatGenerator(
            api_key=Secret.from_token("none"), model="stub",
            api_base_url=os.environ["LOAD_MODEL_URL"],
        ))  # fmt: skip
        pipeline.connect("retriever", "prompt.documents")
        pipeline.connect("prompt", "llm")
        self.pipeline = pipeline

    async def run_chat_completion_async(
        self,
        model: str,  # noqa: ARG002 - called by their names
        messages: list[dict[str, Any]],
        body: dict[str, Any],  # noqa: ARG002
    ) -> AsyncGenerator[Any]:
        """Answer the last question."""
        question = get_last_user_message(messages)
        stream: AsyncGenerator[Any] = async_streaming_generator(
            pipeline=self.pipeline,
            pipeline_run_args={
                "retriever": {"query": question}, "prompt": {"question": question}
            },
        )  # fmt: skip
        return stream
