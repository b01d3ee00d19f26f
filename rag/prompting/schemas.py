"""The objects that a prompt may ask for, by the name that its head gives as ``output``.

The order of the fields is the order in which a model writes them: what it must find comes before
what it concludes.
"""

from pydantic import BaseModel, ConfigDict, Field


class _Output(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Quoted(_Output):
    """The evidence first. ``passage`` is 0 where no passage answers the question."""

    passage: int = Field(ge=0)
    quote: str
    short: str
    answer: str


class Answered(_Output):
    """An answer with the numbers of its passages, which are none where it was not found."""

    found: bool
    passages: list[int]
    short: str
    answer: str


class Critique(_Output):
    """Whether a draft may stand, and if not, why."""

    problem: str
    correct: bool


class Thought(_Output):
    """What is still missing; ``search`` is empty where nothing is."""

    thought: str
    search: str


class Parts(_Output):
    """The simpler questions that a question is made of, the first one first."""

    questions: list[str] = Field(max_length=6)


SCHEMAS: dict[str, type[BaseModel]] = {"quoted": Quoted, "answered": Answered}
