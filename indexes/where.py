"""The filter language of ``--where``, compiled to SQL with bound values.

::

    condition  = and_group ("or" and_group)*
    and_group  = negation ("and" negation)*
    negation   = "not" negation | "(" condition ")" | comparison
    comparison = field ("=" | "!=" | "<" | "<=" | ">" | ">=") value
               | field ["not"] "like" text | field ["not"] "in" "(" value ("," value)* ")"

Values are numbers, ``true``, ``false`` or quoted text. Fields are those of a document (``source``,
``title``, ``format``, ``lang``, ``size``, ``modified``, ``added``, ``year``), ``page`` of a
passage, and any key of the document's metadata. A key in backticks, with a backtick inside written
twice, may be any text, and goes before the field of that name. ``like`` takes ``*`` and ``?``; a
pattern for ``source`` may begin at any folder. A comparison with a field that a document lacks is
false, and so is one of a text with a number in the metadata by ``<``, ``<=``, ``>`` or ``>=``.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NoReturn

from indexes.errors import UsageError
from indexes.i18n import t

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    | (?P<number>-?\d+(?:\.\d+)?(?![\w.]))
    | (?P<name>[^\W\d][\w.-]*)
    | (?P<key>`(?:[^`]|``)+`)
    | (?P<sign><=|>=|!=|<>|==|[=<>(),])
    )""",
    re.VERBOSE,
)
_COLUMNS = {
    "source": "documents.source",
    "title": "documents.title",
    "format": "documents.format",
    "lang": "documents.lang",
    "size": "documents.size",
    "added": "documents.added",
    "modified": "strftime('%Y-%m-%dT%H:%M:%SZ', documents.modified_ns / 1000000000, 'unixepoch')",
    "year": (
        "CAST(coalesce(json_extract(documents.metadata, '$.year'),"
        " substr(json_extract(documents.metadata, '$.date'), 1, 4),"
        " strftime('%Y', documents.modified_ns / 1000000000, 'unixepoch')) AS INTEGER)"
    ),
    "page": "chunks.page",
}
_SIGNS = {"=": "=", "==": "=", "!=": "<>", "<>": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_METADATA = "(SELECT value FROM json_each(documents.metadata) WHERE key = ?)"
_WORDS = frozenset({"and", "or", "not", "like", "in", "true", "false"})
_LONGEST = 10_000
_DEEPEST = 100

Value = str | int | float


@dataclass(frozen=True, slots=True)
class Condition:
    """An SQL expression over the table ``documents``, and ``chunks`` if ``by_chunk``, and its bound
    values."""

    sql: str
    values: tuple[Value, ...]

    def veiled(self) -> "Condition":
        """The same about documents that are called as `indexes.shown` says."""
        source = _COLUMNS["source"]
        return Condition(self.sql.replace(source, f"shown({source})"), self.values)

    @property
    def by_chunk(self) -> bool:
        """Whether it tells the chunks of one document apart."""
        return _COLUMNS["page"] in self.sql


def parse_where(text: str, *, veiled: bool = False) -> Condition:
    """Compile a filter, `Condition.veiled` if so wished. Raises `UsageError` that shows where it
    cannot be read."""
    if len(text) > _LONGEST:
        raise UsageError(t("The filter is longer than {limit} characters.", limit=_LONGEST))
    parser = _Parser(text)
    condition = parser.condition()
    parser.end()
    return condition.veiled() if veiled else condition


@dataclass(slots=True)
class _Token:
    kind: str
    text: str
    at: int


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            if text[at:].strip():
                yield _Token("unknown", text[at:].strip(), at)
            return
        yield _Token(match.lastgroup, match.group(match.lastgroup), match.start(match.lastgroup))
        at = match.end()


@dataclass(slots=True)
class _Parser:
    text: str
    tokens: list[_Token] = field(init=False)
    next: int = 0
    depth: int = 0

    def __post_init__(self) -> None:
        self.tokens = [*_tokens(self.text), _Token("end", "", len(self.text))]

    def condition(self) -> Condition:
        return self._joined("or", self._and_group)

    def _and_group(self) -> Condition:
        return self._joined("and", self._negation)

    def _joined(self, word: str, part: Callable[[], Condition]) -> Condition:
        parts = [part()]
        while self._word(word):
            parts.append(part())
        if len(parts) == 1:
            return parts[0]
        sql = f" {word.upper()} ".join(f"({p.sql})" for p in parts)
        return Condition(sql, tuple(v for p in parts for v in p.values))

    def _negation(self) -> Condition:
        self.depth += 1
        if self.depth > _DEEPEST:
            self._fail(t("it is nested too deeply"))
        if self._word("not"):
            inner = self._negation()
            result = Condition(f"NOT coalesce({inner.sql}, 0)", inner.values)
        elif self._sign("("):
            result = self.condition()
            if not self._sign(")"):
                self._fail(t("a closing bracket is missing"))
        else:
            result = self._comparison()
        self.depth -= 1
        return result

    def _comparison(self) -> Condition:
        column, names = self._field()
        negated = self._word("not")
        if self._word("like"):
            condition = _like(column, names, str(self._value()))
        elif self._word("in"):
            condition = self._in(column, names)
        else:
            sign = self.tokens[self.next]
            if negated or sign.kind != "sign" or sign.text not in _SIGNS:
                self._fail(t("an operator is expected: = != < <= > >= like in"))
            self.next += 1
            condition = _compared(column, names, _SIGNS[sign.text], self._value())
        return Condition(f"NOT ({condition.sql})", condition.values) if negated else condition

    def _field(self) -> tuple[str, tuple[Value, ...]]:
        """The SQL of a field, and the values that are bound in it."""
        if key := self._take("key"):
            name = key.text[1:-1].replace("``", "`")
            column = _COLUMNS.get(name)
            return (f"coalesce({_METADATA}, {column})" if column else _METADATA), (name,)
        token = self._take("name")
        if token is None or token.text.lower() in _WORDS:
            self._fail(t("a field name is expected"), token)
        column = _COLUMNS.get(token.text.lower())
        return (column, ()) if column else (_METADATA, (token.text,))

    def _in(self, column: str, names: tuple[Value, ...]) -> Condition:
        if not self._sign("("):
            self._fail(t("a list in brackets is expected"))
        values = [self._value()]
        while self._sign(","):
            values.append(self._value())
        if not self._sign(")"):
            self._fail(t("a closing bracket is missing"))
        return Condition(f"{column} IN ({', '.join('?' * len(values))})", (*names, *values))

    def _value(self) -> Value:
        token = self.tokens[self.next]
        self.next += 1
        if token.kind == "text":
            return re.sub(r"\\(.)", r"\1", token.text[1:-1])
        if token.kind == "number":
            return float(token.text) if "." in token.text else _integer(token.text)
        if token.kind == "name" and token.text.lower() in ("true", "false"):
            return int(token.text.lower() == "true")
        return self._fail(t("a number or quoted text is expected"), token)

    def end(self) -> None:
        if self.tokens[self.next].kind != "end":
            self._fail(t("«and» or «or» is expected"))

    def _word(self, word: str) -> bool:
        token = self.tokens[self.next]
        found = token.kind == "name" and token.text.lower() == word
        self.next += found
        return found

    def _sign(self, sign: str) -> bool:
        token = self.tokens[self.next]
        found = token.kind == "sign" and token.text == sign
        self.next += found
        return found

    def _take(self, kind: str) -> _Token | None:
        token = self.tokens[self.next]
        if token.kind != kind:
            return None
        self.next += 1
        return token

    def _fail(self, reason: str, token: _Token | None = None) -> NoReturn:
        at = (token or self.tokens[min(self.next, len(self.tokens) - 1)]).at
        raise UsageError(
            t(
                "The filter cannot be read at «{rest}»: {reason}. Example: "
                'source like "reports/*" and year >= 2024.',
                rest=self.text[at : at + 40] or t("the end"),
                reason=reason,
            )
        )


def _compared(column: str, names: tuple[Value, ...], sign: str, value: Value) -> Condition:
    """To SQLite every text is greater than every number."""
    if not names or sign in ("=", "<>"):
        return Condition(f"{column} {sign} ?", (*names, value))
    kind = f"(typeof({column}) = 'text') = ?"
    return Condition(
        f"({kind} AND {column} {sign} ?)", (*names, int(isinstance(value, str)), *names, value)
    )


def _integer(digits: str) -> int | float:
    """SQLite integers have 64 bits; a larger number is compared as a float."""
    number = int(digits)
    return number if -(2**63) <= number < 2**63 else float(digits)


def _like(column: str, names: tuple[Value, ...], pattern: str) -> Condition:
    pattern = pattern.replace("[", "[[]")
    if column != _COLUMNS["source"] or pattern.startswith(("/", "*")):
        return Condition(f"{column} GLOB ?", (*names, pattern))
    return Condition(f"({column} GLOB ? OR {column} GLOB ?)", (pattern, f"*/{pattern}"))
