"""The section «Serving under load» of ``docs/benchmarks.md`` and of its Chinese twin."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.load.figures import NORMAL, Result, Streams
from benchmarks.report import table

BEGIN: Final = "<!-- `make bench-serve` writes from here -->"
END: Final = "<!-- `make bench-serve` writes to here -->"

_CELL: Final = " | "


def texts_of(lang: str) -> dict[str, str]:
    """The texts of the section by name: those after the lines ``=== NAME``."""
    whole = Path(__file__).with_name(f"section.{lang}.txt").read_text("utf-8")
    parts = (part.partition("\n") for part in f"\n{whole}".split("\n=== ")[1:])
    return {name: text.strip("\n") for name, _, text in parts}


def section(result: Result, about: Mapping[str, Any], lang: str) -> str:
    """The section in ``lang``, in Markdown. ``about`` is what `benchmarks.load.__main__` notes."""
    texts = texts_of(lang)
    parts = [_introduction(result, about, texts)]
    bars = [
        [_translated(bar.name, texts), bar.found, texts["pass" if bar.held else "fail"]]
        for bar in result.bars()
    ]
    parts += [texts["bars"], table(texts["heads"].split(_CELL), bars, markdown=True)]
    rows = [[_translated(s.row()[0], texts), *s.row()[1:]] for s in result.streams]
    if rows:
        parts += [table(texts["columns"].split(_CELL), rows, markdown=True)]
    parts += _sentences(result, texts)
    return f"{BEGIN}\n" + "\n\n".join(parts) + f"\n{END}\n"


def _introduction(result: Result, about: Mapping[str, Any], texts: Mapping[str, str]) -> str:
    tokens = result.streams[0].tokens if result.streams else about["wanted_tokens"]
    return texts["begin"].format(tokens=tokens, **about)


def _sentences(result: Result, texts: Mapping[str, str]) -> list[str]:
    found = []
    mine = _alone(result.streams)
    if mine and any(s.label == "Waggle, slower model" for s in result.streams):
        found.append(texts["slower"].format(gives=mine.answers / mine.seconds))
    peers = [s for s in result.streams if not s.label.startswith("Waggle")]
    if peers:
        found.append(texts["peers"].format(private=texts["private"]))
        found += [
            texts["ratio"].format(peer=s.label, ratio=mine.overhead[1] / s.overhead[1],
                cpu=mine.cpu_ms / s.cpu_ms)
            for s in peers if mine and s.overhead[1] > 0
        ]  # fmt: skip
    if (i := result.indexing) is not None:
        found.append(texts["indexing"].format(
            indexed=i.indexed, uploaded=i.uploaded, seconds=i.seconds))  # fmt: skip
    if (one := result.leaving) is not None:
        found.append(texts["leaving"].format(
            clients=one.clients, slots=one.slots, model=one.model))  # fmt: skip
    if (over := result.overload) is not None:
        statuses = ", ".join(
            f"{count} × {status}" for status, count in sorted(over.statuses.items())
        )
        found.append(texts["overload"].format(
            asked=over.asked, slots=over.slots, queue=over.queue, statuses=statuses,
            health=over.health, before=over.before, after=over.after, recovery=over.recovery,
            normal=NORMAL))  # fmt: skip
    if (soak := result.soak) is not None:
        found.append(texts["soak"].format(
            minutes=soak.minutes, users=soak.users, answers=soak.answers, dropped=soak.dropped,
            first=soak.memory[0], last=soak.memory[1], slope=soak.slope, files=soak.files,
            threads=soak.threads, temporary=soak.temporary))  # fmt: skip
    return found


def _alone(found: Sequence[Streams]) -> Streams | None:
    return next((s for s in found if s.label == "Waggle"), None)


def _translated(text: str, texts: Mapping[str, str]) -> str:
    """A label or the name of a bar, piece by piece, where the language has its own words."""
    known = dict(line.split(" = ", 1) for line in texts.get("names", "").splitlines())
    if text in known or ": " not in text:
        return known.get(text, text)
    head, _, rest = text.partition(": ")
    return f"{known.get(head, head)}：{known.get(rest, rest)}" if known else text


def insert(document: Path, text: str) -> None:
    """Put the section in its place: where it was, else at the end."""
    page = document.read_text("utf-8")
    before, begin, rest = page.partition(BEGIN)
    after = rest.partition(f"{END}\n")[2]
    whole = f"{before}{text}{after}" if begin else f"{page.rstrip()}\n\n{text}"
    document.write_text(whole, "utf-8")
