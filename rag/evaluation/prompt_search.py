"""The search for a better prompt: proposals, examples, and successive halving between them.

Everything is learned and scored on one half of the questions. Successive halving (Jamieson and
Talwalkar 2016, https://arxiv.org/abs/1502.07943) asks all candidates a few questions, the better
half of them more, and only the last ones all, so that the cost is known beforehand.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from statistics import fmean
from typing import TYPE_CHECKING, Final

from indexes.errors import UsageError
from indexes.i18n import t
from rag.evaluation.datasets import Question
from rag.evaluation.prompt_lessons import can_show, examples, mistakes, parted
from rag.evaluation.prompt_proposing import Grounds, Refused, proposed
from rag.evaluation.prompt_trials import Trials
from rag.evaluation.prompt_verdicts import nothing_known
from rag.evaluation.records import Outcome, Passage
from rag.evaluation.runs import Run
from rag.evaluation.scoring import gain
from rag.prompting.types import Example, Prompt
from rag.prompting.variants import Variant, WithPrompt, instruction_of, varied

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

PROPOSALS: Final = 4
"""Instructions that are asked for in a round."""
POOLS: Final = 2
"""Choices of examples that are tried in a round."""
LEAST: Final = 6
"""Questions below which nothing can be learned and scored."""
_SHOWN_MISTAKES = 3
_EXAMPLES, _REFUSALS = 6, 2

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Cost:
    """What a search asks at the most: ``answers`` to questions, ``proposals`` of instructions."""

    answers: int
    proposals: int


def cost_of(lessons: int, scored: int, reported: int, rounds: int) -> Cost:
    """The most that a search of so many questions can ask."""
    count, done, each = PROPOSALS + POOLS, 0, 0
    for size in _sizes(scored):
        each += count * (size - done)
        count, done = -(-count // 2), size
    answers = lessons + scored + rounds * each + (rounds - 1) * lessons + 2 * reported
    return Cost(answers, rounds * PROPOSALS)


def _sizes(scored: int) -> tuple[int, ...]:
    return -(-scored // 4), -(-scored // 2), scored


@dataclass(frozen=True, slots=True)
class Candidate:
    """A prompt that is tried."""

    prompt: Prompt
    variant: Variant
    is_base: bool = False


@dataclass(frozen=True, slots=True)
class Tried:
    """How a candidate fared: its mean score over the first ``questions``, in the run ``run``."""

    candidate: Candidate
    score: float
    questions: int
    run: str


@dataclass(slots=True)
class Found:
    """What a search came to. The first of ``tried`` is the prompt as it was."""

    best: Tried
    tried: list[Tried] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Search:
    """Searches for a better ``base`` by asking ``trials`` its questions. Candidates are called
    ``name`` and described by ``description``, as they would stand in ``folder``."""

    trials: Trials
    chat: "BaseChatModel"
    base: Prompt
    name: str
    description: str
    folder: Path
    rounds: int
    seed: int
    cost: Cost
    tell: Tell

    def run(self) -> Found:
        """The candidate with the best score over all questions that are scored, which is ``base``
        itself where no other is better. Raises `UsageError` where there are too few questions,
        `EndpointError` where the server fails."""
        questions = self.trials.ready.questions
        lessons, scored = parted(questions)
        if len(questions) < LEAST or not lessons:
            raise UsageError(
                t("There are {count} questions to learn from; a search needs at least {least}.",
                  count=len(questions), least=LEAST)
            )  # fmt: skip
        base = Candidate(self.base, Variant(instruction_of(self.base)), is_base=True)
        start = self._tried(base, scored)
        found = Found(start, [start])
        self._tell_time(base, scored)
        for number in range(1, self.rounds + 1):
            if found.best.score == 1:
                break
            new = self._candidates(found, lessons, number)
            for tried in self._halved(new, scored, found):
                if tried.questions == len(scored) and tried.score > found.best.score:
                    found.best = tried
            self.tell(
                t("Round {number}: {count} candidates; the best score is {best:.3f}, at first it "
                  "was {first:.3f}.", number=number, count=len(new), best=found.best.score,
                  first=start.score)
            )  # fmt: skip
        return found

    def _tell_time(self, base: Candidate, scored: Sequence[Question]) -> None:
        """How long the rest may take, from what the first questions took."""
        seconds = fmean(o.reply.seconds for o in self._asked(base, scored)[1])
        cost = self.cost.answers * seconds / self.trials.ready.plan.concurrency
        self.tell(
            t("An answer takes {seconds:.1f} s, all of them at most {minutes:.0f} minutes.",
              seconds=seconds, minutes=cost / 60)
        )  # fmt: skip

    def _halved(
        self, candidates: Sequence[Candidate], scored: Sequence[Question], found: Found
    ) -> list[Tried]:
        """Those that are left in the end, the best first."""
        left: list[Tried] = []
        for size in _sizes(len(scored)):
            if left:
                candidates = [one.candidate for one in left[: -(-len(left) // 2)]]
            left = [self._tried(candidate, scored[:size]) for candidate in candidates]
            left.sort(key=lambda one: -one.score)
            known = {one.run: n for n, one in enumerate(found.tried)}
            for one in left:
                if one.run in known:
                    found.tried[known[one.run]] = one
                else:
                    found.tried.append(one)
        return left

    def _tried(self, candidate: Candidate, questions: Sequence[Question]) -> Tried:
        run, outcomes = self._asked(candidate, questions)
        scoring = run.header.scoring
        gains = [value for o in outcomes if (value := gain(o, scoring)) is not None]
        if not gains:
            raise UsageError(nothing_known())
        return Tried(candidate, fmean(gains), len(questions), run.header.run)

    def _asked(
        self, candidate: Candidate, questions: Sequence[Question]
    ) -> tuple[Run, list[Outcome]]:
        """The outcomes of ``questions``, in their order."""
        library = self.trials.ready.prompts
        if not candidate.is_base:
            library = WithPrompt(library, candidate.prompt)
        run = self.trials.ask(candidate.prompt.name, library, questions)
        by_id = {outcome.question.id: outcome for outcome in run.outcomes}
        return run, [by_id[question.id] for question in questions]

    # -- new candidates ------------------------------------------------------------------------

    def _candidates(
        self, found: Found, lessons: Sequence[Question], number: int
    ) -> list[Candidate]:
        """Other instructions for the best one so far, and other examples for it."""
        best = found.best.candidate
        run, outcomes = self._asked(best, lessons)
        wrong = mistakes(outcomes, run.header.scoring)
        made = [self._made(Variant(instruction, best.variant.examples), found)
                for instruction in self._instructions(found, wrong, number)]  # fmt: skip
        right = (
            examples(outcomes, run.header.scoring, self._text_of) if can_show(best.prompt) else []
        )
        pools = self._pools(right, number)
        made += [self._made(Variant(best.variant.instruction, pool), found) for pool in pools]
        digests = {tried.candidate.prompt.digest for tried in found.tried}
        fresh = {one.prompt.digest: one for one in made if one is not None}
        return [one for digest, one in fresh.items() if digest not in digests]

    def _instructions(self, found: Found, wrong: list[Outcome], number: int) -> list[str]:
        best = found.best.candidate
        # Of several with the same instruction, the one that was asked most tells most.
        thorough = sorted(found.tried, key=lambda one: one.questions)
        tried = {one.candidate.variant.instruction: one.score for one in thorough}
        instructions: list[str] = []
        for n in range(PROPOSALS):
            draw = Random(f"{self.seed}-{number}-{n}")
            some = draw.sample(wrong, min(_SHOWN_MISTAKES, len(wrong)))
            known = sorted(tried.items(), key=lambda pair: pair[1])
            grounds = Grounds(best.prompt, best.variant.instruction, some, known)
            reply = proposed(self.chat, self.trials.ready.prompts, grounds, draw.randrange(1 << 31))
            if not isinstance(reply, Refused) and reply in instructions:
                reply = Refused(reply, t("It was tried already."))
            if isinstance(reply, Refused):
                found.refused.append(reply)
            else:
                instructions.append(reply)
        return instructions

    def _pools(self, right: list[Example], number: int) -> list[tuple[Example, ...]]:
        """Choices of examples, those with an answer and a few without."""
        answered = [one for one in right if "[" in one.answer]
        refused = [one for one in right if "[" not in one.answer]
        if not answered:
            return []
        pools = []
        for n in range(POOLS):
            draw = Random(f"{self.seed}-{number}-examples-{n}")
            pool = draw.sample(answered, min(_EXAMPLES - n, len(answered)))
            pool += draw.sample(refused, min(_REFUSALS, len(refused)))
            draw.shuffle(pool)
            pools.append(tuple(pool))
        return pools

    def _made(self, variant: Variant, found: Found) -> Candidate | None:
        try:
            prompt = varied(self.base, variant, self.name, self.folder, self.description)
        except UsageError as error:
            found.refused.append(Refused(variant.instruction, str(error)))
            return None
        return Candidate(prompt, variant)

    def _text_of(self, question: Question, passage: Passage) -> str:
        collections = self.trials.ready.collections
        collection = collections.get(question.group) or collections[""]
        return collection.document(passage.source).text[passage.start : passage.end]
