"""The serving benchmark: its figures by hand, its section of the page, and its texts. What it
measures is tested with a real server, in tests/vllm."""

import pytest

from benchmarks.served import find_model
from benchmarks.serving import BEGIN, END, SMALL, Answering, Reply, Words, section, written_into
from indexes.types import SearchResult
from rag.prompts import answer_messages


def answering() -> Answering:
    replies = [Reply(first=0.1 * n, whole=1.0, tokens=50) for n in range(1, 5)]
    return Answering("bee", True, 2, 4.0, replies, 0.75)


def test_figures_are_those_computed_by_hand() -> None:
    # 4 answers of 50 tokens in 4 seconds; the 95th percentile of .1 .2 .3 .4 is .385
    assert answering().row() == ["bee", "yes", "2", "4", "50.0", "0.25", "0.39", "75%"]


def test_the_section_names_the_machine_and_what_was_done() -> None:
    text = section("one GPU, two cores", SMALL, [answering()], [["ant", "16", "8", "256"]])
    assert text.startswith(BEGIN)
    assert text.endswith(f"{END}\n")
    assert "on one GPU, two cores." in text
    assert "| bee | yes | 2 | 4 | 50.0 | 0.25 | 0.39 | 75% |" in text
    assert "| ant | 16 | 8 | 256 |" in text


def test_the_section_is_replaced_where_it_stands() -> None:
    old, new = (section(name, SMALL, [], []) for name in ("old", "new"))
    page = written_into("# Benchmarks\n", old) + "\n## After\n"
    assert page.startswith(f"# Benchmarks\n\n{BEGIN}")
    changed = written_into(page, new)
    assert changed == page.replace("on old.", "on new.")
    assert changed.endswith("\n## After\n")


@pytest.mark.parametrize("tokens", [300, 4000])
def test_passages_are_as_long_as_wanted_and_never_the_same(tokens: int) -> None:
    words = Words()
    one, other = words.passages(tokens), words.passages(tokens)
    assert [result.rank for result in one] == list(range(1, 11))
    assert sum(len(result.text.split()) for result in one) == pytest.approx(tokens / 1.3, rel=0.05)
    assert not {result.text for result in one} & {result.text for result in other}
    assert [result.text for result in Words().passages(tokens)] == [r.text for r in one]


def test_questions_about_passages_share_all_before_the_question() -> None:
    passages: list[SearchResult] = Words().passages(100)
    first, second = (answer_messages(question, passages)[-1].text for question in ("Who?", "Why?"))
    assert first[: -len("Who?")] == second[: -len("Why?")]


def test_the_bundled_embedding_model_is_served_with_the_length_that_it_reads() -> None:
    model = find_model("all-minilm-l6-v2")
    assert (model.name, model.kind, model.context) == ("all-minilm-l6-v2", "embedding", 256)
