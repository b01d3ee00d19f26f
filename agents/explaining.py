"""``waggle explain``: what a model attends to, shown in the terminal or as JSON, and its files."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agents.attention_texts import (
    Explained,
    labels,
    leading_pairs,
    listed,
    meaning,
    pieces,
    remarks,
    title,
)
from agents.screen import one_line
from agents.shapes import AttentionShape, AttentionTextShape, TokenShape
from agents.terminal import Terminal
from indexes.embedding.attention import Attention, Method, Table, View
from indexes.embedding.base import Embedder
from indexes.errors import UsageError
from indexes.i18n import t

_MOST_TOKENS = 24
_BAR = 30
_LONGEST = 18
_FAINT = 0.1
_FIRST, _LAST = np.array((255, 244, 214)), np.array((245, 158, 11))


@dataclass(frozen=True, slots=True)
class AttentionRequest:
    """What is to be explained and how; ``layer`` counts from 1, None is the map of the method."""

    text: str
    against: str | None = None
    method: Method | None = None
    layer: int | None = None
    html: Path | None = None
    png: Path | None = None


def run_attention(terminal: Terminal, embedder: Embedder, request: AttentionRequest) -> None:
    """Show what the embedding model attends to, and write the files that are asked for.

    Raises UsageError for a text without words or a layer that is not there, ModelError where the
    model cannot be explained, OSError where a file cannot be written.
    """
    from indexes.embedding.attention_model import open_attention

    for text in (request.text, request.against):
        if text is not None and not text.strip():
            raise UsageError(
                t("There is nothing to explain. Give a text with at least one visible word.")
            )
    with terminal.waiting(t("Reading the text with its attention…")):
        model = open_attention(embedder)
        texts = [request.text, *([] if request.against is None else [request.against])]
        explained = Explained(
            tuple(model.read(text, request.method) for text in texts), request.layer
        )
        explained.texts[0].view(request.layer)
    written = _write_files(terminal, explained, request)
    if terminal.as_json:
        terminal.json(_shape(explained, written))
        return
    for attention in explained.texts:
        _show(terminal, attention, request.layer)
    if len(explained.texts) == 2:
        _show_pairs(terminal, explained)
    for path in written:
        terminal.line(t("Written: {path}", path=path))


def _write_files(
    terminal: Terminal, explained: Explained, request: AttentionRequest
) -> tuple[str, ...]:
    written = []
    if request.html is not None:
        from agents.attention_page import page

        request.html.write_text(page(explained), encoding="utf-8")
        written.append(str(request.html))
    if request.png is not None:
        from agents.attention_picture import draw

        draw(explained, request.png, terminal.notice)
        written.append(str(request.png))
    return tuple(written)


def _show(terminal: Terminal, attention: Attention, layer: int | None) -> None:
    terminal.painted(_painted(attention))
    terminal.line()
    for sentence in (meaning(attention.method), *remarks(attention)):
        terminal.line(sentence, "dim")
    terminal.line()
    words = listed(attention)
    strongest = max(word.importance for word in words) or 1.0
    rows = [
        (_short(word.text), f"{word.importance:.1%}", _bar(word.importance / strongest))
        for word in words
    ]
    if attention.special_share:
        rows.append((t("(special tokens)"), f"{attention.special_share:.1%}", ""))
    terminal.table((t("Word"), t("Importance"), ""), rows)
    terminal.line()
    _show_map(terminal, attention, attention.view(layer))


def _painted(attention: Attention) -> Iterator[tuple[str, str]]:
    for piece in pieces(attention):
        yield piece.text, _style(piece.weight) if piece.known else "dim"


def _style(weight: float) -> str:
    if weight < _FAINT:
        return ""
    red, green, blue = (_FIRST + (_LAST - _FIRST) * weight).astype(int)
    return f"black on #{red:02x}{green:02x}{blue:02x}"


def _show_map(terminal: Terminal, attention: Attention, view: View) -> None:
    names = labels(attention)
    if len(names) > _MOST_TOKENS:
        terminal.line(
            t("A heat map of {count} tokens is too wide for a terminal. See it with --html FILE.",
              count=len(names)), "dim",
        )  # fmt: skip
        return
    terminal.line(
        t("Heat map ({map}), in percent: a row takes from its columns.", map=title(view)), "bold"
    )
    _show_table(terminal, names, names, view.table)


def _show_pairs(terminal: Terminal, explained: Explained) -> None:
    first, second = explained.texts
    pairs = explained.pairs
    assert pairs is not None
    terminal.line(t("Cosine of the two texts: {cosine}", cosine=f"{explained.similarity:.3f}"),
                  "bold")  # fmt: skip
    if leading := leading_pairs(explained):
        terminal.line(t("What adds most to it: {pairs}.", pairs=", ".join(leading)), "dim")
    rows, columns = labels(first), labels(second)
    if max(len(rows), len(columns)) <= _MOST_TOKENS:
        terminal.line(t("What each pair of tokens adds to it, in thousandths of the cosine:"))
        _show_table(terminal, rows, columns, 10 * pairs / (pairs.sum() or 1.0))


def _show_table(
    terminal: Terminal, rows: Sequence[str], columns: Sequence[str], table: Table
) -> None:
    """Each cell with its number, and its strength as background; columns by number."""
    strongest = max(table[1:-1, 1:-1].max(initial=0), 1e-9)
    width = max(map(_columns, map(_short, rows)))
    shown = [f"{i} {_short(name)}" for i, name in enumerate(columns, 1)]
    terminal.line(t("Columns: {names}", names=" · ".join(shown)), "dim")
    head = "".join(f"{i:4d}" for i in range(1, len(columns) + 1))
    terminal.line(" " * (width + 4) + head, "dim")
    for number, (name, values) in enumerate(zip(rows, table, strict=True), 1):
        label = _short(name)
        padding = " " * (width - _columns(label))
        cells = [(_cell(value), _style(min(1.0, value / strongest))) for value in values]
        terminal.painted([(f"{number:3d} {label}{padding}", ""), *cells])


def _cell(value: float) -> str:
    percent = round(100 * value)
    return f"{percent:4d}" if percent else "   ·"


def _columns(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text)


def _short(text: str) -> str:
    line = one_line(text)
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


def _bar(weight: float) -> str:
    eighths = round(weight * _BAR * 8)
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()


def _shape(explained: Explained, files: tuple[str, ...]) -> AttentionShape:
    pairs = explained.pairs
    return AttentionShape(
        model=explained.model,
        method=explained.texts[0].method,
        layers=explained.texts[0].layers,
        texts=tuple(_text_shape(text, explained.layer) for text in explained.texts),
        similarity=explained.similarity,
        likeness=None if pairs is None else _rounded(pairs),
        files=files,
    )


def _text_shape(attention: Attention, layer: int | None) -> AttentionTextShape:
    view = attention.view(layer)
    tokens = zip(attention.tokens, attention.importance.tolist(), strict=True)
    return AttentionTextShape(
        text=attention.text,
        cut=attention.cut,
        tokens=tuple(
            TokenShape(text=token.text, start=token.start, end=token.end, kind=token.kind,
                       importance=weight)
            for token, weight in tokens
        ),
        map=f"layer {view.layer}" if view.name == "layer" else view.name,
        attention=_rounded(view.table),
    )  # fmt: skip


def _rounded(table: Table) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in table.round(5).tolist())
