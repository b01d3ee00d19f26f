"""``waggle eval``: how well questions are answered here."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from agents.commands.building import build_settings, build_terminal, home_chat_starter
from agents.commands.help_pages import RUN, Command, OpenGroup, Unnamed
from agents.commands.options import (
    Debug,
    Globs,
    Home,
    Json,
    Model,
    Name,
    Plan,
    PromptName,
    Quiet,
    Url,
)
from agents.measuring.sets import SETS
from indexes.i18n import t

DIVERGED = 3

app = typer.Typer(
    cls=OpenGroup, help=t("Measure how well questions are answered here."),
    subcommand_metavar="| agent [SET]...",
)  # fmt: skip

Dataset = Annotated[
    str | None,
    typer.Argument(
        metavar="DATASET", help=t("An evaluation set, or a JSONL file with your questions.")
    ),
]
Limit = Annotated[
    int, typer.Option("--limit", min=0, help=t("Answerable questions of each kind; 0 for all."))
]
Half = Annotated[
    Literal["tune", "report", "all"] | None,
    typer.Option("--half", help=t("Which half of the set; thresholds are fitted on «tune».")),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help=t("Chooses other questions."))]
Passages = Annotated[int, typer.Option("-k", min=1, help=t("Number of passages to read."))]
Baseline = Annotated[
    bool, typer.Option("--baseline", help=t("Measure one plain prompt, and no documents, too."))
]
RetrievalOnly = Annotated[
    bool, typer.Option("--retrieval-only", help=t("Measure the search alone; needs no model."))
]
Concurrency = Annotated[
    int | None, typer.Option("--concurrency", min=1, max=256, help=t("Questions at a time."))
]
Resume = Annotated[str | None, typer.Option("--resume", metavar="RUN", help=t("Go on with a run."))]
Replay = Annotated[
    str | None,
    typer.Option("--replay", metavar="RUN", help=t("Ask again; say where it diverges.")),
]
Compare = Annotated[
    Globs,
    typer.Option("--compare", metavar="RUN", help=t("Compare with a run (repeatable).")),
]
Show = Annotated[
    str | None, typer.Option("--show", metavar="RUN", help=t("Show a run's figures again."))
]
Listed = Annotated[bool, typer.Option("--list", help=t("List the runs that are kept."))]
Calibrate = Annotated[
    bool, typer.Option("--calibrate", help=t("Fit from which confidence on to answer."))
]
Rate = Annotated[
    float,
    typer.Option("--rate", min=0, max=1, help=t("Wrong answers to allow among given ones.")),
]


@app.command(RUN, cls=Unnamed, hidden=True,
             help=t("Measure how well questions are answered here."))  # fmt: skip
def eval_command(
    dataset: Dataset = None, limit: Limit = 10, half: Half = None, seed: Seed = 0, k: Passages = 3,
    plan: Plan = None, prompt: PromptName = None,
    baseline: Baseline = False, retrieval_only: RetrievalOnly = False,
    concurrency: Concurrency = None, resume: Resume = None, replay: Replay = None,
    compare: Compare = None, show: Show = None, listed: Listed = False,
    calibrate: Calibrate = False, rate: Rate = 0.1,
    chat_url: Url = None, chat_model: Model = None,
    home: Home = None, name: Name = None, json: Json = False, quiet: Quiet = False,
    debug: Debug = False,
) -> None:  # fmt: skip
    from agents import evaluating as doors
    from rag.evaluation.evaluator import Plan as Evaluation
    from rag.evaluation.runs import Runs
    from rag.settings import load_chat_settings

    terminal, folder = build_terminal(json, quiet), build_settings(home).home
    chat = load_chat_settings(url=chat_url, model=chat_model)
    at_once = concurrency or (4 if chat.url else 1)
    compared = compare or []
    if dataset is None and not (resume or replay or listed or show) and len(compared) > 1:
        *compared, show = compared
    _check_one_task(dataset, resume, replay, show, listed=listed)
    outputs = doors.Outputs(compared, rate if calibrate else None)
    if listed:
        doors.run_list(terminal, folder)
    elif show:
        doors.run_show(terminal, folder, show, outputs)
    elif replay:
        start = home_chat_starter(folder, terminal, chat)
        same = doors.run_replay(terminal, folder, replay, start, at_once)
        raise typer.Exit(0 if same else DIVERGED)
    else:
        # A threshold is fitted on the answers below it, too.
        least = 0.0 if calibrate else None
        options = {"k": k, "plan": plan, "prompt": prompt, "min_confidence": least}
        evaluation = (
            Evaluation.of(Runs(folder).read(resume).header, at_once)
            if resume
            else Evaluation(
                dataset or "", name, limit or None, half or ("tune" if calibrate else None), seed,
                baseline, retrieval_only, at_once,
                {option: value for option, value in options.items() if value is not None},
            )
        )  # fmt: skip
        start = home_chat_starter(folder, terminal, chat)
        doors.run_eval(terminal, folder, evaluation, start, outputs, resume)


Sets = Annotated[
    list[str] | None,
    typer.Argument(metavar="SET...", help=t("What to measure: {sets}, or SET/GROUP,GROUP of it.",
                                            sets=", ".join(SETS))),
]  # fmt: skip
CaseLimit = Annotated[int, typer.Option("--limit", min=0, help=t("Cases of each kind; 0 for all."))]
CallWays = Annotated[
    Literal["json", "native", "both"],
    typer.Option("--way", help=t("How calls are asked for, in the sets about calls.")),
]
CaseSeed = Annotated[int, typer.Option("--seed", min=0, help=t("Chooses other cases."))]
Data = Annotated[
    Path | None, typer.Option("--data", metavar="FOLDER", help=t("The folder of the sets."))
]


@app.command("agent", cls=Command, help=t("Measure the agent: its calls, and what it reaches."))
def eval_agent(
    sets: Sets = None, limit: CaseLimit = 20, half: Half = "report", seed: CaseSeed = 0,
    way: CallWays = "both", concurrency: Concurrency = None, data: Data = None,
    resume: Resume = None, show: Show = None, listed: Listed = False,
    chat_url: Url = None, chat_model: Model = None,
    home: Home = None, json: Json = False, quiet: Quiet = False, debug: Debug = False,
) -> None:  # fmt: skip
    from agents import measuring_screen as doors
    from agents.measuring.running import MeasurePlan
    from rag.settings import load_chat_settings

    terminal, folder = build_terminal(json, quiet), build_settings(home).home
    _check_one_task(" ".join(sets or ()) or None, resume, show, listed=listed)
    if listed:
        doors.list_measured(terminal, folder)
    elif show:
        doors.show_measured(terminal, folder, show)
    else:
        chat = load_chat_settings(url=chat_url, model=chat_model)
        at_once = concurrency or (4 if chat.url else 1)
        given = MeasurePlan("", limit or None, half or "report", seed, way, at_once, data)
        start = home_chat_starter(folder, terminal, chat)
        doors.run_measured(terminal, folder, given, sets or (), start, resume)


def _check_one_task(*tasks: str | None, listed: bool) -> None:
    from indexes.errors import UsageError

    if sum(map(bool, tasks)) + listed != 1:
        raise UsageError(
            t(
                "Name one thing to do: a DATASET to ask, or one of --resume, --replay, --show and "
                "--list, or two runs to --compare."
            )
        )
