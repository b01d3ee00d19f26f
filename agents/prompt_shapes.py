"""The JSON about prompts. These shapes are a promise to other programs."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, Self

from agents.answer_shapes import ContextShape, UsageShape
from agents.evaluation_shapes import ChangeShape, ComparisonShape
from agents.shapes import Shape

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

    from rag.prompting.library import Shelf
    from rag.prompting.techniques import Draft
    from rag.prompting.types import Prompt


class PromptShape(Shape):
    name: str
    version: int
    language: Literal["en", "zh"]
    task: str
    technique: str
    description: str
    variables: tuple[str, ...]
    output: str | None
    digest: str
    origin: Literal["built-in", "yours"]
    path: str

    @classmethod
    def of(cls, prompt: "Prompt") -> Self:
        values = {name: getattr(prompt, name) for name in PromptShape.model_fields}
        return cls(**{**values, "path": str(prompt.path)})


class PromptsShape(Shape):
    prompts: tuple[PromptShape, ...]
    faults: tuple[str, ...]

    @classmethod
    def of(cls, shelf: "Shelf") -> Self:
        return cls(prompts=tuple(map(PromptShape.of, shelf.prompts)), faults=shelf.faults)


class PromptTextShape(Shape):
    prompt: PromptShape
    text: str


class MessageShape(Shape):
    role: str
    content: str


class MessagesShape(Shape):
    prompt: str
    question: str
    messages: tuple[MessageShape, ...]

    @classmethod
    def of(cls, prompt: "Prompt", question: str, messages: "Sequence[BaseMessage]") -> Self:
        return cls(prompt=prompt.ident, question=question, messages=message_shapes(messages))


class VoteShape(Shape):
    short: str
    count: int
    text: str


class DraftShape(Shape):
    prompt: str
    technique: str
    question: str
    draft: str
    short: str
    votes: tuple[VoteShape, ...]
    contexts: tuple[ContextShape, ...]
    messages: tuple[MessageShape, ...]
    model: str
    usage: UsageShape
    notices: tuple[str, ...]

    @classmethod
    def of(
        cls, prompt: "Prompt", question: str, draft: "Draft", model: str, notices: Sequence[str]
    ) -> Self:
        return cls(
            prompt=prompt.ident,
            technique=prompt.technique,
            question=question,
            draft=draft.text,
            short=draft.short,
            votes=tuple(VoteShape.model_validate(vote) for vote in draft.votes),
            contexts=tuple(ContextShape.of(n, r) for n, r in enumerate(draft.contexts, 1)),
            messages=message_shapes(draft.asked),
            model=model,
            usage=UsageShape.model_validate(draft.usage),
            notices=tuple(notices),
        )


class VerdictShape(Shape):
    """``better`` is the name of the better prompt, ``null`` where the difference is within
    chance."""

    group: str
    first: str
    second: str
    better: str | None
    score: ChangeShape
    against: tuple[str, ...]
    sentence: str


class PromptRunShape(Shape):
    name: str
    prompt: str
    run: str
    file: str
    outcomes: int


class PromptComparisonShape(Shape):
    dataset: str
    half: str
    model: str
    prompts: tuple[PromptRunShape, ...]
    comparisons: tuple[ComparisonShape, ...]
    verdicts: tuple[VerdictShape, ...]


class CandidateShape(Shape):
    prompt: str
    instruction: str
    examples: int
    score: float
    questions: int
    run: str


class RefusedShape(Shape):
    instruction: str
    reason: str


class ImprovementShape(Shape):
    """``path`` is the file that was written, ``null`` where nothing better was found."""

    prompt: str
    name: str
    language: Literal["en", "zh"]
    dataset: str
    model: str
    answers_at_most: int
    tried: tuple[CandidateShape, ...]
    refused: tuple[RefusedShape, ...]
    best: str
    comparison: ComparisonShape | None
    verdict: VerdictShape | None
    path: str | None


def message_shapes(messages: "Sequence[BaseMessage]") -> tuple[MessageShape, ...]:
    """Messages under the names that servers give to the speakers."""
    roles = {"human": "user", "ai": "assistant"}
    return tuple(
        MessageShape(role=roles.get(message.type, message.type), content=str(message.text))
        for message in messages
    )
