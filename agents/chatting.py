"""``waggle chat``: questions and answers, one after the other, and what can be done with them."""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from agents.asking import check_options
from agents.failures import explain as reason_of
from agents.screen import clean, one_line
from agents.wording import span
from indexes.errors import UsageError, WaggleError
from indexes.i18n import t
from rag.marks import without_marks
from rag.retrieval.types import Turn
from rag.types import Answer, Finished

if TYPE_CHECKING:
    from agents.terminal import Terminal
    from rag.answering import RAG, AskOptions

_COMMAND = re.compile(r"/(\w*)(?:\s+(.*))?")


class Conversation:
    """What is asked and answered at one terminal, or by lines of standard input.

    The latest questions and answers go with each question, so that it may refer to them. What goes
    wrong with one question is told, and the next one is waited for.
    """

    def __init__(
        self, terminal: "Terminal", rag: "RAG", options: "AskOptions", *, explain: bool = False
    ) -> None:
        self._terminal, self._rag, self._options = terminal, rag, options
        self._explain = explain
        self._answers: list[Answer] = []
        self._commands: dict[str, Callable[[str], None]] = {
            "sources": self._sources, "history": self._history, "save": self._save,
            "new": self._new, "help": self._help,
        }  # fmt: skip

    def hold(self) -> None:
        """Answer until the end. Raises `UsageError` for options with which nothing can be asked,
        or for standard input that is not text."""
        check_options(self._rag, self._options)
        if interactive():
            self._terminal.notice(
                t(
                    "Ask your documents in «{name}». /help shows the commands, Ctrl-D leaves.",
                    name=self._rag.collection.name,
                )
            )
        for line in lines(self._terminal):
            command = _COMMAND.fullmatch(line)
            if command and command[1] == "quit":
                return
            try:
                if command:
                    self._obey(command[1], command[2] or "")
                else:
                    self._ask(line)
            except (WaggleError, OSError) as error:
                self._terminal.error(reason_of(error), type(error).__name__)

    def _ask(self, question: str) -> None:
        history = tuple(
            Turn(answer.question, without_marks(answer.text)) for answer in self._answers
        )
        options: AskOptions = {**self._options, "history": history}
        events = self._rag.stream(question, **options)
        try:
            for event in self._terminal.written(events):
                if isinstance(event, Finished):
                    self._keep(event.answer)
        except KeyboardInterrupt:
            self._terminal.line()
            self._terminal.notice(t("Stopped. This question is not part of the conversation."))

    def _keep(self, answer: Answer) -> None:
        if answer.status != "no_model":
            self._answers.append(answer)
        for step in answer.steps:
            if step.step == "condense" and step.detail != answer.question:
                self._terminal.line(t("Understood as: {question}", question=step.detail), "dim")
        self._terminal.final(answer, explain=self._explain, quotes=False)
        self._terminal.line()

    # -- commands --------------------------------------------------------------------------------

    def _obey(self, name: str, rest: str) -> None:
        if command := self._commands.get(name):
            command(rest.strip())
            return
        raise UsageError(t("There is no command {name}. /help shows them.", name=f"/{name}"))

    def _sources(self, _: str) -> None:
        if self._last().citations:
            self._terminal.sources(self._last())
        else:
            self._terminal.line(t("The last answer has no sources."))

    def _history(self, _: str) -> None:
        for number, answer in enumerate(self._answers, 1):
            self._terminal.line(f"{number}. {one_line(answer.question)}", "bold")
            self._terminal.line(answer.text)

    def _save(self, rest: str) -> None:
        if not rest:
            raise UsageError(t("Name the file to save to, as in «/save talk.md»."))
        self._last()
        path = Path(rest).expanduser()
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write("\n".join(map(_as_markdown, self._answers)))
        except FileExistsError:
            raise UsageError(
                t("{path} is there already, and stays as it is. Name another file.", path=path)
            ) from None
        self._terminal.line(t("Saved to {path}", path=path))

    def _new(self, _: str) -> None:
        self._answers.clear()
        self._terminal.line(t("A new conversation: what was said before is forgotten."))

    def _help(self, _: str) -> None:
        rows = (
            ("/sources", t("the sources of the last answer, with their words")),
            ("/history", t("the conversation so far")),
            ("/save FILE", t("write the conversation to a Markdown file, with its sources")),
            ("/new", t("begin a new conversation")),
            ("/help", t("this list")),
            ("/quit", t("leave, as Ctrl-D does; Ctrl-C stops an answer")),
        )
        self._terminal.table(("", ""), rows)

    def _last(self) -> Answer:
        if not self._answers:
            raise UsageError(t("Nothing has been answered yet."))
        return self._answers[-1]


def interactive() -> bool:
    """Whether a person types and reads here."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def lines(terminal: "Terminal") -> Iterator[str]:
    """What is typed, or stands on standard input, line by line without those that are empty. On a
    terminal, Ctrl-C drops the line. Raises `UsageError` where standard input is not UTF-8."""
    read = _typed if interactive() else _piped
    while True:
        try:
            line = read()
        except EOFError:
            return
        except KeyboardInterrupt:
            if not interactive():
                raise
            terminal.line()
            terminal.notice(t("Ctrl-D or /quit leaves."))
            continue
        except UnicodeDecodeError:
            raise UsageError(t("Standard input is not text in UTF-8.")) from None
        if line.strip():
            yield line.strip()


def _typed() -> str:
    # Where it is there, `input` edits the line and remembers the earlier ones with it.
    with suppress(ImportError):
        import readline  # noqa: F401
    try:
        return input("> ")
    except EOFError:
        sys.stdout.write("\n")
        raise


def _piped() -> str:
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line


def _as_markdown(answer: Answer) -> str:
    """A question with its answer and the words that it stands on."""
    parts = [f"## {one_line(answer.question)}", clean(answer.text)]
    if answer.supported:
        parts.append(f"**{t('Sources')}**")
    for citation in answer.supported:
        place = f"[{citation.number}] `{one_line(span(citation))}` ({t(citation.support)})"
        quote = "\n".join(f"> {line}".rstrip() for line in clean(citation.quote).splitlines())
        parts += [place, quote]
    parts += [
        t("[?] No passage supports: {claim}", claim=one_line(citation.claim))
        for citation in answer.unsupported
    ]
    return "\n\n".join(parts) + "\n"
