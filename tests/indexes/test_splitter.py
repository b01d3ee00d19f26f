import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from indexes.embedding.default import _installed_model
from indexes.splitter import split
from indexes.splitting.code import LANGUAGES
from indexes.splitting.sentences import prose_cuts
from indexes.types import Chunk, Extracted, Kind

DATA = Path(
    os.environ.get(
        "WAGGLE_EVAL_DATA", Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
    )
)
# Cuts at 128 tokens and pads, as the published file does: the splitter must not be misled.
TOKENIZER = Tokenizer.from_file(str(_installed_model() / "tokenizer.json"))
PLAIN = Tokenizer.from_str(TOKENIZER.to_str())
PLAIN.no_truncation()
PLAIN.no_padding()


def tokens(text: str) -> int:
    return len(PLAIN.encode(text).ids)


def by_bytes(text: str) -> int:
    """A counter of the byte-level kind: a token for three bytes, and two special ones."""
    return 2 + -(-len(text.encode()) // 3)


def by_gaps(text: str) -> int:
    """A counter under which a whole is more than the sum of its parts: words and gaps count."""
    return 2 + max(0, 2 * len(text.split()) - 1)


def chunks(text: str, limit: int = 64, kind: Kind = "text", language: str = "") -> list[Chunk]:
    return split(Extracted(text, kind, "txt", language=language), TOKENIZER, limit)


def texts(found: list[Chunk]) -> list[str]:
    return [chunk.text for chunk in found]


PIECES = st.one_of(
    st.text(max_size=60),
    st.text(alphabet="汉字文本，。！？；…“”（）", max_size=60),
    st.sampled_from(
        [
            "# Title\n", "\n\n", "## Part\n\n", "```python\n", "| a | b |\n", "- item\n", "===\n",
            "def f():\n    return 1\n", "class A {\n", "}\n", "😀👩‍👩‍👧‍👦", "x" * 400, "é" * 90,
            "A sentence. ", "---\n", "word " * 30, "\u3000", "\r\n", "/* ", "'''", "q\u0301",
        ]
    ),
)  # fmt: skip
DOCUMENTS = st.lists(PIECES, max_size=12).map("".join)
KINDS = st.sampled_from([("text", ""), ("markdown", ""), ("code", "python"), ("code", "cpp")])


class TestProperties:
    @settings(max_examples=150, deadline=None)
    @given(DOCUMENTS, KINDS, st.integers(8, 80), st.sampled_from([tokens, by_bytes, by_gaps]))
    def test_chunks_are_exact_ordered_complete_and_within_the_limit(
        self, text: str, kind: tuple[Kind, str], limit: int, count: Callable[[str], int]
    ) -> None:
        extracted = Extracted(text, kind[0], "x", language=kind[1])
        found = split(extracted, TOKENIZER if count is tokens else count, limit)
        end = 0
        for chunk in found:
            assert chunk.text == text[chunk.start : chunk.end]
            assert chunk.text == chunk.text.strip() != ""
            assert count(chunk.text) <= limit
            assert text[end : chunk.start].strip() == ""
            end = chunk.end
        assert text[end:].strip() == ""

    @settings(max_examples=50, deadline=None)
    @given(DOCUMENTS, KINDS, st.integers(5, 40))
    def test_a_target_only_makes_chunks_smaller(
        self, text: str, kind: tuple[Kind, str], target: int
    ) -> None:
        extracted = Extracted(text, kind[0], "x", language=kind[1])
        found = split(extracted, TOKENIZER, 64, target_tokens=target)
        assert all(tokens(chunk.text) <= 64 for chunk in found)
        assert "".join("".join(texts(found)).split()) == "".join(text.split())


class TestProse:
    def test_short_text_is_one_chunk(self) -> None:
        assert chunks("  One. Two.\n\nThree.\n") == [Chunk("One. Two.\n\nThree.", 2, 19)]

    @pytest.mark.parametrize("text", ["", " \n\t\u3000 "])
    def test_blank_text_has_no_chunks(self, text: str) -> None:
        assert chunks(text) == []

    def test_paragraphs_are_kept_whole(self) -> None:
        paragraphs = [f"Paragraph {n} has words. It has more of them." for n in range(9)]
        for chunk in chunks("\n\n".join(paragraphs), 40):
            assert set(chunk.text.split("\n\n")) <= set(paragraphs)

    @pytest.mark.parametrize(
        "sentences",
        [
            ["Mr. Lee met J. Smith, e.g. at 3.5 km. ", "They spoke! ", '"Why?" he asked. ', "End."],
            ["It was late... and dark. ", "U.S. law (see Fig. 3) applies.) ", "No. 5 won."],
            ["他说：“好。”", "真的？！", "等等……", "价格是3.5元。", "OK!", "好的"],
            ["甲方同意；", "乙方也同意。", "\n"],
        ],
    )
    def test_sentences_are_found(self, sentences: list[str]) -> None:
        text = "".join(sentences).rstrip("\n")
        starts = [cut.start for cut in prose_cuts(text, 0, len(text))]
        ends = [*starts[1:], len(text)]
        found = [text[start:end] for start, end in zip(starts, ends, strict=True)]
        assert found == [sentence for sentence in sentences if sentence.strip()]

    def test_a_whole_larger_than_its_parts_stays_within_the_limit(self) -> None:
        found = split(Extracted("Two words. " * 50, "text", "txt"), by_gaps, 24)
        assert len(found) > 3
        assert all(by_gaps(chunk.text) <= 24 for chunk in found)

    def test_sentences_are_kept_whole(self) -> None:
        sentences = [f"In step {n} Dr. Lee used 3.5 g, e.g. of salt." for n in range(20)]
        for chunk in chunks(" ".join(sentences), 50):
            assert chunk.text.startswith("In step")
            assert chunk.text.endswith("of salt.")

    def test_chinese_sentences_are_kept_whole(self) -> None:
        sentences = ["蜜蜂用舞蹈告诉同伴，食物在哪里。", "他问：“真的吗？”", "太好了！", "等一等……"]
        text = "".join(sentences * 12)
        for chunk in chunks(text, 40):
            assert chunk.text.endswith(("。", "？”", "！", "……"))
            assert not chunk.text.startswith("”")

    def test_a_long_chinese_sentence_is_cut_at_its_punctuation(self) -> None:
        text = "春天来了，花开了；" * 3 + "夏天来了，蝉叫了，" * 6 + "冬天来了。"
        found = texts(chunks(text, 30))
        assert len(found) > 2
        assert all(part.endswith(("，", "；", "。")) for part in found)

    def test_chunks_are_of_like_size(self) -> None:
        sentence = "The bees dance to tell the others where food is. "
        sizes = [tokens(chunk.text) for chunk in chunks(sentence * 25, 64)]
        assert min(sizes) > 30

    def test_an_unbroken_string_is_cut_at_the_limit(self) -> None:
        found = chunks("aB3/" * 500, 32)
        assert all(tokens(chunk.text) > 24 for chunk in found[:-1])

    def test_an_unknown_word_of_any_length_is_cut(self) -> None:
        assert tokens("x" * 5000) == 3
        assert all(len(chunk.text) < 64 * 12 for chunk in chunks("x" * 5000, 64))

    def test_joined_emoji_are_not_torn(self) -> None:
        family = "👩‍👩‍👧‍👦"
        found = split(Extracted(family * 40, "text", "txt"), by_bytes, 40)
        assert all(part == family * (len(part) // len(family)) for part in texts(found))

    def test_no_room_beside_the_special_tokens_is_refused(self) -> None:
        with pytest.raises(ValueError, match="special tokens"):
            chunks("text", 2)


class TestMarkdown:
    TEXT = (
        "Before.\n\n# Guide\n\n## Setup *now* ##\n\n" + "Install the parts in order. " * 8 + "\n\n"
        "```sh\n# not a heading\nrun\n```\n\nUse\n---\n\n" + "Turn the handle slowly. " * 8 + "\n\n"
        "### [Care](x.html)\n\n" + "Wipe it with a dry cloth. " * 8
    )

    def headed(self, text: str) -> list[tuple[tuple[str, ...], str]]:
        return [(chunk.heading, chunk.text) for chunk in chunks(text, 90, "markdown")]

    def test_heading_is_the_path_of_the_chunk(self) -> None:
        assert [heading for heading, _ in self.headed(self.TEXT)] == [
            (), ("Guide", "Setup now"), ("Guide", "Use"), ("Guide", "Use", "Care"),
        ]  # fmt: skip

    def test_a_heading_stays_with_its_text(self) -> None:
        starts = [text.split("\n")[0] for _, text in self.headed(self.TEXT)]
        assert starts == ["Before.", "# Guide", "Use", "### [Care](x.html)"]

    def test_tiny_siblings_share_a_chunk_under_their_common_heading(self) -> None:
        text = "# List\n\n" + "\n\n".join(f"## Entry {n}\n\nShort." for n in range(4))
        assert [heading for heading, _ in self.headed(text)] == [("List",)]

    def test_a_tiny_section_does_not_join_a_large_one(self) -> None:
        large = "Many words are here. " * 12
        for first, second in ((large, "Few."), ("Few.", large)):
            text = f"# A\n\n{first}\n\n# B\n\n{second}"
            assert [heading for heading, _ in self.headed(text)] == [("A",), ("B",)]

    def test_a_heading_with_subsections_only_stays_with_the_first(self) -> None:
        text = "# A\n\nFew.\n\n# B\n\n## C\n\n" + "Many words are here. " * 12
        assert [heading for heading, _ in self.headed(text)] == [("A",), ("B", "C")]

    def test_headings_alone_are_packed(self) -> None:
        assert len(chunks("# Heading\n" * 200, 90, "markdown")) < 30

    def test_front_matter_is_no_heading(self) -> None:
        assert self.headed("---\ntitle: x\n---\n\nText.")[0][0] == ()

    def test_rows_and_items_are_kept_whole(self) -> None:
        rows = [f"| row {n} | some value. And more. | 3.5 |" for n in range(12)]
        items = [f"- item {n} is here. It is short." for n in range(12)]
        text = "| a | b | c |\n|---|---|---|\n" + "\n".join(rows) + "\n\n" + "\n".join(items)
        lines = set(text.split("\n"))
        found = chunks(text, 60, "markdown")
        assert len(found) > 4
        assert all(set(chunk.text.split("\n")) <= lines for chunk in found)

    def test_lines_of_a_fence_are_kept_whole(self) -> None:
        lines = [f"value_{n} = compute(value_{n}); other. Then" for n in range(12)]
        text = "Intro.\n\n```\n" + "\n".join(lines) + "\n```\n"
        for chunk in chunks(text, 60, "markdown"):
            assert set(chunk.text.split("\n")) <= {*lines, "```", "Intro.", ""}


def test_pages_are_those_at_the_start_of_the_chunk() -> None:
    pages = ["First page. " * 14 + "\n\n", "Second page. " * 14 + "\n\n", "Third page. " * 14]
    starts = (0, len(pages[0]), len(pages[0]) + len(pages[1]))
    extracted = Extracted("".join(pages), "text", "pdf", page_starts=starts)
    found = split(extracted, TOKENIZER, 48)
    assert {chunk.text.split()[0]: chunk.page for chunk in found} == {
        "First": 1, "Second": 2, "Third": 3,
    }  # fmt: skip
    assert chunks("No pages.")[0].page is None


PYTHON = '''"""A module."""

import os


class Hive:
    """Where bees live."""

    # Bees are counted
    # at dusk.
    def count(self) -> int:
        """How many bees there are."""
        total = sum(frame.bees for frame in self.frames)
        return total + self.guests

    @property
    def full(self) -> bool:
        """Whether there is no room."""
        limit = self.size * 1000 - self.reserve
        return self.count() >= limit


def dance(angle: float) -> str:
    """The way to the food."""
    steps = [turn(angle) for _ in range(8)]
    return "".join(steps)
'''


SOURCES = [
    ("python", "def one():\n    call({0})\n", "one"),
    ("javascript", "function one() {{\n  call({0});\n}}\n", "one"),
    ("typescript", "function one(): void {{\n  call({0});\n}}\n", "one"),
    ("tsx", "function one() {{\n  return <b>{0}</b>;\n}}\n", "one"),
    ("java", "class One {{\n  int f() {{ return {0}; }}\n}}\n", "One"),
    ("go", "func one() {{\n\tcall({0})\n}}\n", "one"),
    ("rust", "fn one() {{\n    call({0});\n}}\n", "one"),
    ("c", "int *one(void) {{\n  return call({0});\n}}\n", "one"),
    ("cpp", "int one() {{\n  return call({0});\n}}\n", "one"),
    ("c_sharp", "class One {{\n  int F() {{ return {0}; }}\n}}\n", "One"),
    ("ruby", "def one\n  call({0})\nend\n", "one"),
    ("php", "function one() {{\n  call({0});\n}}\n", "one"),
    ("bash", "one() {{\n  call {0}\n}}\n", "one"),
]


def test_every_language_is_tried() -> None:
    assert {language for language, _, _ in SOURCES} == LANGUAGES


class TestCode:
    def test_functions_are_kept_whole_with_their_comments(self) -> None:
        found = chunks(PYTHON, 64, "code", "python")
        count = next(chunk for chunk in found if "def count" in chunk.text)
        assert count.text.startswith("# Bees are counted")
        assert count.text.endswith("return total + self.guests")
        assert count.heading == ("Hive", "count")
        full = next(chunk for chunk in found if "def full" in chunk.text)
        assert full.text.startswith("@property")
        assert full.heading == ("Hive", "full")
        dance = next(chunk for chunk in found if "def dance" in chunk.text)
        assert dance.text.startswith("def dance")
        assert dance.heading == ("dance",)

    @pytest.mark.parametrize(("language", "source", "name"), SOURCES)
    def test_every_language_is_cut_between_definitions(
        self, language: str, source: str, name: str
    ) -> None:
        argument = "1111 + 2222 + 3333 + 4444"
        opening = "<?php\n" if language == "php" else ""
        one = source.format(argument)
        found = chunks(opening + "\n".join([one] * 5), tokens(one) + 6, "code", language)
        assert [chunk.heading for chunk in found[-4:]] == [(name,)] * 4
        assert all(chunk.text == one.strip() for chunk in found[-4:])

    @pytest.mark.parametrize("language", ["", "cobol"])
    def test_an_unknown_language_is_cut_as_text(self, language: str) -> None:
        assert chunks("MOVE A TO B.", 64, "code", language)[0].text == "MOVE A TO B."

    def test_broken_code_is_cut_all_the_same(self) -> None:
        assert chunks("def (((:\n" * 40, 32, "code", "python")


@pytest.mark.sets
@pytest.mark.parametrize("name", ["squad_en", "cmrc2018_zh"])
def test_passages_of_real_text_end_with_sentences(name: str) -> None:
    corpus = DATA / name / "corpus.jsonl"
    if not corpus.exists():
        pytest.skip(f"no evaluation set at {corpus}")
    passages = [json.loads(line)["text"] for line in corpus.read_text("utf-8").splitlines()[:150]]
    found = chunks("\n\n".join(passages), 256)
    ends = {passage.strip()[-1] for passage in passages} | set("。！？；….!?”\"')]")
    torn = [chunk.text[-30:] for chunk in found if chunk.text[-1] not in ends]
    assert len(torn) <= len(found) * 0.02, torn
