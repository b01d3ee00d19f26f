"""A question on its way to an answer: what the steps of `rag.answering` hand to each other."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from indexes.clock import timed
from indexes.embedding.base import well_formed
from indexes.errors import UsageError
from indexes.folding import fold
from indexes.i18n import t
from indexes.types import SearchResult
from rag.assessing import Assessment
from rag.attribution import attributed
from rag.counting import answer_count, context_of, count_query, mention_of
from rag.prompting.instructing import instructed
from rag.prompting.techniques import (
    SEARCHING,
    Draft,
    Task,
    draft_of,
    first_messages,
    is_cut,
)
from rag.prompting.types import ALONE, MAIN
from rag.prompts import check_messages, is_refusal, prompt_language, unknown
from rag.retrieval.plan import RetrievalPlan
from rag.retrieval.retrieving import retrieve
from rag.retrieval.types import Tools, Turn
from rag.settings import load_verify_settings
from rag.steps import Steps, ask, pieces
from rag.thresholds import threshold_of
from rag.tracing import Spans, retrieval_values, stage
from rag.types import Answer, AnswerStatus, Sampling, Token, Trace, Usage
from rag.verifying import Check, Verdict, Verifying
from rag.verifying.checking import checker

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessageChunk, BaseMessage

    from rag.answering import RAG
    from rag.prompting.types import Prompt

DEFAULT_PASSAGES = 3
_NAMED = 20
"""Documents that the answer to a question about documents cites."""


class Asked:
    """``rag`` is asked ``question``; the rest is as in `rag.answering.AskOptions`."""

    def __init__(
        self,
        rag: "RAG",
        question: str,
        *,
        k: int,
        where: str | None,
        plan: RetrievalPlan,
        prompt: str,
        candidates: int,
        strict: bool,
        min_confidence: float | None,
        history: tuple[Turn, ...],
        attribute: bool = False,
        instructions: str = "",
        sampling: Sampling | None = None,
    ) -> None:
        if not question.strip():
            raise UsageError(t("The question is empty."))
        self.rag, self.question = rag, well_formed(question).strip()
        self.k, self.where, self.plan, self.history = k, where, plan, history
        self.contexts: tuple[SearchResult, ...] = ()
        self.spans = Spans()
        self.attribute = attribute
        if min_confidence is not None and not 0 <= min_confidence <= 1:
            raise UsageError(t("The confidence must lie between 0 and 1."))
        self._strict, self._least = strict, min_confidence
        self._lang = prompt_language(self.question)
        answering = _answering(rag.prompts.get(prompt, self._lang), candidates)
        self._prompt = instructed(answering, instructions)
        self._alone = self.question
        self._asked: Sequence[BaseMessage] = ()
        self._draft, self._model = "", ""
        self._assessment = Assessment()
        self._usage = self._written = Usage()
        self._verifying: Verifying | None = None
        self._check: Check = _nothing
        self._generation = 0
        self._sampling, self._cut = sampling or Sampling(), False
        self._thinks = False
        self._notices: list[str] = []
        self._traces: tuple[Trace, ...] = ()
        self._timings: dict[str, float] = {}
        self._started = time.perf_counter()

    def counted(self) -> Answer | None:
        """The answer to a question about the documents themselves, which are all counted; ``None``
        for any other question."""
        query = count_query(self.question)
        if query is None:
            return None
        both = " and ".join(f"({one})" for one in (self.where, query.where) if one)
        with timed(self._timings, "count"):
            counted = answer_count(replace(query, where=both or None), self.rag.collection)
        named = [match for match in counted.matches if match.quote][:_NAMED]
        self.contexts = tuple(context_of(n, match) for n, match in enumerate(named, 1))
        self._generation = self.rag.collection.status().generation
        return self.finish("answered", Verdict(
            counted.text, counted.text, tuple(map(mention_of, self.contexts)), True, None, None
        ))  # fmt: skip

    def retrieve(self) -> Steps[tuple[SearchResult, ...]]:
        """The passages that the plan finds."""
        name = self.rag.collection.name
        values = retrieval_values(name, self.k, self.question)
        return (yield from self.spans.stage(f"retrieval {name}", self._found(), values))

    def _found(self) -> Steps[tuple[SearchResult, ...]]:
        tools = Tools(self.rag.collection, self.rag.chat, self.rag.prompts, self.rag.reranker)
        found = yield from retrieve(
            tools, self.question, self.plan, k=self.k, where=self.where, history=self.history
        )
        self._alone, self.contexts = found.question, found.contexts
        self._generation, self._traces = found.generation, found.traces
        self._usage += found.usage
        self._notices.extend(found.notices)
        self._timings.update(found.timings)
        return self.contexts

    def task(self, chat: "BaseChatModel") -> Task:
        """What the prompt's technique works on, without the last passages where the model cannot
        read them all."""
        from rag.models.chat import model_name

        embedder = self.rag.collection.embedder

        def asked(passages: int) -> "Sequence[BaseMessage]":
            return first_messages(self._prompt, self._alone, self.contexts[:passages], embedder)

        self._model = model_name(chat)
        if (budget := self.rag.budget()) is not None:
            fitted = budget.fit(asked, len(self.contexts))
            self.contexts = self.contexts[: fitted.passages]
            self._notices.extend(fitted.notices)
        self._asked = asked(len(self.contexts))
        self._check = self._checker(chat)
        streamed = self._prompt.technique in ("once", "short-first") and self._prompt.output is None
        return Task(
            chat, self._prompt, self._alone, self.contexts, self._search, embedder,
            self._write if streamed else self._reply, options=self._sampling.options(chat),
        )  # fmt: skip

    @stage("assess")
    def assessed(self, task: Task) -> Steps[Task | None]:
        """The task with the words that answer, where they are known; ``None`` where it is too
        unsure that the passages answer the question. What searches further is not judged by what
        was found first."""
        if self._prompt.technique in SEARCHING:
            return task
        with timed(self._timings, "assess"):
            self._assessment = yield from self.rag.assessor.assess(
                task.chat, self.rag.prompts, self._alone, self.contexts
            )
        self._usage += self._assessment.usage
        confidence, least = self._assessment.confidence, self._least
        if least is None:
            lang = prompt_language(self._alone)
            least = threshold_of(self.rag.collection.home, self._model, lang)
        if confidence is not None and confidence < least:
            return None
        return replace(task, short=self._assessment.short)

    @stage("generate")
    def drafted(self, task: Task) -> Steps[Draft]:
        """What the prompt's technique comes to."""
        with timed(self._timings, "generate"):
            return (yield from draft_of(task))

    def _search(self, query: str) -> Sequence[SearchResult]:
        return self.rag.collection.search(query, self.k, where=self.where).results

    def _write(
        self, chat: "BaseChatModel", messages: "Sequence[BaseMessage]"
    ) -> "Steps[BaseMessage]":
        """A reply whose sentences are shown as they come, each when it has been checked."""
        from langchain_core.messages import AIMessage

        self._verifying = self._fresh_verifying()
        yield from pieces(chat, messages, self._take, **self._sampling.options(chat))
        cost = self._written
        return AIMessage(
            self._draft,
            usage_metadata={
                "input_tokens": cost.prompt_tokens,
                "output_tokens": cost.completion_tokens,
                "total_tokens": cost.prompt_tokens + cost.completion_tokens,
            },
        )

    def _reply(
        self, chat: "BaseChatModel", messages: "Sequence[BaseMessage]"
    ) -> "Steps[BaseMessage]":
        """A reply that is checked when it is whole."""
        reply = yield from ask(chat, messages, **self._sampling.options(chat))
        self._cut = is_cut(reply)
        return reply

    def _take(self, chunk: "AIMessageChunk") -> Steps[None]:
        """What a chunk adds to the answer: its text, without what a reasoning model thinks."""
        piece = str(chunk.text)
        self._draft += piece
        self._written += Usage.of(chunk)
        self._thinks = self._thinks or _is_thought(chunk)
        self._cut = self._cut or is_cut(chunk)
        if piece and self._verifying:
            self._timings.setdefault("first_token", self._elapsed())
            if shown := (yield from self._verifying.take(piece)):
                yield Token(shown)

    @stage("verify")
    def cite_and_verify(self, draft: Draft) -> Steps[Answer]:
        """An answer none of whose claims is supported by its passages is not given."""
        self._usage += draft.usage
        self._asked, self.contexts = draft.asked, draft.contexts
        self._cut = self._cut or draft.cut
        if self._thinks and not draft.text:
            self._note(
                t("The model thought and never came to an answer. Raise max_tokens in [chat].")
            )
        if is_refusal(draft.text):
            return self.finish("unanswerable")
        with timed(self._timings, "verify"):
            verdict = yield from self._verdict(draft)
        if not verdict.supported:
            if self._cut:
                self._note(t("The limit of tokens ended the answer too early. Raise max_tokens."))
            return self.finish("unanswerable", verdict)
        if verdict.shown:
            yield Token(verdict.shown)
        return self.finish("answered", verdict, draft.short)

    def attributed(self, chat: "BaseChatModel", answer: Answer) -> Steps[Answer]:
        """The answer, and which passages it leans on."""
        return (yield from attributed(chat, self._asked, answer, self.rag.budget()))

    def _verdict(self, draft: Draft) -> Steps[Verdict]:
        """A sentence may say more than the passages hold, and its short form not; or nothing of
        what was found. One that they hold gives way only to words that they have just so."""
        if self._verifying is not None:
            verdict = yield from self._verifying.finish(cut=self._cut)
        else:
            verdict = yield from self._checked(draft.text)
        if not draft.short or (verdict.supported and _says(verdict.text, draft.short)):
            return verdict
        alone = yield from self._checked(draft.short)
        copied = alone.supported and any(_says(one.quote, draft.short) for one in alone.citations)
        return alone if copied or not verdict.supported else verdict

    def _checked(self, text: str) -> Steps[Verdict]:
        self._draft = text
        verifying = self._fresh_verifying()
        shown = yield from verifying.take(text)
        verdict = yield from verifying.finish(cut=self._cut)
        return replace(verdict, shown=shown + verdict.shown)

    def _fresh_verifying(self) -> Verifying:
        awaited = self._assessment.short if self._prompt.technique == "short-first" else ""
        return Verifying(
            self._alone, self.contexts, self._check, strict=self._strict, awaited=awaited,
            quoted=load_verify_settings().quoted(len(self.contexts)),
        )  # fmt: skip

    def _checker(self, chat: "BaseChatModel") -> Check:
        def said(number: int, claim: str, options: Mapping[str, Any]) -> Steps[str]:
            messages = check_messages(self._asked, self._draft, number, claim, self._lang)
            reply = yield from ask(chat, messages, **({} if self._thinks else options))
            self._usage += Usage.of(reply)
            return str(reply.text)

        def too_long() -> None:
            self._note(t("Some claims could not be checked: the prompt became too long."))

        return checker(self.contexts, said, self._lang, too_long)

    def finish(
        self, status: AnswerStatus, verdict: Verdict | None = None, short: str = ""
    ) -> Answer:
        """The answer; only one that is supported has a text of its own."""
        given = verdict is not None and status == "answered"
        if verdict is None or not _says(verdict.text, short):
            short = ""
        text = {"answered": verdict.text.strip() if verdict else "",
                "unanswerable": unknown(self.question)}  # fmt: skip
        self._timings["total"] = self._elapsed()
        return Answer(
            self.question, text.get(status, ""), status,
            verdict.citations if verdict and given else (), self.contexts,
            self._model, self._prompt.ident, self.rag.collection.name, self._generation,
            self._usage, self._timings, tuple(self._notices),
            short=short, plan=self.plan.name, steps=self._traces,
            precision=verdict.precision if verdict else None,
            recall=verdict.recall if verdict else None,
            confidence=self._assessment.confidence,
            ended="length" if self._cut else "stop",
        )  # fmt: skip

    def _note(self, sentence: str) -> None:
        if sentence not in self._notices:
            self._notices.append(sentence)

    def _elapsed(self) -> float:
        return round((time.perf_counter() - self._started) * 1000, 2)


def _says(text: str, short: str) -> bool:
    """Whether a text holds its short form, if it has one."""
    return bool(short) and fold(short).text in fold(text).text


def _nothing(_: int, __: str) -> Steps[bool]:
    """Nobody is there to say that a passage states a claim."""
    return False
    yield


def _answering(prompt: "Prompt", candidates: int) -> "Prompt":
    """The prompt, answered several times where more than one candidate is wanted."""
    if prompt.task != "answer":
        raise UsageError(
            t("The prompt «{name}» is not for answering questions ({task}).",
              name=prompt.name, task=prompt.task)
        )  # fmt: skip
    if candidates < 1:
        raise UsageError(t("The number of candidates must be at least 1."))
    if candidates == 1:
        return prompt
    if prompt.output is not None or prompt.technique not in ("once", "short-first", "sample"):
        raise UsageError(
            t("The prompt «{name}» comes to one answer: leave out --candidates.", name=prompt.name)
        )
    steps = {**prompt.steps, MAIN: prompt.steps.get(ALONE, prompt.steps[MAIN])}
    return replace(prompt, technique="sample", samples=candidates, steps=steps)


def _is_thought(chunk: "AIMessageChunk") -> bool:
    kept_apart = chunk.additional_kwargs.get("reasoning_content")
    return bool(kept_apart) or any(block["type"] == "reasoning" for block in chunk.content_blocks)
