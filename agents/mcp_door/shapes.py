"""What the tools take and give. These shapes are a promise to other programs."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from agents.shapes import FailureShape, Shape


class Arguments(BaseModel):
    """What a tool is called with."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SearchArguments(Arguments):
    """What is searched for."""

    query: str = Field(description="A question or a few words, in the language of the documents")
    k: int = Field(default=8, ge=1, le=50, description="How many passages")
    where: str = Field(
        default="",
        description='A filter over the metadata, such as: lang = "zh" and source like "*.pdf"',
    )
    collection: str = Field(default="", description="The collection to search; by default, all")


class FetchArguments(Arguments):
    """What is fetched."""

    id: str = Field(min_length=1, description="The id of a result of «search»")


class AskArguments(Arguments):
    """What is asked."""

    question: str = Field(description="A complete question, in the language of the documents")
    where: str = Field(default="", description="A filter, as in «search»")
    collection: str = Field(default="", description="The collection that is asked")


class TextArguments(Arguments):
    """A text that is to be found from now on."""

    text: str = Field(min_length=1, description="The text to keep and to make searchable")
    name: str = Field(
        default="", max_length=200,
        description="What it is called; a text of the same name is replaced",
    )  # fmt: skip
    collection: str = Field(default="", description="The collection it goes to")


class IndexArguments(TextArguments):
    """A text, or files."""

    text: str = Field(default="", description="A text to keep and to make searchable")
    paths: tuple[str, ...] = Field(
        default=(), description="Or files and folders of this machine, by their absolute paths"
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if bool(self.text) == bool(self.paths):
            raise ValueError("give either text or paths")
        return self


class FoundShape(Shape):
    id: str
    title: str
    url: str
    text: str


class FoundsShape(Shape):
    results: tuple[FoundShape, ...]


class FetchedShape(Shape):
    id: str
    title: str
    text: str
    url: str
    metadata: Mapping[str, Any]


class CitedShape(Shape):
    """A claim of an answer, and the passage that it leans on; ``id`` fetches it."""

    number: int
    claim: str
    id: str
    title: str
    url: str
    page: int | None
    start: int
    end: int
    quote: str
    support: Literal["verbatim", "entailed", "unsupported"]


class AnsweredShape(Shape):
    question: str
    answer: str
    status: Literal["answered", "unanswerable"]
    collection: str
    model: str
    citations: tuple[CitedShape, ...]
    notices: tuple[str, ...]


class IndexedShape(Shape):
    collection: str
    sources: tuple[str, ...]
    added: int
    updated: int
    unchanged: int
    failed: tuple[FailureShape, ...]
