"""From what came of the questions to figures, each with its 95 % interval."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final

from rag.evaluation.datasets import Scoring
from rag.evaluation.metrics import (
    citation_score,
    exact_match,
    f1,
    holds_facts,
    refusal_score,
    rouge_l,
)
from rag.evaluation.ranking import can_rank, distinct, evaluate
from rag.evaluation.records import Outcome, PipelineName
from rag.evaluation.statistics import balanced_interval, interval
from rag.marks import without_marks

FIGURES: Final = (
    "score", "EM", "F1", "EM of the whole text", "F1 of the whole text", "ROUGE-L", "accuracy",
    "fooled", "error detected", "citation names gold", "citation precision", "citation recall",
    "refused wrongly", "refusal precision", "refusal recall", "balanced accuracy",
    "gold among passages", "R@1", "R@5", "RR@10", "nDCG@10", "all gold@10", "prompt tokens",
    "completion tokens", "calls", "seconds",
)  # fmt: skip
"""The names of all figures, in the order in which they are shown."""
RIGHT_F1: Final = 0.5
"""A short answer counts as right from this F1 on, where right or wrong is asked."""
RIGHT_ROUGE: Final = 0.3
_SAYS_WRONG = ("factual error", "incorrect", "contradict", "事实性错误", "有误", "矛盾", "不一致")
"""RGB asks its models to say that there are factual errors; others say it in other words."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A mean over ``count`` questions with its 95 % interval (equal to the value for one that has
    no interval)."""

    name: str
    value: float
    low: float
    high: float
    count: int


@dataclass(frozen=True, slots=True)
class Scores:
    """The figures of one pipeline about one group of questions."""

    pipeline: PipelineName
    group: str
    questions: int
    figures: tuple[Figure, ...]


def score(outcomes: Sequence[Outcome], scoring: Scoring) -> tuple[Scores, ...]:
    """The figures for each pipeline and group, in the order in which they first occur."""
    groups: dict[tuple[PipelineName, str], list[Outcome]] = defaultdict(list)
    for outcome in sorted(outcomes, key=lambda one: one.question.group):
        groups[outcome.pipeline, outcome.question.group].append(outcome)
    return tuple(
        Scores(pipeline, group, len(some), _figures(some, scoring))
        for (pipeline, group), some in groups.items()
    )


def values(outcome: Outcome, scoring: Scoring) -> dict[str, float]:
    """The figures of one question, those that it has."""
    question, reply = outcome.question, outcome.reply
    if reply.status == "retrieved":
        return {"seconds": reply.seconds}
    found: dict[str, float] = {}
    if question.answerable:
        found |= _answer(outcome, scoring)
        found["refused wrongly"] = float(reply.status != "answered")
    if outcome.pipeline != "closed-book":
        found |= _passages_read(outcome)
        if question.answerable and question.gold and reply.status == "answered":
            found |= _citations(outcome)
    found["prompt tokens"] = float(sum(call.prompt_tokens for call in reply.calls))
    found["completion tokens"] = float(sum(call.completion_tokens for call in reply.calls))
    found["calls"] = float(len(reply.calls))
    found["seconds"] = reply.seconds
    return found


def is_right(outcome: Outcome, scoring: Scoring) -> bool:
    """Whether an answer that was given should have been given as it is. Where nothing but the gold
    sources is known of the answer, it must cite one."""
    question, reply = outcome.question, outcome.reply
    if not question.answerable or reply.status != "answered":
        return False
    if scoring == "facts":
        return holds_facts(reply.text, question.facts) == 1
    if scoring == "rouge":
        return rouge_l(without_marks(reply.text).strip(), question.answers) >= RIGHT_ROUGE
    if question.answers:
        return f1(reply.short, question.answers, question.lang) >= RIGHT_F1
    return not question.gold or _citations(outcome)["citation names gold"] == 1


def gain(outcome: Outcome, scoring: Scoring) -> float | None:
    """How right the outcome is, from 0 to 1, in one number that prompts are compared by: a refusal
    where there is no answer is 1, and where there is one 0; else F1, or what the set's answers are
    measured by, or whether the gold document is cited. ``None`` where nothing is known of the
    answer, or none was asked for."""
    question, reply = outcome.question, outcome.reply
    if reply.status == "retrieved":
        return None
    answered = reply.status == "answered"
    if not question.answerable:
        return float(not answered)
    if not (question.answers or question.facts or question.gold):
        return None
    if not answered:
        return 0.0
    found = _answer(outcome, scoring) or _citations(outcome)
    names = ("F1", "accuracy", "ROUGE-L", "citation names gold")
    return next(found[name] for name in names if name in found)


def _answer(outcome: Outcome, scoring: Scoring) -> dict[str, float]:
    question, reply = outcome.question, outcome.reply
    given = reply.status == "answered"
    text = without_marks(reply.text).strip() if given else ""
    if scoring == "rouge":
        return {"ROUGE-L": rouge_l(text, question.answers)}
    if scoring == "facts":
        right = holds_facts(text, question.facts)
        found = {"accuracy": right}
        if question.wrong:
            false = holds_facts(text, [question.wrong]) and not right
            says = any(words in text.lower() for words in _SAYS_WRONG)
            found |= {"fooled": float(false), "error detected": float(not given or says)}
        return found
    if not question.answers:
        return {}
    answers, lang = question.answers, question.lang
    return {
        "EM": exact_match(reply.short, answers, lang) if given else 0.0,
        "F1": f1(reply.short, answers, lang) if given else 0.0,
        "EM of the whole text": exact_match(text, answers, lang) if given else 0.0,
        "F1 of the whole text": f1(text, answers, lang) if given else 0.0,
    }


def _citations(outcome: Outcome) -> dict[str, float]:
    """Of what is shown as a source; a claim shown as unsupported has none."""
    cited = [c.source for c in outcome.reply.citations if c.support != "unsupported"]
    scored = citation_score(cited, outcome.question.gold)
    found = {"citation names gold": scored.names_gold, "citation recall": scored.recall}
    if scored.precision is not None:
        found["citation precision"] = scored.precision
    return found


def _passages_read(outcome: Outcome) -> dict[str, float]:
    question = outcome.question
    if not (question.answerable and question.gold):
        return {}
    read = {passage.source for passage in outcome.reply.contexts}
    return {"gold among passages": float(bool(read & set(question.gold)))}


# -- over many questions --------------------------------------------------------------------------


def _figures(outcomes: Sequence[Outcome], scoring: Scoring) -> tuple[Figure, ...]:
    columns: dict[str, list[float]] = defaultdict(list)
    for outcome in outcomes:
        for name, value in values(outcome, scoring).items():
            columns[name].append(value)
    figures = [_figure(name, column) for name, column in columns.items()]
    figures += [*_refusals(outcomes), *_ranking(outcomes)]
    return tuple(sorted(figures, key=lambda figure: FIGURES.index(figure.name)))


def _figure(name: str, column: Sequence[float]) -> Figure:
    return Figure(name, fmean(column), *interval(column), len(column))


def _refusals(outcomes: Sequence[Outcome]) -> list[Figure]:
    """About the questions that were chosen for it, as many with an answer as without."""
    asked = [o for o in outcomes if o.question.refusal and o.reply.status != "retrieved"]
    pairs = [(o.question.answerable, o.reply.status != "answered") for o in asked]
    scored = refusal_score(pairs)
    refused = [float(r) for answerable, r in pairs if not answerable]
    answered = [float(not r) for answerable, r in pairs if answerable]
    figures = []
    if scored.precision is not None and refused:
        right = [float(not answerable) for answerable, r in pairs if r]
        figures.append(_figure("refusal precision", right))
    if refused:
        figures.append(_figure("refusal recall", refused))
    if scored.balanced is not None:
        low, high = balanced_interval(refused, answered)
        figures.append(Figure("balanced accuracy", scored.balanced, low, high, len(pairs)))
    return figures


def _ranking(outcomes: Sequence[Outcome]) -> list[Figure]:
    """Of the sources in the order of their passages, where the package that measures it is here."""
    some = [o for o in outcomes if o.question.answerable and o.question.gold]
    if not some or some[0].pipeline == "closed-book" or not can_rank():
        return []
    gold: Mapping[str, Sequence[str]] = {o.question.id: o.question.gold for o in some}
    found = {o.question.id: distinct(p.source for p in o.reply.contexts) for o in some}
    return [_figure(name, column.tolist()) for name, column in evaluate(gold, found).items()]
