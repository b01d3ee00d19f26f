"""PowerPoint presentations (Office Open XML)."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from io import BytesIO
from typing import Any

from indexes.loaders.draft import Draft
from indexes.loaders.office import core_properties, opened, paragraphs
from indexes.loaders.tables import render

# python-pptx has no type information that mypy accepts; a shape is what it calls BaseShape.
Shape = Any

_SLIDE = re.compile(r"ppt/slides/slide(\d+)\.xml$")


def read_pptx(data: bytes) -> Draft:
    """A presentation as Markdown: one page for each slide, its notes at the end of it."""
    archive = opened(data)
    metadata = core_properties(archive)
    try:
        pages = _slides(data)
    except (KeyError, IndexError, AttributeError, ValueError, TypeError):
        pages = []
    if not any(page.strip() for page in pages):
        pages = _raw_slides(archive)
    title = str(metadata.pop("title", ""))
    if not title or title.lower() in ("powerpoint presentation", "powerpoint 演示文稿"):
        lines = (line for page in pages for line in page.split("\n"))
        title = next((line[2:] for line in lines if line.startswith("# ")), "")
    return Draft(
        tuple(pages),
        "markdown",
        "pptx",
        title=title,
        paged=True,
        metadata={**metadata, "slides": len(pages)},
    )


def _slides(data: bytes) -> list[str]:
    from pptx import Presentation

    return [_slide(slide) for slide in Presentation(BytesIO(data)).slides]


def _slide(slide: Any) -> str:
    title = slide.shapes.title
    blocks = []
    if title is not None and title.has_text_frame and title.text_frame.text.strip():
        blocks.append("# " + " ".join(title.text_frame.text.split()))
    for shape in _in_reading_order(slide.shapes):
        if title is None or shape.shape_id != title.shape_id:
            blocks.extend(_shape(shape))
    if slide.has_notes_slide:
        frame = slide.notes_slide.notes_text_frame
        notes = _soft_breaks(frame.text) if frame is not None else ""
        if notes.strip():
            blocks.append(f"### Notes\n\n{notes}")
    return "\n\n".join(block for block in blocks if block.strip())


def _in_reading_order(shapes: Any) -> list[Shape]:
    """Top to bottom, then left to right; placeholders without a position come first."""
    return sorted(shapes, key=lambda s: (s.top or 0, s.left or 0))


def _shape(shape: Shape) -> Iterator[str]:
    if hasattr(shape, "shapes"):
        for inner in _in_reading_order(shape.shapes):
            yield from _shape(inner)
    elif getattr(shape, "has_table", False):
        yield render([[cell.text for cell in row.cells] for row in shape.table.rows])
    elif getattr(shape, "has_chart", False):
        yield _chart(shape.chart)
    elif shape.has_text_frame:
        yield "\n".join(_paragraph(p) for p in shape.text_frame.paragraphs if p.text.strip())
    else:
        # A picture's description, where a person wrote one.
        described = shape._element.xpath(".//p:cNvPr/@descr")
        yield " ".join(str(described[0]).split()) if described else ""


def _paragraph(paragraph: Any) -> str:
    return "  " * int(paragraph.level) + _soft_breaks(paragraph.text).strip()


def _soft_breaks(text: str) -> str:
    return text.replace("\v", "\n")


def _chart(chart: Any) -> str:
    title = ""
    if chart.has_title and chart.chart_title.has_text_frame:
        title = str(chart.chart_title.text_frame.text)
    plots = list(chart.plots)
    if not plots:
        return title
    series = [(str(s.name), list(s.values)) for s in plots[0].series]
    rows = [["", *(name for name, _ in series)]]
    for index, category in enumerate(plots[0].categories):
        values = [values[index] if index < len(values) else None for _, values in series]
        rows.append([str(category), *("" if v is None else f"{v:g}" for v in values)])
    return f"{title}\n\n{render(rows)}".strip()


def _raw_slides(archive: zipfile.ZipFile) -> list[str]:
    found = [m for name in archive.namelist() if (m := _SLIDE.match(name))]
    found.sort(key=lambda m: int(m.group(1)))
    return ["\n".join(paragraphs(archive, m.group())) for m in found]
