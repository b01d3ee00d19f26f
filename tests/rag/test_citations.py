from indexes.types import SearchResult
from rag.citations import Claim, cite, claims, with_marks

DANCE = (
    "The dance has a meaning. Karl von Frisch decoded it in 1944. "
    "He shared the Nobel Prize in 1973. Bees see ultraviolet light."
)
HONEY = "洋槐蜜色浅。它果糖多，不易结晶。每瓶卖120元。"


def passage(text: str, start: int = 100, source: str = "/notes/a.md") -> SearchResult:
    return SearchResult(
        1, 0.5, "id", source, "A", 1, (), start, start + len(text), text, {},
        page_starts=(0, start + 40),
    )  # fmt: skip


CONTEXTS = (passage(DANCE), passage(HONEY, 7, "/notes/b.md"))


def never(number: int, claim: str) -> bool:
    raise AssertionError(f"the model was asked about {claim!r} in {number}")


def always(number: int, claim: str) -> bool:
    return True


def test_sentences_become_claims_with_their_marks() -> None:
    text = (
        "Bees dance [1][2]. They fly.[2] 蜜蜂跳舞。[1] 好【1，2】。\n- item one [9]\n2. two ［1］"
    )
    assert claims(text, 2) == [
        Claim("Bees dance.", (1, 2)),
        Claim("They fly.", (2,)),
        Claim("蜜蜂跳舞。", (1,)),
        Claim("好。", (1, 2)),
        Claim("item one", ()),
        Claim("two", (1,)),
    ]
    assert claims("[1] [0] ...\n\n", 2) == []


def test_a_verbatim_claim_is_found_without_the_model() -> None:
    (citation,) = cite("Which prize?", "He shared the Nobel Prize in 1973. [1]", CONTEXTS, never)
    assert citation.support == "verbatim"
    assert citation.quote == "He shared the Nobel Prize in 1973."
    assert DANCE[citation.start - 100 : citation.end - 100] == citation.quote
    assert citation.page == 2


def test_a_short_answer_is_quoted_with_its_sentence() -> None:
    (citation,) = cite("多少钱？", "120元 [2]", CONTEXTS, never)
    assert (citation.support, citation.quote) == ("verbatim", "每瓶卖120元。")
    assert HONEY[citation.start - 7 : citation.end - 7] == citation.quote


def test_a_paraphrase_is_entailed_when_the_model_says_so() -> None:
    answer = "It was Karl von Frisch who decoded the dance, in 1944. [1]"
    (citation,) = cite("Who decoded it?", answer, CONTEXTS, always)
    assert citation.support == "entailed"
    assert citation.quote == "Karl von Frisch decoded it in 1944."
    (citation,) = cite("Who decoded it?", answer, CONTEXTS, lambda *_: False)
    assert citation.support == "unsupported"


def test_a_number_that_is_not_in_the_passage_is_never_supported() -> None:
    answer = "Karl von Frisch decoded the dance in 1945. [1]"
    (citation,) = cite("Who decoded it?", answer, CONTEXTS, never)
    assert citation.support == "unsupported"


def test_what_the_answer_adds_must_stand_in_the_passage() -> None:
    (citation,) = cite("What is the capital of Australia?", "It is Canberra. [1]", CONTEXTS, never)
    assert citation.support == "unsupported"
    (citation,) = cite("澳大利亚的首都是哪里？", "澳大利亚的首都是悉尼。[2]", CONTEXTS, never)
    assert citation.support == "unsupported"


def test_a_citation_of_the_wrong_passage_is_corrected() -> None:
    answer = "Bees see ultraviolet light. [2] Each jar is 120元。[1]"
    first, second = cite("What do bees see?", answer, CONTEXTS, lambda *_: False)
    assert (first.number, first.support) == (1, "verbatim")
    assert (second.number, second.support) == (1, "unsupported")
    assert with_marks(answer, (first, second)) == (
        "Bees see ultraviolet light. [1] Each jar is 120元。[1]"
    )


def test_repeating_the_question_supports_nothing() -> None:
    (citation,) = cite("他的手机号码是多少？", "他的手机号码是 [2]。", CONTEXTS, never)
    assert citation.support == "unsupported"
    (citation,) = cite(
        "Did Frisch decode the dance?", "Frisch decoded the dance. [1]", CONTEXTS, always
    )
    assert citation.support == "entailed"


def test_a_lead_in_is_no_part_of_the_claim() -> None:
    assert claims("根据资料 [1] 和 [2]，它不易结晶。", 2) == [Claim("它不易结晶。", (1, 2))]


def test_a_claim_without_a_mark_is_given_its_nearest_passage() -> None:
    (citation,) = cite("它结晶吗？", "洋槐蜜不易结晶，因为果糖多。", CONTEXTS, always)
    assert (citation.number, citation.source, citation.support) == (2, "/notes/b.md", "entailed")
    assert cite("x?", "Submarines rust in salt water.", CONTEXTS, never) == ()


def test_each_named_passage_is_checked_by_itself() -> None:
    answer = "Bees see ultraviolet light. [1][2]"
    first, second = cite("What do bees see?", answer, CONTEXTS, never)
    assert (first.number, first.support) == (1, "verbatim")
    assert (second.number, second.support) == (2, "unsupported")


def test_a_sentence_without_a_mark_gets_the_one_that_was_found() -> None:
    answer = "He shared the Nobel Prize in 1973. Submarines rust. Bees see ultraviolet light. [1]"
    marked = with_marks(answer, cite("Prize?", answer, CONTEXTS, never))
    assert marked == (
        "He shared the Nobel Prize in 1973. [1] Submarines rust. Bees see ultraviolet light. [1]"
    )
    assert with_marks("120元", cite("多少钱？", "120元", CONTEXTS, never)) == "120元 [2]"
