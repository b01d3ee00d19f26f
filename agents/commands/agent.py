"""``waggle agent …``: a goal, worked on with tools, and the runs that are kept."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from agents.commands.building import (
    build_rag,
    build_settings,
    build_terminal,
    open_collection,
)
from agents.commands.help_pages import RUN, Command, OpenGroup, Unnamed
from agents.commands.options import Debug, Home, Json, Model, Name, Quiet, Url
from indexes.errors import UsageError
from indexes.i18n import t

if TYPE_CHECKING:
    from agents.agent_settings import AgentSettings
    from agents.loop.acting import RagAgent
    from agents.terminal import Terminal
    from rag.answering import RAG

STOPPED, DIVERGED, WAITING = 3, 3, 5
CODES = {"done": 0, "failed": 1, "stopped": STOPPED, "waiting_for_approval": WAITING}


app = typer.Typer(
    cls=OpenGroup, help=t("Work on a goal with tools, step by step, to a cited answer."),
    no_args_is_help=True, subcommand_metavar="| COMMAND [ARGS]...",
)  # fmt: skip

Run = Annotated[str, typer.Argument(metavar="RUN", help=t("The run's name."))]
Calls = list[str] | None
GoalText = Annotated[
    str | None, typer.Argument(metavar="GOAL", help=t("What is wanted; «-» reads standard input."))
]
Steps = Annotated[
    int | None, typer.Option("--max-steps", metavar="N", help=t("Stop after N steps."))
]
Tokens = Annotated[
    int | None,
    typer.Option("--budget-tokens", metavar="N", help=t("Stop after N tokens; 0: never.")),
]
Seconds = Annotated[
    float | None, typer.Option("--budget-seconds", metavar="N", help=t("Stop after N seconds."))
]
Cost = Annotated[
    float | None,
    typer.Option("--budget-cost", metavar="X", help=t("Stop when X is spent, by «prices».")),
]
Tools = Annotated[str | None, typer.Option("--tools", metavar="A,B", help=t("Only these tools."))]
Approve = Annotated[
    Literal["ask", "never", "always"] | None,
    typer.Option("--approve", help=t("What becomes of calls that write or go to the network.")),
]
PlanFirst = Annotated[
    Literal["loop", "plan"] | None,
    typer.Option("--mode", help=t("Whether tasks are planned first.")),
]
Resume = Annotated[str | None, typer.Option("--resume", metavar="RUN", help=t("Go on with a run."))]
Accept = Annotated[
    Calls, typer.Option("--accept", metavar="CALL", help=t("Do the call that waits (repeatable)."))
]
Reject = Annotated[
    Calls, typer.Option("--reject", metavar="CALL", help=t("Do not do it (repeatable)."))
]


@app.command(RUN, cls=Unnamed, hidden=True, help=t("Work on a goal with tools, step by step."))
def agent_run(
    goal: GoalText = None, steps: Steps = None, tokens: Tokens = None, seconds: Seconds = None,
    cost: Cost = None, tools: Tools = None, approve: Approve = None, mode: PlanFirst = None,
    resume: Resume = None, accept: Accept = None, reject: Reject = None,
    chat_url: Url = None, chat_model: Model = None,
    home: Home = None, name: Name = None, json: Json = False,
    jsonl: Annotated[
        bool, typer.Option("--jsonl", help=t("Write each event as a JSON object on a line."))
    ] = False,
    quiet: Quiet = False, debug: Debug = False,
) -> None:  # fmt: skip
    from agents.agent_screen import RunScreen
    from agents.agent_settings import load_agent_settings
    from agents.approving import somebody_is_there
    from agents.loop.tracing import export_spans
    from agents.streams import text_of
    from rag.settings import load_chat_settings

    _check_one_task(goal, resume, decided=bool(accept or reject), fixed=bool(tools or mode))
    terminal = build_terminal(json or jsonl, quiet)
    settings = load_agent_settings(
        steps=steps, tokens=tokens, seconds=seconds, cost=cost, tools=tools, approve=approve,
        mode=mode,
    )  # fmt: skip
    export_spans(terminal.notice)
    screen = RunScreen(terminal, lines=jsonl)
    decide = screen.decide if somebody_is_there() else None
    with open_collection(home, name, terminal) as collection:
        chat = load_chat_settings(url=chat_url, model=chat_model)
        agent = _agent(build_rag(collection, terminal, chat), terminal, settings)
        if resume:
            events = agent.stream_resumed(resume, _decisions(accept, reject), decide)
        else:
            events = agent.stream(text_of(goal or ""), decide)
        run = screen.follow(events)
    raise typer.Exit(CODES[run.status])


@app.command("list", cls=Command, help=t("List the runs that are kept."))
def agent_list(
    home: Home = None, json: Json = False, quiet: Quiet = False, debug: Debug = False
) -> None:
    from agents.agent_runs import list_runs

    list_runs(build_terminal(json, quiet), build_settings(home).home)


@app.command("show", cls=Command, help=t("Show a run with all its steps."))
def agent_show(
    run: Run, home: Home = None, json: Json = False, quiet: Quiet = False, debug: Debug = False
) -> None:
    from agents.agent_runs import show_run
    from agents.loop.recalling import recall

    show_run(build_terminal(json, quiet), recall(build_settings(home).home, run))


@app.command("remove", cls=Command, help=t("Delete runs with all that belongs to them."))
def agent_remove(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help=t("The runs' names."))],
    home: Home = None, json: Json = False, quiet: Quiet = False, debug: Debug = False,
) -> None:  # fmt: skip
    from agents.agent_runs import remove_runs

    remove_runs(build_terminal(json, quiet), build_settings(home).home, runs)


@app.command("replay", cls=Command,
             help=t("Do a run again from its record; say where it diverges."))  # fmt: skip
def agent_replay(
    run: Run, home: Home = None, name: Name = None, json: Json = False, quiet: Quiet = False,
    debug: Debug = False,
) -> None:  # fmt: skip
    from agents.agent_runs import show_replay
    from agents.agent_settings import load_agent_settings
    from rag.answering import RAG

    terminal = build_terminal(json, quiet)
    with open_collection(home, name, terminal) as collection:
        # No model is needed, so none is looked for.
        agent = _agent(RAG(collection, lambda: None), terminal, load_agent_settings())
        same = show_replay(terminal, run, agent.replay(run))
    raise typer.Exit(0 if same else DIVERGED)


@app.command("tools", cls=Command, help=t("List the tools, and what they do to the world."))
def agent_tools(
    approve: Annotated[
        str | None,
        typer.Option("--approve", metavar="NAME",
                     help=t("Approve the tools that the MCP server NAME offers now.")),
    ] = None,
    home: Home = None, name: Name = None, json: Json = False, quiet: Quiet = False,
    debug: Debug = False,
) -> None:  # fmt: skip
    from agents.agent_runs import approve_server, list_tools
    from agents.agent_settings import load_agent_settings
    from agents.loop.evidence import Evidence
    from agents.toolbox.kit import toolkit
    from rag.settings import load_chat_settings

    terminal = build_terminal(json, quiet)
    if approve is not None:
        approve_server(terminal, build_settings(home).home, approve)
        return
    with open_collection(home, name, terminal) as collection:
        rag, settings = build_rag(collection, terminal, load_chat_settings()), load_agent_settings()
        tools = toolkit(
            rag, Evidence(), collection.home, names=settings.tools, web=settings.web,
            notice=terminal.notice,
        )  # fmt: skip
        list_tools(terminal, tools)


@app.command("facts", cls=Command, help=t("List what is remembered beyond a run."))
def agent_facts(
    forget: Annotated[
        int | None, typer.Option("--forget", metavar="N", help=t("Delete the fact N."))
    ] = None,
    home: Home = None, json: Json = False, quiet: Quiet = False, debug: Debug = False,
) -> None:  # fmt: skip
    from agents.agent_runs import forget_fact, list_facts

    terminal, folder = build_terminal(json, quiet), build_settings(home).home
    if forget is None:
        list_facts(terminal, folder)
    else:
        forget_fact(terminal, folder, forget)


def _agent(rag: "RAG", terminal: "Terminal", settings: "AgentSettings") -> "RagAgent":
    """The agent that the settings describe."""
    from agents.loop.acting import RagAgent

    return RagAgent(
        rag,
        limits=settings.limits, approve=settings.approve, mode=settings.mode,
        kit=settings.tools, web=settings.web, calls=settings.calls, notice=terminal.notice,
    )  # fmt: skip


def _decisions(accepted: Calls, rejected: Calls) -> "list[Any]":
    from agents.loop.types import Decision

    return [
        *(Decision(call, "approve") for call in accepted or ()),
        *(Decision(call, "reject") for call in rejected or ()),
    ]


def _check_one_task(goal: str | None, resume: str | None, *, decided: bool, fixed: bool) -> None:
    if (goal is None) == (resume is None):
        raise UsageError(t("Name a GOAL, or a run to --resume."))
    if decided and not resume:
        raise UsageError(t("--accept and --reject are about a run to --resume."))
    if fixed and resume:
        raise UsageError(t("A run keeps the tools and the mode that it was begun with."))
