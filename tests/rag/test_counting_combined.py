"""Conditions behind a phrase, negation, two phrases, places: exact counts, or a search."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexes.collection import Collection
from rag.counting import CountQuery, answer_count, count_query
from tests.indexes.hash_embedder import HashEmbedder

# question, what and how, where, phrases
COMBINED: list[tuple[str, str, str | None, tuple[str, ...]]] = [
    ("How many documents mention Karl Holm in English?", "mention", 'lang = "en"', ("Karl Holm",)),
    ("Which documents mention Karl Holm since 2020?", "mention", "year >= 2020", ("Karl Holm",)),
    ("Which documents mention Karl von Frisch between 2010 and 2020?", "mention",
     "year >= 2010 and year <= 2020", ("Karl von Frisch",)),
    ("How many files mention “bees” in 2024?", "mention", "year = 2024", ("bees",)),
    ('How many files mention "Alice in Wonderland" in English since 2020?', "mention",
     'lang = "en" and year >= 2020', ("Alice in Wonderland",)),
    ('How many files mention "since 2020"?', "mention", None, ("since 2020",)),
    ('How many files mention "bees under reports/"?', "mention", None, ("bees under reports/",)),
    ("How many files mention bees under reports/?", "mention", 'source like "reports/*"',
     ("bees",)),
    ('How many files mention "bees" under "reports/2020"?', "mention",
     'source like "reports/2020/*"', ("bees",)),
    ("How many files mention the word honey in English?", "mention", 'lang = "en"', ("honey",)),
    ("How many files mention bees in my collection?", "mention", None, ("bees",)),
    ("How many of my notes mention Karl Holm?", "mention", None, ("Karl Holm",)),
    ("In how many PDFs is royal jelly mentioned?", "mention", 'format = "pdf"', ("royal jelly",)),
    ("How many documents do not mention Karl Holm?", "lack", None, ("Karl Holm",)),
    ("How many English documents don’t mention bees?", "lack", 'lang = "en"', ("bees",)),
    ('Which documents never mention "bees or wasps"?', "lack", None, ("bees or wasps",)),
    ("How many documents mention both bees and wasps?", "both", None, ("bees", "wasps")),
    ("Which documents mention both Karl Holm and Anna Berg in English?", "both", 'lang = "en"',
     ("Karl Holm", "Anna Berg")),
    ("How many documents mention 'red' and 'white wine'?", "both", None, ("red", "white wine")),
    ('How many documents mention "bread and butter"?', "mention", None, ("bread and butter",)),
    ("How many documents mention “bees” or “wasps”?", "either", None, ("bees", "wasps")),
    ("Which documents mention Karl Holm or Anna Berg?", "either", None,
     ("Karl Holm", "Anna Berg")),
    ("How many documents mention either the bees or “red wine”?", "either", None,
     ("bees", "red wine")),
    ("How many times is Karl Holm mentioned?", "mentions", None, ("Karl Holm",)),
    ("How many times is the queen mentioned in bridge.md?", "mentions",
     'source like "bridge.md"', ("queen",)),
    ("How many times has Karl Holm been mentioned in my notes since 2020?", "mentions",
     "year >= 2020", ("Karl Holm",)),
    ('How many times does "bread and butter" appear?', "mentions", None, ("bread and butter",)),
    ("How many passages mention bees in bridge.md?", "passages", 'source like "bridge.md"',
     ("bees",)),
    ("有几篇文档是英文的？", "mention", 'lang = "en"', ()),
    ("有多少文件是2024年的？", "mention", "year = 2024", ()),
    ("有多少文件没有提到月饼？", "lack", None, ("月饼",)),
    ("没提到月饼的文档有几份？", "lack", None, ("月饼",)),
    ("哪些中文文档没有提到“月饼和粽子”？", "lack", 'lang = "zh"', ("月饼和粽子",)),
    ("哪些文件有提到月饼？", "mention", None, ("月饼",)),
    ("有多少文档同时提到月饼和粽子？", "both", None, ("月饼", "粽子")),
    ("同时提到A和B的文档有几份？", "both", None, ("A", "B")),
    ("哪些文档提到月饼又提到粽子？", "both", None, ("月饼", "粽子")),
    ("哪些文档提到“月饼”和“粽子”？", "both", None, ("月饼", "粽子")),
    ("哪些文档提到“A”或“B”？", "either", None, ("A", "B")),
    ("哪些文档提到“月饼”或者“巧克力”？", "either", None, ("月饼", "巧克力")),
    ("哪些檔案提到月餅？", "mention", None, ("月餅",)),
    ("有幾份文檔沒有提到「月餅」？", "lack", None, ("月餅",)),
    ("總共有多少個檔案？", "mention", None, ()),
    ("提到月饼的英文的文档有几份？", "mention", 'lang = "en"', ("月饼",)),
    ("有多少文档提到2024年？", "mention", None, ("2024年",)),
    ("蜂螨被提到多少次？", "mentions", None, ("蜂螨",)),
    ("“月饼”被提到多少次？", "mentions", None, ("月饼",)),
    ("蜂螨在bridge.md里一共被提到了几次？", "mentions", 'source like "bridge.md"', ("蜂螨",)),
    ("“月饼”出现了多少次？", "mentions", None, ("月饼",)),
]  # fmt: skip
IN_DOUBT = [
    "How many files mention Karl Holm in bridge.md?",
    "How many files mention bees in 2024?",
    "How many files mention bees since 2020?",
    "How many documents mention Alice in Wonderland?",
    "How many documents mention made in Germany?",
    "How many documents mention catch in English?",
    "How many documents mention Speed in km/h?",
    "How many documents mention Karl Holm in German?",
    "How many documents mention Karl Holm in 2024?",
    "How many documents mention Karl Holm since March 2020?",
    "How many documents mention Karl Holm after 2020 or before 2010?",
    "How many documents mention the ring in the collection?",
    "How many documents mention bees of 2024?",
    'How many documents mention "bees under reports/?',
    "How many documents mention no bees?",
    "How many documents mention bees (English)?",
    "How many documents mention WHO more than once?",
    "How many documents do not mention Karl Holm in English?",
    "How many documents do not mention bees or wasps?",
    "How many documents do not contain personal data?",
    "How many passages do not mention bees?",
    "How many passages mention both bees and wasps?",
    "How many documents mention bread and butter?",
    "How many documents mention both North and South Korea?",
    "How many documents mention both red and white wine?",
    "How many documents mention both bees or wasps?",
    "How many documents mention red or white wine?",
    "How many documents mention bees and/or wasps?",
    'How many documents mention "bees" or "wasps" or "ants"?',
    "How many documents mention more or less?",
    "How many notes mention the queen?",
    "How many times is bread and butter mentioned?",
    "How many times is it mentioned?",
    "How many times is the king mentioned in the Bible?",
    "How many times is the event mentioned in Node.js?",
    "How many times is the queen mated?",
    "How many times does swarming occur?",
    "哪些文件有没有提到月饼？",
    "有多少文档提到月饼和粽子？",
    "有多少文档没有提到月饼或粽子？",
    "有多少文档同时提到和平与发展？",
    "有多少文档同时提到共和国？",
    "有多少文档提到红色或白色葡萄酒？",
    "有多少文档提到2024年的月饼？",
    "有多少文档提到2020年以来的变化？",
    "有多少文档提到月饼（英文）？",
    "有多少文档提到英文月饼？",
    "有多少文档提到没有月饼？",
    "有多少文件提到月饼在reports/里？",
    "有多少文件提到bridge.md里的月饼？",
    "有多少段落没有提到月饼？",
    "蜂王在手册里被提到几次？",
    "月饼出现了多少次？",
]


@pytest.mark.parametrize(("question", "how", "where", "phrases"), COMBINED, ids=lambda v: str(v))
def test_conditions_and_phrases_are_told_apart(
    question: str, how: str, where: str | None, phrases: tuple[str, ...]
) -> None:
    found = count_query(question)
    assert found is not None
    assert (found.how if found.what == "documents" else found.what) == how
    assert found.where == where
    assert tuple(filter(None, (found.mentions, found.other))) == phrases


@pytest.mark.parametrize("question", IN_DOUBT)
def test_what_may_mean_two_things_is_searched_for(question: str) -> None:
    assert count_query(question) is None


WORDS = ("since", "2020", "in", "English", "Alice", "or", "and", "not", "reports/", "月饼", "或")


@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(" ".join))
def test_what_is_quoted_stays_the_phrase(phrase: str) -> None:
    for question in (
        f'How many documents mention "{phrase}"?',
        f"Which documents mention “{phrase}” since 2020?",
        f"有多少文档提到“{phrase}”？",
        f"有多少文檔沒有提到「{phrase}」？",
    ):
        found = count_query(question)
        assert found is not None
        assert (found.mentions, found.other) == (phrase, None)


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("How many documents do not mention varroa?",
         "1 document does not mention «varroa»: 螨.txt."),
        ("Which documents do not mention wasps?",
         "3 documents do not mention «wasps»: hive.txt, mites.txt, 螨.txt."),
        ("How many files from 2023 do not mention varroa?",
         "There is no document that does not mention «varroa»."),
        ("How many documents mention both hive and varroa?",
         "1 document mentions both «hive» and «varroa»: hive.txt."),
        ("How many documents mention both hive and mites?",
         "No document mentions both «hive» and «mites»."),
        ("How many documents mention either hives or hive?",
         "2 documents mention «hives» or «hive»: hive.txt, mites.txt."),
        ("How many documents mention “Varroa” since 2024?",
         "1 document since 2024 mentions «Varroa»: hive.txt."),
        ("How many documents mention “Varroa” in Chinese?",
         "No document in Chinese mentions «Varroa»."),
        ("How many times is varroa mentioned?",
         "«varroa» is mentioned 2 times, in 2 documents: hive.txt, mites.txt."),
        ("How many times is hive mentioned?", "«hive» is mentioned once, in 1 document: hive.txt."),
        ("How many times is varroa mentioned in lost.txt?", "No document matches."),
        ("How many passages mention mites in mites.txt?",
         "1 passage in mites.txt mentions «mites», in 1 document: mites.txt."),
        ("有多少文件没有提到产量？", "有 2 份文档没有提到「产量」：hive.txt、mites.txt。"),
        ("有多少中文文件没有提到产量？", "不存在没有提到「产量」的文档。"),
        ("有多少文件同时提到瓦螨和产量？", "有 1 份文档同时提到「瓦螨」和「产量」：螨.txt。"),
        ("哪些檔案提到產量？", "有 1 份文档提到「產量」：螨.txt。"),
        ("哪些文件提到“hive”或“产量”？", "有 2 份文档提到「hive」或「产量」：hive.txt、螨.txt。"),
        ("有几篇文档是中文的？", "有 1 份文档符合条件：螨.txt。"),
        ("螨被提到多少次？", "「螨」被提到 2 次，在 1 份文档里：螨.txt。"),
        ("螨在lost.txt里被提到几次？", "没有文档符合条件。"),
    ],
)  # fmt: skip
def test_combined_answers(mites: Collection, question: str, text: str) -> None:
    query = count_query(question)
    assert query is not None
    assert answer_count(query, mites).text == text


@pytest.fixture(scope="module")
def apiary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collection]:
    home = tmp_path_factory.mktemp("combined")
    with Collection.open("c", home=home, embedder=HashEmbedder()) as opened:
        yield opened


TEXT = st.lists(st.sampled_from(["bee", "wasp", "hive", "蜜", "蜂蜜"]), min_size=1, max_size=6)


@settings(max_examples=30, deadline=None)
@given(st.lists(TEXT, min_size=6, max_size=6), st.sampled_from([None, "year >= 2022"]))
def test_combined_counts_are_those_of_the_sets(
    apiary: Collection, texts: list[list[str]], where: str | None
) -> None:
    years = [{"year": 2020 + number} for number in range(6)]
    names = [f"/d/{number}" for number in range(6)]
    apiary.add_texts([" ".join(words) for words in texts], years, names)

    def found(mentions: str | None, how: str = "mention", other: str | None = None) -> set[str]:
        query = CountQuery("list", "documents", where, mentions, "en", how, other)  # type: ignore[arg-type]
        answer = answer_count(query, apiary)
        assert answer.documents == len(answer.matches)
        assert all(bool(match.quote) == (how != "lack") for match in answer.matches if mentions)
        return {match.document.source for match in answer.matches}

    everything, bee, honey = found(None), found("bee"), found("蜜")
    assert found("bee", "lack") == everything - bee
    assert len(bee) + len(found("bee", "lack")) == len(everything)
    assert found("bee", "both", "蜜") == bee & honey
    assert found("bee", "either", "蜜") == bee | honey
    times = answer_count(CountQuery("count", "mentions", None, "bee"), apiary).mentions
    assert times == sum(words.count("bee") for words in texts)


def test_what_is_written_meanwhile_is_counted_whole_or_not_at_all(
    collection: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection.add_texts(["bee"], sources=["/a"])
    matching = collection.matching
    written: list[str] = []

    def writing(where: str | None = None, mentions: str | None = None) -> object:
        found = matching(where, mentions)
        if mentions == "bee" and not written:
            written.append("/a")
            collection.add_texts(["wasp"], sources=["/a"])
        return found

    monkeypatch.setattr(collection, "matching", writing)
    query = CountQuery("count", "documents", None, "bee", "en", "both", "wasp")
    assert answer_count(query, collection).documents == 0
    assert written == ["/a"]


def test_every_filter_of_these_questions_is_understood(mites: Collection) -> None:
    for question, *_ in COMBINED:
        query = count_query(question)
        assert query is not None
        assert answer_count(query, mites).documents <= 3
