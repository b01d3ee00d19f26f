"""What a prompt's right and wrong answers teach: examples to show, mistakes to tell of."""

import re
from collections.abc import Callable, Sequence
from typing import Final

from rag.evaluation.datasets import Question, Scoring
from rag.evaluation.records import Outcome, Passage
from rag.evaluation.scoring import gain
from rag.prompting.types import Example, Prompt

RIGHT: Final = 0.8
"""From this score on an answer is good enough to be shown as an example."""
WRONG: Final = 0.5
"""Below it an answer is a mistake."""
_LONGEST_PASSAGE = 400
_BEGINNING = 200
_LONGEST_MISTAKE = 300
_STOP = re.compile(r"[.!?](?=\s)|[。！？]")
_MARK = re.compile(r"\[(\d{1,3})\]")
_UNKNOWN = {"en": "I don't know.", "zh": "不知道。"}
_LABELS = {"en": ("Question", "Expected", "Given"), "zh": ("问题", "应答", "实答")}

TextOf = Callable[[Question, Passage], str]
"""The text of a passage that was read for a question."""


def parted(questions: Sequence[Question]) -> tuple[list[Question], list[Question]]:
    """A third of the questions to learn from, and the others to score by: what an example gives
    away must not be asked. In both, questions with and without an answer alternate as far as their
    numbers allow, so that the first of them are a fair choice."""
    kinds = [[q for q in questions if q.answerable is kind] for kind in (True, False)]
    lessons = _mixed([kind[2::3] for kind in kinds])
    scored = _mixed([[q for n, q in enumerate(kind) if n % 3 != 2] for kind in kinds])
    return lessons, scored


def _mixed(kinds: Sequence[Sequence[Question]]) -> list[Question]:
    placed = [((n + 0.5) / len(kind), q) for kind in kinds for n, q in enumerate(kind)]
    return [question for _, question in sorted(placed, key=lambda pair: pair[0])]


def can_show(prompt: Prompt) -> bool:
    """Whether answers as they are kept can serve as the prompt's examples: a JSON object, or a line
    of reasoning, is not kept."""
    return prompt.technique in ("once", "short-first", "brief") and prompt.output is None


def examples(outcomes: Sequence[Outcome], scoring: Scoring, text_of: TextOf) -> list[Example]:
    """An example for each right answer whose citations all hold, and for each right refusal; each
    with a passage beside it that says nothing of the matter.

    Bootstrapped demonstrations, as in DSPy (Khattab et al. 2023, https://arxiv.org/abs/2310.03714).
    """
    right = [o for o in outcomes if (gain(o, scoring) or 0.0) >= RIGHT]
    found = [_answered(o, text_of) if o.question.answerable else _refused(o, text_of)
             for o in right]  # fmt: skip
    return [example for example in found if example is not None]


def _answered(outcome: Outcome, text_of: TextOf) -> Example | None:
    reply = outcome.reply
    numbers = sorted({int(number) for number in _MARK.findall(reply.text)})
    sound = all(c.support != "unsupported" for c in reply.citations) and "[?]" not in reply.text
    if not numbers or not sound or not 0 < numbers[0] <= numbers[-1] <= len(reply.contexts):
        return None
    passages = {number: _quoted(outcome, reply.contexts[number - 1]) for number in numbers}
    if not all(0 < len(text) <= _LONGEST_PASSAGE for text in passages.values()):
        return None
    other = next((n for n in range(1, len(reply.contexts) + 1) if n not in passages), None)
    if other is not None:
        passages[other] = _beginning(text_of(outcome.question, reply.contexts[other - 1]))
    places = {number: place for place, number in enumerate(sorted(passages), 1)}
    answer = _MARK.sub(lambda mark: f"[{places[int(mark[1])]}]", reply.text)
    return Example(outcome.question.text, tuple(passages[n] for n in sorted(passages)), answer)


def _refused(outcome: Outcome, text_of: TextOf) -> Example | None:
    read = outcome.reply.contexts[:2]
    passages = tuple(_beginning(text_of(outcome.question, passage)) for passage in read)
    if not passages or not all(passages):
        return None
    lang = "zh" if outcome.question.lang.startswith("zh") else "en"
    return Example(outcome.question.text, passages, _UNKNOWN[lang])


def _quoted(outcome: Outcome, passage: Passage) -> str:
    """What the answer quotes of a passage, in the order of the text."""
    quotes = {
        c.start: c.quote
        for c in outcome.reply.citations
        if c.source == passage.source and passage.start <= c.start and c.end <= passage.end
    }
    return " ".join(" ".join(quotes[start].split()) for start in sorted(quotes))


def _beginning(text: str) -> str:
    """The first sentences of a passage, as far as a passage that says nothing needs them."""
    line = " ".join(text.split())
    if len(line) <= _BEGINNING:
        return line
    stops = [match.end() for match in _STOP.finditer(line, 0, _BEGINNING)]
    return line[: stops[-1]].strip() if stops else f"{line[:_BEGINNING]}…"


def mistakes(outcomes: Sequence[Outcome], scoring: Scoring) -> list[Outcome]:
    """The answers that are wrong."""
    found = [(gain(outcome, scoring), outcome) for outcome in outcomes]
    return [outcome for value, outcome in found if value is not None and value < WRONG]


def told(outcome: Outcome, lang: str) -> str:
    """A mistake, as the chat model is told of it."""
    question, reply = outcome.question, outcome.reply
    unknown = _UNKNOWN[lang]
    facts = tuple(forms[0] for forms in question.facts if forms)
    wanted = " / ".join(question.answers or facts) if question.answerable else unknown
    given = reply.text if reply.status == "answered" else unknown
    parts = zip(_LABELS[lang], (question.text, wanted or "–", given), strict=True)
    lines = (f"{label}: {' '.join(text.split())[:_LONGEST_MISTAKE]}" for label, text in parts)
    return "\n".join(lines)
