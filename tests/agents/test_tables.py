"""SQL over the tables among the documents, by models that mean well and by others."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.tools import BaseTool, ToolException

from agents.toolbox.effects import effect_of, is_tainted
from agents.toolbox.table_queries import QueryLimits, Tables
from agents.toolbox.table_reading import table_of
from agents.toolbox.tables import table_tools
from indexes.collection import Collection
from tests.indexes.hash_embedder import HashEmbedder

SALES = """region,amount,price,day,code,Unit Price,order
North,"1,200",$3.50,2024/1/5,007,1.5,a
South,800,$2.25,2024/12/31,012,2.5,b
North,-,$1.00,2023/6/7,100,3,c
"""

Query = Callable[[str], str]


def written(folder: Path) -> Path:
    folder.mkdir()
    (folder / "sales.csv").write_text(SALES, "utf-8")
    (folder / "员工.csv").write_text(
        "姓名,部门,工资\n张三,研发,１２０００\n李四,市场,9000\n", "gb18030"
    )
    book = openpyxl.Workbook()
    first = book.active
    assert first is not None
    first.title = "预算 2024"
    for row in (["Budget"], ["item", 2023, 2024], ["rent", 100, 110.5], ["food", 50, None]):
        first.append(row)
    second = book.create_sheet("People")
    for number in range(40):
        second.append(["name", "age"] if not number else [f"p{number}; x", number])
    book.save(folder / "book.xlsx")
    return folder


def opened(home: Path) -> Collection:
    return Collection.open("test", home=home, embedder=HashEmbedder())


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("papers") / "docs")


@pytest.fixture(scope="module")
def shelf(papers: Path) -> Iterator[Collection]:
    """A collection of the papers, which stay as they are."""
    with opened(papers.parent / "home") as collection:
        collection.add([papers])
        yield collection


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Collection]:
    with opened(tmp_path / "home") as collection:
        yield collection


@pytest.fixture(scope="module")
def tools(shelf: Collection) -> dict[str, BaseTool]:
    return {tool.name: tool for tool in table_tools(shelf)}


@pytest.fixture(scope="module")
def query(tools: dict[str, BaseTool]) -> Query:
    return lambda sql: str(tools["query_table"].invoke({"sql": sql}))


def cells(shown: str) -> list[list[str]]:
    """The rows of the Markdown table that was shown, without its head."""
    lines = [line for line in shown.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_they_read_and_bring_text_from_documents(tools: dict[str, BaseTool]) -> None:
    assert list(tools) == ["list_tables", "query_table"]
    assert {effect_of(tool) for tool in tools.values()} == {"read"}
    assert all(is_tainted(tool) for tool in tools.values())


def test_the_listing_names_tables_columns_types_and_sources(tools: dict[str, BaseTool]) -> None:
    listing = tools["list_tables"].invoke({})
    assert "- sales (" in listing
    assert "sales.csv), 3 rows: region TEXT, amount INTEGER, price REAL $, day TEXT" in listing
    assert "Unit_Price REAL («Unit Price»)" in listing
    assert "员工.csv), 2 rows: 姓名 TEXT, 部门 TEXT, 工资 INTEGER" in listing
    assert "- book_预算_2024 (" in listing
    assert "book.xlsx, sheet «预算 2024»), 2 rows: item TEXT, _2023 INTEGER («2023»)" in listing
    assert "- book_People" not in tools["list_tables"].invoke({"name": "员工"})


def test_sums_are_exact_and_the_source_is_named(query: Query, papers: Path) -> None:
    shown = query("SELECT region, SUM(amount) AS total FROM sales GROUP BY region ORDER BY 2 DESC")
    assert cells(shown) == [["North", "1200"], ["South", "800"]]
    assert f"Table sales: {papers / 'sales.csv'}" in shown


def test_chinese_names_need_no_quotation_marks(query: Query, papers: Path) -> None:
    assert cells(query("SELECT AVG(工资) FROM 员工 WHERE 部门 = '研发' OR 1")) == [["10500"]]
    shown = query("SELECT * FROM book_预算_2024 ORDER BY item")
    assert cells(shown) == [["food", "50", ""], ["rent", "100", "110.5"]]
    assert f"{papers / 'book.xlsx'}, sheet «预算 2024»" in shown


def test_amounts_are_numbers_and_codes_are_not(query: Query) -> None:
    shown = query("SELECT SUM(price), MAX(code), COUNT(amount), MIN(day) FROM sales")
    assert cells(shown) == [["6.75", "100", "2", "2023-06-07"]]


def test_a_header_in_quotation_marks_is_understood(query: Query) -> None:
    for quoted in ('"Unit Price"', "[Unit Price]", "`Unit Price`", "Unit_Price"):
        assert cells(query(f"SELECT SUM({quoted}) FROM sales")) == [["7"]]
    assert cells(query('SELECT MAX("order") FROM sales')) == [["c"]]
    assert cells(query("SELECT MAX(order_) FROM sales")) == [["c"]]


def test_tables_can_be_joined(query: Query) -> None:
    sql = "SELECT s.region, p.age FROM sales s JOIN book_People p ON p.age = s.Unit_Price"
    assert cells(query(sql)) == [["North", "3"]]


@pytest.mark.parametrize("gone", ["deleted", "changed"])
def test_the_text_that_was_indexed_serves_without_its_file(
    empty: Collection, tmp_path: Path, gone: str
) -> None:
    collection, folder = empty, written(tmp_path / "docs")
    collection.add([folder])
    for file in folder.iterdir():
        if gone == "deleted":
            file.unlink()
        else:
            file.write_bytes(b"a,b\n1,2\n")
    tools = {tool.name: tool for tool in table_tools(collection)}
    run = tools["query_table"].invoke
    assert cells(run({"sql": "SELECT SUM(amount), SUM(price) FROM sales"})) == [["2000", "6.75"]]
    people = run({"sql": "SELECT COUNT(*), SUM(age), MAX(name) FROM book_People"})
    assert cells(people) == [["39", "780", "p9; x"]]


def test_no_rows(query: Query) -> None:
    assert query("SELECT * FROM sales WHERE region = 'East'").startswith("No row matches.")


# -- what a model gets wrong ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT * FROM sale", "There is no table «sale». There is: sales, "),
        ("SELECT * FROM sales JOIN nowhere", "There is no table «nowhere». There is: "),
        ("SELECT amout FROM sales", "There is no column «amout». There are: sales(region, amount,"),
        ('SELECT 1 FROM sales WHERE region = "North"', "Text stands in single quotation marks."),
        ("SELEC 1", "The SQL cannot be read: near \"SELEC\": syntax error."),
        ("SELECT nosuch(1)", "The SQL cannot be read: no such function: nosuch."),
        ("SELECT '\ud800'", "The SQL cannot be read: "),
    ],
)  # fmt: skip
def test_a_mistake_is_told_in_a_sentence(query: Query, sql: str, said: str) -> None:
    with pytest.raises(ToolException) as error:
        query(sql)
    assert said in str(error.value)
    assert str(error.value).endswith(".")


def test_no_tables(empty: Collection) -> None:
    empty.add_texts(["no table here"])
    for tool, arguments in zip(table_tools(empty), ({}, {"sql": "SELECT 1"}), strict=True):
        with pytest.raises(ToolException, match="There are no tables among the documents"):
            tool.invoke(arguments)


# -- attacks -------------------------------------------------------------------------------------

WRITES = [
    "INSERT INTO sales VALUES (1, 2, 3, 4, 5, 6, 7)",
    "UPDATE sales SET amount = 0",
    "DELETE FROM sales",
    "DROP TABLE sales",
    "CREATE TABLE evil (a)",
    "CREATE TEMP VIEW v AS SELECT 1",
    "ALTER TABLE sales ADD COLUMN evil",
    "ATTACH DATABASE '{file}' AS evil",
    "DETACH DATABASE main",
    "VACUUM INTO '{file}'",
    "PRAGMA writable_schema = 1",
    "PRAGMA table_info(sales)",
    "SELECT * FROM pragma_database_list",
    "SELECT load_extension('/tmp/evil.so')",
    "SELECT writefile('{file}', 'x')",
    "SELECT readfile('/etc/passwd')",
    "SELECT fts3_tokenizer('simple')",
    "BEGIN",
    "SAVEPOINT s",
    "REINDEX sales",
    "ANALYZE",
    "SELECT 1; DROP TABLE sales",
    "SELECT 1; SELECT 2",
    "WITH x AS (SELECT 1) INSERT INTO sales(region) SELECT * FROM x",
    "CREATE VIRTUAL TABLE v USING fts5(a)",
    "EXPLAIN DELETE FROM sales",
    "-- nothing",
    "",
]


@pytest.mark.parametrize("sql", WRITES)
def test_nothing_but_reading(query: Query, tmp_path: Path, sql: str) -> None:
    file = tmp_path / "stolen.db"
    with pytest.raises(ToolException) as error:
        query(sql.format(file=file))
    allowed = "can only be read, by one SELECT statement" in str(error.value)
    assert allowed or "no such function" in str(error.value)
    assert not file.exists()
    assert cells(query("SELECT COUNT(*), SUM(amount) FROM sales")) == [["3", "2000"]]


ENDLESS = [
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION SELECT i + 1 FROM n) SELECT MAX(i) FROM n",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n WHERE i < 0",
    "SELECT COUNT(*) FROM book_People a, book_People b, book_People c, book_People d, "
    "book_People e, book_People f",
]


@pytest.mark.parametrize("sql", ENDLESS)
def test_a_query_without_end_is_stopped(shelf: Collection, sql: str) -> None:
    tool = table_tools(shelf, QueryLimits(seconds=0.5))[1]
    tool.invoke({"sql": "SELECT 1 FROM book_People"})
    began = time.monotonic()
    with pytest.raises(ToolException, match=r"took more than 0\.5 s and was stopped"):
        tool.invoke({"sql": sql})
    assert time.monotonic() - began < 5
    assert cells(tool.invoke({"sql": "SELECT COUNT(*) FROM book_People"})) == [["39"]]


@pytest.mark.parametrize(
    "sql",
    [
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
        "SELECT i, hex(randomblob(400)) AS x FROM n ORDER BY x",
        "WITH RECURSIVE n(i, x) AS (SELECT 1, 'a' UNION SELECT i + 1, hex(randomblob(400)) FROM n) "
        "SELECT COUNT(*) FROM n",
    ],
)
def test_a_query_that_needs_too_much_memory_is_stopped(shelf: Collection, sql: str) -> None:
    tool = table_tools(shelf, QueryLimits(seconds=60, memory=16 * 2**20))[1]
    with pytest.raises(ToolException, match="needed more than 16 MB and was stopped"):
        tool.invoke({"sql": sql})


def test_values_that_are_too_large(query: Query) -> None:
    for sql in (
        "SELECT zeroblob(100000000)",
        "SELECT replace(hex(zeroblob(400000)), '0', '12345')",
    ):
        with pytest.raises(ToolException, match="values that are too large"):
            query(sql)


def test_a_long_result_is_cut_and_says_so(query: Query) -> None:
    many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
    shown = query(many)
    assert len(cells(shown)) == 100
    assert "There are more rows than these 100." in shown
    wide = query("SELECT hex(zeroblob(300)) FROM book_People")
    assert len(wide) < 9000
    assert "The rest is cut off here." in wide


def test_a_deep_or_long_statement_is_refused(query: Query) -> None:
    long = " UNION ALL ".join(["SELECT 1"] * 500)
    for sql in ("SELECT 1" + " + 1" * 2000, long, "SELECT '" + "x" * 30_000 + "'"):
        with pytest.raises(ToolException, match=r"cannot be read|too large"):
            query(sql)


def test_the_contents_of_a_cell_stay_in_their_cell(empty: Collection, tmp_path: Path) -> None:
    file = tmp_path / "evil.csv"
    file.write_text('a,"b"");DROP TABLE evil;--"\n"x\n| y |",1\n\u200bhidden,2\n', "utf-8")
    empty.add([file])
    listing, query = table_tools(empty)
    assert "b_DROP_TABLE_evil INTEGER" in listing.invoke({})
    shown = query.invoke({"sql": "SELECT * FROM evil ORDER BY 2"})
    assert "| x \\| y \\| | 1 |" in shown
    assert "\u200b" not in shown


# -- names and types -----------------------------------------------------------------------------


def test_tables_of_the_same_name_are_told_apart(empty: Collection, tmp_path: Path) -> None:
    for year in ("2023", "2024"):
        (tmp_path / year).mkdir()
        (tmp_path / year / "sales.csv").write_text(f"year\n{year}\n1{year}\n", "utf-8")
    empty.add([tmp_path / "2023", tmp_path / "2024"])
    query = table_tools(empty)[1]
    assert cells(query.invoke({"sql": "SELECT MIN(year) FROM sales"})) == [["2023"]]
    assert cells(query.invoke({"sql": "SELECT MIN(year) FROM _2024_sales"})) == [["2024"]]


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
numbers = st.one_of(st.integers(-(10**12), 10**12).map(str), st.just("1,234.5"), st.just("12%"))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.one_of(text, numbers), min_size=1, max_size=5), max_size=8))
def test_any_rows_become_a_table_that_can_be_asked(rows: list[list[str]]) -> None:
    table = table_of(rows)
    if table is None:
        return
    tables = Tables()
    tables.put("t", table)
    named = ", ".join(column.name for column in table.columns)
    found = tables.query(f"SELECT {named} FROM t")
    assert found.rows == tuple(table.rows)
    kinds = {"INTEGER": int, "REAL": float, "TEXT": str}
    for row in found.rows:
        for column, value in zip(table.columns, row, strict=True):
            assert value is None or type(value) is kinds[column.kind]


def test_the_library_is_the_one_of_the_collection() -> None:
    assert apsw.sqlite_lib_version() >= "3.54"
