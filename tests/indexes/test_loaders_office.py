"""Office and EPUB files made here, read back."""

import datetime
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from indexes.errors import LoadError
from indexes.loaders import load
from indexes.types import Extracted

W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
M = "http://schemas.openxmlformats.org/officeDocument/2006/math"
R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def zipped(members: dict[str, str]) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def read(name: str, content: bytes) -> Extracted:
    return load(Path(name), content)


def docx(body: str, extra: dict[str, str] | None = None) -> bytes:
    types = "application/vnd.openxmlformats-officedocument.wordprocessingml"
    relations = "http://schemas.openxmlformats.org/package/2006/relationships"
    styles = "".join(
        f'<w:style w:type="paragraph" w:styleId="{key}"><w:name w:val="{name}"/></w:style>'
        for key, name in (("1", "heading 1"), ("2", "标题 2"))
    )
    return zipped(
        {
            "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/'
            'content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-'
            'package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/>'
            f'<Override PartName="/word/document.xml" ContentType="{types}.document.main+xml"/>'
            "</Types>",
            "_rels/.rels": f'<Relationships xmlns="{relations}"><Relationship Id="r1" Type="{R}/'
            'officeDocument" Target="word/document.xml"/></Relationships>',
            "word/_rels/document.xml.rels": f'<Relationships xmlns="{relations}"><Relationship '
            f'Id="r1" Type="{R}/styles" Target="styles.xml"/></Relationships>',
            "word/styles.xml": f'<w:styles xmlns:w="{W}">{styles}</w:styles>',
            "word/document.xml": f'<w:document xmlns:w="{W}" xmlns:m="{M}"><w:body>{body}</w:body>'
            "</w:document>",
            **(extra or {}),
        }
    )


def paragraph(text: str, style: str = "") -> str:
    properties = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f"<w:p>{properties}<w:r><w:t>{text}</w:t></w:r></w:p>"


def test_docx_has_headings_tables_and_properties() -> None:
    rows = (("Name", "Trees"), ("North", "417"))
    table = "".join(
        "<w:tr>" + "".join(f"<w:tc>{paragraph(cell)}</w:tc>" for cell in row) + "</w:tr>"
        for row in rows
    )
    core = (
        '<cp:coreProperties xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/'
        'core-properties" xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>Ledger</dc:title>'
        "<dc:creator>Ann</dc:creator></cp:coreProperties>"
    )
    found = read(
        "a.docx",
        docx(
            paragraph("果园", "1")
            + paragraph("北区", "2")
            + paragraph("The snake_case of *trees*.")
            + f"<w:tbl>{table}</w:tbl>",
            {"docProps/core.xml": core},
        ),
    )
    assert found.text == (
        "# 果园\n\n## 北区\n\nThe snake_case of *trees*.\n\n"
        "| Name | Trees |\n| --- | --- |\n| North | 417 |"
    )
    assert (found.kind, found.format, found.title) == ("markdown", "docx", "Ledger")
    assert found.metadata == {"author": "Ann"}


def test_docx_formulas_are_kept() -> None:
    formula = "<w:p><m:oMath><m:r><m:t>E=m</m:t></m:r></m:oMath></w:p>"
    assert "E=m" in read("a.docx", docx(paragraph("Energy:") + formula)).text


def test_docx_with_a_document_type_is_refused() -> None:
    data = docx("", {"word/footnotes.xml": '<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>'})
    with pytest.raises(LoadError, match="entities"):
        read("a.docx", data)


def test_docx_that_the_parser_refuses_gives_its_paragraphs() -> None:
    broken = zipped(
        {"word/document.xml": f'<w:document xmlns:w="{W}">{paragraph("Bee")}</w:document>'}
    )
    assert read("a.docx", broken).text == "Bee"


def pptx() -> bytes:
    from pptx import Presentation
    from pptx.chart.data import CategoryChartData
    from pptx.enum.chart import XL_CHART_TYPE
    from pptx.util import Inches

    presentation = Presentation()
    first = presentation.slides.add_slide(presentation.slide_layouts[1])
    first.shapes.title.text = "蜜蜂的舞蹈"
    first.placeholders[1].text_frame.text = "The dance tells where"
    inner = first.placeholders[1].text_frame.add_paragraph()
    inner.text, inner.level = "the food is", 1
    first.notes_slide.notes_text_frame.text = "Speak slowly."
    second = presentation.slides.add_slide(presentation.slide_layouts[5])
    second.shapes.title.text = "Numbers"
    inch = Inches(1)
    table = second.shapes.add_table(2, 2, inch, inch * 2, inch * 4, inch).table
    for index, text in enumerate(("Name", "Trees", "North", "417")):
        table.cell(index // 2, index % 2).text = text
    data: Any = CategoryChartData()  # type: ignore[no-untyped-call]
    data.categories = ["2023", "2024"]
    data.add_series("Honey", (1.5, 2))
    second.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, inch, inch * 4, inch, inch, data)
    buffer = BytesIO()
    presentation.save(buffer)
    return buffer.getvalue()


def test_pptx_slides_are_pages() -> None:
    found = read("a.pptx", pptx())
    first, second = found.page_starts
    assert found.text[:second] == (
        "# 蜜蜂的舞蹈\n\nThe dance tells where\n  the food is\n\n### Notes\n\nSpeak slowly.\n\n"
    )
    assert first == 0
    assert found.text[second:] == (
        "# Numbers\n\n| Name | Trees |\n| --- | --- |\n| North | 417 |\n\n"
        "|  | Honey |\n| --- | --- |\n| 2023 | 1.5 |\n| 2024 | 2 |"
    )
    assert found.title == "蜜蜂的舞蹈"
    assert found.metadata["slides"] == 2


def xlsx() -> bytes:
    from openpyxl import Workbook

    workbook = Workbook()
    sheet: Any = workbook.active
    sheet.title = "预算"
    for row in (
        ("Item", "Cost", "Date"),
        ("Hive", 3.0, datetime.datetime(2024, 5, 1)),
        (None, None, None),
        ("Smoker", 0.1 + 0.2, None),
    ):
        sheet.append(row)
    long = workbook.create_sheet("Long")
    long.append(("name", "value"))
    for number in range(50):
        long.append((f"row {number}", number))
    workbook.create_sheet("Blank")
    buffer = BytesIO()
    workbook.save(buffer)
    return buffer.getvalue()


def test_xlsx_sheets_are_pages() -> None:
    found = read("a.xlsx", xlsx())
    assert len(found.page_starts) == 3
    first, second, third = found.page_starts
    assert found.text[first:second] == (
        "## 预算\n\n| Item | Cost | Date |\n| --- | --- | --- |\n"
        "| Hive | 3 | 2024-05-01 |\n| Smoker | 0.3 |  |\n\n"
    )
    assert "name: row 41; value: 41\n" in found.text[second:third]
    assert found.text[third:] == "## Blank"


def test_a_workbook_without_cells_is_refused() -> None:
    from openpyxl import Workbook

    buffer = BytesIO()
    Workbook().save(buffer)
    with pytest.raises(LoadError, match="no text"):
        read("a.xlsx", buffer.getvalue())


CONTAINER = (
    '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    '<rootfile full-path="OEBPS/book.opf"/></rootfiles></container>'
)
PACKAGE = """<package xmlns="http://www.idpf.org/2007/opf"
 xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata><dc:title>蜂箱</dc:title>
 <dc:creator>Ann</dc:creator></metadata><manifest>
 <item id="b" href="two.xhtml" media-type="application/xhtml+xml"/>
 <item id="a" href="text/one%20.xhtml" media-type="application/xhtml+xml"/>
 <item id="n" href="nav.xhtml" properties="nav" media-type="application/xhtml+xml"/>
 </manifest><spine><itemref idref="n"/><itemref idref="a"/><itemref idref="b"/></spine></package>"""


def chapter(title: str, text: str) -> str:
    return (
        '<?xml version="1.0" encoding="utf-8"?><!DOCTYPE html><html xmlns="http://www.w3.org/1999/'
        f'xhtml"><head><title>x</title></head><body><h1>{title}</h1><p>{text}</p></body></html>'
    )


def test_epub_follows_the_spine() -> None:
    book = zipped(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": CONTAINER,
            "OEBPS/book.opf": PACKAGE,
            "OEBPS/two.xhtml": chapter("Two", "second"),
            "OEBPS/text/one .xhtml": chapter("One", "first"),
            "OEBPS/nav.xhtml": chapter("Contents", "list"),
        }
    )
    found = read("a.epub", book)
    assert found.text == "# One\n\nfirst\n\n# Two\n\nsecond"
    assert (found.title, found.metadata) == ("蜂箱", {"author": "Ann"})


ODF = (
    'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
    'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" '
    'xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" '
    'xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0"'
)


def odf(kind: str, body: str) -> bytes:
    return zipped(
        {
            "mimetype": f"application/vnd.oasis.opendocument.{kind}",
            "META-INF/manifest.xml": "<manifest/>",
            "content.xml": f"<office:document-content {ODF}><office:body><office:{kind}>{body}"
            f"</office:{kind}></office:body></office:document-content>",
        }
    )


def test_odt_has_headings_and_lists() -> None:
    body = (
        '<text:h text:outline-level="2">Bees</text:h><text:p>Two<text:s text:c="2"/>words</text:p>'
        "<text:list><text:list-item><text:p>one</text:p></text:list-item></text:list>"
    )
    assert read("a.odt", odf("text", body)).text == "## Bees\n\nTwo  words\n\n- one"


def test_ods_repeats_are_bounded() -> None:
    cell = "<table:table-cell><text:p>7</text:p></table:table-cell>"
    empty = '<table:table-cell table:number-columns-repeated="1000000"/>'
    row = f'<table:table-row table:number-rows-repeated="1000000">{cell}{empty}</table:table-row>'
    found = read("a.ods", odf("spreadsheet", f'<table:table table:name="S">{row}</table:table>'))
    assert found.text.startswith("## S\n\n7\n7")
    assert len(found.text) < 1000
