"""Answers on the terminal: the text as it is written, its sources, and how they were found."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from agents.screen import Screen, clean, one_line
from agents.wording import place, preview, short, span
from indexes.i18n import t
from indexes.types import SearchResult
from rag.scores import scores_of
from rag.types import Answer, Citation, Finished, Retrieved, Token, Trace, Weighed

if TYPE_CHECKING:
    from collections.abc import Generator

    from rag.types import Event

_SUPPORT_STYLE = {"verbatim": "green", "entailed": "cyan"}
_SHOWN = 10
"""Passages that are listed for one step of a retrieval."""
_BAR = 20
"""Characters of the bar of a passage on which an answer leans alone."""
_MUCH = 0.2
"""The share from which a passage is shown as one that the answer leans on."""
_JOINT = 2.0
"""How many times more than by themselves passages weigh together that stand in for each other."""


class AnswerScreen(Screen):
    """The part of the terminal that shows answers."""

    def answer(self, events: "Generator[Event, None, Answer]", *, explain: bool = False) -> Answer:
        """Show the passages at once, then the answer as it comes, then its sources, and with
        ``explain`` how they were found; as JSON, all at the end."""
        for event in self.written(events):
            if isinstance(event, Retrieved):
                self.sources_found(event.contexts)
            elif isinstance(event, Finished):
                self.final(event.answer, explain=explain)
                return event.answer
        raise AssertionError("a stream ends with Finished")

    def written(self, events: "Generator[Event, None, Answer]") -> "Iterator[Event]":
        """The events, of which the text is shown: as it comes, or whole where it came at once. An
        interruption closes the stream."""
        shown = False
        with closing(events):
            for event in events:
                if self.as_json:
                    if isinstance(event, Finished):
                        yield event
                    continue
                if isinstance(event, Token):
                    self.token(event.text)
                    shown = True
                elif isinstance(event, Finished):
                    if shown:
                        self.line()
                    elif event.answer.text:
                        self.line(event.answer.text, _style(event.answer))
                yield event

    def final(self, answer: Answer, *, explain: bool = False, quotes: bool = True) -> None:
        """What follows the text: the sources, or the passages where nobody could read them."""
        if self.as_json:
            from agents.answer_shapes import AnswerShape

            self.json(AnswerShape.of(answer, explain=explain))
        else:
            if answer.status == "no_model":
                for number, context in enumerate(answer.contexts, 1):
                    self.line(f"[{number}] {preview(context.text)}\n")
            elif answer.short and answer.short not in answer.text:
                self.line(t("In short: {short}", short=answer.short), "bold")
            self.sources(answer, quotes=quotes)
            for sentence in answer.notices:
                self.line(sentence, "dim")
            if explain:
                self.explained(answer)
        if answer.status == "no_model":
            self.notice(
                t(
                    "There is no chat model here, so these are the best passages. Get one "
                    "with: waggle models pull"
                )
            )

    def sources_found(self, contexts: Sequence[SearchResult]) -> None:
        """The passages that the answer will be made from, one line each."""
        for number, context in enumerate(contexts, 1):
            self.line(f"[{number}] {place(context)}", "dim")
        self.line()

    def token(self, text: str) -> None:
        """The next piece of a streamed answer."""
        self.write(clean(text))

    def sources(self, answer: Answer, *, quotes: bool = True) -> None:
        """The claims of an answer with what the sources say, and those that none supports."""
        self.cited(answer.citations, quotes=quotes)

    def cited(self, citations: Sequence[Citation], *, quotes: bool = True) -> None:
        """The same for the citations of anything that was written."""
        supported = [one for one in citations if one.support != "unsupported"]
        if supported:
            self.line()
            self.line(t("Sources"), "bold")
        for citation in supported:
            self.line(f"[{citation.number}] {span(citation)}  {t(citation.support)}",
                      _SUPPORT_STYLE[citation.support])  # fmt: skip
            if quotes:
                self.line(f"    “{preview(citation.quote)}”")
        for citation in citations:
            if citation.support == "unsupported":
                claim = preview(citation.claim)
                self.line(t("[?] No passage supports: {claim}", claim=claim), "yellow")

    def explained(self, answer: Answer) -> None:
        """How the passages were found, step by step, their scores, which of them the answer leans
        on, and what it is made with."""
        self.line()
        self.line(t("How it was found"), "bold")
        if not answer.steps:
            self.line(t("Counted over all documents of the collection; nothing was searched."))
        for number, step in enumerate(answer.steps, 1):
            self._step(number, step)
        if answer.steps and answer.contexts:
            self.line()
            self.line(t("Scores of the passages"), "bold")
            self.table(*_scores_table(answer))
        if answer.weighed:
            self._leaning(answer, answer.weighed)
        self.line()
        for name, value in _facts(answer):
            self.line(f"{name}: {value}")

    def _step(self, number: int, step: Trace) -> None:
        seconds = t("{seconds} s", seconds=f"{step.seconds:.2f}")
        self.line(f"{number}. {_names().get(step.step, step.step)}  {seconds}", "cyan")
        for line in filter(str.strip, step.detail.splitlines()):
            self.line(f"   “{preview(line)}”")
        for result in step.found[:_SHOWN]:
            self.line(f"   {_scored(result)}", "dim")
        if (more := len(step.found) - _SHOWN) > 0:
            self.line(f"   {t('and {count} more', count=more)}", "dim")

    def _leaning(self, answer: Answer, weighed: Weighed) -> None:
        """A bar for each passage, as long as its share; what the numbers are, and their cost."""
        self.line()
        self.line(t("What the answer leans on"), "bold")
        for one in answer.attributions:
            bar = _bar(one.share)
            self.line(f"[{one.number}] {bar:<{_BAR}} {one.share:>4.0%} {one.difference:>+7.2f}  "
                      f"{place(answer.contexts[one.number - 1])}",
                      "green" if one.share >= _MUCH else "dim")  # fmt: skip
        gained = weighed.with_all - weighed.with_none
        self.line(
            t("The last number is what the log-probability of the answer loses without the "
              "passage; without any it loses {gained}.", gained=f"{gained:.2f}"), "dim",
        )  # fmt: skip
        if gained > _JOINT * sum(max(one.difference, 0.0) for one in answer.attributions):
            self.line(t("That is much more: several passages say the same, and each can stand in "
                        "for another."), "dim")  # fmt: skip
        self.line(
            t("This cost {read} tokens read, {written} written, {seconds} s.",
              read=f"{weighed.usage.prompt_tokens:,}", written=weighed.usage.completion_tokens,
              seconds=f"{weighed.seconds:.1f}"), "dim",
        )  # fmt: skip


def _bar(share: float) -> str:
    """In eighths of a character."""
    eighths = round(share * _BAR * 8)
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()


def _scores_table(answer: Answer) -> tuple[list[str], list[list[str]]]:
    """Headings and rows: what each leg of the retrieval gave each passage."""
    rows = [
        [f"[{one.number}]", *(_number(one.dense, 3), _number(one.lexical, 2)),
         *(_number(one.fused, 3), _number(one.reranked, 3)), place(context)]
        for one, context in zip(scores_of(answer), answer.contexts, strict=True)
    ]  # fmt: skip
    return ["", t("meaning"), t("words"), t("merged"), t("reranked"), t("passage")], rows


def _number(score: float | None, digits: int) -> str:
    return "–" if score is None else f"{score:.{digits}f}"


def _style(answer: Answer) -> str:
    return "yellow" if answer.status == "unanswerable" else ""


def _scored(result: SearchResult) -> str:
    """A passage with its score, and what each leg of the search gave it."""
    dense, lexical = _number(result.dense, 3), _number(result.lexical, 2)
    legs = t("meaning {dense}, words {lexical}", dense=dense, lexical=lexical)
    where = one_line(f"{short(result.source)}:{result.start}:{result.end}")
    return f"{result.rank:>2}  {result.score:.3f}  ({legs})  {where}"


def _facts(answer: Answer) -> Iterable[tuple[str, str]]:
    yield t("Plan"), answer.plan
    yield t("Prompt"), answer.prompt
    if answer.model:
        yield t("Model"), answer.model
    if answer.confidence is not None:
        yield t("Confidence"), f"{answer.confidence:.2f}"
    if answer.precision is not None:
        yield t("Citations of the model that hold"), f"{answer.precision:.0%}"
    if answer.recall is not None:
        yield t("Sentences that a passage supports"), f"{answer.recall:.0%}"
    usage = answer.usage
    yield (
        t("Tokens"),
        t(
            "{read} read, {written} written",
            read=usage.prompt_tokens,
            written=usage.completion_tokens,
        ),
    )
    yield t("Time"), t("{seconds} s", seconds=f"{answer.timings_ms.get('total', 0) / 1000:.1f}")


def _names() -> dict[str, str]:
    """What the steps of a retrieval are called."""
    return {
        "condense": t("The question without the conversation"),
        "reword": t("The question in other words"),
        "hypothetical": t("A passage that might answer it"),
        "step-back": t("The question behind the question"),
        "retrieve": t("Search"),
        "fuse": t("The searches merged"),
        "interleave": t("The searches in turn"),
        "next": t("The next question"),
        "suffice": t("Do the passages suffice?"),
        "rerank": t("Put in order again"),
        "diversify": t("Repetitions set back"),
        "widen": t("Passages widened"),
    }
