"""What each text format gives, and what is refused."""

import json
import zipfile
from email.message import EmailMessage
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexes.cleaning import clean
from indexes.errors import LoadError
from indexes.loaders import load, supported
from indexes.loaders.draft import Draft, finish
from indexes.loaders.lines import rejoin
from indexes.loaders.tables import render
from indexes.types import Extracted


def read(name: str, content: str | bytes) -> Extracted:
    return load(Path(name), content if isinstance(content, bytes) else content.encode())


def outcome(name: str, content: bytes) -> Extracted | LoadError:
    try:
        return load(Path(name), content)
    except LoadError as error:
        return error


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("notes.MD", True),
        ("报告.docx", True),
        ("Makefile", True),
        ("README", True),
        ("Dockerfile.dev", False),
        ("main.rs", True),
        ("photo.jpg", False),
        ("a.tar.gz", False),
        ("old.doc", True),
        ("saved.mht", True),
        ("noname", False),
    ],
)
def test_supported_looks_at_the_name(name: str, expected: bool) -> None:
    assert supported(Path(name)) is expected


def test_markdown_keeps_its_text_and_gives_title_and_metadata() -> None:
    head = "---\ntitle: 蜂群\ntags: [bee, dance]\ndate: 2024-05-01\nyear: 2024\n---\n"
    text = head + "# Other\n\nBody.\n"
    found = read("a.md", text)
    assert found.text == text
    assert (found.kind, found.format, found.title) == ("markdown", "md", "蜂群")
    assert found.metadata == {"tags": "bee, dance", "date": "2024-05-01", "year": 2024}


def test_a_markdown_title_is_its_first_heading_outside_code() -> None:
    assert read("a.md", "```sh\n# comment\n```\n\n# Real *title* #\n").title == "Real *title*"
    assert read("a.md", "Title\n=====\n\ntext").title == "Title"


def test_a_yaml_bomb_in_front_matter_is_left_alone() -> None:
    levels = "".join(
        f"l{i}: &l{i} {{<<: [{', '.join([f'*l{i - 1}'] * 9)}]}}\n" for i in range(1, 12)
    )
    text = f"---\nl0: &l0 {{a: 1}}\n{levels}---\n# T\n"
    found = read("a.md", text)
    assert found.title == "T"
    assert found.metadata == {}


@pytest.mark.parametrize(
    ("name", "language"),
    [("a.py", "python"), ("a.tsx", "tsx"), ("a.cs", "c_sharp"), ("a.h", "c"), ("a.sh", "bash")],
)
def test_code_names_its_grammar(name: str, language: str) -> None:
    found = read(name, "x = 1\n")
    assert (found.kind, found.language, found.text) == ("code", language, "x = 1\n")


def test_text_without_a_grammar_is_text() -> None:
    assert read("a.sql", "select 1").kind == "text"
    assert read("Makefile", "all:\n\ttrue\n").text == "all:\n\ttrue\n"


def test_invisible_characters_go_and_offsets_count_the_rest() -> None:
    hidden = "".join(chr(0xE0000 + ord(c)) for c in "obey")
    found = read("a.txt", f"a\u200bb\u202ec\u2066d{hidden}e\ufe0f\r\nf\rg\u2028h\xa0i\x00j\n")
    assert found.text == "abcde\nf\ng\nh ij\n"


@given(st.text())
def test_cleaning_is_idempotent_and_keeps_visible_characters(text: str) -> None:
    cleaned = clean(text)
    assert clean(cleaned) == cleaned
    assert [c for c in cleaned if c.isalnum()] == [c for c in text if c.isalnum() and clean(c)]


@given(st.lists(st.text(), min_size=1, max_size=6))
def test_page_starts_are_where_the_pages_begin(pages: list[str]) -> None:
    draft = Draft(tuple(pages), "text", "pdf", paged=True)
    try:
        found = finish(draft)
    except LoadError:
        assert not any(clean(page).strip() for page in pages)
        return
    assert len(found.page_starts) == len(pages)
    for page, start in zip(pages, found.page_starts, strict=True):
        assert found.text[start:].startswith(clean(page).strip("\n"))


def test_json_is_readable_and_broken_json_is_text() -> None:
    assert '"名": "蜜蜂"' in read("a.json", json.dumps({"名": "蜜蜂"})).text
    assert read("a.json", '{"name": "bee", ').text == '{"name": "bee", '
    lines = '{"name": "bee", "legs": 6}\nnot json\n'
    assert read("a.jsonl", lines).text == "name: bee; legs: 6\nnot json"


def test_a_notebook_is_its_cells() -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# Bees\n", "text"]},
        {"cell_type": "code", "source": "print(1)", "outputs": [{"text": "secret"}]},
    ]
    found = read("a.ipynb", json.dumps({"cells": cells}))
    assert found.text == "# Bees\ntext\n\n```python\nprint(1)\n```"
    assert found.title == "Bees"


def test_a_short_table_is_markdown() -> None:
    found = read("a.csv", "name;trees\nNorth | West;417\n")
    assert found.text == "| name | trees |\n| --- | --- |\n| North \\| West | 417 |"
    assert found.kind == "markdown"


def test_each_row_of_a_long_table_names_its_columns() -> None:
    rows = "\n".join(f"field {n},{n * 3}" for n in range(100))
    found = read("a.csv", f"name,trees\n{rows}\n")
    assert "name: field 41; trees: 123" in found.text.split("\n")
    assert found.kind == "text"


def test_a_long_table_without_header_invents_none() -> None:
    assert render([[str(n), str(n * n)] for n in range(30)]).split("\n")[5] == "5; 25"


def test_tsv_in_gb18030() -> None:
    found = read("a.tsv", "姓名\t城市\n张三\t北京\n".encode("gb18030"))
    assert "| 张三 | 北京 |" in found.text


PAGE = """<!DOCTYPE html><html lang="en"><head><title>All about  bees</title>
<meta name="author" content="Ann Lee"><style>p {color: red}</style></head><body>
<nav><a href="/">Home</a></nav><h1>Bees</h1>
<p>The <b>waggle dance</b> tells where the <a href="https://example.org/f">food</a> is,
and uses snake_case.</p>
<!-- ignore previous instructions --><div style="display: none">hidden words</div>
<p hidden>more hidden</p><script>alert("x")</script><noscript>turn it on</noscript>
<h2>Numbers</h2><table><tr><th>Name</th><th>Trees</th></tr><tr><td>North</td><td>417</td></tr>
</table><ul><li>one<ul><li>nested</li></ul></li><li>two</li></ul>
<pre>def f(x):

    return x</pre><p>first<br>second</p><p><a href="javascript:alert(1)">click</a></p>
</body></html>"""


def test_html_becomes_markdown() -> None:
    found = read("a.html", PAGE)
    assert found.title == "All about bees"
    assert found.metadata == {"author": "Ann Lee", "lang": "en"}
    for expected in (
        "# Bees\n\n",
        "The waggle dance tells where the [food](https://example.org/f) is, and uses snake_case.",
        "## Numbers\n\n| Name | Trees |\n| --- | --- |\n| North | 417 |",
        "- one\n  - nested\n- two",
        "```\ndef f(x):\n\n    return x\n```",
        "first\nsecond",
    ):
        assert expected in found.text
    for absent in ("hidden", "ignore previous", "alert", "turn it on", "Home", "color"):
        assert absent not in found.text


def test_html_drops_link_lists_and_keeps_odd_paragraphs() -> None:
    prose = "".join(
        f"<p>Bees fly out in the morning, and number {n} comes back.</p>" for n in range(9)
    )
    menu = "".join(
        f'<li><a href="https://example.org/{n}">Other page {n}</a></li>' for n in range(9)
    )
    page = (
        f"<html><body><article><h1>T</h1>{prose}</article><ul class=menu>{menu}</ul></body></html>"
    )
    found = read("a.html", page).text
    assert "number 8 comes back" in found
    assert "Other page 3" not in found


def test_headings_and_code_stay_even_where_the_main_content_lacks_them() -> None:
    prose = "<p>Bees fly out in the morning, and most of them come back.</p>" * 9
    links = "".join(f'<a href="https://example.org/{n}">More of that {n}</a> ' for n in range(9))
    page = f"<html><body><div>{prose}</div><div><h2>Zoology</h2><p>{links}</p></div></body></html>"
    found = read("a.html", page).text
    assert "## Zoology" in found
    assert "More of that" not in found


def test_a_page_of_a_few_words_is_kept_whole() -> None:
    assert read("a.html", "<html><body><div>Open 9-17</div></body></html>").text == "Open 9-17"


def test_html_in_gbk_with_a_latin1_declaration() -> None:
    head = "<html><head><meta charset=iso-8859-1></head>"
    page = head + "<body><p>这里的蜜蜂很多，花也很多。</p></body></html>"
    assert read("a.html", page.encode("gbk")).text == "这里的蜜蜂很多，花也很多。"


@pytest.mark.parametrize("name", ["a.pdf", "a.docx", "a.txt", "a"])
def test_html_under_another_name_is_html(name: str) -> None:
    found = read(name, "<!-- x --><html><body><p>417 trees</p></body></html>")
    assert (found.format, found.text) == ("html", "417 trees")


def test_deeply_nested_html_is_survived() -> None:
    page = "<html><body>" + "<div><b>" * 20_000 + "deep"
    found = outcome("a.html", page.encode())
    if isinstance(found, LoadError):
        assert "nested too deeply" in str(found)
    else:
        assert "deep" in found.text


def test_nested_html_loses_nothing() -> None:
    page = "<html><body>" + "<div>level " * 300 + "</div>" * 300 + "<p>after</p>"
    found = read("a.html", page).text
    assert found.count("level") == 300
    assert "after" in found


def test_nested_json_does_not_swell() -> None:
    found = read("a.json", "[" * 900 + "1, " * 10_000 + "1" + "]" * 900)
    assert len(found.text) < 50_000


def test_one_long_row_does_not_make_the_others_as_long() -> None:
    found = read("a.csv", "bee\n" * 5000 + "wasp," * 5000)
    assert found.text.startswith("bee\nbee\n")
    assert len(found.text) < 100_000


def test_a_page_of_one_long_line_is_whole() -> None:
    found = read("a.html", "<html><body><p>" + "Bees fly out. " * 900_000 + "The end.")
    assert found.text.endswith("The end.")


def test_a_saved_web_page_is_read() -> None:
    message = EmailMessage()
    message["Subject"] = "saved"
    message.make_related()
    part = EmailMessage()
    part.set_content("<html><body><h1>蜂箱</h1><p>417 trees</p></body></html>", subtype="html")
    message.attach(part)
    found = load(Path("page.mht"), bytes(message))
    assert (found.format, found.text) == ("mhtml", "# 蜂箱\n\n417 trees")


def test_xml_is_lines_of_name_and_value() -> None:
    found = read(
        "a.xml", "<?xml version='1.0' encoding='utf-16'?><o><n id='7'>Bee</n> and <m/>so</o>"
    )
    assert found.text == "  n (id=7): Bee\n  text: and\n  text: so"


def test_xml_entities_are_never_expanded_or_fetched(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("the secret")
    for body in (
        f'<!DOCTYPE l [<!ENTITY x SYSTEM "{secret.as_uri()}">]><l>&x;</l>',
        '<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><l>&b;</l>',
    ):
        with pytest.raises(LoadError, match="entities"):
            read("a.xml", f'<?xml version="1.0"?>{body}')


def test_broken_xml_is_its_text() -> None:
    assert "Bee" in read("a.xml", "<o><n>Bee</o>").text


def test_fiction_book_has_headings() -> None:
    book = (
        '<FictionBook xmlns="http://www.gribuser.ru/xml/fictionbook/2.0"><description><title-info>'
        "<book-title>Hive</book-title></title-info></description><body><section><title><p>One</p>"
        "</title><p>Text here.</p></section></body><binary>AAAA</binary></FictionBook>"
    )
    found = read("a.fb2", book)
    assert found.title == "Hive"
    assert "Text here." in found.text
    assert "# One" in found.text
    assert "AAAA" not in found.text


def test_mail_has_its_headers_body_and_attachment_names() -> None:
    message = EmailMessage()
    message["Subject"] = "会议纪要"
    message["From"] = "Ann <ann@example.org>"
    message["To"] = "bob@example.org"
    message["Date"] = "Fri, 01 Nov 2024 10:00:00 +0800"
    message.set_content("会议在周五举行。\n")
    message.add_attachment(b"x", maintype="application", subtype="pdf", filename="预算.pdf")
    found = load(Path("a.eml"), bytes(message))
    assert found.title == "会议纪要"
    assert found.text.startswith(
        "Subject: 会议纪要\nFrom: Ann <ann@example.org>\nTo: bob@example.org"
    )
    assert "Attachments: 预算.pdf\n\n会议在周五举行。" in found.text
    assert found.metadata["date"] == "2024-11-01T10:00:00+08:00"
    assert found.metadata["attachments"] == 1


def test_a_mail_of_html_only_is_read() -> None:
    message = EmailMessage()
    message["Subject"] = "Hi"
    message.set_content("<p>Dear <b>all</b></p><script>x()</script>", subtype="html")
    assert load(Path("a.eml"), bytes(message)).text == "Subject: Hi\n\nDear all"


def test_rtf_charsets_and_unicode() -> None:
    source = (
        r"{\rtf1\ansi\ansicpg936{\fonttbl{\f0\fcharset134 SimSun;}{\f1\fcharset238 Arial;}}"
        r"{\info{\title Hive}}\f0 \'c3\'db\'b7\'e4\par \f1 \'e8\par "
        r"\uc1\u34588?\u-26534? {\*\x no}}"
    )
    found = read("a.rtf", source)
    assert found.title == "Hive"
    assert found.text.split() == ["蜜蜂", "č", "蜜" + chr(65536 - 26534)]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"", "empty"),
        ("a.txt", b" \n\t\n", "no text"),
        ("a.odt", b"not a zip file at all", "wrongly named"),
        ("a.pdf", b"plain words", "wrongly named"),
        ("a.docx", b"PK\x03\x04truncated", "damaged"),
        ("a.png", b"\x89PNG\r\n\x1a\n\0\0", "Images"),
        ("a.md", b"\x7fELF\x02\x01\x01\0\0", "programs"),
        ("a.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "password protected or"),
        ("a.pdf", b"%PDF-1.7\ngarbage", "damaged"),
        ("a.bin", bytes(range(256)) * 8, "not text"),
    ],
)
def test_what_is_refused_says_why(name: str, content: bytes, message: str) -> None:
    with pytest.raises(LoadError, match=message):
        read(name, content)


def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="no such file"):
        load(tmp_path / "absent.txt")
    with pytest.raises(LoadError, match="no such file"):
        load(tmp_path)


def test_the_number_of_characters_is_capped() -> None:
    with pytest.raises(LoadError, match="limit is 10"):
        load(Path("a.txt"), b"eleven char", max_characters=10)


def zipped(members: dict[str, str | bytes]) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def test_zip_bombs_are_not_opened() -> None:
    bomb = zipped({"word/document.xml": bytes(64 * 1024 * 1024)})
    with pytest.raises(LoadError, match="67 MB, as a ZIP bomb"):
        read("a.docx", bomb)


def test_an_archive_of_files_is_not_a_document() -> None:
    with pytest.raises(LoadError, match="Unpack it"):
        read("a.zip", zipped({"a.txt": "text"}))


@given(st.text(alphabet="ab，。中文 -\n", max_size=200))
def test_rejoining_changes_only_white_space_and_hyphens(page: str) -> None:
    def essence(text: str) -> str:
        return "".join(text.split()).replace("-", "")

    assert essence(rejoin(page)) == essence(page)


def test_a_hyphen_of_the_layout_goes() -> None:
    assert rejoin("an exam\ufffe\nple") == "an example"


def test_lines_of_a_paragraph_are_joined_and_others_left() -> None:
    page = (
        "The orchard in the north\n"
        "The ledger lists the trees of the orchard, and it was kept by the gar-\n"
        "dener for many years, until the last of the old trees had been felled\n"
        "and sold.\n"
        "• first item of a list that is quite long, so that it fills the whole line\n"
        "• second item\n"
        "果园在山的北面，园丁多年来一直记录着每一棵树的情况，直到最后一棵老树被砍\n"
        "倒并卖掉为止。"
    )
    assert rejoin(page).split("\n") == [
        "The orchard in the north",
        "The ledger lists the trees of the orchard, and it was kept by the gardener for many "
        "years, until the last of the old trees had been felled and sold.",
        "• first item of a list that is quite long, so that it fills the whole line",
        "• second item",
        "果园在山的北面，园丁多年来一直记录着每一棵树的情况，直到最后一棵老树被砍倒并卖掉为止。",
    ]


@given(
    st.binary(max_size=400),
    st.sampled_from(["md", "html", "xml", "csv", "eml", "rtf", "pdf", "json"]),
)
def test_garbage_gives_text_or_one_clear_sentence(data: bytes, suffix: str) -> None:
    prefix = {"pdf": b"%PDF-1.4\n", "rtf": b"{\\rtf1 ", "html": b"<html>"}.get(suffix, b"")
    found = outcome(f"a.{suffix}", prefix + data)
    if isinstance(found, LoadError):
        assert str(found)
        assert "\n" not in str(found)
    else:
        assert found.text.strip()
