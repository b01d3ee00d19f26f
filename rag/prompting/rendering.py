"""From a prompt to the messages that are sent.

All prompts about the same passages begin alike: one system message, then the passages. The
prompt's own instruction, its examples and the question follow. So the model server reads the
passages once for all that is asked about them, and keeps them in its cache.
"""

from collections.abc import Mapping, Sequence

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from indexes.types import SearchResult
from rag.prompting.fencing import as_data, fenced, marker_of
from rag.prompting.types import EXAMPLE, MAIN, RULES, Example, Prompt


def prefix(shared: Prompt, contexts: Sequence[SearchResult]) -> tuple[str, str]:
    """The system message, and how the user's message begins, in every prompt about these passages.

    It depends on nothing but the passages, their order and the language: one more character before
    its end would make the model server read all passages again.
    """
    passages = fenced(contexts, marker_of(contexts))
    return shared.system or "", shared.steps[MAIN].render({"passages": passages}) + "\n\n"


def messages_of(
    prompt: Prompt,
    values: Mapping[str, str],
    contexts: Sequence[SearchResult] | None = None,
    step: str = MAIN,
) -> list[BaseMessage]:
    """The messages of one step of ``prompt``: behind the shared prefix where it is about passages
    (``contexts``, not ``None``), else alone. A prompt with a system message of its own departs from
    the prefix by that.

    ``values`` are data (`as_data`) for each variable of the step, and for no other, but for the
    rules, which the shared prompt has; `UsageError` where they are not.
    """
    system, before, marker = prompt.system or "", "", ""
    if contexts is not None and prompt.shared is not None:
        common, before = prefix(prompt.shared, contexts)
        system, marker = prompt.system or common, marker_of(contexts)
    data = {name: as_data(value, marker) for name, value in values.items()}
    if RULES in prompt.steps[step].names and prompt.shared is not None:
        data[RULES] = prompt.shared.steps[RULES].render({})
    task = HumanMessage(before + prompt.steps[step].render(data))
    return [SystemMessage(system), task] if system else [task]


def turns_of(prompt: Prompt, values: Mapping[str, str]) -> list[BaseMessage]:
    """The messages of a prompt about one ``text``, its examples as turns of a conversation before
    it. They come first and in their order, so the model server reads them once for all questions.
    """
    main = prompt.steps[MAIN]
    turns: list[BaseMessage] = [SystemMessage(prompt.system)] if prompt.system else []
    for e in prompt.examples:
        shown = {"text": "\n".join(e.passages), "question": e.question, "short": e.short}
        turns += [HumanMessage(main.render(shown)), AIMessage(e.answer)]
    data = {name: as_data(value) for name, value in values.items()}
    return [*turns, HumanMessage(main.render(data))]


def offered(prompt: Prompt, step: str, values: Mapping[str, str]) -> dict[str, str]:
    """Those of ``values`` for which the step has a place."""
    names = prompt.steps[step].names
    return {name: value for name, value in values.items() if name in names}


def more_passages(contexts: Sequence[SearchResult], known: int) -> str:
    """The passages after the first ``known``, which were found later, numbered on and fenced as
    those are, with an empty line behind them; nothing where there are none."""
    later = contexts[known:]
    return fenced(later, marker_of(contexts), known + 1) + "\n\n" if later else ""


def examples_text(prompt: Prompt, examples: Sequence[Example]) -> str:
    """The examples as the prompt's step ``example`` writes each of them."""
    return "\n\n".join(
        prompt.steps[EXAMPLE].render(
            {
                "passages": "\n".join(f"[{n}] {text}" for n, text in enumerate(e.passages, 1)),
                "question": e.question,
                "answer": e.answer,
            }
        )
        for e in examples
    )
