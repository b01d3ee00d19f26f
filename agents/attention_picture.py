"""Attention as a PNG picture: the words on their importance, and one heat map."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agents.attention_page import strength
from agents.attention_texts import Explained, labels, meaning, pieces, remarks, title
from agents.screen import clean, one_line
from indexes.embedding.attention import Attention, Table, is_wide
from indexes.i18n import t

if TYPE_CHECKING:
    from PIL import ImageDraw, ImageFont
    from PIL.Image import Image

# Fonts with Chinese characters, as Linux, macOS and Windows name their files.
_FONTS = (
    "NotoSansCJK-Regular.ttc", "SourceHanSansSC-Regular.otf", "wqy-microhei.ttc", "wqy-zenhei.ttc",
    "DroidSansFallbackFull.ttf", "PingFang.ttc", "Hiragino Sans GB.ttc", "STHeiti Medium.ttc",
    "msyh.ttc", "simsun.ttc",
)  # fmt: skip
_OTHER_FONTS = ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "Arial.ttf", "arial.ttf")
_PAPER, _INK, _FAINT, _AMBER = (255, 253, 248), (29, 27, 22), (107, 101, 88), (245, 158, 11)
_WIDTH, _MARGIN, _LARGEST_CELL, _SMALLEST_CELL = 1000, 32, 28, 7
_TEXT_SIZE, _NOTE_SIZE, _MOST_PIECES, _LONGEST = 26, 15, 600, 18


def draw(explained: Explained, path: Path, notice: Callable[[str], None]) -> None:
    """Write the picture to ``path``; ``notice`` is told where no font has the text's characters.

    Raises OSError where it cannot be written.
    """
    fonts = _Fonts()
    if not fonts.chinese and any(is_wide(text.text) for text in explained.texts):
        notice(
            t(
                "No font with Chinese characters was found, so the picture lacks them. Install "
                "one, such as Noto Sans CJK, or use --html."
            )
        )
    parts = list(_parts(explained, fonts))
    from PIL import Image

    width = max(part.width for part in parts) + 2 * _MARGIN
    height = sum(part.height + _MARGIN for part in parts) + _MARGIN
    whole = Image.new("RGB", (width, height), _PAPER)
    top = _MARGIN
    for part in parts:
        whole.paste(part, (_MARGIN, top))
        top += part.height + _MARGIN
    # The name may end as it likes.
    whole.save(path, format="PNG", optimize=True)


class _Fonts:
    """The font of this system that shows most, at any size."""

    def __init__(self) -> None:
        from PIL import ImageFont

        self._name = ""
        for name in (*_FONTS, *_OTHER_FONTS):
            try:
                ImageFont.truetype(name, 10)
            except OSError:
                continue
            self._name = name
            break
        self.chinese = self._name in _FONTS

    def at(self, size: int) -> "ImageFont.ImageFont | ImageFont.FreeTypeFont":
        from PIL import ImageFont

        if not self._name:
            return ImageFont.load_default(size)
        return ImageFont.truetype(self._name, size)


def _parts(explained: Explained, fonts: _Fonts) -> "Iterator[Image]":
    for attention in explained.texts:
        yield _text(attention, fonts)
        view = attention.view(explained.layer)
        names = labels(attention)
        yield _map(names, names, view.table, fonts, f"{explained.model} · {title(view)}")
    pairs = explained.pairs
    if pairs is not None:
        first, second = (labels(text) for text in explained.texts)
        note = t("Cosine of the two texts: {cosine}", cosine=f"{explained.similarity:.3f}")
        yield _map(first, second, pairs, fonts, note)


def _text(attention: Attention, fonts: _Fonts) -> "Image":
    """The words in lines, each on its importance, with what importance is below."""
    from PIL import Image, ImageDraw

    font, note = fonts.at(_TEXT_SIZE), fonts.at(_NOTE_SIZE)
    step = _TEXT_SIZE * 3 // 2
    picture = Image.new("RGB", (_WIDTH, _WIDTH * 4), _PAPER)
    pen = ImageDraw.Draw(picture)
    x, y = 0.0, 0
    for piece in list(pieces(attention))[:_MOST_PIECES]:
        shown = _flat(piece.text)
        length = pen.textlength(shown, font)
        if x + length > _WIDTH and x:
            x, y, shown = 0.0, y + step, shown.lstrip()
        if piece.importance is not None:
            pen.rectangle((x, y, x + length, y + step - 6), _blend(piece.weight))
        pen.text((x, y + 2), shown, _INK if piece.known else _FAINT, font)
        x += pen.textlength(shown, font)
    y += step + 8
    for sentence in (meaning(attention.method), *remarks(attention)):
        y = _paragraph(pen, sentence, y, note)
    return picture.crop((0, 0, _WIDTH, min(picture.height, y)))


def _paragraph(pen: "ImageDraw.ImageDraw", text: str, y: int, font: Any) -> int:
    """Write ``text`` in lines from ``y`` on, and return where it ends."""
    line = ""
    for piece in _breakable(text):
        if pen.textlength(line + piece, font) > _WIDTH:
            pen.text((0, y), line, _FAINT, font)
            line, y = "", y + _NOTE_SIZE * 3 // 2
        line += piece
    pen.text((0, y), line, _FAINT, font)
    return y + _NOTE_SIZE * 3 // 2


def _breakable(text: str) -> Iterator[str]:
    """Pieces between which a line may end."""
    if is_wide(text):
        yield from text
    else:
        yield from (f"{word} " for word in text.split())


def _map(
    rows: Sequence[str], columns: Sequence[str], table: Table, fonts: _Fonts, note: str
) -> "Image":
    from PIL import Image, ImageDraw

    longest = max(len(rows), len(columns))
    cell = max(_SMALLEST_CELL, min(_LARGEST_CELL, _WIDTH // (longest + 5)))
    font, small = fonts.at(max(6, cell * 11 // 20)), fonts.at(_NOTE_SIZE)
    measure = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    left = int(max(measure.textlength(_short(name), font) for name in rows)) + 8
    head = int(max(measure.textlength(_short(name), font) for name in columns)) + 8
    top = head + 2 * _NOTE_SIZE
    width = max(left + cell * len(columns), int(measure.textlength(note, small))) + 1
    picture = Image.new("RGB", (width, top + cell * len(rows) + 1), _PAPER)
    pen = ImageDraw.Draw(picture)
    pen.text((0, 0), note, _INK, small)
    for number, name in enumerate(columns):
        if len(name) == 1 and is_wide(name):
            pen.text((left + cell * number + cell // 2, top - 6), name, _INK, font, anchor="mb")
            continue
        strip = Image.new("RGB", (head, cell), _PAPER)
        ImageDraw.Draw(strip).text((6, cell // 2), _short(name), _INK, font, anchor="lm")
        picture.paste(strip.rotate(90, expand=True), (left + cell * number, top - head))
    for i, (name, weights) in enumerate(zip(rows, strength(table), strict=True)):
        y = top + cell * i
        pen.text((left - 6, y + cell // 2), _short(name), _INK, font, anchor="rm")
        for j, weight in enumerate(weights):
            x = left + cell * j
            pen.rectangle((x, y, x + cell - 1, y + cell - 1), _blend(float(weight)))
    return picture


def _blend(weight: float) -> tuple[int, int, int]:
    red, green, blue = (
        round(paper + (amber - paper) * weight) for paper, amber in zip(_PAPER, _AMBER, strict=True)
    )
    return red, green, blue


def _flat(text: str) -> str:
    return clean("".join(" " if character.isspace() else character for character in text))


def _short(text: str) -> str:
    line = one_line(text)
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
