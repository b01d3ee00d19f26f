"""Attention as one HTML page that needs nothing else: no network, and no script for what matters.

The heat maps are small transparent pictures of one pixel a cell, scaled up by the browser, so a
page of 256 tokens stays small and fits a light and a dark background. The script only reads out
the cell under the pointer or the arrow keys.
"""

import base64
import hashlib
import html
import json
import struct
import zlib
from collections.abc import Iterator, Sequence
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

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
from agents.screen import clean, one_line
from indexes.embedding.attention import Attention, Table, is_wide
from indexes.i18n import language, t

_AMBER = (217, 119, 6)
_LARGEST_CELL, _SMALLEST_CELL, _SIDE = 26, 7, 900
_PERCENT = 1000
_LONGEST = 18


def page(explained: Explained) -> str:
    """The page, in the user's language."""
    name = t("What {model} attends to", model=explained.model)
    body = [f"<h1>{_safe(name)}</h1>", f"<p class=lead>{_safe(meaning(explained.texts[0].method))}"]
    for number, attention in enumerate(explained.texts):
        body.append(_section(attention, f"m{number}", explained.layer))
    if len(explained.texts) == 2:
        body.append(_comparison(explained))
    script, style = _asset("attention.js"), _asset("attention.css")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'"
    )
    return "\n".join(
        [
            "<!doctype html>",
            f'<html lang="{language()}">',
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{_safe(name)}</title>",
            f"<style>{style}\n{_choices(explained)}</style>",
            "<main>",
            *body,
            "</main>",
            f"<script>{script}</script>",
            "</html>\n",
        ]
    )


def png(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG file of ``pixels``, (height, width, 4): red, green, blue, opacity."""
    height, width, _ = pixels.shape
    lines = b"".join(b"\0" + row.tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )


def strength(table: Table) -> Table:
    """The cells as 0…1. Special tokens stand at the ends and take much: the others set the scale,
    and what is beyond it is as strong as can be."""
    inner = table[1:-1, 1:-1]
    top = float((inner if inner.size else table).max())
    return np.asarray(np.clip(table / top, 0, 1) if top > 0 else np.zeros_like(table))


def _choices(explained: Explained) -> str:
    """The rules by which the chosen input shows its picture."""
    most = max(len(text.views) for text in explained.texts)
    chosen = (
        f".maps > input:nth-of-type({i}):checked ~ .scroll img:nth-of-type({i})"
        for i in range(1, most + 1)
    )
    return f"{', '.join(chosen)} {{ display: block; }}"


def _section(attention: Attention, key: str, layer: int | None) -> str:
    said = "".join(f"<p>{_safe(sentence)}" for sentence in remarks(attention))
    shown = attention.view(layer)
    views = [(title(view), view.table) for view in attention.views]
    first = next(i for i, view in enumerate(attention.views) if view is shown)
    names = labels(attention)
    caption = t("A row takes from its columns. Choose a map; arrow keys read its cells.")
    return (
        f'<section><p class="text" dir="auto">{_text(attention)}</p>{said}'
        f"<details open><summary>{_safe(t('Importance of the words'))}</summary>"
        f"{_bars(attention)}</details>"
        f"<h2>{_safe(t('Heat map'))}</h2><p>{_safe(caption)}"
        f"{_maps(key, names, names, views, first)}</section>"
    )


def _comparison(explained: Explained) -> str:
    pairs, cosine = explained.pairs, explained.similarity
    assert pairs is not None
    assert cosine is not None
    head = t("Cosine of the two texts: {cosine}", cosine=f"{cosine:.3f}")
    said = t("What each pair of tokens adds to it, in percent of the cosine:")
    if leading := leading_pairs(explained):
        said = f"{t('What adds most to it: {pairs}.', pairs=', '.join(leading))} {said}"
    names = [labels(text) for text in explained.texts]
    views = [(t("Pairs"), pairs / (pairs.sum() or 1.0))]
    return (
        f"<section><h2>{_safe(head)}</h2><p>{_safe(said)}"
        f"{_maps('pairs', names[0], names[1], views, 0)}</section>"
    )


def _text(attention: Attention) -> str:
    found = []
    for piece in pieces(attention):
        text = _safe(piece.text)
        if not piece.known:
            text = f'<span class=unknown title="{_safe(t("not known to the model"))}">{text}</span>'
        elif piece.importance is not None:
            tip = f"{piece.importance:.1%}"
            text = f'<mark style="--w:{piece.weight:.2f}" title="{tip}">{text}</mark>'
        found.append(text)
    return "".join(found)


def _bars(attention: Attention) -> str:
    words = listed(attention)
    strongest = max(word.importance for word in words) or 1.0
    rows = [
        f'<tr><th scope=row dir="auto">{_short(word.text)}<td class=number>{word.importance:.1%}'
        f'<td class=bar><i style="--w:{word.importance / strongest:.3f}"></i>'
        for word in words
    ]
    rows.append(
        f"<tr><th scope=row>{_safe(t('(special tokens)'))}"
        f"<td class=number>{attention.special_share:.1%}<td>"
    )
    head = f"<tr><th scope=col>{_safe(t('Word'))}<th scope=col>{_safe(t('Importance'))}<td>"
    return f"<table class=bars>{head}{''.join(rows)}</table>"


def _maps(
    key: str,
    rows: Sequence[str],
    columns: Sequence[str],
    views: Sequence[tuple[str, Table]],
    first: int,
) -> str:
    longest = max(len(rows), len(columns))
    cell = max(_SMALLEST_CELL, min(_LARGEST_CELL, _SIDE // longest))
    size = f"--cell:{cell}px;--rows:{len(rows)};--columns:{len(columns)}"
    data = {
        "rows": rows,
        "columns": columns,
        "views": [(table * _PERCENT).round().astype(int).tolist() for _, table in views],
    }
    return "".join(
        [
            f'<div class="maps" style="{size}">',
            *_choice(key, [name for name, _ in views], first),
            f'<div class=scroll tabindex=0 role=group aria-label="{_safe(t("Heat map"))}">',
            "<div class=grid><span class=corner></span>",
            *(f'<span class="label top{_upright(name)}">{_short(name)}</span>' for name in columns),
            *(f'<span class="label side">{_short(name)}</span>' for name in rows),
            *(_picture(name, table) for name, table in views),
            "</div></div><output aria-live=polite></output>",
            f"<script type=application/json>{_data(data)}</script></div>",
        ]
    )


def _upright(name: str) -> str:
    """Chinese above a column is written from top to bottom, other scripts are turned."""
    return " upright" if is_wide(name) else ""


def _choice(key: str, names: Sequence[str], first: int) -> Iterator[str]:
    if len(names) == 1:
        yield f'<input type=radio name="{key}" checked hidden>'
        return
    for number, name in enumerate(names):
        checked = " checked" if number == first else ""
        yield f'<input type=radio name="{key}" id="{key}-{number}"{checked}>'
        yield f'<label for="{key}-{number}">{_safe(name)}</label>'


def _picture(name: str, table: Table) -> str:
    pixels = np.empty((*table.shape, 4), dtype=np.uint8)
    pixels[..., :3] = _AMBER
    pixels[..., 3] = (255 * strength(table)).round()
    data = base64.b64encode(png(pixels)).decode()
    return f'<img alt="{_safe(t("Heat map"))}: {_safe(name)}" src="data:image/png;base64,{data}">'


def _data(value: object) -> str:
    """JSON that cannot end the element it stands in."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")


def _asset(name: str) -> str:
    return files("agents").joinpath("assets", name).read_text("utf-8").strip()


def _safe(text: str) -> str:
    return html.escape(clean(text))


def _short(text: str) -> str:
    line = one_line(text)
    return _safe(line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…")
