"""From which score on an answer is given: fitted on questions whose answers are known."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from indexes.errors import UsageError
from indexes.i18n import t
from rag.evaluation.datasets import Scoring
from rag.evaluation.records import Outcome
from rag.evaluation.scoring import is_right
from rag.thresholds import Threshold, keep_thresholds


@dataclass(frozen=True, slots=True)
class Scored:
    """What is known of a question: the ``score`` of its answer, whether it should be answered at
    all, whether that answer is ``correct``, and whether it is ``given`` if the threshold lets it
    through: one without a supported claim is not."""

    score: float
    should_answer: bool
    correct: bool
    given: bool = True


@dataclass(frozen=True, slots=True)
class Fit:
    """Answers with a score of at least ``threshold`` are given. ``wrong`` is the share of wrong
    ones among them, ``given`` the share of questions that get one, ``balanced`` the balanced
    accuracy of answering what should be answered (``None`` where all are of one kind); all on the
    questions that it was fitted on."""

    threshold: float
    wrong: float
    given: float
    balanced: float | None
    questions: int


def fit_threshold(scored: Sequence[Scored], rate: float) -> Fit | None:
    """The threshold that gives the most answers while the share of wrong ones among them is at most
    ``rate``; ``None`` where no threshold does that. Questions with equal scores stand or fall
    together."""
    order = sorted((one for one in scored if one.given), key=lambda one: -one.score)
    wrong, best = 0, None
    for count, one in enumerate(order, 1):
        wrong += not one.correct
        last_of_equals = count == len(order) or order[count].score < one.score
        if last_of_equals and wrong <= rate * count:
            best = (one.score, wrong / count, count)
    if best is None:
        return None
    threshold, share, count = best
    return Fit(threshold, share, count / len(scored), _balanced(scored, threshold), len(scored))


def apply_threshold(scored: Sequence[Scored], threshold: float) -> Fit:
    """What a threshold does on other questions, at least one."""
    given = [one for one in scored if one.given and one.score >= threshold]
    wrong = sum(not one.correct for one in given) / len(given) if given else 0.0
    balanced = _balanced(scored, threshold)
    return Fit(threshold, wrong, len(given) / len(scored), balanced, len(scored))


def _balanced(scored: Iterable[Scored], threshold: float) -> float | None:
    kinds: dict[bool, list[bool]] = {True: [], False: []}
    for one in scored:
        given = one.given and one.score >= threshold
        kinds[one.should_answer].append(given == one.should_answer)
    if not all(kinds.values()):
        return None
    return sum(sum(right) / len(right) for right in kinds.values()) / 2


def scored_answers(outcomes: Iterable[Outcome], scoring: Scoring) -> dict[str, tuple[Scored, ...]]:
    """The answers of the pipeline ``waggle`` that carry a score (`Answer.confidence`), by language;
    one without a score has none to be compared."""
    from rag.prompts import prompt_language

    found: dict[str, list[Scored]] = {}
    for outcome in outcomes:
        score, question = outcome.reply.confidence, outcome.question
        if outcome.pipeline == "waggle" and score is not None:
            given = outcome.reply.status == "answered"
            one = Scored(score, question.answerable, is_right(outcome, scoring), given)
            found.setdefault(prompt_language(question.text), []).append(one)
    return {lang: tuple(some) for lang, some in found.items()}


def calibrate(
    home: Path, model: str, run: str, outcomes: Iterable[Outcome], scoring: Scoring, rate: float
) -> dict[str, Fit]:
    """Fit a threshold for each language of a run and keep them. Raises `UsageError`, with nothing
    kept, where the answers have no scores or no threshold serves."""
    by_language = scored_answers(outcomes, scoring)
    if not by_language:
        raise UsageError(
            t("The answers of the run «{run}» carry no confidence to fit a threshold on.", run=run)
        )
    fits: dict[str, Fit] = {}
    for lang, scored in by_language.items():
        fit = fit_threshold(scored, rate)
        if fit is None:
            raise UsageError(
                t(
                    "No threshold keeps the share of wrong answers in «{lang}» at {rate} or less. "
                    "Allow a higher --rate, or ask more questions.",
                    lang=lang,
                    rate=rate,
                )
            )
        fits[lang] = fit
    thresholds = {
        lang: Threshold(threshold=fit.threshold, rate=rate, wrong=fit.wrong, given=fit.given,
                        balanced=fit.balanced, questions=fit.questions, run=run)
        for lang, fit in fits.items()
    }  # fmt: skip
    keep_thresholds(home, model, thresholds)
    return fits
