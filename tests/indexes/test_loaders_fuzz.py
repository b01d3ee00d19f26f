"""Damaged files of each binary format: text, or one sentence that says what is wrong."""

import random
import re
import zipfile
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from io import BytesIO
from pathlib import Path

import pytest

from indexes.errors import LoadError
from indexes.loaders import Limits, LoaderPool

SEED = 20_261_124
TRIALS = 30
SECONDS = 10.0
WORDS = "The hive in the north 蜂箱在果园的北面"


def saved(document: object) -> bytes:
    buffer = BytesIO()
    document.save(buffer)  # type: ignore[attr-defined]
    return buffer.getvalue()


def docx() -> bytes:
    from docx import Document

    document = Document()
    document.add_heading("Hives", 1)
    document.add_paragraph(WORDS)
    table = document.add_table(2, 2)
    table.cell(0, 0).text, table.cell(1, 1).text = "North", "417"
    return saved(document)


def pptx() -> bytes:
    from pptx import Presentation

    presentation = Presentation()
    slide = presentation.slides.add_slide(presentation.slide_layouts[1])
    slide.shapes.title.text, slide.placeholders[1].text = "Hives", WORDS
    return saved(presentation)


def xlsx() -> bytes:
    from openpyxl import Workbook

    workbook = Workbook()
    for row in (["Hive", "Honey"], ["North", 417.5], ["South", WORDS]):
        workbook.worksheets[0].append(row)
    return saved(workbook)


def pdf() -> bytes:
    from reportlab.pdfgen.canvas import Canvas

    buffer = BytesIO()
    canvas = Canvas(buffer)
    for number in range(3):
        canvas.bookmarkPage(str(number))
        canvas.addOutlineEntry(f"Hive {number}", str(number))
        canvas.grid([72, 172, 272], [600, 620, 640])
        for place in range(12):
            canvas.drawString(76 + 100 * (place % 2), 740 - 20 * (place // 2), f"Hive {place}")
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def zipped(members: dict[str, str]) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def odt() -> bytes:
    names = "urn:oasis:names:tc:opendocument:xmlns"
    content = (
        f'<o:document-content xmlns:o="{names}:office:1.0" xmlns:t="{names}:text:1.0"><o:body>'
        f'<o:text><t:h t:outline-level="2">Hives</t:h><t:p>{WORDS}<t:s t:c="3"/></t:p></o:text>'
        "</o:body></o:document-content>"
    )
    manifest = f'<m:manifest xmlns:m="{names}:manifest:1.0"/>'
    mimetype = "application/vnd.oasis.opendocument.text"
    return zipped({"mimetype": mimetype, "content.xml": content, "META-INF/manifest.xml": manifest})


def epub() -> bytes:
    container = '<container><rootfiles><rootfile full-path="b.opf"/></rootfiles></container>'
    package = (
        '<package><metadata/><manifest><item id="a" href="a.xhtml" '
        'media-type="application/xhtml+xml"/></manifest>'
        '<spine><itemref idref="a"/></spine></package>'
    )
    chapter = f"<html><body><h1>Hives</h1><p>{WORDS}</p></body></html>"
    return zipped({"META-INF/container.xml": container, "b.opf": package, "a.xhtml": chapter})


def rtf() -> bytes:
    return (
        rb"{\rtf1\ansi\ansicpg936{\fonttbl{\f0\fcharset134 SimSun;}{\f1\fcharset0 Arial;}}"
        rb"{\info{\title Hives}}\f0 \'c3\'db\'b7\'e4\par \f1 \uc1\u34588? {\*\x no}\cell\row}"
    )


def eml() -> bytes:
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = "蜂箱", "Ann <a@b.org>", "c@d.org"
    message.set_content(WORDS)
    message.add_alternative(f"<p>{WORDS}</p>", subtype="html")
    message.add_attachment(b"x", maintype="application", subtype="pdf", filename="预算.pdf")
    return bytes(message)


def html() -> bytes:
    return f"<html><body><h1>Hives</h1><table><tr><td>{WORDS}<td>7</table></body></html>".encode()


def damaged(data: bytes, chance: random.Random) -> bytes:
    """``data`` with some bytes changed, cut off, repeated or put in."""
    kind = chance.randrange(4)
    at = chance.randrange(len(data))
    if kind == 0:
        return data[:at]
    if kind == 1:
        piece = data[at : at + chance.randrange(1, 200)]
        return data[:at] + piece * chance.choice([2, 50]) + data[at:]
    if kind == 2:
        return data[:at] + chance.randbytes(chance.randrange(1, 20)) + data[at:]
    changed = bytearray(data)
    for _ in range(chance.choice([1, 5, 40])):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def damaged_inside(data: bytes, chance: random.Random) -> bytes:
    """A ZIP file with one damaged member and a sound directory."""
    buffer = BytesIO()
    with zipfile.ZipFile(BytesIO(data)) as source, zipfile.ZipFile(buffer, "w") as copy:
        victim = chance.choice(source.namelist())
        for name in source.namelist():
            content = source.read(name)
            copy.writestr(name, damaged(content, chance) if name == victim else content)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def pool() -> Iterator[LoaderPool]:
    with LoaderPool(limits=Limits(seconds=SECONDS), grow=False) as shared:
        yield shared


@pytest.mark.parametrize("make", [docx, pptx, xlsx, pdf, odt, epub, rtf, eml, html])
def test_a_damaged_file_gives_text_or_one_sentence(
    make: Callable[[], bytes], tmp_path: Path, pool: LoaderPool
) -> None:
    chance = random.Random(f"{SEED} {make.__name__}")
    sound = make()
    path = tmp_path / f"a.{make.__name__}"
    path.write_bytes(sound)
    assert pool.load(path).text
    for trial in range(TRIALS):
        inside = sound.startswith(b"PK") and trial % 2
        path.write_bytes((damaged_inside if inside else damaged)(sound, chance))
        [(_, found)] = pool.load_many([path])
        if isinstance(found, LoadError):
            # "crashed": the process ended, which an exception that nobody expected does as well.
            assert not re.search(r"crashed|more than|\n", str(found)), trial
        else:
            assert found.text.strip()
