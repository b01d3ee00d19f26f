"""How a prompt is worked with: each technique is a way (`rag.steps`) from a question and its
passages to a draft of the answer.

Citations of the draft are not checked here. Passages that a technique finds on its way follow the
given ones, so that their numbers stay what the model has read.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from langchain_core.messages import AIMessage, BaseMessage
from pydantic import BaseModel

from indexes.embedding.base import Embedder
from indexes.types import SearchResult
from rag.models.structured import object_of
from rag.prompting.examples import nearest
from rag.prompting.rendering import examples_text, messages_of, more_passages, offered
from rag.prompting.replies import Reply, Vote, bare, split_reply, vote
from rag.prompting.schemas import SCHEMAS, Answered, Critique, Parts, Quoted, Thought
from rag.prompting.types import ALONE, MAIN, STEPS, Prompt, TechniqueName
from rag.prompts import is_refusal, unknown
from rag.steps import Steps, ask, ask_all, work
from rag.types import Usage

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

ModelT = TypeVar("ModelT", bound=BaseModel)
Search = Callable[[str], Sequence[SearchResult]]
"""Passages for a query, best first."""
Writer = Callable[["BaseChatModel", Sequence[BaseMessage]], Steps[BaseMessage]]
"""Asks for the text that the reader will see, perhaps showing it as it comes."""

MORE_PASSAGES = 2
"""How many new passages one further search adds: a small model loses itself in many."""
MOST_ADDED = 6
"""How many all further searches of a question add together."""
SEARCHING = frozenset[TechniqueName]({"step-back", "decompose", "react"})
"""Techniques that look for more passages than they are given."""


@dataclass(frozen=True, slots=True)
class Task:
    """A question with its passages, and what may be used to answer it. ``embedder`` chooses the
    examples of a prompt that shows some. ``short`` are the words that answer, where they are known
    (`rag.assessing`). ``options`` say how the samples are written that ``write`` does not ask for;
    with a ``seed``, each has another."""

    chat: "BaseChatModel"
    prompt: Prompt
    question: str
    contexts: tuple[SearchResult, ...]
    search: Search
    embedder: Embedder | None = None
    write: Writer = ask
    short: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Draft:
    """What a technique came to. ``short`` is the answer in as few words as possible, where the
    prompt asks for it; ``votes`` are those of the samples, the most frequent first. ``contexts``
    are the passages of the task and, after them, those found on the way; ``asked`` is the prompt
    to which ``text`` is the answer, for a check to continue. ``cut``: the limit of tokens ended the
    sample that counts."""

    text: str
    short: str
    votes: tuple[Vote, ...]
    contexts: tuple[SearchResult, ...]
    asked: tuple[BaseMessage, ...]
    usage: Usage
    cut: bool = False


Technique = Callable[["Desk"], Steps[Draft]]


def draft_of(task: Task) -> Steps[Draft]:
    """The draft that the technique of the task's prompt comes to. Raises `EndpointError` and
    `StructuredOutputError` where the model fails."""
    return TECHNIQUES[task.prompt.technique](Desk(task))


def first_messages(
    prompt: Prompt,
    question: str,
    contexts: tuple[SearchResult, ...],
    embedder: Embedder | None = None,
) -> list[BaseMessage]:
    """The messages that the prompt's technique sends first."""
    step = {"short-first": ALONE, "step-back": "general", "decompose": "split", "react": "think"}
    return built(prompt, step.get(prompt.technique, MAIN), question, contexts, embedder)


def built(
    prompt: Prompt,
    step: str,
    question: str,
    contexts: tuple[SearchResult, ...],
    embedder: Embedder | None = None,
    values: Mapping[str, str] = MappingProxyType({}),
) -> list[BaseMessage]:
    """The messages of a step about the passages; of what is known it takes what it has places for.
    Choosing its examples asks the embedding model."""
    every = {name: "" for names in STEPS[prompt.technique].values() for name in names}
    every.update({"question": question, **values})
    if "examples" in prompt.steps[step].names:
        every["examples"] = examples_text(prompt, nearest(prompt, question, embedder))
    return messages_of(prompt, offered(prompt, step, every), contexts, step)


@dataclass(slots=True)
class Desk:
    """A task while it is worked on: the passages so far, and what the model has cost."""

    task: Task
    contexts: tuple[SearchResult, ...] = field(init=False)
    asked: tuple[BaseMessage, ...] = ()
    usage: Usage = field(default_factory=Usage)

    def __post_init__(self) -> None:
        self.contexts = self.task.contexts

    def ask(self, step: str, **values: str) -> Steps[str]:
        """What the model replies to a step that the reader does not see."""
        self.asked = tuple((yield from self._built(step, values)))
        reply = yield from ask(self.task.chat, self.asked)
        return self._counted(reply)

    def write(self, step: str, **values: str) -> Steps[str]:
        """What the model replies to the step that the reader sees."""
        self.asked = tuple((yield from self._built(step, values)))
        reply = yield from self.task.write(self.task.chat, self.asked)
        return self._counted(reply)

    def instead(self, step: str, **values: str) -> Steps[None]:
        """A check continues this step, not the one that was asked."""
        self.asked = tuple((yield from self._built(step, values)))

    def fill(self, step: str, schema: type[ModelT], **values: str) -> Steps[ModelT]:
        """The object with which the model replies to a step."""
        messages = yield from self._built(step, values)
        if step == MAIN:
            self.asked = tuple(messages)
        made = yield from object_of(self.task.chat, messages, schema, explain=False)
        self.usage += made.usage
        return made.value

    def sample(self, count: int, temperature: float) -> Steps[tuple[tuple[str, bool], ...]]:
        """That many replies to the same prompt, and whether the limit of tokens ended them. They
        are asked for side by side, or one after the other where each has a seed of its own."""
        self.asked = tuple((yield from self._built(MAIN, {})))
        chat, options = self.task.chat, {"temperature": temperature, **self.task.options}
        replies: list[AIMessage] = []
        if (seed := options.get("seed")) is None:
            replies.extend((yield from ask_all(chat, [self.asked] * count, **options)))
        else:
            for number in range(count):
                own = {**options, "seed": seed ^ number}
                replies.append((yield from ask(chat, self.asked, **own)))
        return tuple((self._counted(reply), is_cut(reply)) for reply in replies)

    def look_up(self, query: str) -> Steps[int]:
        """Search, and put the best new passages behind the others; how many there were."""
        found = yield from work(lambda: self.task.search(query))
        known = {context.chunk_id for context in self.contexts}
        room = MOST_ADDED - (len(self.contexts) - len(self.task.contexts))
        new = [result for result in found if result.chunk_id not in known]
        new = new[: min(MORE_PASSAGES, room)]
        self.contexts = (*self.contexts, *new)
        return len(new)

    def draft(self, text: str, short: str = "", votes: tuple[Vote, ...] = ()) -> Draft:
        """The result, with what it cost."""
        return Draft(text.strip(), short, votes, self.contexts, self.asked, self.usage)

    def _built(self, step: str, values: Mapping[str, str]) -> Steps[list[BaseMessage]]:
        task = self.task
        given = {"found": more_passages(self.contexts, len(task.contexts)), **values}
        messages: list[BaseMessage] = yield from work(
            lambda: built(task.prompt, step, task.question, task.contexts, task.embedder, given)
        )
        return messages

    def _counted(self, reply: BaseMessage) -> str:
        self.usage += Usage.of(reply)
        return str(reply.text).strip()


def once(desk: Desk) -> Steps[Draft]:
    """One prompt, one answer: a text, or the object that the prompt's ``output`` names."""
    output = desk.task.prompt.output
    if output is not None:
        return (yield from _filled(desk, SCHEMAS[output]))
    reply = split_reply((yield from desk.write(MAIN)))
    return desk.draft(reply.answer, reply.short)


def short_first(desk: Desk) -> Steps[Draft]:
    """The words that answer are known: what remains is to say them in a sentence."""
    short = desk.task.short
    if not short:
        reply = split_reply((yield from desk.write(ALONE)))
        return desk.draft(reply.answer, reply.short)
    reply = split_reply((yield from desk.write(MAIN, short=short)))
    # Whoever is told the answer affirms it more readily: a check is to know the question alone.
    yield from desk.instead(ALONE)
    return desk.draft(reply.answer, short)


def _filled(desk: Desk, schema: type[BaseModel]) -> Steps[Draft]:
    value = yield from desk.fill(MAIN, schema)
    numbers: list[int] = []
    if isinstance(value, Quoted) and value.passage:
        numbers = [value.passage]
    elif isinstance(value, Answered) and value.found:
        numbers = list(dict.fromkeys(value.passages))
    answer, short = getattr(value, "answer", ""), getattr(value, "short", "")
    numbers = [number for number in numbers if 1 <= number <= len(desk.contexts)]
    if not numbers or is_refusal(answer):
        return desk.draft(unknown(desk.task.question))
    marks = "".join(f"[{number}]" for number in numbers)
    return desk.draft(answer if "[" in answer else f"{answer.strip()} {marks}", bare(short))


def brief(desk: Desk) -> Steps[Draft]:
    """One prompt, whose whole answer is the short one."""
    text = split_reply((yield from desk.write(MAIN))).answer
    return desk.draft(text, "" if is_refusal(text) else bare(text))


def reason(desk: Desk) -> Steps[Draft]:
    """Chain of thought: the model reasons first; the reader sees what it came to.

    Wei et al. 2022, https://arxiv.org/abs/2201.11903.
    """
    reply = split_reply((yield from desk.write(MAIN)))
    return desk.draft(reply.answer, reply.short)


def sample(desk: Desk) -> Steps[Draft]:
    """Self-consistency: several answers at a temperature, of which the most frequent counts."""
    prompt = desk.task.prompt
    samples = yield from desk.sample(prompt.samples, prompt.temperature)
    replies = [_refused_alike(split_reply(text)) for text, _ in samples]
    votes = vote(replies)
    best = votes[0]
    draft = desk.draft(best.text, "" if is_refusal(best.text) else best.short, votes)
    cut = {reply.answer for reply, (_, cut) in zip(replies, samples, strict=True) if cut}
    return replace(draft, cut=best.text in cut)


def _refused_alike(reply: Reply) -> Reply:
    """Refusals are one answer, however they are worded."""
    return Reply(reply.answer, "–") if is_refusal(reply.answer) else reply


def step_back(desk: Desk) -> Steps[Draft]:
    """A wider question first, whose answer is the ground for the one that was asked.

    Zheng et al. 2024, Take a Step Back, https://arxiv.org/abs/2310.06117.
    """
    general = _one_line((yield from desk.ask("general")))
    yield from desk.look_up(general or desk.task.question)
    principle = yield from desk.ask("principle", general=general)
    reply = split_reply((yield from desk.write(MAIN, general=general, principle=principle)))
    return desk.draft(reply.answer, reply.short)


def decompose(desk: Desk) -> Steps[Draft]:
    """Least to most: simpler questions, each answered with what the ones before it brought.

    Zhou et al. 2023, https://arxiv.org/abs/2205.10625.
    """
    split = yield from desk.fill("split", Parts)
    questions = [line for line in map(_one_line, split.questions) if line]
    parts = ""
    for part in questions[: desk.task.prompt.rounds]:
        yield from desk.look_up(part)
        answer = yield from desk.ask("part", part=part, parts=parts)
        parts += f"- {part} {_one_line(answer)}\n"
    reply = split_reply((yield from desk.write(MAIN, parts=parts)))
    return desk.draft(reply.answer, reply.short)


def react(desk: Desk) -> Steps[Draft]:
    """Thought, search, observation, until nothing is missing; then the answer.

    Yao et al. 2023, https://arxiv.org/abs/2210.03629, with one action and a bound.
    """
    log, searched = "", set[str]()
    for _ in range(desk.task.prompt.rounds):
        turn = yield from desk.fill("think", Thought, log=log)
        query = _one_line(turn.search)
        if not query or query.casefold() in searched:
            break
        searched.add(query.casefold())
        found = yield from desk.look_up(query)
        log += f"- {_one_line(turn.thought)} → «{query}»: +{found}\n"
    reply = split_reply((yield from desk.write(MAIN, log=log)))
    return desk.draft(reply.answer, reply.short)


def revise(desk: Desk) -> Steps[Draft]:
    """Reflexion: the model answers, criticises its answer, and mends it where it finds fault.

    Shinn et al. 2023, https://arxiv.org/abs/2303.11366.
    """
    first = split_reply((yield from desk.write(MAIN)))
    critique = yield from desk.fill("critique", Critique, draft=first.answer)
    if critique.correct or not critique.problem.strip():
        return desk.draft(first.answer, first.short)
    reply = split_reply(
        (yield from desk.write("revise", draft=first.answer, critique=critique.problem.strip()))
    )
    return desk.draft(reply.answer, reply.short)


def is_cut(reply: BaseMessage) -> bool:
    """Whether the model was stopped by the limit of its tokens."""
    return reply.response_metadata.get("finish_reason") == "length"


def _one_line(text: str) -> str:
    return " ".join(text.split())


TECHNIQUES: Mapping[TechniqueName, Technique] = {
    "once": once,
    "short-first": short_first,
    "brief": brief,
    "reason": reason,
    "sample": sample,
    "step-back": step_back,
    "decompose": decompose,
    "react": react,
    "revise": revise,
}
