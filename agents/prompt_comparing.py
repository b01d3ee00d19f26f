"""``waggle prompts compare``: the same questions with several prompts, and which is better."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from agents.evaluating import comparison_of, comparison_table
from agents.prompt_shapes import PromptComparisonShape, PromptRunShape, VerdictShape
from indexes.errors import UsageError, WaggleError
from indexes.i18n import t
from rag.evaluation.comparing import SCORE, Change
from rag.evaluation.evaluator import Plan, prepared
from rag.evaluation.prompt_trials import Trials, answering
from rag.evaluation.prompt_verdicts import Verdict, nothing_known, verdicts
from rag.evaluation.runs import Run, Runs
from rag.evaluation.statistics import Difference
from rag.prompting.library import PromptLibrary

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from agents.evaluation_shapes import ChangeShape, ComparisonShape
    from agents.terminal import Terminal

ChatFactory = Callable[[], "BaseChatModel | None"]

SHOWN = (
    SCORE, "EM", "F1", "ROUGE-L", "accuracy", "fooled", "error detected", "citation names gold",
    "refused wrongly", "refusal recall", "balanced accuracy", "prompt tokens", "completion tokens",
    "calls", "seconds",
)  # fmt: skip
"""The figures that depend on the prompt, in the table; the JSON has all."""


def compare_prompts(
    terminal: "Terminal",
    home: Path,
    names: Sequence[str],
    plan: Plan,
    chat: ChatFactory,
    *,
    resume: bool = False,
) -> None:
    """Ask with each prompt, and show what the others have over the first. Raises `UsageError` for
    fewer than two different prompts."""
    library = PromptLibrary.of(home)
    if len(set(names)) < max(2, len(names)):
        raise UsageError(t("Name two different prompts or more."))
    for name in names:
        answering(library, name)
    with ExitStack() as stack:
        with terminal.steps() as bar:
            ready = stack.enter_context(prepared(plan, home, terminal.notice, bar))
        model = chat()
        with kept(terminal), terminal.steps() as bar:
            trials = Trials(ready, model, Runs(home), resume=resume, progress=bar)
            runs = trials.ask_all(names)
    _present(terminal, Runs(home), library, names, runs)


@contextmanager
def kept(terminal: "Terminal") -> Iterator[None]:
    """Says how to go on, where what is done comes to a bad end."""
    try:
        yield
    except (WaggleError, KeyboardInterrupt):
        terminal.notice(t("What was answered is kept. To go on, repeat the command with --resume."))
        raise


def _present(
    terminal: "Terminal", kept: Runs, library: PromptLibrary, names: Sequence[str],
    runs: Sequence[Run],
) -> None:  # fmt: skip
    header, first = runs[0].header, runs[0]
    comparisons, said = [], []
    for name, run in zip(names[1:], runs[1:], strict=True):
        one = comparison_of(names[0], name, (), first.outcomes, run.outcomes, header)
        comparisons.append(one)
        said += verdict_shapes(one)
    lang = "zh" if first.outcomes[0].question.lang.startswith("zh") else "en"
    shape = PromptComparisonShape(
        dataset=header.dataset, half=header.half, model=header.model,
        prompts=tuple(
            PromptRunShape(
                name=name, prompt=library.get(name, lang).ident, run=run.header.run,
                file=str(kept.folder / f"{run.header.run}.jsonl"), outcomes=len(run.outcomes),
            )
            for name, run in zip(names, runs, strict=True)
        ),
        comparisons=tuple(comparisons), verdicts=tuple(said),
    )  # fmt: skip
    if terminal.as_json:
        terminal.json(shape)
        return
    for comparison in shape.comparisons:
        figures_table(terminal, comparison)
    for verdict in shape.verdicts:
        terminal.line(verdict.sentence, "bold")
    if not shape.verdicts:
        terminal.line(nothing_known(), "bold")
    for prompt in shape.prompts:
        terminal.line(t("{name} is kept in {file}", name=prompt.prompt, file=prompt.file), "dim")


def figures_table(terminal: "Terminal", comparison: "ComparisonShape") -> None:
    """The figures that depend on the prompt."""
    shown = tuple(change for change in comparison.changes if change.name in SHOWN)
    comparison_table(terminal, comparison.model_copy(update={"changes": shown}))


def verdict_shapes(comparison: "ComparisonShape") -> list[VerdictShape]:
    """One for each group of questions."""
    changes = [_change(shape) for shape in comparison.changes]
    return [
        VerdictShape(
            group=verdict.group, first=comparison.first, second=comparison.second,
            better=None if verdict.better == "neither" else getattr(comparison, verdict.better),
            score=next(c for c in comparison.changes
                       if (c.group, c.name) == (verdict.group, SCORE)),
            against=tuple(change.name for change in verdict.against),
            sentence=_sentence(verdict, comparison.first, comparison.second),
        )
        for verdict in verdicts(changes)
    ]  # fmt: skip


def _sentence(verdict: Verdict, first: str, second: str) -> str:
    change = verdict.score
    d = change.difference
    numbers = f"{d.mean:+.3f} [{d.low:+.3f}, {d.high:+.3f}], n = {change.count}"
    group = f"{verdict.group}: " if verdict.group else ""
    better, other = (second, first) if verdict.better == "second" else (first, second)
    if verdict.better == "neither":
        said = t("Between «{first}» and «{second}» the difference is within chance: score "
                 "{numbers}.", first=first, second=second, numbers=numbers)  # fmt: skip
    else:
        said = t("«{better}» is better than «{other}»: score {numbers}.",
                 better=better, other=other, numbers=numbers)  # fmt: skip
    contrary = [_contrary(c, first, second) for c in verdict.against]
    more = t("But beyond chance: {contrary}.", contrary="; ".join(contrary)) if contrary else ""
    return f"{group}{said} {more}".strip()


def _change(shape: "ChangeShape") -> Change:
    difference = Difference(**shape.difference.model_dump())
    return Change(shape.group, shape.name, shape.first, shape.second, difference, shape.count)


def _contrary(change: Change, first: str, second: str) -> str:
    better = second if change.difference.mean > 0 else first
    d = change.difference
    return f"{t(change.name)} {d.mean:+.3f} [{d.low:+.3f}, {d.high:+.3f}] → «{better}»"
