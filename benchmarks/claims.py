"""Right and wrong claims about paragraphs, made from questions and answers without a model.

Kinds and sentences are told here by rules of their own: what is measured must not sort its own
questions.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import rjieba

from rag.evaluation.datasets import Paragraph, Question

Kind = Literal["number", "date", "name", "phrase"]
Way = Literal["answer", "sentence", "clause", "question", "two facts"]
Truth = Literal["right", "same kind", "other answer", "neighbour"]

_HAN = re.compile(r"[\u3400-\u9fff]")
_MONTH = (
    r"(?:January|February|March|April|May|June|July|August|September|October|November|December)"
)
_DATE = re.compile(
    rf"(?:\d{{1,2}}(?:st|nd|rd|th)? )?{_MONTH} \d{{1,4}}(?:st|nd|rd|th)?(?:, \d{{4}})?"
    r"|\b(?:1\d|20)\d\ds?\b(?!\s?(?:年|[人个米公]))|\d+(?:st|nd|rd|th) century"
    r"|\d{1,4}\s?年(?:\s?\d{1,2}\s?月(?:\s?\d{1,2}\s?[日号號])?)?|\d{1,2}\s?月\s?\d{1,2}\s?[日号號]"
    r"|[一二三四五六七八九十]{1,3}世[纪紀]|[一二三四五六七八九〇零]{4}年"
)
_NUMBER = re.compile(
    r"\d+(?:[,.]\d+)*|\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty"
    r"|thirty|forty|fifty|sixty|hundred|half|twice)\b"
    r"|[一二两兩三四五六七八九十百千万萬亿億]+(?=[个個人名位座条條次年天种種部层層月岁歲万萬千百倍分公米])"
)
_CAPITALS = re.compile(r"[A-Z][\w'’-]*(?:(?: (?:of|the|de|von|van|and))? [A-Z][\w'’-]*)*(?: \d+)?")
_SMALL = frozenset(re.findall(r"\w+", "a an the of in at by on de von van and to for"))
_PROPER = frozenset(("nr", "nrt", "nrfg", "ns", "nt", "nz"))
_TITLED = re.compile(r"《[^《》]{1,30}》|[\u3400-\u9fff]{1,8}(?:·[\u3400-\u9fff]{1,8})+")
_SENTENCE = re.compile(r"(?<=[。！？!?])|(?<=[.!?])\s+(?=[A-Z\"'(“])")
_CLAUSE = re.compile(r"(?<=[,;，；])(?!\d)\s*")
_SHORTEST_CLAUSE = 16
"""Characters (a Chinese one counts as two) below which a clause is told with the one before it."""
_ASKS = re.compile(
    r"(?:是|在|于|於)?(?:什么时候|什麼時候|何时|何時|哪一?[年天日]|几[年月天日]|哪[一]?[个個位国國座家种種些里裡]?"
    r"|什么|什麼|何[地人种種]|谁|誰|多少|几|幾|多[大长長高久远遠])"
)
_OPENS = re.compile(
    r"(?:in |on |at |by |for |from |to |of |with )?(?:who|whom|what|which|when|where|how (?:many"
    r"|much|long|old|far))\b(?: (?:is|are|was|were|do|does|did|has|have|had|can|will)\b)?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Made:
    """A claim, and whether ``paragraph`` holds it. ``gold`` is the sentence with the answer."""

    way: Way
    kind: Kind
    truth: Truth
    lang: str
    question: str
    claim: str
    gold: str
    paragraph: Paragraph


def made(
    questions: Sequence[Question], paragraphs: Mapping[str, Paragraph], every: Sequence[Question]
) -> Iterator[Made]:
    """The claims about ``questions``; wrong answers come from the paragraph itself and from
    ``every`` question about it, neighbours from the order of ``paragraphs``."""
    others: dict[str, list[Question]] = {}
    for question in every:
        if question.answerable and question.gold:
            others.setdefault(question.gold[0], []).append(question)
    beside = _neighbours(list(paragraphs.values()))
    for question in questions:
        paragraph = paragraphs[question.gold[0]]
        answer = question.answers[0]
        gold = _gold_sentence(paragraph.text, question.text, answer)
        if gold is None:
            continue
        kind = kind_of(answer)
        wrong = _wrong_answers(question, kind, paragraph.text, others[paragraph.id])
        for truth, told in (("right", answer), *wrong):
            told_in = list(_told(question.text, answer, told, gold))
            if second := _second(gold, question, others[paragraph.id], paragraph.text):
                told_in.append(("two facts", _two(gold, answer, told, second)))
            for way, claim in told_in:
                row = Made(way, kind, truth, question.lang, question.text, claim, gold, paragraph)
                yield row
                neighbour = beside.get(paragraph.id)
                if truth == "right" and neighbour and not _in(answer, neighbour.text):
                    yield Made(
                        way, kind, "neighbour", question.lang, question.text, claim, gold, neighbour
                    )


def kind_of(answer: str) -> Kind:
    """What an answer is."""
    if _DATE.search(answer):
        return "date"
    if _NUMBER.search(answer):
        return "number"
    if _HAN.search(answer):
        tags = [tag for word, tag in rjieba.tag(answer) if _HAN.search(word)]
        proper = all(tag in _PROPER for tag in tags) or bool(_TITLED.fullmatch(answer))
        return "name" if proper else "phrase"
    words = [word for word in re.findall(r"[\w'’-]+", answer) if word not in _SMALL]
    return "name" if words and all(word[0].isupper() for word in words) else "phrase"


def _neighbours(paragraphs: Sequence[Paragraph]) -> dict[str, Paragraph]:
    """Another paragraph of the same title, where there is one."""
    found: dict[str, Paragraph] = {}
    for one, other in pairwise(paragraphs):
        if one.title == other.title:
            found[one.id] = other
            found.setdefault(other.id, one)
    return found


def _wrong_answers(
    question: Question, kind: Kind, text: str, about: Sequence[Question]
) -> list[tuple[Truth, str]]:
    """The nearest of the same kind in the paragraph, and the answer of another question."""
    answer = question.answers[0]
    found: list[tuple[Truth, str]] = []
    at = text.find(answer)
    near = [
        (abs(start - at), told)
        for start, told in _of_kind(answer, kind, text)
        if _differs(told, question)
    ]
    if near:
        found.append(("same kind", min(near)[1]))
    for other in about:
        if other.text != question.text and _differs(other.answers[0], question):
            found.append(("other answer", other.answers[0]))
            break
    return found


def _of_kind(answer: str, kind: Kind, text: str) -> Iterator[tuple[int, str]]:
    if kind == "date":
        yield from ((m.start(), m[0]) for m in _DATE.finditer(text))
    elif kind == "number":
        first = _NUMBER.search(answer)
        for match in _NUMBER.finditer(_DATE.sub(lambda m: " " * len(m[0]), text)):
            if first:
                yield match.start(), answer[: first.start()] + match[0] + answer[first.end() :]
    elif kind == "name" and _HAN.search(answer):
        yield from ((m.start(), m[0]) for m in _TITLED.finditer(text) if m[0] != answer)
        at = 0
        for word, tag in rjieba.tag(text):
            if tag in _PROPER and len(word) > 1:
                yield at, word
            at += len(word)
    elif kind == "name":
        for match in _CAPITALS.finditer(text):
            opens = not text[: match.start()].strip() or text[: match.start()].rstrip()[-1] in ".!?"
            if not opens or " " in match[0]:
                yield match.start(), match[0]


def _differs(told: str, question: Question) -> bool:
    """Whether it is certainly not the answer: no word of the one stands in the other, nor in the
    question."""
    known = _parts(" ".join((*question.answers, question.text)))
    kind = kind_of(told)
    if kind == "number":  # a unit may be the same
        known, parts = _figures(" ".join(question.answers)), _figures(told)
        return bool(parts) and not parts & known
    return not _parts(told) & known


def _figures(text: str) -> set[str]:
    return {match[0].replace(",", "") for match in _NUMBER.finditer(text)}


def _parts(text: str) -> set[str]:
    words = {w.lower() for w in re.findall(r"[^\W\u3400-\u9fff]+", text)} - _SMALL
    han = "".join(_HAN.findall(text))
    return words | {han[i : i + 2] for i in range(len(han) - 1)}


def _in(answer: str, text: str) -> bool:
    return answer.casefold() in text.casefold()


def _gold_sentence(text: str, question: str, answer: str) -> str | None:
    """The sentence with the answer that has most of the question."""
    asked = _parts(question)
    have = [s.strip() for s in _SENTENCE.split(text) if answer in s]
    return max(have, key=lambda s: len(_parts(s) & asked), default=None)


def _told(question: str, answer: str, told: str, gold: str) -> Iterator[tuple[Way, str]]:
    """The ways to tell an answer."""
    yield "answer", told
    yield "sentence", gold.replace(answer, told)
    clause = _clause(gold, answer)
    if clause != gold:
        yield "clause", clause.replace(answer, told)
    if statement := _statement(question, told):
        yield "question", statement


def _clause(sentence: str, answer: str) -> str:
    """The clauses from the first to the last that the answer touches, enough of them to say
    something."""
    parts = _CLAUSE.split(sentence)
    have = [i for i, part in enumerate(parts) if answer in part]
    if not have:
        return sentence
    first = last = have[0]
    while first and len(_joined(parts[first : last + 1]).encode()) < 1.5 * _SHORTEST_CLAUSE:
        first -= 1
    return _joined(parts[first : last + 1]).rstrip(",;，；")


def _second(gold: str, question: Question, about: Sequence[Question], text: str) -> str | None:
    """A clause of another sentence, with the answer of another question."""
    for other in about:
        sentence = _gold_sentence(text, other.text, other.answers[0])
        if sentence and sentence != gold and other.text != question.text:
            return _clause(sentence, other.answers[0])
    return None


def _two(gold: str, answer: str, told: str, second: str) -> str:
    """A clause with the answer, and another one."""
    first = _clause(gold, answer).replace(answer, told).rstrip(".。!！?？")
    return f"{first}，{second}" if _HAN.search(gold) else f"{first}, and {second}"


def _joined(parts: Sequence[str]) -> str:
    return "".join(parts) if _HAN.search("".join(parts)) else " ".join(parts)


def _statement(question: str, told: str) -> str | None:
    """The words of a question with the answer in the place of what asks."""
    plain = question.rstrip(" ?？吗呢")
    if _HAN.search(question):
        found = list(_ASKS.finditer(plain))
        if len(found) != 1:
            return None
        at = found[0]
        kept = at[0][:1] if at[0][:1] in "是在于於" else ""
        return f"{plain[: at.start()]}{kept}{told}{plain[at.end() :]}。"
    opens = _OPENS.match(plain)
    if not opens:
        return None
    rest = plain[opens.end() :].strip()
    last_word = opens[0].split()[-1].lower()
    if last_word in ("who", "what", "which"):  # the answer is the subject
        return f"{told} {rest}."
    return f"{rest[:1].upper()}{rest[1:]} {last_word} {told}."
