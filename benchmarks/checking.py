"""How often the rules of ``rag/verifying`` accept right claims, and wrong ones, by kind.

No chat model is asked. «With yes» counts what is accepted when the model always says yes: what
the rules by themselves let through. «Unasked» is what is accepted without asking it.

::

    python -m benchmarks.checking
    python -m benchmarks.checking --sets squad_en --half report
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

from benchmarks.claims import Made, made
from indexes.errors import WaggleError
from indexes.types import SearchResult
from rag.evaluation.datasets import Paragraph, half_of, load_dataset
from rag.steps import Steps, run
from rag.verifying.claims import Claim, Question
from rag.verifying.judging import judge
from rag.verifying.passages import Passage

_SETS = ("squad_en", "cmrc2018_zh", "drcd_zht")


@dataclass(frozen=True, slots=True)
class Checked:
    """What the rules make of a claim: ``accepted`` with a model that says yes, ``unasked`` without
    one; ``quotes`` whether the quote is of the sentence with the answer."""

    made: Made
    accepted: bool
    unasked: bool
    quotes: bool


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; returns the exit status."""
    options = _options(arguments)
    try:
        for name in options.sets:
            rows = list(checked(name, options.half, options.limit))
            _tell(f"{name}, half {options.half}: by kind", rows, "kind")
            _tell(f"{name}, half {options.half}: by way", rows, "way")
            _examples(rows, options.examples)
    except WaggleError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def checked(name: str, half: str, limit: int | None = None) -> Iterator[Checked]:
    """The claims of a set, each against its passage."""
    dataset = load_dataset(name)
    (corpus,) = dataset.corpora
    paragraphs = {paragraph.id: paragraph for paragraph in corpus.paragraphs}
    questions = [q for q in dataset.questions if q.answerable and q.answers]
    chosen = [q for q in questions if half in ("all", half_of(q.key or q.id))][:limit]
    for one in made(chosen, paragraphs, questions):
        yield check(one)


def check(one: Made) -> Checked:
    """What the rules make of a claim."""
    passage = _passage(one.paragraph)
    claim = Claim(one.claim, _question(one.question))
    finding = None if claim.says_nothing else run(judge(passage, claim, _always))
    if finding is None:
        return Checked(one, False, False, False)
    quote = passage.text[slice(*finding.span)]
    return Checked(one, True, finding.support == "verbatim", _overlap(quote, one.gold))


def _always(_number: int, _claim: str) -> Steps[bool]:
    yield from ()
    return True


@lru_cache(maxsize=8)
def _passage(paragraph: Paragraph) -> Passage:
    size = len(paragraph.text)
    return Passage(
        1,
        SearchResult(
            1, 1.0, paragraph.id, paragraph.id, paragraph.title, None, (), 0, size, paragraph.text,
            {},
        ),
    )  # fmt: skip


@lru_cache(maxsize=8)
def _question(text: str) -> Question:
    return Question(text)


def _overlap(quote: str, gold: str) -> bool:
    return quote in gold or gold in quote


def _tell(title: str, rows: Sequence[Checked], by: str) -> None:
    heads = (by, "right: with yes", "unasked", "quote", "wrong: same kind", "other answer",
             "neighbour", "all", "unasked")  # fmt: skip
    print(f"{title}\n\n| {' | '.join(heads)} |\n{'|---' * len(heads)}|")

    def key(row: Checked) -> str:
        return str(getattr(row.made, by))

    ordered = sorted(rows, key=key)
    groups = [(name, list(group)) for name, group in groupby(ordered, key)]
    for name, group in [*groups, ("all", ordered)]:
        print(f"| {name} | {' | '.join(_cells(group))} |")
    print()


def _cells(rows: Sequence[Checked]) -> Iterator[str]:
    right = [row for row in rows if row.made.truth == "right"]
    wrong = [row for row in rows if row.made.truth != "right"]
    # Two facts may be quoted by either sentence.
    given = [row for row in right if row.accepted and row.made.way != "two facts"]
    yield _share([row.accepted for row in right])
    yield _share([row.unasked for row in right])
    yield _share([row.quotes for row in given])
    for truth in ("same kind", "other answer", "neighbour"):
        yield _share([row.accepted for row in wrong if row.made.truth == truth])
    yield _share([row.accepted for row in wrong])
    yield _share([row.unasked for row in wrong])


def _share(values: Sequence[bool]) -> str:
    return f"{sum(values) / len(values):.3f} of {len(values)}" if values else "–"


def _examples(rows: Sequence[Checked], most: int) -> None:
    """What was judged wrongly, evenly from the whole."""
    for truth, what in ((True, "refused though right"), (False, "accepted though wrong")):
        bad = [r for r in rows if (r.made.truth == "right") is truth and r.accepted is not truth]
        for row in bad[:: max(1, len(bad) // most)] if most else ():
            one = row.made
            print(f"{what} ({one.kind}, {one.way}, {one.truth}, unasked: {row.unasked})\n"
                  f"  {one.question}\n  {one.claim}\n  gold: {one.gold}")  # fmt: skip


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.checking", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--sets", nargs="+", choices=_SETS, default=_SETS, metavar="SET")
    parser.add_argument("--half", choices=("tune", "report", "all"), default="tune")
    parser.add_argument("--limit", type=int, help="only the first LIMIT questions of each set")
    parser.add_argument("--examples", type=int, default=0, help="print so many of each mistake")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
