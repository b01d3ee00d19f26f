"""The answer path as a LangChain tool."""

from typing import TYPE_CHECKING

from langchain_core.tools import BaseTool, StructuredTool
from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from rag.answering import RAG


class AskArguments(BaseModel):
    """What the tool is called with."""

    model_config = ConfigDict(extra="forbid")

    question: str = Field(description="A complete question, in the language of the documents")


def answer_tool(rag: "RAG") -> BaseTool:
    """A tool ``ask_documents`` that returns the answer followed by a list of its sources."""

    def ask_documents(question: str) -> str:
        answer = rag.ask(question)
        sources = [
            f"[{c.number}] {c.source}:{c.start}-{c.end} ({c.support}): {c.quote}"
            for c in answer.citations
        ]
        return "\n".join([answer.text or answer.status, *sources])

    return StructuredTool.from_function(
        ask_documents,
        name="ask_documents",
        description=(
            f"Answers a question from the document collection «{rag.collection.name}» and names "
            "the passages the answer stands on. Says so when the documents do not know."
        ),
        args_schema=AskArguments,
    )
