"""``search`` and ``ask``: one question, or many of standard input, one after the other."""

from collections.abc import Callable
from traceback import format_exception
from typing import TYPE_CHECKING, Final

from agents.failures import explain as reason_of
from agents.streams import read_lines, text_of
from indexes.errors import EndpointError, UsageError, WaggleError
from indexes.i18n import t
from rag.models.failures import is_absent

if TYPE_CHECKING:
    from agents.terminal import Terminal
    from rag.answering import RAG, AskOptions
    from rag.settings import ChatSettings

DONE: Final = 0
FAILED: Final = 1
NO_ANSWER: Final = 3
_WORST_LAST: Final = (DONE, NO_ANSWER, FAILED)


def each(
    terminal: "Terminal",
    text: str,
    do: Callable[[str], int],
    *,
    lines: bool,
    name: str,
    debug: bool = False,
) -> int:
    """``do`` it with ``text``, or for «-» with standard input, whole or one of its ``lines`` after
    the other; the worst of the exit codes.

    A line with which it fails, or that is not text, gets an object in its place, which holds it
    under ``name``; stderr tells each reason once, with ``debug`` where it came from. Where there
    are no lines, the failure is raised, and so it is where no object can be written.
    """
    if text != "-" or not lines:
        return do(text_of(text))
    worst, told = DONE, set[str]()
    for question, unreadable in read_lines():
        try:
            if unreadable:
                raise unreadable
            code = do(question)
        except (WaggleError, OSError) as error:
            code, reason = FAILED, reason_of(error)
            terminal.failure(reason, type(error).__name__, **{name: question})
            if reason not in told:
                told.add(reason)
                trace = "".join(format_exception(error)).rstrip() if debug else reason
                terminal.urgent(trace, "bold red")
        worst = max(worst, code, key=_WORST_LAST.index)
    return worst


class Answering:
    """Answers questions one after the other with what ``build`` makes of the settings.

    A server that is away is waited for as the settings say. Where that was in vain, the questions
    that follow try it once each, until it answers again.
    """

    def __init__(
        self,
        terminal: "Terminal",
        build: "Callable[[ChatSettings], RAG]",
        settings: "ChatSettings",
        options: "AskOptions",
        *,
        explain: bool,
    ) -> None:
        self._terminal, self._build, self._settings = terminal, build, settings
        self._options, self._explain = options, explain
        self._rag, self._waits = build(settings), True

    def check(self) -> None:
        """Raises `UsageError` for options with which nothing can be asked."""
        check_options(self._rag, self._options)

    def answer(self, question: str) -> int:
        """Show the answer; the exit code that it stands for."""
        try:
            events = self._rag.stream(question, **self._options)
            answer = self._terminal.answer(events, explain=self._explain)
        except EndpointError as error:
            if is_absent(error):
                self._begin(waits=False)
            raise
        if answer.model and not self._waits:
            self._begin(waits=True)
        return {"answered": DONE, "unanswerable": NO_ANSWER, "no_model": FAILED}[answer.status]

    def _begin(self, *, waits: bool) -> None:
        """With a model made anew: an engine that has ended is started at another address."""
        self._waits = waits
        seconds = self._settings.retry_seconds if waits else 0.0
        self._rag = self._build(self._settings.model_copy(update={"retry_seconds": seconds}))


def check_options(rag: "RAG", options: "AskOptions") -> None:
    """What is wrong with the options, before the first question is there. Raises `UsageError`."""
    check_search(options.get("k", 1), options.get("where"))
    rag.stream("?", **options).close()


def check_search(k: int, where: str | None) -> None:
    """The same for a search."""
    from indexes.where import parse_where

    if where:
        parse_where(where)
    if k < 1:
        raise UsageError(t("The number of results must be at least 1."))
