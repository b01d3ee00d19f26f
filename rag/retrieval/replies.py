"""The objects that the chat model writes for a technique. What it must find out comes before what
it concludes, for it writes the fields in their order."""

from pydantic import BaseModel, ConfigDict, Field


class _Reply(BaseModel):
    model_config = ConfigDict(extra="forbid")


class OneQuestion(_Reply):
    """A question in other words."""

    question: str


class Rewordings(_Reply):
    """The same question in several wordings."""

    questions: list[str] = Field(min_length=1, max_length=8)


class NextQuestion(_Reply):
    """What the passages tell so far, and what to look for next; empty where nothing is missing."""

    known: str
    search: str


class Sufficiency(_Reply):
    """What the passages lack, and whether they answer the question all the same."""

    missing: str
    sufficient: bool


class Order(_Reply):
    """The numbers of the passages, the most useful one first."""

    passages: list[int]
