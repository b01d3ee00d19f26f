"""Answers are checked sentence by sentence while they are written."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexes.folding import fold
from indexes.types import SearchResult
from rag.marks import without_marks
from rag.steps import Steps, run
from rag.verifying import Verdict, Verifying

DANCE = (
    "The dance has a meaning. Karl von Frisch decoded it in 1944. "
    "He shared the Nobel Prize in 1973. Bees see ultraviolet light."
)
HONEY = "洋槐蜜色浅。它果糖多，不易结晶。每瓶卖120元。"
LABELLED = Path(__file__).resolve().parents[2] / "data" / "claims.jsonl"


def passage(
    text: str, source: str = "/notes/a.md", title: str = "A", start: int = 7
) -> SearchResult:
    """It begins on page 1; page 2 begins 40 characters later."""
    return SearchResult(
        1, 0.5, "id", source, title, 1, (), start, start + len(text), text, {},
        page_starts=(0, start + 40),
    )  # fmt: skip


CONTEXTS = (passage(DANCE), passage(HONEY, "/notes/b.md"))


def says(reply: bool) -> Callable[[int, str], Steps[bool]]:
    def check(number: int, claim: str) -> Steps[bool]:
        yield from ()
        return reply

    return check


def never(number: int, claim: str) -> Steps[bool]:
    raise AssertionError(f"the model was asked about {claim!r} in {number}")
    yield


def verdict(
    question: str,
    answer: str,
    check: Callable[[int, str], Steps[bool]] = never,
    contexts: tuple[SearchResult, ...] = CONTEXTS,
    strict: bool = False,
    quoted: int = 0,
) -> Verdict:
    verifying = Verifying(question, contexts, check, strict=strict, quoted=quoted)
    shown = run(verifying.take(answer))
    found = run(verifying.finish())
    assert shown + found.shown == found.text
    return found


def test_a_verbatim_sentence_needs_no_model() -> None:
    found = verdict("Which prize?", "He shared the Nobel Prize in 1973. [1]")
    (citation,) = found.citations
    assert (citation.support, citation.quote) == ("verbatim", "He shared the Nobel Prize in 1973.")
    assert DANCE[citation.start - 7 : citation.end - 7] == citation.quote
    assert (citation.source, citation.page) == ("/notes/a.md", 2)
    assert (found.text, found.precision, found.recall) == (
        "He shared the Nobel Prize in 1973. [1]", 1, 1,
    )  # fmt: skip


def test_a_wrong_citation_is_corrected() -> None:
    found = verdict("Which prize?", "He shared the Nobel Prize in 1973. [2]")
    assert found.text == "He shared the Nobel Prize in 1973. [1]"
    assert (found.precision, found.recall) == (0, 1)


def test_a_paraphrase_is_entailed_when_the_model_says_so() -> None:
    answer = "It was Karl von Frisch who decoded the dance, in 1944. [1]"
    (citation,) = verdict("Who decoded it?", answer, says(True)).citations
    assert (citation.support, citation.quote) == ("entailed", "Karl von Frisch decoded it in 1944.")
    (citation,) = verdict("Who decoded it?", answer, says(False)).citations
    assert citation.claim == "It was Karl von Frisch who decoded the dance, in 1944."
    assert (citation.support, citation.quote) == (
        "unsupported", "Karl von Frisch decoded it in 1944.",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Who decoded it?", "Karl von Frisch decoded the dance in 1945. [1]"),
        ("What is the capital of Australia?", "It is Canberra. [1]"),
        ("澳大利亚的首都是哪里？", "澳大利亚的首都是悉尼。[2]"),
    ],
)
def test_figures_and_names_that_the_passage_lacks_are_refused_unasked(
    question: str, answer: str
) -> None:
    assert not verdict(question, answer, never).supported


def test_a_yes_or_no_question_may_be_repeated() -> None:
    found = verdict("Did Frisch decode the dance?", "Frisch decoded the dance. [1]", says(True))
    assert [c.support for c in found.citations] == ["entailed"]


def test_each_named_passage_is_checked_by_itself() -> None:
    found = verdict("What do bees see?", "Bees see ultraviolet light. [1][2]")
    assert [(c.number, c.support) for c in found.citations] == [(1, "verbatim")]
    assert (found.text, found.precision) == ("Bees see ultraviolet light. [1]", 0.5)


def test_a_passage_that_is_clearly_nearer_takes_the_place_of_the_one_named() -> None:
    """A model that copies its number from an example of the prompt is believed by a check that
    says yes to anything."""
    loose = passage("The heron eats fish and frogs, of many kinds, near rivers.", "/notes/c.md")
    exact = passage("In snowy winters the grey heron mostly eats fish and frogs.", "/notes/d.md")
    contexts = (exact, loose)
    question = "What does the heron eat?"
    claim = "In snowy winters, grey herons eat fish and frogs."
    for mark in (1, 2):
        found = verdict(question, f"{claim} [{mark}]", says(True), contexts)
        assert (found.text, len(found.citations)) == (f"{claim} [1]", 1)
    alone = verdict(question, "Herons eat fish and frogs near rivers. [2]", says(True), contexts)
    assert alone.text.endswith("[2]")


def test_a_sentence_without_a_mark_gets_that_of_the_passage_that_holds_it() -> None:
    answer = "He shared the Nobel Prize in 1973. Submarines rust. Bees see ultraviolet light. [1]"
    assert verdict("Prize?", answer).text == (
        "He shared the Nobel Prize in 1973. [1] Submarines rust. [?] "
        "Bees see ultraviolet light. [1]"
    )
    found = verdict("它结晶吗？", "洋槐蜜不易结晶，因为果糖多。", says(True))
    assert [(c.number, c.source, c.support) for c in found.citations] == [
        (2, "/notes/b.md", "entailed")
    ]
    assert found.text == "洋槐蜜不易结晶，因为果糖多。[2]"
    assert verdict("每瓶多少钱？", "120元").text == "120元 [2]"


def test_a_figure_is_quoted_with_its_sentence() -> None:
    (citation,) = verdict("每瓶多少钱？", "120元 [2]").citations
    assert (citation.support, citation.quote) == ("verbatim", "每瓶卖120元。")
    assert HONEY[citation.start - 7 : citation.end - 7] == citation.quote


def test_what_no_passage_holds_is_marked_or_dropped() -> None:
    answer = (
        "He shared the Nobel Prize in 1973. [1] Submarines of all navies rust in salt water. [1]"
    )
    found = verdict("Which prize?", answer, says(True))
    assert found.text.endswith("[1] Submarines of all navies rust in salt water. [?]")
    assert [c.support for c in found.citations] == ["verbatim", "unsupported"]
    assert (found.precision, found.recall) == (0.5, 0.5)
    strict = verdict("Which prize?", answer, says(True), strict=True)
    assert strict.text == "He shared the Nobel Prize in 1973. [1]"


def test_of_an_answer_that_was_cut_off_the_last_sentence_goes_unless_it_is_all() -> None:
    for answer, left in (
        (
            "He shared the Nobel Prize in 1973. [1] Bees see",
            "He shared the Nobel Prize in 1973. [1]",
        ),
        ("He shared the Nobel Prize", "He shared the Nobel Prize [1]"),
    ):
        verifying = Verifying("Which prize?", CONTEXTS, says(True))
        run(verifying.take(answer))
        assert run(verifying.finish(cut=True)).text == left


def test_a_sentence_is_not_said_twice_on_end() -> None:
    said = "He shared the Nobel Prize in 1973."
    found = verdict(
        "Which prize?", f"{said} [1] {said.upper()} [1] {said} [1] Bees see red. {said} [1]"
    )
    assert found.text == f"{said} [1] Bees see red. [?] {said} [1]"
    assert len(found.citations) == 3
    assert (found.precision, found.recall) == (1, 2 / 3)


@pytest.mark.parametrize(
    "answer",
    ["Monday:\n- He shared it in 1973. [1]\nTuesday:\n- He shared it in 1973. [1]",
     "洋槐蜜色浅。[2]它果糖多。[2]洋槐蜜色浅。[2]", "Yes. Yes. 洋槐蜜色浅。[2]",
     "洋槐蜜色浅。[2]\n```\nx += 1\nx += 1\n```"],
)  # fmt: skip
def test_what_is_said_again_elsewhere_stays(answer: str) -> None:
    found = verdict("洋槐蜜?", answer, says(True))
    assert without_marks(found.text) == without_marks(answer)


SHARED = "He shared the Nobel Prize in 1973. [1]"


@pytest.mark.parametrize(
    "listed",
    ["References:\n[1] /notes/a.md\n[2] /notes/b.md", "**Sources**\n- [1] a.md\n- [2] b",
     "[^1]: /notes/a.md, line 3\n[^2]: b.md (pp. 2-4)", "**Sources:** a.md and b.md",
     "Sources: [1], [2].", "### 参考资料\n1. a.md\n2. b.md", "来源：《a.md》（第3页）、b.md [2]"],
)  # fmt: skip
def test_a_list_of_sources_behind_the_answer_is_dropped(listed: str) -> None:
    assert verdict("What did he win?", f"{SHARED}\n\n{listed}", says(True)).text == SHARED


@pytest.mark.parametrize(
    "more",
    [
        "Sources: the sun and a.md",
        "References abound.",
        "a.md",
        "Source: b",
        "A",
        "来源：洋槐",
        "Sources: line 12",
    ],
)
def test_what_only_looks_like_a_list_of_sources_is_checked(more: str) -> None:
    assert (
        verdict("What did he win?", f"{SHARED}\n{more}", says(False)).text
        == f"{SHARED}\n{more} [?]"
    )


def test_a_heading_stays_with_what_is_no_list() -> None:
    more = "## Source\nHoney comes from nectar."
    found = verdict("What did he win?", f"{SHARED}\n{more}", says(False)).text
    assert found == f"{SHARED}\n## Source [?]\nHoney comes from nectar. [?]"
    assert verdict("What did he win?", f"{SHARED}\n\n## Source", says(False)).text == SHARED


@pytest.mark.parametrize(
    "question",
    ["Which file tells of a prize?", "Where is it?", "来源是什么？", "What articles tell of it?"],
)
def test_sources_that_are_asked_for_are_an_answer(question: str) -> None:
    found = verdict(question, f"{SHARED}\nSources: a.md", says(False)).text
    assert found.startswith(f"{SHARED}\nSources: a.md")
    alone = verdict("What did he win?", "Sources: a.md [1]", says(False))
    assert (alone.text, alone.held) == ("", "Sources: a.md [?]")


def test_a_footnote_that_says_something_is_a_sentence() -> None:
    found = verdict("What did he win?", "[^2]: 它果糖多，不易结晶。", says(False))
    assert found.text == "它果糖多，不易结晶。[2]"
    more = verdict("What did he win?", f"{SHARED}\n[^2]: 它果糖多，不易结晶。", says(False)).text
    assert more == f"{SHARED}\n它果糖多，不易结晶。[2]"


def test_padded_code_behind_an_answer_is_read_in_no_time() -> None:
    started = time.monotonic()
    verdict("What did he win?", f"{SHARED}\n```\nx{' ' * 30_000}y\n```", says(False))
    assert time.monotonic() - started < 5


def test_nothing_is_given_where_nothing_is_supported() -> None:
    found = verdict("What is the capital of Australia?", "It is Canberra. [1]", says(True))
    assert (found.text, found.shown, found.supported) == ("", "", False)


def test_leading_unsupported_sentences_wait() -> None:
    verifying = Verifying("Which prize?", CONTEXTS, says(True))
    assert run(verifying.take("Submarines of all navies rust in salt water. [1] He ")) == ""
    shown = run(verifying.take("shared the Nobel Prize in 1973. [1] X"))
    assert shown.startswith("Submarines of all navies rust in salt water. [?] He shared")


def test_a_short_answer_stands_in_the_sentence_that_is_asked_for() -> None:
    found = verdict("Who decoded the dance?", "Karl von Frisch [1]")
    (citation,) = found.citations
    assert citation.quote == "Karl von Frisch decoded it in 1944."
    asked: list[str] = []

    def check(number: int, claim: str) -> Steps[bool]:
        yield from ()
        asked.append(claim)
        return False

    assert not verdict("Who invented the submarine?", "Karl von Frisch [1]", check).supported
    assert asked == ["Who invented the submarine? Karl von Frisch"]


def test_an_invented_year_that_stands_elsewhere_is_refused() -> None:
    farm = passage("青石坡蜂场养蜂八十群。本手册于2025年修订。", title="青石坡蜂场手册")
    for answer in ("2025 [1]", "青石坡蜂场创建于2025年。[1]"):
        assert not verdict("青石坡蜂场是哪一年创建的？", answer, says(True), (farm,)).supported


def test_restating_the_question_is_no_answer() -> None:
    found = verdict("他的手机号码是多少？", "他的手机号码是 [2]。", says(True))
    assert not found.supported
    assert found.citations == ()


@pytest.mark.parametrize("text", ["洋槐蜜不易结晶，因为它果糖多。", "年产不含有糖的蜜"])
def test_a_denied_phrase_is_not_verbatim(text: str) -> None:
    found = verdict("它怎么样？", "含有糖的蜜", says(False), (passage(text),))
    assert not found.supported


def test_the_labelled_pairs_hold_against_a_model_that_always_says_yes() -> None:
    right = wrong = missed = 0
    for pair in map(json.loads, LABELLED.read_text("utf-8").splitlines()):
        context = passage(pair["passage"], title=pair["title"])
        given_ = verdict(pair["question"], pair["claim"], says(True), (context,)).supported
        true = pair["label"] == "supported"
        right += given_ and true
        wrong += given_ and not true
        missed += true and not given_
    assert right / (right + wrong) >= 0.92
    assert right / (right + missed) >= 0.95


PIECES = (
    "He shared the Nobel Prize in 1973. ", "[1]", "[2, 1] ", " [", "1", "。", "洋槐蜜色浅", "\n",
    "- ",
    "2. ", "Dr. ", "它果糖多，不易结晶。", "Bees see ultraviolet light", "!", "”", ".", " ", "x",
    "每瓶卖120元",
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join), st.data())
def test_pieces_change_nothing(answer: str, data: st.DataObject) -> None:
    whole = verdict("洋槐蜜 dance?", answer, says(True))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(answer)), max_size=6)))
    verifying = Verifying("洋槐蜜 dance?", CONTEXTS, says(True))
    shown = ""
    for start, end in zip([0, *cuts], [*cuts, len(answer)], strict=True):
        shown += run(verifying.take(answer[start:end]))
        assert whole.text.startswith(shown)
    found = run(verifying.finish())
    assert (shown + found.shown, found) == (whole.text, Verdict(
        whole.text, found.shown, whole.citations, whole.supported, whole.precision, whole.recall,
        whole.held,
    ))  # fmt: skip
    for citation in found.citations:
        if citation.support == "verbatim":
            assert fold(citation.claim).text.strip() in fold(citation.quote).text


@pytest.mark.parametrize(
    "text", ["a " * 50_000, " " * 100_000, "[" * 100_000, "1.a" * 33_000, "不" * 100_000,
             "。" * 100_000, "1," * 50_000, "Bees dance. " * 8_000, '"' * 100_000, "| a " * 25_000],
)  # fmt: skip
def test_long_texts_take_linear_time(text: str) -> None:
    started = time.process_time()
    verdict("What do bees do?", "Bees dance in the dark hive. [1]", says(True), (passage(text),))
    verdict("What do bees do?", text[:20_000], says(False))
    assert time.process_time() - started < 20


# -- in the passage's own words -------------------------------------------------------------------

HELD = "What is held with a rope?"
GATE = "The rope carries a weight that held the gate.  Two guards stood at it.\n"
TURNED = "The weight is held with a rope. [1]"


def cautious(answer: str, text: str = GATE, question: str = HELD) -> Verdict:
    """What is shown of an answer that the model affirms, whatever it is."""
    contexts = (passage(text), passage("Nothing of that.", "/notes/c.md"))
    return verdict(question, answer, says(True), contexts, quoted=2)


def test_what_does_not_follow_its_sentence_is_told_in_its_words() -> None:
    found = cautious(TURNED)
    assert found.text == "The rope carries a weight that held the gate. [1]"
    [citation] = found.citations
    assert citation.claim == citation.quote == "The rope carries a weight that held the gate."
    assert citation.support == "verbatim"
    assert (found.supported, found.precision, found.recall) == (True, 1.0, 1.0)


@pytest.mark.parametrize("mark", ["- ", "> ", "1. ", "* > "])
def test_the_shape_of_a_line_is_not_shown(mark: str) -> None:
    found = cautious(f"- {TURNED}", f"{mark}The rope carries a weight\nthat held the gate.\n")
    assert found.text == "- The rope carries a weight that held the gate. [1]"


def test_a_chinese_sentence_loses_the_blanks_of_its_lines() -> None:
    text = "绳子挂着重\n物，重物拉住闸\n门。"
    found = cautious("闸门被绳子拉住。[1]", text, "什么被绳子拉住？")
    assert found.text == "绳子挂着重物，重物拉住闸门。[1]"


def test_what_follows_its_sentence_stays() -> None:
    found = cautious("The rope carries a weight. [1]")
    assert found.text == "The rope carries a weight. [1]"
    assert [one.support for one in found.citations] == ["entailed"]


def test_a_sentence_is_not_shown_twice() -> None:
    between = "The rope carries a weight. [1]"
    found = cautious(f"{TURNED} {TURNED} {between} A gate weight is held with a rope. [1]")
    assert found.text == f"The rope carries a weight that held the gate. [1] {between}"
    assert len(found.citations) == 2


@pytest.mark.parametrize(
    "text",
    [
        f"The rope of the {'very ' * 80}old mill carries a weight that held the gate.",
        "The rope carries a weight [3] that held the gate.",
        "The rope carries a weight ［3］ that held the gate.",
        "The <b>rope</b> carries a weight that held the gate.",
        "The rope car-\nries a weight that held the gate.",
        "It carries a weight with a rope that held the gate.",
        "The latter carries a weight with a rope that held the gate.",
        "My rope carries a weight that held the gate.",
        "“The rope carries a weight that held the gate.",
        "The rope: carries a weight\nthe gate: that held",
        "| rope | weight |\n|---|---|\n| carries | held the gate |",
    ],
)
def test_what_is_no_sentence_by_itself_is_not_shown(text: str) -> None:
    found = cautious(TURNED, text)
    assert found.text == TURNED
    assert [one.support for one in found.citations] == ["entailed"]


@pytest.mark.parametrize(
    ("answer", "question"),
    [
        ("Yes, the weight is held with a rope. [1]", "Is the weight held with a rope?"),
        ("| The weight is held with a rope | [1]", HELD),
        ("```py\nThe weight is held with a rope\n```\n[1]", HELD),
    ],
)
def test_an_answer_keeps_its_form(answer: str, question: str) -> None:
    assert cautious(answer, question=question).text == answer


def test_two_passages_that_hold_a_claim_stay_two() -> None:
    both = (passage(GATE), passage(GATE, "/notes/c.md"))
    answer = "The weight is held with a rope. [1][2]"
    assert verdict(HELD, answer, says(True), both, quoted=2).text == answer


@pytest.mark.parametrize("quoted", [0, 1])
def test_only_passages_that_may_be_quoted_are(quoted: int) -> None:
    contexts = (passage("Nothing of that."), passage(GATE))
    answer = "The weight is held with a rope. [2]"
    assert verdict(HELD, answer, says(True), contexts, quoted=quoted).text == answer


def test_the_settings_say_whose_word_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    from rag.settings import load_verify_settings

    assert load_verify_settings().quoted(3) == 3
    monkeypatch.setenv("WAGGLE_VERIFY_NLI", "")
    assert load_verify_settings().quoted(3) == 3
    monkeypatch.setenv("WAGGLE_VERIFY_NLI", "some/model")
    assert load_verify_settings().quoted(3) == 0
    monkeypatch.setenv("WAGGLE_VERIFY_PARAPHRASES", "false")
    assert load_verify_settings().quoted(3) == 3
