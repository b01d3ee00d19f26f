"""Passages with what stands around them: exact spans, whole sentences, whole sections."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexes.collection import Collection
from indexes.settings import IndexSettings
from indexes.types import SearchResult
from rag.retrieval.plan import PLANS, Expansion
from rag.retrieval.widening import PARENT, WINDOW, widened
from rag.steps import run
from tests.rag.retrieval.conftest import Find, sources

TOPICS = ["queens", "drones", "workers", "honey", "pollen", "wax", "mites", "swarms", "smoke"]


def paragraph(topic: str) -> str:
    return " ".join(
        [f"The keeper of hive nine wrote about {topic} on a rainy day in the {month} of that year, "
         f"and nobody who read it later could say what was meant by it." for month in
         ("March", "April", "June")]
    ) + f" That is all on {topic}."  # fmt: skip


@pytest.fixture(autouse=True)
def _short_passages(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "chunk_tokens" in IndexSettings.model_fields
    monkeypatch.setenv("WAGGLE_CHUNK_TOKENS", "40")


@pytest.fixture
def small(tmp_path: Path, _short_passages: None, embedder: object) -> Collection:
    """A collection whose passages hold a sentence or two."""
    return Collection.open("small", home=tmp_path / "small", embedder=embedder)


def chapters() -> str:
    parts = [f"## About {topic}\n\n{paragraph(topic)}\n" for topic in TOPICS]
    return "# The book\n\n" + "\n".join(parts)


def exact(collection: Collection, passage: SearchResult) -> bool:
    text = collection.document(passage.source).text
    return text[passage.start : passage.end] == passage.text == passage.text.strip()


def wide(
    collection: Collection, query: str, expand: Expansion, k: int
) -> tuple[tuple[SearchResult, ...], tuple[SearchResult, ...]]:
    found = collection.search(query, max(2 * k, 1)).results
    return found, run(widened(collection, found, expand, k)).value


def test_a_window_brings_the_sentences_around(small: Collection, tmp_path: Path) -> None:
    book = tmp_path / "book.txt"
    book.write_text(" ".join(f"Sentence {n} is about {topic} and nothing but {topic} in the hive."
                             for n, topic in enumerate(TOPICS)))  # fmt: skip
    small.add([book])
    found, (window,) = wide(small, "nothing but pollen", "window", 1)
    best = found[0]
    assert exact(small, window)
    assert window.start < best.start
    assert window.end > best.end
    assert window.text.startswith("Sentence ")
    assert window.text.endswith(".")
    assert best.start - window.start <= WINDOW
    assert window.end - best.end <= WINDOW
    assert window.chunk_id != best.chunk_id
    assert (window.dense, window.lexical) == (best.dense, best.lexical)


def test_a_parent_is_the_section(small: Collection, tmp_path: Path) -> None:
    book = tmp_path / "book.md"
    book.write_text(chapters())
    small.add([book])
    found, (parent, *_) = wide(small, "about pollen on a rainy day", "parent", 1)
    assert "pollen" in found[0].text
    assert len(found[0].text) < len(paragraph("pollen"))
    assert exact(small, parent)
    assert parent.text == f"## About pollen\n\n{paragraph('pollen')}"
    assert parent.heading == ("The book", "About pollen")


def test_a_short_document_is_its_own_parent(small: Collection, tmp_path: Path) -> None:
    book = tmp_path / "book.txt"
    book.write_text("\n\n".join(map(paragraph, TOPICS[:3])))
    small.add([book])
    _, parents = wide(small, "drones", "parent", 3)
    assert [p.text for p in parents] == [book.read_text()]


def test_a_long_section_is_capped_at_whole_sentences(small: Collection, tmp_path: Path) -> None:
    book = tmp_path / "book.txt"
    book.write_text(" ".join(map(paragraph, TOPICS)))
    small.add([book])
    found, (parent,) = wide(small, "That is all on pollen", "parent", 1)
    assert exact(small, parent)
    assert PARENT / 2 < len(parent.text) <= PARENT
    assert parent.start <= found[0].start
    assert found[0].end <= parent.end
    assert parent.text.startswith(("The ", "That "))
    assert parent.text.endswith(".")


def test_chinese_says_more_in_fewer_characters(small: Collection, tmp_path: Path) -> None:
    book = tmp_path / "书.txt"
    book.write_text("".join(f"第{n}句说的是蜂箱里的{n}号蜂王和它的工蜂们。" for n in range(200)))
    small.add([book])
    found, (window,) = wide(small, "第77句", "window", 1)
    assert exact(small, window)
    assert window.start < found[0].start
    assert found[0].start - window.start <= WINDOW / 3
    assert window.text.startswith("第")
    assert window.text.endswith("。")


def test_windows_that_overlap_become_one_and_make_room(small: Collection, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(" ".join(f"Wax moth note {n}." for n in range(40)))
    (tmp_path / "b.md").write_text("Moths fly at night.")
    small.add([tmp_path / "a.md", tmp_path / "b.md"])
    found = small.search("wax moth note", 10).results
    assert [Path(f.source).name for f in found[:2]] == ["a.md", "a.md"]
    passages = run(widened(small, found, "window", 2)).value
    assert [Path(p.source).name for p in passages] == ["a.md", "b.md"]
    assert [p.rank for p in passages] == [1, 2]
    assert passages[0].start <= min(f.start for f in found[:2])
    assert passages[0].end >= max(f.end for f in found[:2])
    assert all(exact(small, p) for p in passages)


def test_a_document_that_changed_meanwhile_is_left_alone(small: Collection, tmp_path: Path) -> None:
    book = tmp_path / "book.txt"
    book.write_text(" ".join(map(paragraph, TOPICS)))
    small.add([book])
    found = small.search("pollen", 1).results
    book.write_text("All is new. " + paragraph("pollen"))
    small.add([book])
    assert run(widened(small, found, "window", 1)).value == found
    small.remove([book])
    assert run(widened(small, found, "parent", 1)).value == found


def test_a_plan_widens_what_it_finds(find: Find, collection: Collection, tmp_path: Path) -> None:
    book = tmp_path / "book.md"
    book.write_text(chapters())
    collection.add([book])
    narrow = find("all on pollen", PLANS["plain"], k=1)
    for name in ("window", "parent"):
        found = find("all on pollen", PLANS[name], k=1)
        assert sources(found) == sources(narrow)
        assert len(found.contexts[0].text) > len(narrow.contexts[0].text)
        assert found.traces[-1].step == "widen"
        assert found.traces[-1].found == found.contexts


words = st.sampled_from(
    ["bees", "Wax.", "Dr.", "蜂王。", "蜜", "\n\n", "# Head\n", "- item\n", "é", "🐝", "x"]
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    texts=st.lists(st.lists(words, min_size=3, max_size=150).map(" ".join), min_size=1, max_size=3),
    expand=st.sampled_from(["window", "parent"]),
    k=st.integers(1, 5),
)
def test_whatever_is_widened_is_exact_and_apart(
    small: Collection, tmp_path: Path, texts: list[str], expand: Expansion, k: int
) -> None:
    for old, _ in small.documents():
        small.remove([old.source])
    files = [tmp_path / f"{n}.{'md' if n % 2 else 'txt'}" for n in range(len(texts))]
    for file, text in zip(files, texts, strict=True):
        file.write_text("bees " + text)
    small.add(files)
    found, passages = wide(small, "bees wax 蜂王", expand, k)
    assert 0 < len(passages) <= k
    assert all(exact(small, p) for p in passages)
    assert passages[0].start <= found[0].start
    assert found[0].end <= passages[0].end
    spans = sorted((p.source, p.start, p.end) for p in passages)
    for one, other in pairwise(spans):
        assert one[0] != other[0] or one[2] <= other[1]
