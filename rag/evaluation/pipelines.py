"""The ways to an answer that are measured beside each other.

``waggle`` is `RAG.ask` as it is; ``naive`` the usual baseline: the same search, five passages, one
prompt, whose reply and whose marks are taken as they are; ``closed-book`` the same model without
passages, for what it has learned by heart; ``retrieval`` the search alone.
"""

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from pydantic import BaseModel, ConfigDict

from indexes.collection import Collection
from indexes.errors import ContextOverflowError, StructuredOutputError
from indexes.types import SearchResult
from rag.evaluation.datasets import Question
from rag.evaluation.recording import Recorder, recorded
from rag.evaluation.records import Cited, Header, Passage, PipelineName, Reply
from rag.marks import numbers_in, without_marks
from rag.prompting.types import LANGUAGES

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import BaseMessage

    from rag.answering import RAG
    from rag.prompting.library import PromptLibrary
    from rag.types import Answer

NAIVE_PASSAGES: Final = 5
LEAST: Final = "min_confidence"
"""The option of `RAG.ask`, and before a language the setting that stands for it."""
RETRIEVED: Final = 50
"""Passages looked for where the search alone is measured, so that ten documents remain when each
counts once."""
_SHORT_TOKENS = 128

_NAIVE = {
    "en": "Answer the question from the passages in as few words as possible, followed by the "
    "number of the passage, for example: three years [2]. If the passages do not contain the "
    "answer, reply: I don't know.",
    "zh": "根据资料用尽可能少的字回答问题，后面写出资料的编号，例如：三年[2]。如果资料里没有答案，"
    "只回答：不知道。",
}
_CLOSED_BOOK = {
    "en": "Answer the question in as few words as possible. If you do not know the answer, reply: "
    "I don't know.",
    "zh": "用尽可能少的字回答问题。如果不知道答案，只回答：不知道。",
}
_SHORT = {
    "en": "Below are a question and an answer to it. Take from the answer the fewest words that "
    "answer the question, exactly as they stand there: a name, a number, a date, a phrase; no "
    "sentence, no explanation.",
    "zh": "下面是一个问题和它的回答。请从回答里原样摘出能回答问题的最少的字：名称、数字、日期或"
    "短语；不要整句，不要解释。",
}
_LABELS = {"en": ("Question: ", "Answer: "), "zh": ("问题：", "回答：")}


class ShortAnswer(BaseModel):
    """The words of an answer that answer the question."""

    model_config = ConfigDict(extra="forbid")

    answer: str


class Pipeline(Protocol):
    """A way to an answer; used by one thread at a time."""

    def ask(self, question: Question) -> Reply:
        """What comes of a question. Raises `EndpointError` where the server fails."""
        ...


class Bench:
    """The pipelines over ``collections`` (by the questions' groups; "" for all), with a chat model
    of their own whose calls are recorded. ``header`` binds the seed, the options of `RAG.ask` and
    how sure its answers must be; its prompt is taken from ``prompts``."""

    def __init__(
        self,
        collections: Mapping[str, Collection],
        chat: "BaseChatModel | None",
        header: Header,
        prompts: "PromptLibrary",
    ) -> None:
        self._recorder = Recorder()
        self._chat = recorded(chat, self._recorder, header.seed) if chat is not None else None
        self._collections, self._header = collections, header
        self._prompts = prompts
        self._rags: dict[str, RAG] = {}

    def ask(self, name: PipelineName, question: Question) -> Reply:
        """What comes of a question by the pipeline ``name``."""
        collection = self._collections.get(question.group) or self._collections[""]
        self._recorder.take()
        started = time.perf_counter()
        try:
            reply = self._pipeline(name, collection).ask(question)
        except (ContextOverflowError, StructuredOutputError) as error:
            reply = Reply(status="failed", error=str(error))
        seconds, calls = round(time.perf_counter() - started, 3), self._recorder.take()
        reply = reply.model_copy(update={"seconds": seconds, "calls": calls})
        return self._with_short(question, reply) if self._chat is not None else reply

    def _pipeline(self, name: PipelineName, collection: Collection) -> Pipeline:
        if name == "retrieval" or self._chat is None:
            return _Retrieval(collection)
        if name == "naive":
            return _Naive(collection, self._chat)
        if name == "closed-book":
            return _ClosedBook(self._chat)
        from rag.answering import RAG

        if collection.name not in self._rags:
            rag = self._rags[collection.name] = RAG(collection, self._chat)
            # The collection of a set lies in a home of its own, where no prompts are.
            rag.prompts = self._prompts
        return _Waggle(self._rags[collection.name], self._header)

    def _with_short(self, question: Question, reply: Reply) -> Reply:
        """The same for every pipeline: what the answer itself calls its short form, else the words
        that the model takes out of it."""
        if reply.status != "answered" or reply.short or not question.answers:
            return reply
        assert self._chat is not None
        bare = without_marks(reply.text).strip()
        try:
            short, by = _extracted(self._chat, question, bare), "extraction"
        except (ContextOverflowError, StructuredOutputError):
            short, by = bare, "text"
        calls = self._recorder.take()
        return reply.model_copy(update={"short": short, "short_by": by, "short_calls": calls})


class _Waggle:
    def __init__(self, rag: "RAG", header: Header) -> None:
        self._rag, self._header = rag, header

    def ask(self, question: Question) -> Reply:
        from rag.prompts import prompt_language

        fitted = self._header.settings.get(f"{LEAST}.{prompt_language(question.text)}")
        options: Any = {LEAST: fitted, **self._header.options, "where": question.where}
        answer = self._rag.ask(question.text, **options)
        answered = answer.status == "answered"
        short = answer.short if answered else ""
        return Reply(
            status="answered" if answered else "unanswerable",
            text=answer.text,
            short=short,
            short_by="answer" if short else "",
            citations=_citations(answer),
            contexts=_passages(answer.contexts),
            prompt=answer.prompt,
            plan=answer.plan,
            confidence=answer.confidence,
            timings_ms=answer.timings_ms,
            notices=answer.notices,
        )


class _Naive:
    def __init__(self, collection: Collection, chat: "BaseChatModel") -> None:
        self._collection, self._chat = collection, chat

    def ask(self, question: Question) -> Reply:
        from rag.prompts import prompt_language

        lang = prompt_language(question.text)
        found = self._collection.search(question.text, NAIVE_PASSAGES, where=question.where).results
        passages = "\n\n".join(f"[{n}] {result.text}" for n, result in enumerate(found, 1))
        asked = f"{passages}\n\n{_LABELS[lang][0]}{question.text}"
        return _one_call(self._chat, _NAIVE[lang], asked, found, "naive")


class _ClosedBook:
    def __init__(self, chat: "BaseChatModel") -> None:
        self._chat = chat

    def ask(self, question: Question) -> Reply:
        from rag.prompts import prompt_language

        lang = prompt_language(question.text)
        asked = f"{_LABELS[lang][0]}{question.text}"
        return _one_call(self._chat, _CLOSED_BOOK[lang], asked, (), "closed-book")


class _Retrieval:
    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    def ask(self, question: Question) -> Reply:
        found = self._collection.search(question.text, RETRIEVED, where=question.where)
        contexts = _passages(found.results)
        return Reply(status="retrieved", contexts=contexts, timings_ms=found.timings_ms)


def prompt_texts(library: "PromptLibrary", prompt: str) -> dict[str, str]:
    """The prompts of all pipelines by name and language, without passages and question; those from
    files, which are ``prompt`` from ``library`` and what goes with it, as ident and text. Raises
    `UsageError` where there is no such prompt."""
    from rag.assessing import PROMPTS
    from rag.prompting.library import SHARED, built_in
    from rag.prompts import CHECK

    texts = {
        f"{name}.{lang}": text
        for name, by_language in (
            ("naive", _NAIVE), ("closed-book", _CLOSED_BOOK), ("short", _SHORT)
        )
        for lang, text in by_language.items()
    }  # fmt: skip
    for lang in LANGUAGES:
        for role, file in (
            ("waggle", library.get(prompt, lang)),
            ("shared", library.get(SHARED, lang)),
            *((name, library.get(name, lang)) for name in PROMPTS),
            ("check", built_in().get(CHECK, lang)),
        ):
            texts[f"{role}.{lang}"] = f"{file.ident}\n\n{file.text}"
    return texts


def _one_call(
    chat: "BaseChatModel", system: str, asked: str, found: Sequence[SearchResult], prompt: str
) -> Reply:
    from rag.models.chat import endpoint_errors
    from rag.prompts import is_refusal

    with endpoint_errors(chat):
        text = str(chat.invoke(_messages(system, asked)).text).strip()
    refused = is_refusal(without_marks(text).strip())
    return Reply(
        status="unanswerable" if refused else "answered",
        text=text,
        citations=() if refused else _marked(text, found),
        contexts=_passages(found),
        prompt=prompt,
    )


def _extracted(chat: "BaseChatModel", question: Question, text: str) -> str:
    from rag.models.structured import ask_object
    from rag.prompts import prompt_language

    lang = prompt_language(question.text)
    asked, answered = _LABELS[lang]
    messages = _messages(_SHORT[lang], f"{asked}{question.text}\n{answered}{text}")
    found = ask_object(chat, messages, ShortAnswer, max_retries=1, max_tokens=_SHORT_TOKENS)
    return found.value.answer.strip()


def _messages(system: str, asked: str) -> "list[BaseMessage]":
    from langchain_core.messages import HumanMessage, SystemMessage

    return [SystemMessage(system), HumanMessage(asked)]


def _marked(text: str, found: Sequence[SearchResult]) -> tuple[Cited, ...]:
    """The passages that the marks of a text name, each whole, for nothing was verified."""
    bare = without_marks(text).strip()
    return tuple(
        Cited(source=r.source, claim=bare, start=r.start, end=r.end, quote=r.text, support=None)
        for r in (found[number - 1] for number in numbers_in(text) if 0 < number <= len(found))
    )


def _citations(answer: "Answer") -> tuple[Cited, ...]:
    return tuple(
        Cited(source=c.source, claim=c.claim, start=c.start, end=c.end, quote=c.quote,
              support=c.support)
        for c in answer.citations
    )  # fmt: skip


def _passages(found: Sequence[SearchResult]) -> tuple[Passage, ...]:
    return tuple(
        Passage(source=r.source, chunk_id=r.chunk_id, start=r.start, end=r.end) for r in found
    )
