"""What a question wants to be told: a short answer of another kind does not answer it."""

import re

from indexes.words import normalised

_AMOUNT = re.compile(
    r"(?:\A|, ?)(?:in |for |about |approximately |by |at )?(?:how (?:many|old|tall|long|far|wide"
    r"|deep|high|heavy)|(?:what|which) (?:percent|percentage|year|century|decade))\b"
    r"|多少|几[年月日天个次种名位座条岁人米层所项部场家]|多[大长高久远重宽深]|哪一?年"
)
_TIME = re.compile(
    r"(?:\A|, ?)(?:in |on |since |until |by )?"
    r"(?:when (?:is|are|was|were|do|does|did|has|have|had|can|could|will|would|should)"
    r"|(?:what|which) (?:date|day|month|year|century|decade))\b"
    r"|什么时候|何时|哪一?[年天日月]|几[年月日号]"
)
# Some numbers are written with letters; a second thing that is asked may be another one.
_UNSURE = re.compile(r"编号|号码|代号|型号|哪[^一年天日月]|什么(?!时候)|谁|何[^时]|等级|大小")
_NO_FIGURE = re.compile(
    r"\A\W*(?:who|whom|whose|why|where)\b|谁|哪[一]?位|为什么|为何|哪里|哪儿|何处|何地|哪[一]?[国省市县]"
)
# An amount or a time without a figure.
_VAGUE = re.compile(
    r"\b(?:no|none|all|both|half|several|few|many|most|every|each|one|single|pair|dozens?|hundreds"
    r"|thousands|millions|billions|once|twice|third|quarter|majority|some|more|less|never|always"
    r"|daily|weekly|monthly|yearly|annually|double|triple|unknown|much|little|century"
    r"|lot|first|second|last|years?|months?|weeks?|days?|hours?|minutes?|decades?)\b"
    r"|[一二两三四五六七八九十百千万半数几]|全|无|每|许多|大量|少|多|不|双|单"
)
_VAGUE_TIME = re.compile(
    r"\b(?:before|after|during|while|since|until|till|when|once|upon|by|at|early|late|middle|mid"
    r"|spring|summer|autumn|fall|winter|morning|noon|evening|night|midnight|dawn|dusk|today"
    r"|yesterday|tomorrow|now|currently|never|always|annually|daily|weekly|monthly|yearly|year|years"
    r"|month|months|week|weeks|days?|century|centuries|decades?|era|age|ages|period|times?|season"
    r"|eve|easter|christmas|january|february|march|april|may|june|july|august|september|october"
    r"|november|december|monday|tuesday|wednesday|thursday|friday|saturday|sunday|war|dynasty"
    r"|reign|birth|death|end|beginning|start)\b"
    r"|[年月日天时夜早晚春夏秋冬晨昏代朝期世纪前后初末中周星]"
)


def fits(question: str, answer: str, *, figures: bool, only_figures: bool) -> bool:
    """Whether a short ``answer`` is of the kind that ``question`` asks for: how many and when want
    a figure or a word for one, who and where want something else than figures."""
    asked, told = normalised(question).casefold(), normalised(answer).casefold()
    if only_figures:
        return bool(_AMOUNT.search(asked) or _TIME.search(asked) or not _NO_FIGURE.search(asked))
    if figures:
        return True
    if _UNSURE.search(asked):
        return True
    if _TIME.search(asked):
        return bool(_VAGUE_TIME.search(told) or _VAGUE.search(told))
    return not _AMOUNT.search(asked) or bool(_VAGUE.search(told))
