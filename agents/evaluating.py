"""``waggle eval``: asks the questions of a set, keeps the run, and shows its figures."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agents.evaluation_shapes import (
    ComparisonShape,
    EvalShape,
    FitShape,
    ReplayShape,
    RunShape,
    RunsShape,
    ScoresShape,
)
from agents.terminal import Terminal
from indexes.errors import UsageError, WaggleError
from indexes.i18n import t
from rag.evaluation.calibration import calibrate
from rag.evaluation.comparing import changed_bindings, compare, divergences
from rag.evaluation.evaluator import Plan, bind, evaluate, prepared
from rag.evaluation.ranking import can_rank
from rag.evaluation.records import Header, Outcome, PipelineName
from rag.evaluation.runs import Run, Runs
from rag.evaluation.scoring import FIGURES, Figure, score

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

ChatFactory = Callable[[], "BaseChatModel | None"]

_SHOWN_DIVERGENCES = 50


@dataclass(frozen=True, slots=True)
class Outputs:
    """What is done with a run once it is there: compared with the runs ``compare``, and with
    ``rate`` a threshold fitted on it."""

    compare: Sequence[str] = ()
    rate: float | None = None


def run_eval(
    terminal: Terminal,
    home: Path,
    plan: Plan,
    chat: ChatFactory,
    outputs: Outputs,
    resume: str | None = None,
) -> None:
    """Evaluate, and show the figures."""
    runs = Runs(home)
    others = [runs.read(name) for name in outputs.compare]
    if outputs.rate is not None:
        _check_all_given(resume or "", plan.options)
    run = _evaluate(terminal, home, plan, chat, runs, resume)
    _present(terminal, home, runs, run, others, outputs.rate)


def run_show(terminal: Terminal, home: Path, name: str, outputs: Outputs) -> None:
    """The figures of a run that is there, computed again from its answers."""
    runs = Runs(home)
    others = [runs.read(other) for other in outputs.compare]
    run = runs.read(name)
    if outputs.rate is not None:
        _check_all_given(name, run.header.options)
    _present(terminal, home, runs, run, others, outputs.rate)


def run_list(terminal: Terminal, home: Path) -> None:
    """All runs that are kept, the oldest first."""
    runs = Runs(home)
    list_table(terminal, tuple(_run_shape(runs.read(name)) for name in runs.names()))


def list_table(terminal: Terminal, shapes: tuple[RunShape, ...]) -> None:
    """The runs of a list."""
    if terminal.as_json:
        terminal.json(RunsShape(runs=shapes))
        return
    rows = [(s.run, s.dataset, s.model, s.started, f"{s.outcomes}/{s.wanted}") for s in shapes]
    terminal.table((t("Run"), t("Set"), t("Model"), t("Started"), t("Answers")), rows)


def run_replay(
    terminal: Terminal, home: Path, name: str, chat: ChatFactory, concurrency: int
) -> bool:
    """Ask again what the run asked, as a run of its own, and show where that diverges. Tells
    whether it does not."""
    runs = Runs(home)
    old = runs.read(name)
    new = _evaluate(terminal, home, Plan.of(old.header, concurrency), chat, runs, None)
    found = divergences(old.outcomes, new.outcomes)
    changed = changed_bindings(old.header, new.header)
    if terminal.as_json:
        terminal.json(
            ReplayShape.model_validate(
                {"run": old.header.run, "replay": new.header.run, "changed": changed,
                 "questions": len(old.outcomes), "diverged": found},
            )
        )  # fmt: skip
        return not found
    if changed:
        terminal.line(t("Changed since then: {names}.", names=", ".join(changed)), "yellow")
    for one in found[:_SHOWN_DIVERGENCES]:
        step = f"{t(one.step)} {one.call}" if one.call else t(one.step)
        terminal.line(f"{one.pipeline} · {step} · {one.question} · {one.text}")
    steps = Counter(t(one.step) for one in found)
    terminal.line(
        t(
            "{same} of {count} answers came about in the same way. First divergence: {steps}.",
            same=len(old.outcomes) - len(found),
            count=len(old.outcomes),
            steps=", ".join(f"{step} {count}" for step, count in steps.items()) or "–",
        )
    )
    return not found


# -- asking --------------------------------------------------------------------------------------


def _evaluate(
    terminal: Terminal, home: Path, plan: Plan, chat: ChatFactory, runs: Runs, resume: str | None
) -> Run:
    with ExitStack() as stack:
        with terminal.steps() as bar:
            ready = stack.enter_context(prepared(plan, home, terminal.notice, bar))
        model = None if plan.retrieval_only else chat()
        header = bind(ready, model, runs)
        if plan.retrieval_only or not can_rank():
            _tell_ranking(terminal, plan)
        if resume is None:
            _offer(terminal, runs, header)
        name = resume or header.run
        try:
            with terminal.steps() as bar:
                return evaluate(ready, header, model, runs, resume, bar)
        except (WaggleError, KeyboardInterrupt):
            if name in runs.names():
                terminal.notice(
                    t("What was answered is kept. Go on with: waggle eval --resume {run}", run=name)
                )
            raise


def _tell_ranking(terminal: Terminal, plan: Plan) -> None:
    if can_rank():
        return
    sentence = t(
        "The figures of the search (R@k, MRR, nDCG) are left out: they need the package "
        "ir-measures. Install it with: pip install ir-measures"
    )
    if plan.retrieval_only:
        raise UsageError(sentence)
    terminal.notice(sentence)


def _offer(terminal: Terminal, runs: Runs, header: Header) -> None:
    old = runs.unfinished(header)
    if old is not None:
        terminal.notice(
            t(
                "The run «{run}» of exactly the same has {done} of {wanted} answers. To go on with "
                "it instead, stop this one and type: waggle eval --resume {run}",
                run=old.header.run,
                done=len(old.outcomes),
                wanted=old.wanted,
            )
        )


# -- showing -------------------------------------------------------------------------------------


def _present(
    terminal: Terminal, home: Path, runs: Runs, run: Run, others: Sequence[Run], rate: float | None
) -> None:
    header = run.header
    fits = {}
    if rate is not None:
        fits = calibrate(home, header.model, header.run, run.outcomes, header.scoring, rate)
    shape = EvalShape.model_validate(
        {**_run_shape(run).model_dump(exclude={"started"}), "half": header.half,
         "file": str(runs.folder / f"{header.run}.jsonl"), "complete": run.complete,
         "scores": score(run.outcomes, header.scoring),
         "comparisons": tuple(_comparisons(run, others)),
         "calibration": {lang: FitShape.model_validate(fit) for lang, fit in fits.items()}},
    )  # fmt: skip
    if terminal.as_json:
        terminal.json(shape)
        return
    scores_table(terminal, (shape.dataset, shape.model), shape.scores, tuple(FIGURES))
    for comparison in shape.comparisons:
        comparison_table(terminal, comparison)
    for lang, fit in shape.calibration.items():
        terminal.line(
            t(
                "{lang}: answers with a confidence of {threshold:.4f} or more are given; that is "
                "{given:.0%} of {count} questions, {wrong:.1%} of them wrong.",
                lang=lang, threshold=fit.threshold, given=fit.given, count=fit.questions,
                wrong=fit.wrong,
            )
        )  # fmt: skip
    if not run.complete:
        terminal.notice(
            t("The run is not complete. Go on with: waggle eval --resume {run}", run=header.run)
        )
    terminal.line(t("Kept in {file}", file=shape.file), "dim")


def _check_all_given(run: str, options: Mapping[str, object]) -> None:
    if options.get("min_confidence") != 0:
        raise UsageError(
            t(
                "The run «{run}» left out answers that were not sure enough. Fit on one that was "
                "made with --calibrate.",
                run=run,
            )
        )


def _run_shape(run: Run) -> RunShape:
    header = run.header
    return RunShape(
        run=header.run, dataset=header.dataset, model=header.model, started=header.started,
        outcomes=len(run.outcomes), wanted=run.wanted,
    )  # fmt: skip


def _comparisons(run: Run, others: Sequence[Run]) -> list[ComparisonShape]:
    """With the baselines of the same run, and with other runs' answers by the first pipeline."""
    main = run.header.pipelines[0]
    ours = _by(run, main)
    found = [
        comparison_of(f"{run.header.run} {name}", f"{run.header.run} {main}", (),
                    _by(run, name), ours, run.header)
        for name in run.header.pipelines[1:]
    ]  # fmt: skip
    for other in others:
        if other.header.scoring != run.header.scoring:
            raise UsageError(
                t("The runs «{first}» and «{second}» are of sets that cannot be compared.",
                  first=other.header.run, second=run.header.run)
            )  # fmt: skip
        changed = changed_bindings(other.header, run.header)
        theirs = _by(other, other.header.pipelines[0])
        found.append(
            comparison_of(other.header.run, run.header.run, changed, theirs, ours, run.header)
        )
    return found


def _by(run: Run, pipeline: PipelineName) -> list[Outcome]:
    return [outcome for outcome in run.outcomes if outcome.pipeline == pipeline]


def comparison_of(
    first: str, second: str, changed: Sequence[str], before: Sequence[Outcome],
    now: Sequence[Outcome], header: Header,
) -> ComparisonShape:  # fmt: skip
    """What the outcomes called ``second`` have over those called ``first``."""
    changes = compare(before, now, header.scoring)
    return ComparisonShape.model_validate(
        {"first": first, "second": second, "changed": tuple(changed), "changes": changes}
    )


def scores_table(
    terminal: Terminal, about: tuple[str, str], found: Sequence[ScoresShape], names: Sequence[str]
) -> None:
    """A table for each group: the figures ``names`` as rows, the pipelines as columns; ``about`` is
    the set and the model."""
    for group in dict.fromkeys(scores.group for scores in found):
        some = [scores for scores in found if scores.group == group]
        counts = ", ".join(f"{s.pipeline} {s.questions}" for s in some)
        terminal.line(" · ".join(filter(None, (about[0], group, about[1], counts))), "bold")
        cells = {(s.pipeline, f.name): _cell(f) for s in some for f in s.figures}
        rows = [
            (t(name), *(cells.get((s.pipeline, name), "") for s in some))
            for name in names
            if any((s.pipeline, name) in cells for s in some)
        ]
        terminal.table((t("Figure"), *(s.pipeline for s in some)), rows)
        terminal.line()


def _cell(figure: "Figure | object") -> str:
    value, low, high, count = (getattr(figure, n) for n in ("value", "low", "high", "count"))
    digits = 0 if value >= 100 else 1 if value >= 10 else 3
    return f"{value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}] ({count})"


def comparison_table(terminal: Terminal, comparison: ComparisonShape) -> None:
    """The figures of both, and their differences."""
    terminal.line(f"{comparison.first} → {comparison.second}", "bold")
    if comparison.changed:
        terminal.line(t("They differ in: {names}.", names=", ".join(comparison.changed)))
    if not comparison.changes:
        terminal.line(t("They have no question in common."))
    rows = [
        (change.group, t(change.name), f"{change.first:.3f}", f"{change.second:.3f}",
         f"{d.mean:+.3f} [{d.low:+.3f}, {d.high:+.3f}]", "" if d.p is None else f"{d.p:.3f}",
         str(change.count))
        for change in comparison.changes
        for d in (change.difference,)
    ]  # fmt: skip
    if rows:
        columns = ("", t("Figure"), t("First"), t("Second"), t("Difference"), "p (McNemar)", "n")
        terminal.table(columns, rows)
    terminal.line()
