"""The library of prompts as seen from outside: listed, shown, tried on a question."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from agents.prompt_shapes import (
    DraftShape,
    MessagesShape,
    PromptShape,
    PromptsShape,
    PromptTextShape,
    message_shapes,
)
from agents.wording import short
from indexes.embedding.base import well_formed
from indexes.errors import ModelError, UsageError
from indexes.i18n import t
from rag.prompting.library import PromptLibrary
from rag.prompting.types import Prompt

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from agents.terminal import Terminal
    from indexes.collection import Collection
    from indexes.types import SearchResult
    from rag.prompting.techniques import Draft
    from rag.retrieval.retrieving import Retrieval


def list_prompts(terminal: "Terminal", home: Path) -> None:
    """All prompts, and what is wrong with the files that are none."""
    shelf = PromptLibrary.of(home).shelf()
    if terminal.as_json:
        terminal.json(PromptsShape.of(shelf))
        return
    columns = (t("Prompt"), t("Language"), t("Technique"), t("Origin"), t("Description"))
    terminal.table(
        columns,
        [
            (p.name, p.language, p.technique if p.task == "answer" else "–", _origin(p),
             p.description)
            for p in shelf.prompts
        ],
    )  # fmt: skip
    for fault in shelf.faults:
        terminal.notice(fault)


def show_prompt(terminal: "Terminal", home: Path, name: str, lang: str) -> None:
    """A prompt's file, to the character: the beginning of one of the user's own."""
    prompt = PromptLibrary.of(home).get(name, lang)
    if terminal.as_json:
        terminal.json(PromptTextShape(prompt=PromptShape.of(prompt), text=prompt.text))
        return
    terminal.notice(f"{prompt.ident} · {_origin(prompt)} · {short(str(prompt.path))}")
    terminal.write(f"{prompt.text}\n")


def _origin(prompt: Prompt) -> str:
    return t("built in") if prompt.origin == "built-in" else t("yours")


@dataclass(frozen=True, slots=True)
class Trial:
    """A question that a prompt is tried on; its passages are the ``k`` best that ``where`` lets
    through, found by the retrieval plan ``plan``, by default that of the settings."""

    name: str
    question: str
    k: int
    where: str | None
    plan: str | None = None


def print_trial(terminal: "Terminal", collection: "Collection", trial: Trial) -> None:
    """The messages that would be sent first; no model is asked."""
    from rag.prompting.techniques import first_messages

    prompt, question = _prepared(collection, trial)
    found = _retrieved(collection, question, trial, lambda: None)
    contexts = found.contexts
    for notice in found.notices:
        terminal.notice(notice)
    messages = first_messages(prompt, question, contexts, collection.embedder)
    if terminal.as_json:
        terminal.json(MessagesShape.of(prompt, question, messages))
        return
    terminal.notice(prompt.ident)
    for message in message_shapes(messages):
        terminal.line(f"[{message.role}]", "bold")
        terminal.line(message.content)
        terminal.line()


def try_prompt(
    terminal: "Terminal",
    collection: "Collection",
    trial: Trial,
    start: "Callable[[], BaseChatModel | None]",
) -> None:
    """The draft that a prompt leads to, its citations unchecked. Raises `ModelError` where there
    is no chat model."""
    from rag.assessing import Assessment, Assessor
    from rag.models.chat import model_name
    from rag.models.tokens import PromptBudget
    from rag.prompting.techniques import Task, draft_of, first_messages
    from rag.steps import run

    prompt, question = _prepared(collection, trial)
    chat = start()
    if chat is None:
        raise ModelError(t("There is no chat model here. Get one with: waggle models pull"))
    found = _retrieved(collection, question, trial, lambda: chat)
    contexts, notices = found.contexts, found.notices
    if contexts and (budget := PromptBudget.of(chat)) is not None:
        fitted = budget.fit(
            lambda n: first_messages(prompt, question, contexts[:n], collection.embedder),
            len(contexts),
        )
        contexts, notices = contexts[: fitted.passages], (*notices, *fitted.notices)

    def search(query: str) -> "tuple[SearchResult, ...]":
        return collection.search(query, trial.k, where=trial.where).results

    assessment = Assessment()
    if contexts and prompt.technique == "short-first":
        library = PromptLibrary.of(collection.home)
        assessment = run(Assessor().assess(chat, library, question, contexts))
    task = Task(chat, prompt, question, contexts, search, collection.embedder,
                short=assessment.short)  # fmt: skip
    draft = run(draft_of(task))
    draft = replace(draft, usage=found.usage + assessment.usage + draft.usage)
    shape = DraftShape.of(prompt, question, draft, model_name(chat), notices)
    if terminal.as_json:
        terminal.json(shape)
    else:
        _show(terminal, shape, draft)


def _prepared(collection: "Collection", trial: Trial) -> tuple[Prompt, str]:
    from rag.prompts import prompt_language
    from rag.retrieval.plan import plan_of

    question = well_formed(trial.question).strip()
    plan_of(trial.plan)  # a wrong name is told before a model is started
    if not question:
        raise UsageError(t("The question is empty."))
    prompt = PromptLibrary.of(collection.home).get(trial.name, prompt_language(question))
    if prompt.task != "answer":
        raise UsageError(
            t(
                "The prompt «{name}» is for another task ({task}); only those that answer a "
                "question can be tried on one.",
                name=prompt.name,
                task=prompt.task,
            )
        )
    return prompt, question


def _retrieved(
    collection: "Collection", question: str, trial: Trial,
    chat: "Callable[[], BaseChatModel | None]",
) -> "Retrieval":  # fmt: skip
    """The passages as the plan finds them; what needs the chat model is left out where there is
    none."""
    from rag.reranking import reranker_of
    from rag.retrieval.plan import plan_of
    from rag.retrieval.retrieving import Tools, retrieve
    from rag.steps import run

    tools = Tools(collection, chat, PromptLibrary.of(collection.home), reranker_of())
    plan = plan_of(trial.plan)
    return run(retrieve(tools, question, plan, k=trial.k, where=trial.where))


def _show(terminal: "Terminal", shape: DraftShape, draft: "Draft") -> None:
    terminal.notice(shape.prompt)
    terminal.sources_found(draft.contexts)
    terminal.line(shape.draft)
    if shape.short:
        terminal.line(t("In short: {short}", short=shape.short), "bold")
    for vote in shape.votes:
        terminal.line(f"  {vote.count} × {vote.short}", "dim")
    terminal.line(
        t(
            "{read} tokens read, {written} written by {model}. Citations are not checked here.",
            read=shape.usage.prompt_tokens,
            written=shape.usage.completion_tokens,
            model=shape.model,
        ),
        "dim",
    )
    for notice in shape.notices:
        terminal.notice(notice)
