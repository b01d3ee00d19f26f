"""Makes a golden folder: a small collection as the present version writes it.

``python tests/data/golden/make.py FOLDER`` — once for each new format; the folders of older
formats are kept as they are, for they cannot be made again.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from indexes.collection import Collection

TEXTS = {
    "golden:apiary": (
        "# Apiary book\n\nThe apiary at Willow Bend keeps forty-one hives. Hive nine is painted "
        "blue because its queen is the oldest.\n\n## Spring\n\nThe first flight of the year was "
        "seen on 3 March, beside the mill pond."
    ),
    "golden:蜜源": (
        "槐花蜜在五月采收，颜色浅，不易结晶。青石坡的蜂场今年收了八百公斤槐花蜜，比去年多一成。"
        "荆条蜜在七月采收。"
    ),
    "golden:ledger": (
        "Ledger of the cooperative. Member 17, Ines Varga, paid 250 crowns in April and owes "
        "nothing. Member 18 has left."
    ),
    "golden:old": "This note is replaced by a newer one.",
    "golden:gone": "This document is removed before the folder is kept.",
}
NEWER = "This newer note tells that the smoker hangs behind the door of the shed."


def make(target: Path) -> None:
    """Add five documents, replace one and remove one."""
    with tempfile.TemporaryDirectory() as home:
        with Collection.open("golden", home=home) as golden:
            facts = [{"title": n.split(":")[1], "year": 2024 + i} for i, n in enumerate(TEXTS)]
            golden.add_texts(list(TEXTS.values()), facts, list(TEXTS))
            golden.add_texts([NEWER], [{"title": "old", "year": 2030}], ["golden:old"])
            golden.remove(["golden:gone"])
        ignored = shutil.ignore_patterns("*.lock")
        shutil.copytree(Path(home, "collections", "golden"), target, ignore=ignored)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
