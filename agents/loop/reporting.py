"""The end of a planned run: a report in Markdown, each sentence looked up in what was seen."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from langchain_core.messages import AIMessage, BaseMessage

from agents.loop.evidence import Evidence
from agents.loop.finishing import Ending, Outcome
from agents.loop.leaving import performed
from agents.loop.limits import room_for
from agents.loop.revising import told_of
from agents.loop.types import Limits, Task
from agents.loop.wording import without_request
from indexes.cleaning import one_line
from indexes.errors import ContextOverflowError
from indexes.i18n import t
from rag.marks import numbers_in, renumbered
from rag.models.thinking import without_thoughts
from rag.prompting.fencing import as_data
from rag.prompts import is_refusal, prompt_language, task_messages
from rag.steps import ask, run
from rag.types import Citation, Usage

if TYPE_CHECKING:
    from agents.loop.graph import Means
    from indexes.types import SearchResult

_HEADING: Final = re.compile(r"^\s*(?:#{1,6}\s.*|\*\*[^*]+\*\*:?\s*|[=-]{3,}\s*)$", re.MULTILINE)
_FINDING: Final = 1500
"""Characters of a finding that the conclusion is made from."""

_WORDS: Final = {
    "en": {
        "conclude": "What was found out about parts of the goal:\n{found}\n\nThe goal: {goal}\n\n"
        "Answer the goal as a whole from what stands above, in a few sentences without headings. "
        "Behind each sentence put the number of the passage it stands on, as in [1]. Say what is "
        "still not known.",
        "open": "Not found out",
        "sources": "Sources",
        "page": "p. {page}",
    },
    "zh": {
        "conclude": "各部分已查明的内容：\n{found}\n\n目标：{goal}\n\n只根据上面的内容用几句话"
        "完整地回答目标，不要标题。每句话后面标出所依据的段落编号，如 [1]。还不知道的也要说明。",
        "open": "未查明",
        "sources": "来源",
        "page": "第 {page} 页",
    },
}


class Reporting:
    """Reports on the goal of ``means``. ``limits`` are what is left for it, ``messages`` those of
    all tasks."""

    def __init__(self, means: "Means", limits: Limits, messages: Sequence[BaseMessage]) -> None:
        self._means, self._limits, self._messages = means, limits, messages
        self._words = _WORDS[prompt_language(means.goal)]

    def outcome(self, tasks: Sequence[Task], reason: str) -> Outcome:
        """The report; ``reason`` says why the run was stopped, if it was."""
        worked = [one for one in tasks if one.finding]
        if not worked:
            return run(self._ending(self._messages).outcome(reason or t("Nothing was found out.")))
        if len(worked) == 1:
            said = [*self._messages, AIMessage(worked[0].finding)]
            return self._put_together(run(self._ending(said).outcome("")), [], tasks, reason)
        written, usage = self._conclusion(tasks)
        whole = self._verified(written) if written else Outcome("done", "", "")
        parts = [(one, self._verified(one.finding)) for one in worked]
        made = self._put_together(whole, parts, tasks, reason)
        return replace(made, usage=made.usage + usage)

    def _put_together(
        self,
        whole: Outcome,
        parts: Sequence[tuple[Task, Outcome]],
        tasks: Sequence[Task],
        reason: str,
    ) -> Outcome:
        outcomes = [whole, *(outcome for _, outcome in parts)]
        citations = tuple(dict.fromkeys(one for each in outcomes for one in each.citations))
        blocks = [whole.answer]
        blocks += [f"## {one_line(one.text)}\n\n{outcome.answer}" for one, outcome in parts]
        open_ones = [one for one in tasks if one.status != "dropped" and not one.finding]
        blocks += self._list("open", [one_line(one.text) for one in open_ones])
        blocks += self._list("sources", self._sources(citations))
        # A conclusion is drawn from several passages, none of which states it by itself.
        told = [one for one in outcomes if one.answer]
        unmet = bool(whole.answer) and is_refusal(whole.answer)
        grounded = [] if unmet else [one for one in told if one.status == "done"]
        status, why = (grounded or told)[0].status, (grounded or told)[0].reason
        if reason:
            status, why = "stopped", reason
        usage = sum((one.usage for one in outcomes), Usage())
        return Outcome(status, why, "\n\n".join(filter(None, blocks)), citations, usage)

    def _list(self, name: str, lines: Sequence[str]) -> list[str]:
        listed = "\n".join(f"- {line}" for line in lines)
        return [f"## {self._words[name]}\n\n{listed}"] if lines else []

    def _sources(self, citations: Sequence[Citation]) -> list[str]:
        """The passages that the report stands on, by their numbers."""
        found = {one.number: one for one in citations if one.support != "unsupported"}
        return [self._source(found[number]) for number in sorted(found)]

    def _source(self, one: Citation) -> str:
        page = "" if one.page is None else f", {self._words['page'].format(page=one.page)}"
        return f"[{one.number}] {one_line(one.title)} ({one_line(one.source)}{page})"

    def _verified(self, text: str) -> Outcome:
        """A text whose sentences were looked up."""
        return run(self._ending(self._messages).checked(text))

    def _ending(self, messages: Sequence[BaseMessage]) -> Ending:
        contexts = self._means.evidence.contexts
        return ending(self._means, self._means.goal, self._limits, contexts, messages)

    def _conclusion(self, tasks: Sequence[Task]) -> tuple[str, Usage]:
        """What the model writes about the whole; nothing where there is no room for it."""
        goal, budget = self._means.goal, self._means.rag.budget()
        passages = cited_first(self._means.evidence.contexts, tasks)
        lang = prompt_language(goal)

        def asked(shown: int) -> "list[BaseMessage]":
            to_local = {number: n for n, (number, _) in enumerate(passages[:shown], 1)}
            found = as_data(renumbered(told_of(tasks, _FINDING), to_local))
            task = self._words["conclude"].format(found=found, goal=goal)
            return task_messages([one for _, one in passages[:shown]], lang, task)

        try:
            shown = len(passages)
            if budget is not None and passages:
                shown = budget.fit(asked, shown).passages
            if not room_for(self._limits, self._messages, asked(shown)):
                return "", Usage()
            said = self._said(asked(shown))
        except ContextOverflowError:
            return "", Usage()
        to_global = {n: number for n, (number, _) in enumerate(passages[:shown], 1)}
        text = without_request(_HEADING.sub("", without_thoughts(said["text"])), goal)
        return renumbered(text, to_global), Usage(*said["tokens"])

    def _said(self, messages: "list[BaseMessage]") -> Mapping[str, Any]:
        """The model's reply, which is written down like those of the loop."""

        def make() -> dict[str, Any]:
            reply = performed(ask(self._means.chat, messages))
            usage = Usage.of(reply)
            tokens = [usage.prompt_tokens, usage.completion_tokens]
            return {"text": str(reply.text), "tokens": tokens}

        request = [[one.type, str(one.text)] for one in messages]
        said: Mapping[str, Any] = self._means.recording.remembered("conclusion", request, make)
        return said


def closed(
    means: "Means", task: str, limits: Limits, messages: Sequence[BaseMessage], reason: str
) -> tuple[str, Usage]:
    """What a task that was stopped has found out from the passages that it has seen, and what it
    cost to write that down."""
    seen = Evidence()
    seen.recall(messages)
    outcome = run(ending(means, task, limits, seen.contexts, messages).outcome(reason))
    to_global = dict(enumerate(sorted(_numbers(messages)), 1))
    return renumbered(outcome.answer, to_global), outcome.usage


def ending(
    means: "Means",
    goal: str,
    limits: Limits,
    contexts: "Sequence[SearchResult]",
    messages: Sequence[BaseMessage],
) -> Ending:
    """What can be said at the end of ``messages`` about a goal or a part of it."""
    return Ending(means.rag, means.chat, goal, limits, means.recording, contexts, messages)


def cited_first(
    contexts: "Sequence[SearchResult]", tasks: Sequence[Task]
) -> "list[tuple[int, SearchResult]]":
    """The passages with their numbers: those that findings name, then the others. Where there is no
    room for all, the last ones are left out."""
    numbered = dict(enumerate(contexts, 1))
    named = [n for task in tasks for n in numbers_in(task.finding)]
    order = dict.fromkeys([*(n for n in named if n in numbered), *numbered])
    return [(n, numbered[n]) for n in order]


def _numbers(messages: Sequence[BaseMessage]) -> set[int]:
    artifacts = [getattr(one, "artifact", None) for one in messages]
    return {
        int(passage["number"])
        for one in artifacts
        if isinstance(one, Mapping)
        for passage in one.get("passages", ())
    }
