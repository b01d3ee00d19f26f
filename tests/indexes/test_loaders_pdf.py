"""PDFs made here: columns, tables, headings, Chinese, running heads, and what is refused."""

from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from indexes.errors import LoadError
from indexes.loaders import load
from indexes.types import Extracted


def read(name: str, content: bytes) -> Extracted:
    return load(Path(name), content)


def pdf(draw: Callable[[Any], None], **options: Any) -> bytes:
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont
    from reportlab.pdfgen.canvas import Canvas

    pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
    buffer = BytesIO()
    canvas = Canvas(buffer, **options)
    draw(canvas)
    canvas.save()
    return buffer.getvalue()


CHINESE = (
    "蜜蜂用舞蹈告诉同伴食物在哪里，这种舞蹈的方向表示食物和太阳"
    "之间的角度，持续的时间表示距离的远近。"
)


def draw_pages(canvas: Any) -> None:
    canvas.setTitle("Bees")
    canvas.setAuthor("Ann")
    for page in range(3):
        canvas.setFont("STSong-Light", 12)
        canvas.drawString(72, 760, f"第{page + 1}章")
        for line in range(0, len(CHINESE), 16):
            canvas.drawString(72, 740 - line, CHINESE[line : line + 16])
        canvas.showPage()


def test_pdf_pages_start_where_they_say_and_sentences_are_whole() -> None:
    found = read("a.pdf", pdf(draw_pages))
    assert (found.kind, found.format, found.title) == ("markdown", "pdf", "Bees")
    assert found.metadata["pages"] == 3
    assert found.metadata["author"] == "Ann"
    assert str(found.metadata["date"]).startswith("20")
    assert len(found.page_starts) == 3
    for number, start in enumerate(found.page_starts, 1):
        assert found.text[start:].startswith(f"第{number}章\n{CHINESE}")


def test_running_heads_stand_once() -> None:
    def draw(canvas: Any) -> None:
        for page in range(6):
            canvas.drawString(72, 800, "Bees of the North, second edition")
            canvas.drawString(72, 700, f"Words of the page about hive {'ABCDEF'[page]}")
            canvas.drawString(72, 680, "More of them.")
            canvas.drawString(72, 40, f"{page + 1}")
            canvas.showPage()

    found = read("a.pdf", pdf(draw))
    assert found.text.count("second edition") == 1
    assert found.text.count("Words of the page") == 6
    assert found.text[found.page_starts[4] :].startswith("Words of the page about hive E")


def draw_squares(canvas: Any) -> None:
    canvas.rect(9, 9, 9, 9)
    canvas.showPage()
    canvas.rect(9, 9, 9, 9)


def test_a_pdf_without_text_is_refused() -> None:
    with pytest.raises(LoadError, match="2 pages and no text"):
        read("a.pdf", pdf(draw_squares))


def test_an_encrypted_pdf_is_refused() -> None:
    with pytest.raises(LoadError, match="password protected"):
        read("a.pdf", pdf(draw_pages, encrypt="secret"))


@pytest.mark.parametrize("title", ["Microsoft Word - draft.docx", "untitled", "report.pdf"])
def test_a_title_that_a_program_wrote_is_not_used(title: str) -> None:
    def draw(canvas: Any) -> None:
        canvas.setTitle(title)
        canvas.drawString(72, 700, "The Real Title")

    assert read("a.pdf", pdf(draw)).title == "The Real Title"


LEFT = [
    "The hive stands in the north of the",
    "orchard, where the morning sun warms",
    "it before the rest of the garden, and",
    "the bees fly out an hour earlier than",
    "those of the southern hive do.",
]
RIGHT = [
    "In autumn the gardener counts the",
    "frames and writes their number into",
    "the ledger, together with the weight",
    "of the honey that he has taken from",
    "the two hives in that year.",
]


def write_lines(canvas: Any, x: float, y: float, lines: Sequence[str]) -> None:
    for number, line in enumerate(lines):
        canvas.drawString(x, y - 14 * number, line)


def one_after_the_other(canvas: Any) -> None:
    write_lines(canvas, 72, 700, LEFT)
    write_lines(canvas, 310, 700, RIGHT)


def line_by_line(canvas: Any) -> None:
    for number, (left, right) in enumerate(zip(LEFT, RIGHT, strict=True)):
        canvas.drawString(72, 700 - 14 * number, left)
        canvas.drawString(310, 700 - 14 * number, right)


def right_column_first(canvas: Any) -> None:
    write_lines(canvas, 310, 700, RIGHT)
    write_lines(canvas, 72, 700, LEFT)


@pytest.mark.parametrize("draw", [one_after_the_other, line_by_line, right_column_first])
def test_two_columns_are_read_one_after_the_other(draw: Callable[[Any], None]) -> None:
    def page(canvas: Any) -> None:
        canvas.drawString(72, 740, "Two hives are kept here: this line goes over both columns.")
        draw(canvas)
        canvas.drawString(72, 600, "Below the columns, a line goes over the whole page again.")

    text = read("a.pdf", pdf(page)).text
    assert " ".join(LEFT) in text
    assert " ".join(RIGHT) in text
    places = [text.index(words) for words in ("Two hives", LEFT[0], RIGHT[0], "Below the columns")]
    assert places == sorted(places)


def test_three_columns_on_a_turned_page() -> None:
    columns = [[f"Column {name} goes on, line {n}" for n in range(6)] for name in "ABC"]

    def page(canvas: Any) -> None:
        canvas.setPageRotation(90)
        canvas.rotate(90)
        canvas.translate(0, -595)
        for number in range(6):
            for place, column in enumerate(columns):
                canvas.drawString(40 + 250 * place, 500 - 14 * number, column[number])

    text = read("a.pdf", pdf(page)).text
    flat = " ".join(text.split())
    assert " ".join(line for column in columns for line in column) in flat


def test_a_word_cut_at_the_end_of_a_column_is_whole() -> None:
    cut = [*LEFT, "A last line tells what the gar-"]
    on = ["dener saw there in the spring,", "when he opened both of the hives:", *RIGHT]

    def page(canvas: Any) -> None:
        canvas.drawString(72, 740, "Two hives are kept here: this line goes over both columns.")
        write_lines(canvas, 72, 700, cut)
        write_lines(canvas, 310, 700, on)

    text = " ".join(read("a.pdf", pdf(page)).text.split())
    assert text.endswith(" ".join([*cut, *on]).replace("gar- dener", "gardener"))


ROWS = [["Hive", "Frames", "Honey (kg)"], ["North", "11", "417.5"], ["South", "9", "388"]]


def ruled(canvas: Any, rows: Sequence[Sequence[str]], x: float, y: float) -> None:
    width, height = 110, 20
    canvas.grid(
        [x + width * n for n in range(len(rows[0]) + 1)],
        [y - height * n for n in range(len(rows) + 1)],
    )
    for i, row in enumerate(rows):
        for j, cell in enumerate(row):
            canvas.drawString(x + width * j + 5, y - height * (i + 1) + 6, cell)


def test_a_ruled_table_is_a_table_in_its_place() -> None:
    def page(canvas: Any) -> None:
        # The table is drawn first, and reads second.
        ruled(canvas, ROWS, 72, 680)
        canvas.drawString(72, 700, "Before the table.")
        canvas.drawString(72, 590, "After the table.")

    assert read("a.pdf", pdf(page)).text == (
        "Before the table.\n\n| Hive | Frames | Honey (kg) |\n| --- | --- | --- |\n"
        "| North | 11 | 417.5 |\n| South | 9 | 388 |\n\nAfter the table."
    )


def test_cells_of_several_lines_and_cells_drawn_as_boxes() -> None:
    def page(canvas: Any) -> None:
        for i in range(3):
            for j in range(2):
                canvas.rect(72 + 200 * j, 700 - 40 * i, 200, 40)
                canvas.drawString(80 + 200 * j, 726 - 40 * i, f"Cell {i}{j} begins and")
                canvas.drawString(80 + 200 * j, 712 - 40 * i, f"ends {i}{j} here")

    assert read("a.pdf", pdf(page)).text.split("\n")[2:] == [
        f"| Cell {i}0 begins and ends {i}0 here | Cell {i}1 begins and ends {i}1 here |"
        for i in (1, 2)
    ]


def test_a_chinese_table_with_three_lines_only() -> None:
    rows = [["品种", "框数", "产量"], ["中华蜜蜂", "11", "417"], ["意大利蜂", "9", "388"]]

    def page(canvas: Any) -> None:
        canvas.setFont("STSong-Light", 12)
        for y in (700, 678, 630):
            canvas.line(72, y, 400, y)
        for i, row in enumerate(rows):
            for j, cell in enumerate(row):
                canvas.drawString(80 + 110 * j, 684 - 22 * i, cell)

    text = read("a.pdf", pdf(page)).text
    assert "| 品种 | 框数 | 产量 |" in text
    assert "| 意大利蜂 | 9 | 388 |" in text


def test_a_table_without_lines() -> None:
    rows = [*ROWS, ["East", "7", "120"], ["West", "10", "96"]]

    def page(canvas: Any) -> None:
        canvas.drawString(72, 720, "What the hives gave in the last year:")
        for i, row in enumerate(rows):
            for j, cell in enumerate(row):
                canvas.drawString(72 + 120 * j, 700 - 16 * i, cell)

    text = read("a.pdf", pdf(page)).text
    assert "| Hive | Frames | Honey (kg) |" in text
    assert "| West | 10 | 96 |" in text


def test_a_frame_around_words_is_no_table() -> None:
    def page(canvas: Any) -> None:
        canvas.rect(60, 620, 400, 100)
        write_lines(canvas, 72, 700, LEFT)

    assert read("a.pdf", pdf(page)).text == " ".join(LEFT)


def test_headings_by_size_and_by_weight() -> None:
    def page(canvas: Any) -> None:
        for y, font, size, words in (
            (760, "Helvetica", 24, "Bees of the North"),
            (720, "Helvetica", 16, "The hives"),
            (600, "Helvetica-Bold", 10, "Their keeper"),
        ):
            canvas.setFont(font, size)
            canvas.drawString(72, y, words)
        canvas.setFont("Helvetica", 10)
        write_lines(canvas, 72, 690, LEFT)
        write_lines(canvas, 72, 580, RIGHT)

    found = read("a.pdf", pdf(page))
    assert found.title == "Bees of the North"
    assert found.text == (
        "# Bees of the North\n\n## The hives\n\n"
        + " ".join(LEFT) + "\n\n### Their keeper\n\n" + " ".join(RIGHT)
    )  # fmt: skip


def test_bookmarks_name_the_headings() -> None:
    def draw(canvas: Any) -> None:
        for number, (title, level) in enumerate([("Hives", 0), ("In the north", 1), ("Honey", 0)]):
            canvas.bookmarkPage(title)
            canvas.addOutlineEntry(title, title, level)
            canvas.drawString(72, 700, f"{number + 1}. {title}")
            write_lines(canvas, 72, 680, LEFT)
            canvas.showPage()

    lines = read("a.pdf", pdf(draw)).text.split("\n")
    assert [line for line in lines if line.startswith("#")] == [
        "# 1. Hives", "## 2. In the north", "# 3. Honey",
    ]  # fmt: skip


def test_a_chinese_paragraph_has_no_line_break_and_the_next_begins_a_line() -> None:
    first = (
        "蜜蜂的舞蹈告诉同伴食物在哪里，" * 5 + "这是很久很久以前就发现的。"
    )  # fills its last line
    second = "第二段说的是另外一件事，" * 4 + "到此结束。"

    def page(canvas: Any) -> None:
        canvas.setFont("STSong-Light", 12)
        y = 760
        for paragraph in (first, second):
            text = "　　" + paragraph
            for start in range(0, len(text), 30):
                canvas.drawString(72, y, text[start : start + 30])
                y -= 18

    lines = [line.strip() for line in read("a.pdf", pdf(page)).text.split("\n") if line.strip()]
    assert lines == [first, second]


def test_code_keeps_its_lines_and_is_no_heading() -> None:
    def page(canvas: Any) -> None:
        write_lines(canvas, 72, 700, LEFT)
        canvas.setFont("Courier", 10)
        write_lines(canvas, 72, 600, ["# count the hives", "for hive in hives:", "count(hive)"])

    text = read("a.pdf", pdf(page)).text
    assert "~~~\n# count the hives\nfor hive in hives:\ncount(hive)\n~~~" in text


def test_a_pdf_of_pictures_says_that_it_needs_ocr() -> None:
    from PIL import Image
    from reportlab.lib.utils import ImageReader

    def draw(canvas: Any) -> None:
        for _ in range(3):
            canvas.drawImage(ImageReader(Image.new("RGB", (40, 40), "grey")), 0, 0, 595, 842)
            canvas.showPage()

    with pytest.raises(LoadError, match=r"pages \(3\) are images without text. Run OCR"):
        read("a.pdf", pdf(draw))


def test_pages_without_text_among_others_are_counted() -> None:
    def draw(canvas: Any) -> None:
        canvas.drawString(72, 700, "Some words.")
        canvas.showPage()
        draw_squares(canvas)

    found = read("a.pdf", pdf(draw))
    assert found.metadata["pages_without_text"] == 2
    assert len(found.page_starts) == 3


def test_what_follows_an_item_of_a_list_is_a_line_of_its_own() -> None:
    item = [
        "- The hive in the north, which the gardener",
        "counts in autumn and weighs in the spring",
    ]

    def page(canvas: Any) -> None:
        canvas.drawString(72, 700, item[0])
        canvas.drawString(90, 686, item[1])
        write_lines(canvas, 72, 672, LEFT)

    assert read("a.pdf", pdf(page)).text.split("\n\n") == [" ".join(item), " ".join(LEFT)]
