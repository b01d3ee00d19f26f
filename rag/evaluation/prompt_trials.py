"""The same questions asked with several prompts, each a run that is kept."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from indexes.errors import UsageError
from indexes.i18n import t
from rag.evaluation.datasets import Question
from rag.evaluation.evaluator import Prepared, bind, evaluate
from rag.evaluation.records import Header
from rag.evaluation.runs import Run, Runs
from rag.evaluation.shelves import Progress
from rag.prompting.files import ANSWER_TASK
from rag.prompting.library import PromptLibrary
from rag.prompting.types import LANGUAGES, Prompt

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

_TURN = 8
"""Questions that a prompt is asked before the next one's turn."""


class Trials:
    """Asks the questions of ``ready``. With ``resume`` the latest runs of exactly the same, whole
    or begun, are gone on with; what they hold is not asked again."""

    def __init__(
        self,
        ready: Prepared,
        chat: "BaseChatModel | None",
        runs: Runs,
        *,
        resume: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self.ready, self.runs = ready, runs
        self._chat, self._resume, self._progress = chat, resume, progress
        self._names: dict[str, str] = {}
        self._shown: tuple[int, int] | None = None

    def ask(
        self,
        prompt: str,
        library: PromptLibrary | None = None,
        questions: Sequence[Question] | None = None,
    ) -> Run:
        """The run of the prompt of that name, with at least the outcomes of ``questions``, by
        default of all. Raises `EndpointError` where the server fails; what came is kept."""
        options = {**self.ready.plan.options, "prompt": prompt}
        ready = replace(
            self.ready,
            plan=replace(self.ready.plan, options=options),
            prompts=library or self.ready.prompts,
        )
        header = bind(ready, self._chat, self.runs)
        if questions is not None:
            ready = replace(ready, questions=tuple(questions))
        key = json.dumps(header.binding(), sort_keys=True)
        known = self._names.get(key) or self._begun(header)
        self._names[key] = known or header.run
        return evaluate(ready, header, self._chat, self.runs, known, self._tell)

    def ask_all(self, prompts: Sequence[str]) -> list[Run]:
        """The runs of several prompts, which take turns: a machine that is busy for a while, or a
        server's cache that gets warm, is to favour none of them."""
        questions, runs = self.ready.questions, dict[str, Run]()
        for turn, end in enumerate(range(_TURN, len(questions) + _TURN, _TURN)):
            first = turn % len(prompts)
            for prompt in (*prompts[first:], *prompts[:first]):
                before = sum(len(run.outcomes) for name, run in runs.items() if name != prompt)
                self._shown = before, len(prompts) * len(questions)
                runs[prompt] = self.ask(prompt, questions=questions[:end])
        return [runs[prompt] for prompt in prompts]

    def _tell(self, title: str, done: int, total: int) -> None:
        """The progress over all runs, where it is known how many there will be."""
        if self._progress:
            before, of_all = self._shown or (0, total)
            self._progress(title, before + done, of_all)

    def _begun(self, header: Header) -> str | None:
        if not self._resume:
            return None
        return next((run.header.run for run in self.runs.same(header)), None)


def answering(library: PromptLibrary, name: str, lang: str | None = None) -> Prompt:
    """The prompt ``name``, which must be one that answers questions. Raises `UsageError`."""
    prompt = library.get(name, lang or LANGUAGES[0])
    if prompt.task != ANSWER_TASK:
        raise UsageError(
            t("The prompt «{name}» is not for answering questions ({task}).",
              name=prompt.name, task=prompt.task)
        )  # fmt: skip
    return prompt
