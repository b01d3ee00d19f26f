"""Questions about the documents are told from all others, and answered by exact counts."""

from pathlib import Path

import pytest

from indexes.collection import Collection
from rag.counting import CountQuery, answer_count, count_query

Row = tuple[str, str, str | None, str | None]

# question, kind (with + for passages), where, mentions
COUNTING: list[Row] = [
    ("How many documents mention varroa?", "count", None, "varroa"),
    ("how many files mention the varroa mite", "count", None, "varroa mite"),
    ('How many files contain "waggle dance"?', "count", None, "waggle dance"),
    ("How many docs contain the word honey?", "count", None, "honey"),
    ("How many documents are there?", "count", None, None),
    ("How many files are there in the collection?", "count", None, None),
    ("How many documents do you have?", "count", None, None),
    ("How many PDFs are there?", "count", 'format = "pdf"', None),
    ("How many pdf files mention royal jelly?", "count", 'format = "pdf"', "royal jelly"),
    ("How many documents from 2024 are there?", "count", "year = 2024", None),
    ("How many documents are from 2024?", "count", "year = 2024", None),
    ("How many files since 2023 mention propolis?", "count", "year >= 2023", "propolis"),
    ("How many documents in Chinese mention 蜂王?", "count", 'lang = "zh"', "蜂王"),
    ("How many Chinese documents are there?", "count", 'lang = "zh"', None),
    ("How many files are there under reports/?", "count", 'source like "reports/*"', None),
    ("How many files under reports/ mention “mites”?", "count", 'source like "reports/*"', "mites"),
    ("How many passages mention honeydew?", "count+", None, "honeydew"),
    ("How many files were there modified since 2024", "", None, None),
    ("How many files modified since 2024 mention bees?", "count",
     'modified >= "2024"', "bees"),
    ("Count the documents that mention Seeley.", "count", None, "Seeley"),
    ("Which documents mention varroa?", "list", None, "varroa"),
    ("Which documents from 2024 mention heather honey?", "list", "year = 2024", "heather honey"),
    ("Which documents are from 2024?", "list", "year = 2024", None),
    ("Which files are PDFs?", "list", 'format = "pdf"', None),
    ("What documents are in Chinese?", "list", 'lang = "zh"', None),
    ("Which files between 2020 and 2022 are there?", "list", "year >= 2020 and year <= 2022", None),
    ("List all PDFs from before 2020", "", None, None),
    ("List all PDFs before 2020", "list", 'format = "pdf" and year < 2020', None),
    ("Show me all documents that mention swarming", "list", None, "swarming"),
    ("List the English files after 2019 in notes/bees",
     "list", 'lang = "en" and year > 2019 and source like "notes/bees/*"', None),
    ("有多少文档提到瓦螨？", "count", None, "瓦螨"),
    ("一共有多少份文件提到了“蜂王浆”？", "count", None, "蜂王浆"),
    ("有多少个文件？", "count", None, None),
    ("库里一共有多少份文档？", "count", None, None),
    ("2024年的文档有多少份？", "count", "year = 2024", None),
    ("有多少篇2024年的文档提到蜜源？", "count", "year = 2024", "蜜源"),
    ("有几份中文文档？", "count", 'lang = "zh"', None),
    ("中文的文件有多少？", "count", 'lang = "zh"', None),
    ("提到洋槐蜜的文档有几份？", "count", None, "洋槐蜜"),
    ("有多少个段落提到蜂胶？", "count+", None, "蜂胶"),
    ("有多少个 PDF 文件？", "count", 'format = "pdf"', None),
    ("哪些文档提到了越冬？", "list", None, "越冬"),
    ("哪些 PDF 提到蜂群？", "list", 'format = "pdf"', "蜂群"),
    ("哪些文件包含“中华蜜蜂”？", "list", None, "中华蜜蜂"),
    ("哪些2023年以后的文档提到瓦螨？", "list", "year > 2023", "瓦螨"),
    ("2024年的文档有哪些？", "list", "year = 2024", None),
    ("列出所有2020年以前的文件", "list", "year < 2020", None),
    ("哪些文档是英文的？", "list", 'lang = "en"', None),
    ("在 reports/ 下的文件有哪些？", "list", 'source like "reports/*"', None),
    ("提到Varroa的文件有哪些？", "list", None, "Varroa"),
]  # fmt: skip
ORDINARY = [
    "How many bees mention the queen?",
    "How many bees live in a hive?",
    "How many documents must I bring?",
    "How many documents do I need for a visa?",
    "How many documents are required to register a hive?",
    "How many documents are there in a visa application?",
    "How many files did the auditors find in 2024?",
    "How many passages lead out of the hive?",
    "How many passages are there?",
    "How many documents were published by the institute in 2024?",
    "How many colonies were lost since 2023?",
    "How many reports mention losses?",
    "Which documents must I bring?",
    "Which documents?",
    "Which documents are needed?",
    "Which documents contain personal data?",
    "Which documents mention that bees sleep?",
    "Which documents mention it?",
    "Which documents mention the most plants?",
    "Which documents mention how queens are raised?",
    "Which documents mention varroa and heather?",
    "Which document says that bees dance?",
    "What files does the program write?",
    "What files are in the archive?",
    "What documents does the beekeeper keep?",
    "Which bees are from 2024?",
    "Who mentions varroa in 2024?",
    "List the steps to make honey.",
    "List the documents needed for export",
    "Show me how bees dance",
    "When were the documents from 2024 signed?",
    "Is varroa mentioned in the documents?",
    "有多少蜜蜂提到蜂王？",
    "有多少文件需要签字？",
    "有多少工蜂？",
    "一共有多少个段落？",
    "一个蜂群有多少只工蜂？",
    "2024年的产量有多少？",
    "办理出口需要哪些文件？",
    "哪些文件需要提交？",
    "哪些文档提到如何育王？",
    "哪些文档提到蜂王和工蜂？",
    "哪些文件是必须的？",
    "哪些蜜源植物提到洋槐？",
    "哪些文档包含个人信息？",
    "文件里提到了哪些蜜源？",
    "手册提到了什么？",
    "2024年的文件规定了什么？",
    "中文文档里怎么说瓦螨？",
    "列出越冬的步骤",
    "蜜蜂为什么跳舞？",
    "",
    "？",
]
TABLE = [*COUNTING, *((question, "", None, None) for question in ORDINARY)]


@pytest.mark.parametrize(("question", "kind", "where", "mentions"), TABLE, ids=lambda v: str(v))
def test_the_table(question: str, kind: str, where: str | None, mentions: str | None) -> None:
    found = count_query(question)
    if not kind:
        assert found is None
    else:
        assert found is not None
        assert found.kind + "+" * (found.what == "passages") == kind
        assert (found.where, found.mentions) == (where, mentions)


def test_the_table_holds_as_many_ordinary_questions() -> None:
    asks = sum(bool(kind) for _, kind, _, _ in TABLE)
    assert len(TABLE) >= 100
    assert 0.4 < asks / len(TABLE) < 0.6


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("How many documents mention varroa?",
         "2 documents mention «varroa»: hive.txt, mites.txt."),
        ("Which files from 2023 mention varroa?", "1 document mentions «varroa»: mites.txt."),
        ("How many passages mention hive?", "1 passage mentions «hive», in 1 document: hive.txt."),
        ("How many documents mention wasps?", "No document mentions «wasps»."),
        ("Which documents are from 2024?", "2 documents: hive.txt, 螨.txt."),
        ("Which files are PDFs?", "No document matches."),
        ("有多少文档提到产量？", "有 1 份文档提到「产量」：螨.txt。"),
        ("2024年的文档有哪些？", "有 2 份文档符合条件：hive.txt、螨.txt。"),
        ("哪些文档提到胡蜂？", "没有文档提到「胡蜂」。"),
        ("有多少个文件？", "共有 3 份文档：hive.txt、mites.txt、螨.txt。"),
        ("在 reports/ 下的文件有哪些？", "有 1 份文档符合条件：mites.txt。"),
    ],
)  # fmt: skip
def test_the_answer_is_a_sentence_in_the_language_of_the_question(
    mites: Collection, question: str, text: str
) -> None:
    query = count_query(question)
    assert query is not None
    assert answer_count(query, mites).text == text


def test_every_match_quotes_its_source(mites: Collection) -> None:
    answer = answer_count(CountQuery("list", "documents", None, "varroa"), mites)
    assert (answer.documents, answer.passages) == (2, 2)
    for match in answer.matches:
        text = mites.document(match.document.source).text
        assert text[match.start : match.end] == match.quote
        assert match.quote.lower() == "varroa"


def test_twenty_are_named_and_all_are_told(collection: Collection) -> None:
    names = [f"/d/{n}/{n % 15:02}.txt" for n in range(30)]
    collection.add_texts([f"bee {n}" for n in range(30)], sources=names)
    answer = answer_count(CountQuery("count", "documents", None, "bee"), collection)
    assert answer.documents == len(answer.matches) == 30
    assert answer.text.endswith("and 10 more.")
    assert answer.text.count(".txt") == 20


def test_every_filter_the_grammar_writes_is_understood(
    collection: Collection, examples: Path
) -> None:
    collection.add([examples / "waggle-dance.md"])
    for question, kind, _, _ in COUNTING:
        query = count_query(question)
        assert (query is not None) == bool(kind)
        if query:
            assert answer_count(query, collection).documents in (0, 1)
