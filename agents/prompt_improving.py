"""``waggle prompts improve``: searches for a better prompt, and says whether it is one."""

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from agents.evaluating import comparison_of
from agents.prompt_comparing import figures_table, kept, verdict_shapes
from agents.prompt_shapes import CandidateShape, ImprovementShape, RefusedShape, VerdictShape
from agents.screen import one_line
from indexes.errors import ModelError, SourceError, UsageError
from indexes.i18n import t
from rag.evaluation.datasets import Dataset, choose, load_dataset
from rag.evaluation.evaluator import Plan, Prepared, prepared
from rag.evaluation.prompt_lessons import parted
from rag.evaluation.prompt_search import Cost, Found, Search, Tried, cost_of
from rag.evaluation.prompt_trials import Trials, answering
from rag.evaluation.prompt_verdicts import pooled
from rag.evaluation.runs import Runs
from rag.prompting.files import FILE_NAME
from rag.prompting.library import BUILT_IN, PromptLibrary
from rag.prompting.types import Language, Prompt
from rag.prompting.variants import WithPrompt
from rag.prompts import prompt_language

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from agents.evaluation_shapes import ComparisonShape
    from agents.terminal import Terminal

ChatFactory = Callable[[], "BaseChatModel | None"]
_PREVIEW = 90


@dataclass(frozen=True, slots=True)
class Improving:
    """What is improved: the prompt ``name`` in ``language``, by default that of most questions.
    ``new`` is what a better one will be called; ``force`` lets it take the place of a file."""

    name: str
    new: str
    language: Language | None = None
    rounds: int = 2
    force: bool = False
    resume: bool = False


@dataclass(frozen=True, slots=True)
class _Set:
    """The questions of one language, in two halves: to search on, and to report about."""

    search: Prepared
    report: Prepared


def improve_prompt(
    terminal: "Terminal", home: Path, wanted: Improving, plan: Plan, chat: ChatFactory
) -> None:
    """Search, compare the best with the prompt as it was on questions that the search has not seen,
    and write it down if it is better. Raises `UsageError` where it could not be written."""
    from rag.models.chat import model_name

    library = PromptLibrary.of(home)
    lang = wanted.language or _most(load_dataset(plan.dataset))
    base = answering(library, wanted.name, lang)
    _check_language(base, lang)
    _check_free(library, wanted, lang)
    with ExitStack() as stack:
        with terminal.steps() as bar:
            ready = stack.enter_context(prepared(plan, home, terminal.notice, bar))
        halves = _halves(ready, lang)
        cost = _told_cost(terminal, halves, wanted.rounds)
        model = chat()
        if model is None:
            raise ModelError(t("There is no chat model here. Get one with: waggle models pull"))
        with kept(terminal), terminal.steps() as bar:
            trials = Trials(halves.search, model, Runs(home), resume=wanted.resume, progress=bar)
            search = Search(
                trials, model, base, wanted.new, _description(base, plan), library.folders[0],
                wanted.rounds, plan.seed, cost, terminal.notice,
            )  # fmt: skip
            found = search.run()
            reporting = replace(halves.report, prompts=library)
            report = Trials(reporting, model, Runs(home), resume=wanted.resume, progress=bar)
            comparison = _reported(report, base, found.best)
    dataset, name = ready.dataset.name, model_name(model)
    _present(terminal, wanted, base, dataset, name, cost, found, comparison)


# -- before ---------------------------------------------------------------------------------------


def _most(dataset: Dataset) -> Language:
    """The language of most questions."""
    counts = Counter(prompt_language(question.text) for question in dataset.questions)
    return "zh" if counts["zh"] > counts["en"] else "en"


def _check_language(base: Prompt, lang: str) -> None:
    if base.language != lang:
        raise UsageError(
            t("The prompt «{name}» has no text in this language: {lang}.",
              name=base.name, lang=lang)
        )  # fmt: skip


def _check_free(library: PromptLibrary, wanted: Improving, lang: str) -> None:
    """Nothing is asked for hours that could not be written then."""
    file = f"{wanted.new}.{lang}.md"
    if not FILE_NAME.fullmatch(file):
        raise UsageError(
            t("«{name}» cannot be the name of a prompt: use small letters, digits and «-».",
              name=wanted.new)
        )  # fmt: skip
    places = [folder / file for folder in (*library.folders, BUILT_IN)]
    if not wanted.force and (there := [path for path in places if path.exists()]):
        raise UsageError(
            t("There is a prompt «{name}» already: {path}. Choose another name with --as, or let "
              "the new one take its place with --force.", name=wanted.new, path=there[0])
        )  # fmt: skip


def _description(base: Prompt, plan: Plan) -> str:
    return t("Made from {prompt} by a search on {dataset}.",
             prompt=base.ident, dataset=Path(plan.dataset).name)  # fmt: skip


def _halves(ready: Prepared, lang: str) -> _Set:
    """Raises `UsageError` where one of the halves is empty."""
    some = tuple(q for q in ready.dataset.questions if prompt_language(q.text) == lang)
    dataset, plan = replace(ready.dataset, questions=some), ready.plan

    def half(name: Literal["tune", "report"]) -> Prepared:
        questions = choose(dataset, plan.limit, name, plan.seed)
        return replace(ready, dataset=dataset, half=name, questions=questions)

    return _Set(half("tune"), half("report"))


def _told_cost(terminal: "Terminal", halves: _Set, rounds: int) -> Cost:
    lessons, scored = parted(halves.search.questions)
    reported = len(halves.report.questions)
    cost = cost_of(len(lessons), len(scored), reported, rounds)
    terminal.notice(
        t("{lessons} questions to learn from, {scored} to score by, {reported} to report about; at "
          "most {answers} answers and {proposals} proposals are asked for.",
          lessons=len(lessons), scored=len(scored), reported=reported, answers=cost.answers,
          proposals=cost.proposals)
    )  # fmt: skip
    return cost


# -- after ----------------------------------------------------------------------------------------


def _reported(report: Trials, base: Prompt, best: Tried) -> "ComparisonShape | None":
    """The best beside the prompt as it was; ``None`` where it is that prompt."""
    if best.candidate.is_base:
        return None
    prompt = best.candidate.prompt
    first = report.ask(base.name)
    second = report.ask(prompt.name, WithPrompt(report.ready.prompts, prompt))
    return comparison_of(
        base.ident, prompt.ident, (), pooled(first.outcomes), pooled(second.outcomes), first.header
    )


def _present(
    terminal: "Terminal", wanted: Improving, base: Prompt, dataset: str, model: str, cost: Cost,
    found: Found, comparison: "ComparisonShape | None",
) -> None:  # fmt: skip
    verdict = next(iter(verdict_shapes(comparison)), None) if comparison else None
    better = verdict is not None and verdict.better == verdict.second and not verdict.against
    best = found.best.candidate.prompt
    path = _written(best, force=wanted.force) if better else None
    shape = ImprovementShape(
        prompt=base.ident, name=wanted.new, language=base.language, dataset=dataset,
        model=model, answers_at_most=cost.answers,
        tried=tuple(map(_candidate, found.tried)),
        refused=tuple(RefusedShape.model_validate(one) for one in found.refused),
        best=best.ident, comparison=comparison, verdict=verdict, path=str(path) if path else None,
    )  # fmt: skip
    if terminal.as_json:
        terminal.json(shape)
    else:
        _show(terminal, shape, verdict)


def _candidate(tried: Tried) -> CandidateShape:
    prompt, variant = tried.candidate.prompt, tried.candidate.variant
    return CandidateShape(
        prompt=prompt.ident, instruction=variant.instruction, examples=len(prompt.examples),
        score=tried.score, questions=tried.questions, run=tried.run,
    )  # fmt: skip


def _show(terminal: "Terminal", shape: ImprovementShape, verdict: VerdictShape | None) -> None:
    for refused in shape.refused:
        proposal = one_line(refused.instruction)[:_PREVIEW] or "–"
        terminal.notice(t("Proposal left out: {reason} {proposal}", reason=refused.reason,
                          proposal=proposal))  # fmt: skip
    columns = (t("Prompt"), t("score"), t("Questions"), t("Examples"), t("Instruction"))
    rows = [
        (one.prompt, f"{one.score:.3f}", str(one.questions), str(one.examples),
         one_line(one.instruction)[:_PREVIEW])
        for one in shape.tried
    ]  # fmt: skip
    terminal.table(columns, rows)
    terminal.line()
    if shape.comparison is not None and verdict is not None:
        figures_table(terminal, shape.comparison)
        terminal.line(verdict.sentence, "bold")
    if shape.path is None:
        run = next(one.run for one in shape.tried if one.prompt == shape.best)
        terminal.line(t("Nothing better was found, and nothing is written."))
        terminal.line(t("All that was tried is kept; the best of it in the run {run}.", run=run),
                      "dim")  # fmt: skip
        return
    terminal.line(t("Written to {path}. Try it with: waggle ask --prompt {name}",
                    path=shape.path, name=shape.name))  # fmt: skip


def _written(prompt: Prompt, *, force: bool) -> Path:
    """Where the prompt now lies. Raises `SourceError` where it cannot be written."""
    try:
        prompt.path.parent.mkdir(parents=True, exist_ok=True)
        with prompt.path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(f"{prompt.text}\n")
    except OSError as error:
        raise SourceError(
            t("The file {file} cannot be written: {reason}.", file=prompt.path,
              reason=error.strerror or error)
        ) from error  # fmt: skip
    return prompt.path
