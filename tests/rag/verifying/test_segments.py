"""An answer is cut into sentences, each with the passages it names."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.marks import numbers_in, without_marks
from rag.verifying.segments import Segment, Segments


def segments(text: str) -> list[Segment]:
    taking = Segments()
    return [*taking.feed(text), *taking.close()]


def test_sentences_become_claims_with_their_marks() -> None:
    text = (
        "Bees dance [1][2]. They fly.[2] 蜜蜂跳舞。[1] 好【1，2】。\n- item one [9]\n2. two ［1］"
    )
    assert segments(text) == [
        Segment("", "Bees dance.", (1, 2)),
        Segment(" ", "They fly.", (2,)),
        Segment(" ", "蜜蜂跳舞。", (1,)),
        Segment(" ", "好。", (1, 2)),
        Segment("\n- ", "item one", (9,)),
        Segment("\n2. ", "two", (1,)),
    ]
    assert not any(segment.is_claim for segment in segments("[1] [0] ...\n\n"))


def test_what_was_said_of_a_sentence_before_is_no_part_of_it() -> None:
    text = "Bees dance. [?] They fly. [?] [1] 蜜蜂跳舞。［？］好 [?]\nWhy? [really?]"
    assert [(one.text, one.marks) for one in segments(text)] == [
        ("Bees dance.", ()), ("They fly.", (1,)), ("蜜蜂跳舞。", ()), ("好", ()), ("Why?", ()),
        ("[really?]", ()),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("mark", "numbers"),
    [("[[2]]", (2,)), ("[^2]", (2,)), ("[^1, ^2]", (1, 2)), ("[2 and 1]", (2, 1)),
     ("[1 & 2]", (1, 2)), ("[Passage 2]", (2,)), ("[passages 1, 2 and 3]", (1, 2, 3)),
     ("[Source: 12]", (12,)), ("[Doc 1, Doc 2]", (1, 2)), ("[资料2]", (2,)),
     ("【来源：1、2】", (1, 2)), ("[資料 1 和 2]", (1, 2)), ("［文档3］", (3,)),
     ("[[1, 2]]", (1, 2)), ("[[1], [2]]", (1, 2)), ("[[2][1]]", (2, 1)),
     (f"[{', '.join(f'Document {n}' for n in range(1, 11))}]", tuple(range(1, 11)))],
)  # fmt: skip
def test_marks_as_other_models_write_them(mark: str, numbers: tuple[int, ...]) -> None:
    for text in (f"Bees dance {mark}. They fly.", f"Bees dance. {mark} They fly."):
        assert segments(text) == [
            Segment("", "Bees dance.", numbers), Segment(" ", "They fly.", ()),
        ]  # fmt: skip
        assert numbers_in(text) == numbers
        assert without_marks(text).replace(" ", "") == "Beesdance.Theyfly."


def test_what_looks_like_a_mark_is_text() -> None:
    for text in (
        "取值范围为[0, 1]。", "It lies in [0, 1] by default.", "符号[?]表示未知。",
        "It says [Passage missing].", "See [Source].", "列于[资料]。", "It holds [1 or 2].",
        "The range [1-3] holds.", "An [[open] bracket.", "The year [1984].",
        "It was mended in [#42] last week.", "See [Document 2](two.md) for more.",
        "See [1](one.md) for more.", "See [[1]](one.md) for more.",
        "In R, x[[1]] is the first element.",
        "The term [Document 1] stands for the contract.", "[^1] leaves out the digit.",
        "【资料1】记载了越冬的温度。",
    ):  # fmt: skip
        assert [(one.text, one.marks) for one in segments(text)] == [(text, ())]


@pytest.mark.parametrize(
    "text",
    ["[" + ", ".join(f"Passage   {n}" for n in range(1, 11)) + " x ", "[[" + "1," * 2000,
     "[[1" + "],[1" * 500, "[1   ,   1   ,   1" * 200, "[" * 5000,
     "\n```\n。" + "【1】" * 60 + "x\n"],
)  # fmt: skip
def test_what_nearly_is_a_mark_is_read_in_no_time(text: str) -> None:
    started = time.process_time()
    segments(f"So. {text}")
    without_marks(text * 3)
    assert time.process_time() - started < 2


def test_what_only_begins_like_a_lead_in_stays() -> None:
    text = "根据文档管理办法，合同应在三十日内归档。"
    assert [one.text for one in segments(text)] == [text]
    assert [one.text for one in segments("根据资料显示，该厂建于1958年。")] == ["该厂建于1958年。"]


def test_a_full_stop_that_stands_again_behind_the_mark_is_dropped() -> None:
    assert segments("蜜蜂跳舞。[1]。好。[2] . Bees fly! [1].[2] Why?") == [
        Segment("", "蜜蜂跳舞。", (1,)),
        Segment("", "好。", (2,)),
        Segment(" ", "Bees fly!", (1, 2)),
        Segment(" ", "Why?", ()),
    ]


def test_a_comma_that_led_to_a_mark_goes_with_it() -> None:
    text = "GDP是43214亿元，[2]。开幕是2月4日、【1】。It is so, [1]. Or, [2] so; [3]\nYes, [1] [2]."
    text += "\nIf cold, [1][2] they sit."
    assert [one.text for one in segments(text)] == [
        "GDP是43214亿元。", "开幕是2月4日。", "It is so.", "Or, so", "Yes.", "If cold, they sit.",
    ]  # fmt: skip


def test_a_dot_that_begins_a_word_stays_with_it() -> None:
    text = "It runs. [1] .NET is needed. [2] ...and so on."
    assert [one.text for one in segments(text)] == ["It runs.", ".NET is needed.", "...and so on."]


def test_a_lead_in_is_no_part_of_the_claim() -> None:
    assert segments("根据资料 [1] 和 [2]，它不易结晶。") == [Segment("", "它不易结晶。", (1, 2))]


@pytest.mark.parametrize(
    "said",
    ["根据资料。", "根据资料 [1] 和 [2]。", "根据以上资料显示 [2]", "According to the passages.",
     "Based on the text [1]."],
)  # fmt: skip
def test_a_lead_in_to_nothing_is_no_claim(said: str) -> None:
    first, second = segments(f"约 46 摄氏度。[2]{said}")
    assert (first.text, first.marks) == ("约 46 摄氏度。", (2,))
    assert not second.is_claim
    assert second.text == ""


@given(st.text(alphabet='a1 .。!?\n-[],，【】"”根据资料', max_size=80))
def test_nothing_but_marks_and_lead_ins_is_lost(text: str) -> None:
    kept = "".join(segment.lead + segment.text for segment in segments(text))
    letters = [char for char in text if char == "a"]
    assert [char for char in kept if char == "a"] == letters


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("当惹雍错又叫唐古拉雍木错，资料编号为[1]。", "当惹雍错又叫唐古拉雍木错。"),
        ("它长15厘米，根据资料 [1] 和 [2]。", "它长15厘米。"),
        ("他是会长，见文档[2]。", "他是会长。"),
        ("It is long, according to passage [1].", "It is long."),
        ("It is long, as stated in [1].", "It is long."),
        ("It dates from 1816, which is [2].", "It dates from 1816."),
        ("In [2], Greenland signed it.", "Greenland signed it."),
        ("他查阅资料[1]。", "他查阅资料。"),
        ("他写了小说，资料[1]。", "他写了小说，资料。"),
        ("It stands, see the documents.", "It stands, see the documents."),
    ],
)
def test_words_that_only_lead_to_a_mark_go_with_it(said: str, text: str) -> None:
    assert [one.text for one in segments(said)] == [text]


CODE = "```python\nlast = values[1]\nprint(last) # [2]\n```"


def test_code_keeps_what_looks_like_a_mark() -> None:
    found = segments(f"Take the second. [2]\n{CODE}\n[1]\nIt is `values[1]` then. [3]")
    assert [(one.text, one.marks, one.is_code) for one in found] == [
        ("Take the second.", (2,), False), (CODE, (), True), ("", (1,), False),
        ("It is `values[1]` then.", (3,), False),
    ]  # fmt: skip
    assert found[1].said == "last = values[1]\nprint(last) # [2]"


@pytest.mark.parametrize(
    "code",
    ["```js\nconst first = arr?.[0]\nsave(first)\n```", "```\ncat a.json | jq .[1]\nls .\n```",
     "```\nx = [1]\n```", "```\n# Read it.\nx = values[1]\n```", "````md2\n```\nx[1]\n````",
     "```python\nprint('So it is. [1]')\n\n\ny = 2.\n```", "```c++\nv[1];\n  ```",
     "```python hl_lines=2\nx = a[9]\n```", '```py title="a b.py"\nx = a[9]\n```',
     "```{.python}\nx = a[9]\n```", "```objective.c\nx = a[9]\n```"],
)  # fmt: skip
def test_a_block_of_code_is_one_sentence(code: str) -> None:
    first, block, then = segments(f"Do this. [1] {code} More. [2]")
    assert (first.text, block.text, then.text) == ("Do this.", code, "More.")
    assert (first.marks, block.marks, then.marks) == ((1,), (), (2,))


@pytest.mark.parametrize(
    ("fence", "end"),
    [("```", " [1]."), ("```text", ". [1]"), ("  ```", "."), ("```md", " [1]"), ("```", "[1]。")],
)
def test_words_in_fences_are_sentences(fence: str, end: str) -> None:
    marks = (1,) if "1" in end else ()
    taking = Segments()
    found = list(taking.feed(f"{fence}\nBees see red{end}\nThey do not{end}\n```\nSo"))
    found = [one for one in found if one.is_claim]
    assert [one.text.rstrip("。.") for one in found] == ["Bees see red", "They do not"]
    assert [one.marks for one in found] == [marks, marks]
    assert [one.text for one in taking.close()] == ["So"]


@pytest.mark.parametrize(
    "text",
    ["```\nAnswer:\nBees see red. [9]\n```", "```answer\nBees see red. [9]\n```",
     "```\n# Answer\nBees see\nred. [9]\n```", "```\nSo\nBees see red. [9]",
     "```\nSubmarines rust. [?]\nBees see red. [9]\n```", "```bash\nls```\nBees see red. [9]",
     "```\nShe said: “So.” [?]\nBees see red. [9]\n```"],
)  # fmt: skip
def test_no_mark_behind_words_is_passed_over(text: str) -> None:
    assert [one.marks for one in segments(text) if one.marks] == [(9,)]
    assert numbers_in(text) == (9,)


@pytest.mark.parametrize(
    ("text", "marks"),
    [("The 9 are, `in the table [1][9].", (1, 9)), ("`````见资料[9][9]```", (9,)),
     ("Use `arr?.[0]` to take the first. [3]", (3,)), ("See `x. [1] and `y. [2]", (1, 2)),
     ("The ` bridge is long [1], the ` not.", (1,)), ("用 `a[1]` 来取。【2】", (2,))],
)  # fmt: skip
def test_code_in_a_sentence_is_no_end_and_no_mark(text: str, marks: tuple[int, ...]) -> None:
    (found,) = segments(text)
    assert found.marks == marks
    assert found.text.count("`") == text.count("`")


def test_code_that_is_cut_off_is_closed() -> None:
    first, block = segments("So. [1]\n```py\nx = values[1]\ny")
    assert (first.text, block.text) == ("So.", "```py\nx = values[1]\ny\n```")
    assert block.is_whole
    assert [one.text for one in segments("So.\n```")] == ["So.", "```"]


PARTS = ("```", "`", "\n", "py", " ", "a[1]", "So it is.", "[2]", "- ", "。", ".", "?.[0]",
         "[[", "[^", "[Doc ", "1", "]", "]]", "[资料2]", "(", "So", "[Doc 1, Doc 2]")  # fmt: skip


@given(st.lists(st.sampled_from(PARTS)), st.data())
def test_code_is_cut_alike_however_it_comes(parts: list[str], data: st.DataObject) -> None:
    text = "".join(parts)
    taking, found, at = Segments(), list[Segment](), 0
    while at < len(text):
        size = data.draw(st.integers(1, 5))
        found += taking.feed(text[at : at + size])
        at += size
    assert [*found, *taking.close()] == segments(text)
    assert "".join(one.lead + one.text for one in segments(text)).count("a") == text.count("a")
