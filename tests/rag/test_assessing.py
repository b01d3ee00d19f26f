"""How sure it is that the passages answer a question, and what comes of that."""

import json
import math
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from langchain_core.messages import AIMessage

from indexes.collection import Collection
from indexes.errors import EndpointError, UsageError
from indexes.types import SearchResult
from rag import RAG
from rag.assessing import confidence_of, text_beside
from rag.thresholds import Threshold, keep_thresholds
from rag.types import Token
from rag.verifying.passages import Passage
from tests.rag.asking import chat, last
from tests.rag.scripted_server import Script, delta, events, reply, scripted_server, whole

QUESTION = "How long do queens live?"
DRAFT = "Queens live for three to five years. [1]"


def told(text: str, **tops: float) -> dict[str, Any]:
    """A reply of one token, which the model found as probable as ``tops`` tells."""
    top = [{"token": token, "bytes": None, "logprob": math.log(p)} for token, p in tops.items()]
    answer = whole(content=text)
    answer["choices"][0]["logprobs"] = {"content": [{**top[0], "top_logprobs": top}]}  # type: ignore[index]
    return answer


def messages(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Those of a request."""
    sent: list[dict[str, Any]] = body["messages"]
    return sent


class Model:
    """Says ``draft``, copies ``short``, and affirms with probability ``yes``."""

    def __init__(self, script: Script) -> None:
        self.script, self.short, self.yes = script, "three to five years", 0.8
        script.answers(events(delta(role="assistant", content=DRAFT), last()))
        script.probabilities = self.probabilities

    def probabilities(self, handler: BaseHTTPRequestHandler) -> None:
        if "fewest words" in self.script.bodies[-1]["messages"][-1]["content"]:
            reply(200, told(self.short, **{self.short: 0.9}))(handler)
        else:
            reply(200, told("yes", yes=self.yes, no=1 - self.yes))(handler)

    def assessed(self) -> list[dict[str, Any]]:
        return [body for body in self.script.bodies if body.get("logprobs")]

    def written(self) -> list[dict[str, Any]]:
        return [body for body in self.script.bodies if body.get("stream")]


@pytest.fixture
def model() -> Iterator[Model]:
    with scripted_server() as script:
        yield Model(script)


@pytest.fixture
def bees(collection: Collection) -> Collection:
    collection.add_texts(["Queens live for three to five years. Workers live for six weeks."])
    return collection


def test_the_words_that_answer_are_put_into_the_prompt(model: Model, bees: Collection) -> None:
    answer = RAG(bees, chat(model.script.url)).ask(QUESTION)
    assert (answer.status, answer.text, answer.short) == ("answered", DRAFT, "three to five years")
    assert answer.confidence == pytest.approx(0.8)
    (written,) = model.written()
    assert "The answer is: three to five years\n" in written["messages"][-1]["content"]
    assert len(model.assessed()) == 4
    assert answer.usage.prompt_tokens == 12


def test_all_that_is_asked_has_the_passages_in_the_same_place(
    model: Model, bees: Collection
) -> None:
    """Or the server reads them once more for each task."""
    RAG(bees, chat(model.script.url)).ask(QUESTION)
    prompts = [body["messages"] for body in model.script.bodies if "passage-" in str(body)]
    assert len(prompts) == 4
    beginnings = {(p[0]["content"], p[1]["content"].partition("Question:")[0]) for p in prompts}
    assert len(beginnings) == 1


def test_what_is_too_unsure_is_not_written(model: Model, bees: Collection) -> None:
    model.yes = 0.3
    answer = RAG(bees, chat(model.script.url)).ask(QUESTION)
    assert (answer.status, answer.citations, answer.short) == ("unanswerable", (), "")
    assert answer.confidence is not None
    assert answer.confidence < 0.5
    assert model.written() == []
    assert answer.contexts


@pytest.mark.parametrize(("least", "status"), [
    (0.0, "answered"), (0.3, "answered"), (0.4, "unanswerable"),
])  # fmt: skip
def test_the_caller_says_how_sure_is_sure_enough(
    model: Model, bees: Collection, least: float, status: str
) -> None:
    model.yes = 0.35
    answer = RAG(bees, chat(model.script.url)).ask(QUESTION, min_confidence=least)
    assert answer.status == status


def test_the_threshold_that_was_fitted_here_counts(model: Model, bees: Collection) -> None:
    fitted = Threshold(
        threshold=0.9, rate=0.1, wrong=0.1, given=0.5, balanced=None, questions=9, run="r"
    )
    rag = RAG(bees, chat(model.script.url))
    assert rag.ask(QUESTION).status == "answered"
    keep_thresholds(bees.home, "m", {"en": fitted})
    assert rag.ask(QUESTION).status == "unanswerable"


def test_a_model_that_copies_a_refusal_refuses(model: Model, bees: Collection) -> None:
    model.short, model.yes = "I don't know", 0.99
    answer = RAG(bees, chat(model.script.url)).ask(QUESTION)
    assert (answer.status, answer.confidence) == ("unanswerable", 0.0)
    assert len(model.assessed()) == 1


def test_what_searches_further_is_not_judged_by_what_was_found_first(
    model: Model, bees: Collection
) -> None:
    model.yes = 0.1
    model.script.answers(reply(200, whole(content=json.dumps({"thought": "", "search": ""}))))
    RAG(bees, chat(model.script.url)).ask(QUESTION, prompt="react")
    assert model.assessed() == []
    assert len(model.script.bodies) >= 2


def test_one_odd_reply_does_not_switch_the_judgement_off(model: Model, bees: Collection) -> None:
    rag = RAG(bees, chat(model.script.url))
    assert rag.ask(QUESTION).confidence is not None
    tell = model.script.probabilities
    model.script.probabilities = reply(200, whole(content=""))
    assert rag.ask(QUESTION).confidence is None
    model.script.probabilities = reply(400, {"error": {"message": "filtered"}})
    assert rag.ask(QUESTION).confidence is None
    model.script.probabilities = tell
    assert rag.ask(QUESTION).confidence is not None


def test_a_short_answer_that_was_cut_off_is_none(model: Model, bees: Collection) -> None:
    cut = told("three to", x=0.5)
    cut["choices"][0]["finish_reason"] = "length"
    judge = model.script.probabilities
    assert judge is not None

    def probabilities(handler: BaseHTTPRequestHandler) -> None:
        first = len(model.assessed()) == 1
        (reply(200, cut) if first else judge)(handler)

    model.script.probabilities = probabilities
    answer = RAG(bees, chat(model.script.url)).ask(QUESTION)
    assert (answer.status, answer.short) == ("answered", "")
    assert answer.confidence == pytest.approx(0.8)
    assert "The answer is" not in str(model.written())


@pytest.mark.parametrize("least", [-0.1, 1.1, math.nan])
def test_a_confidence_that_is_none_is_refused(bees: Collection, least: float) -> None:
    with pytest.raises(UsageError, match="between 0 and 1"):
        RAG(bees).ask(QUESTION, min_confidence=least)


def test_candidates_of_a_prompt_with_examples(model: Model, bees: Collection) -> None:
    model.script.answers(reply(200, whole(content=DRAFT)))
    answer = RAG(bees, chat(model.script.url)).ask(QUESTION, prompt="few-shot", candidates=2)
    assert answer.status == "answered"


def test_a_row_of_a_table_is_shown_with_its_columns() -> None:
    table = "| Hive | Opened |\n|---|---|\n| A | 1919 |\n| B | 1920 |\n| C | 1921 |\n"
    context = SearchResult(
        1, 0.5, "id", "/t.md", "Hives", None, ("List",), 0, len(table), table, {}
    )  # fmt: skip
    text = text_beside("1920", "When was B opened?", [Passage(1, context)])
    assert "Opened" in text
    assert "1920" in text
    assert "1921" not in text
    assert text.startswith("Hives › List. ")
    assert "\n" not in text


def test_the_words_stand_in_the_text_however_long_it_is() -> None:
    long = "so " * 900 + "the queen lives for five years " + "and so on " * 900 + "."
    context = SearchResult(1, 0.5, "id", "/t.md", "T", None, (), 0, len(long), long, {})
    text = text_beside("five years", "How long does the queen live?", [Passage(1, context)])
    assert "five years" in text
    assert len(text) < 1300


@pytest.mark.parametrize("silence", [
    reply(400, {"error": {"message": "logprobs is not supported"}}),
    reply(200, whole(content="three to five years")),
    reply(200, {**told("…", a=0.5), "choices": [{
        **told("", a=0.5)["choices"][0],
        "message": {"role": "assistant", "content": "", "reasoning_content": "Hm."},
    }]}),
], ids=["refuses", "ignores", "thinks"])  # fmt: skip
def test_without_probabilities_the_question_stands_alone(
    model: Model, bees: Collection, silence: Any
) -> None:
    model.script.probabilities = silence
    rag = RAG(bees, chat(model.script.url))
    for _ in range(2):
        answer = rag.ask(QUESTION)
        assert (answer.status, answer.confidence, answer.short) == ("answered", None, "")
    assert len(model.assessed()) == 1
    for written in model.written():
        content = written["messages"][-1]["content"]
        assert content.endswith(f"Question: {QUESTION}")
        assert "reply exactly: I don't know" in content


def test_a_server_that_fails_is_told(model: Model, bees: Collection) -> None:
    model.script.probabilities = reply(500, {"error": {"message": "out of order"}})
    with pytest.raises(EndpointError):
        RAG(bees, chat(model.script.url)).ask(QUESTION)


# -- the figure ----------------------------------------------------------------------------------


def sign(**tops: float) -> AIMessage:
    metadata = {"logprobs": told("", **tops)["choices"][0]["logprobs"]}
    return AIMessage("", response_metadata=metadata)


def test_the_judgements_count_alike() -> None:
    assert confidence_of([sign(yes=0.5, no=0.5)], "en") == pytest.approx(0.5)
    sure, open_, not_so = sign(yes=0.9, no=0.1), sign(yes=0.5, no=0.5), sign(yes=0.1, no=0.9)
    assert confidence_of([sure, open_], "en") == pytest.approx(0.75)
    assert confidence_of([sure, not_so], "en") == pytest.approx(0.5)
    chinese = [sign(是=0.9, 否=0.1), sign(是=0.5, 不=0.5)]
    assert confidence_of(chinese, "zh") == pytest.approx(0.75)


def test_a_judgement_that_cannot_be_read_tells_nothing_either_way() -> None:
    assert confidence_of([sign(yes=0.1, no=0.9), sign(maybe=0.9)], "en") == pytest.approx(0.25)
    assert confidence_of([AIMessage("yes"), sign(maybe=0.9)], "en") is None


def test_certainty_does_not_outweigh_everything() -> None:
    sure, doubts = sign(yes=1.0, no=1e-30), sign(yes=0.01, no=0.99)
    assert (confidence_of([sure, doubts, doubts], "en") or 1) < 0.5


def test_the_last_judgement_is_shown_the_place_of_the_words(
    model: Model, collection: Collection
) -> None:
    collection.add_texts(
        ["Workers live for six weeks. In winter they live longer. Queens live for years. They "
         "leave the hive once. Nobody counted the days of the drones.",
         "A year has twelve months."],
        [{"title": "Ages"}, {"title": "Years"}],
    )  # fmt: skip
    model.short = "years"
    RAG(collection, chat(model.script.url)).ask(QUESTION)
    # The judgements are asked side by side, and arrive in any order.
    (asked,) = [m for m in map(messages, model.assessed()) if m[-1]["content"].startswith("Text:")]
    assert asked[-1]["content"] == (
        "Text: Ages. In winter they live longer. Queens live for years. They leave the hive once.\n"
        f"Question: {QUESTION}\nAnswer: years"
    )
    roles = [message["role"] for message in asked]
    assert roles == ["system", *["user", "assistant"] * 8, "user"]


def test_a_sentence_that_says_nothing_gives_way_to_the_short_answer(
    model: Model, bees: Collection
) -> None:
    said = "According to passage [1], how long do queens live?"
    model.script.answers(events(delta(role="assistant", content=said), last()))
    answer = RAG(bees, chat(model.script.url)).ask(QUESTION)
    assert (answer.status, answer.text) == ("answered", "three to five years [1]")


def test_a_sentence_that_says_too_much_gives_way_to_its_short_form(
    model: Model, bees: Collection
) -> None:
    claim = "Queens of the mountain bee live for three to five years in the zoo of Linz. [1]"
    model.script.answers(events(delta(role="assistant", content=claim), last()))
    answer = RAG(bees, chat(model.script.url)).ask(QUESTION)
    assert (answer.status, answer.text) == ("answered", "three to five years [1]")
    assert answer.citations[0].quote == "Queens live for three to five years."


@pytest.mark.parametrize("streamed", [True, False])
def test_a_true_sentence_of_something_else_gives_way_to_the_words_that_were_found(
    model: Model, bees: Collection, streamed: bool
) -> None:
    beside = "Workers live for six weeks. [1]"
    model.script.answers(events(delta(role="assistant", content=beside), last()))
    rag = RAG(bees, chat(model.script.url))
    if streamed:
        *shown, finished = rag.stream(QUESTION)
        answer = finished.answer  # type: ignore[union-attr]
        assert "".join(e.text for e in shown if isinstance(e, Token)) == answer.text
    else:
        answer = rag.ask(QUESTION)
    assert (answer.text, answer.short) == ("three to five years [1]", "three to five years")


def test_a_true_sentence_stays_where_the_words_that_were_found_do_not_hold(
    model: Model, bees: Collection
) -> None:
    model.short = "seventy years"
    beside = "Workers live for six weeks. [1]"
    model.script.answers(events(delta(role="assistant", content=beside), last()))
    *shown, finished = RAG(bees, chat(model.script.url)).stream(QUESTION)
    assert "".join(e.text for e in shown if isinstance(e, Token)) == beside
    assert (finished.answer.text, finished.answer.short) == (beside, "")  # type: ignore[union-attr]


def test_true_sentences_do_not_give_way_to_words_in_another_order(
    model: Model, collection: Collection
) -> None:
    """The model says of those, too, that the passage states them."""
    gate = "Guards at the gate exchange scented signals of the workers."
    collection.add_texts([f"{gate} Drones at the gate wait for the evening."])
    model.short = "Workers exchange scented guards"
    said = f"{gate} [1] Drones at the gate wait for the evening. [1]"
    written = events(delta(role="assistant", content=said), last())

    def respond(handler: BaseHTTPRequestHandler) -> None:
        streamed = model.script.bodies[-1].get("stream")
        (written if streamed else reply(200, whole(content="yes")))(handler)

    model.script.answers(respond)
    answer = RAG(collection, chat(model.script.url)).ask("What is exchanged at the gate?")
    assert (answer.text, answer.short) == (said, "")
