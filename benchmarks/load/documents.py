"""Documents that differ, and a question about each: made, so that they are the same everywhere."""

import random
from pathlib import Path
from typing import Final

_FIRST: Final = (
    "Amber", "Birch", "Cedar", "Dorn", "Elm", "Fenn", "Gorse", "Hazel", "Ivy", "Juniper", "Kestrel",
    "Larch", "Maple", "Nettle", "Oak", "Poplar", "Quince", "Rowan", "Sorrel", "Thyme",
)  # fmt: skip
_SECOND: Final = (
    "bridge", "brook", "cliff", "dale", "field", "ford", "gate", "hill", "mere", "wood",
)  # fmt: skip
_PEOPLE: Final = (
    "Anna Holm", "Jens Brandt", "Mei Lin", "Omar Haddad", "Rosa Vidal", "Tom Aldous", "Vera Novak",
    "Yuki Sato",
)  # fmt: skip
_PLANTS: Final = (
    "linden", "clover", "heather", "rape", "acacia", "buckwheat", "sainfoin", "borage",
)  # fmt: skip
MOST: Final = len(_FIRST) * len(_SECOND)
"""Documents with a name of their own."""


def name_of(number: int) -> str:
    """The apiary that the document is about."""
    first, second = divmod(number % MOST, len(_SECOND))
    again = f" {number // MOST + 1}" if number >= MOST else ""
    return f"{_FIRST[first]}{_SECOND[second]}{again}"


def question_of(number: int) -> str:
    """What its document answers."""
    return f"Who founded the apiary of {name_of(number)}, and how did it go on?"


def document_of(number: int) -> str:
    """The document, in Markdown: about 220 words."""
    pick, name = random.Random(number), name_of(number)
    person, other = pick.sample(_PEOPLE, 2)
    spring, summer = pick.sample(_PLANTS, 2)
    year, hives = pick.randrange(1890, 1990), pick.randrange(6, 80)
    text = f"""\
# The apiary of {name}

The apiary of {name} was founded by {person} in {year} on a slope above the old mill. It began with
{hives} hives, which stood in two rows behind a hedge of hawthorn and were painted white. In its
first summer it gave {pick.randrange(90, 900)} kilograms of honey, most of it from {summer} and the
rest from {spring}. {other} took it over {pick.randrange(8, 30)} years later and moved the hives to
the orchard, where they still stand today.

## How it went on

In the spring the bees of {name} fly to the {spring}, which is in flower there from the end of April
on. In the summer they fly to the {summer} along the river, {pick.randrange(300, 2900)} metres from
the hives. The hard winter of {year + 31} left only {pick.randrange(2, 6)} colonies alive, and
neighbours gave {pick.randrange(3, 9)} more in the following May. Since {year + 40} every hive has a
number of its own, and a book is kept of what each of them gives.

## Today

Today {name} has {hives + pick.randrange(10, 60)} hives and sells its honey on the market of the
next town on every second Saturday. School classes visit it in June, and {other} shows them how a
frame is lifted and where the queen is. The oldest hive is kept in the barn beside the first
smoker, which {person} had made of copper.
"""
    paragraphs = (" ".join(paragraph.split("\n")) for paragraph in text.split("\n\n"))
    return "\n\n".join(paragraphs)


def write(folder: Path, first: int, count: int) -> list[Path]:
    """Write so many documents, from number ``first`` on; their files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for number in range(first, first + count):
        files.append(folder / f"apiary-{number:04}.md")
        files[-1].write_text(document_of(number), encoding="utf-8")
    return files
