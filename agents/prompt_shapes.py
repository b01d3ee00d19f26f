"""The JSON about prompts. These shapes are a promise to other programs."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, Self

from agents.answer_shapes import ContextShape, UsageShape
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


def message_shapes(messages: "Sequence[BaseMessage]") -> tuple[MessageShape, ...]:
    """Messages under the names that servers give to the speakers."""
    roles = {"human": "user", "ai": "assistant"}
    return tuple(
        MessageShape(role=roles.get(message.type, message.type), content=str(message.text))
        for message in messages
    )
