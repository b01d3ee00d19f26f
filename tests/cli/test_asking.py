"""ask with a plan, a prompt, candidates, strictness and an explanation."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import cli

Command = Callable[..., Any]

QUESTION = "What does a run straight up the comb stand for?"
CLAIM = (
    "A run pointing 60 degrees to the right of straight up means: fly 60 degrees to the right of "
    "the sun"
)
INVENTED = "Zebras of Saturn invented the comb in 1812"


@pytest.fixture
def ask(waggle: Command, shelf: Path, chat_server: Any) -> Command:
    """Asks with the scripted model."""

    def run(*arguments: object) -> Any:
        return waggle("ask", *arguments, "--chat-url", chat_server.url)

    return run


def reproduced(waggle: Command, answer: dict[str, Any]) -> list[str]:
    """What `show --span` prints for each citation, which is its quote."""
    quotes = []
    for citation in answer["citations"]:
        span = f"{citation['start']}:{citation['end']}"
        shown = waggle("show", citation["source"], "--span", span).out
        assert shown == citation["quote"]
        quotes.append(shown)
    return quotes


def test_sentences_without_support_are_marked_and_told(
    ask: Command, waggle: Command, chat_server: Any
) -> None:
    chat_server.draft, chat_server.check = f"{CLAIM} [1]. {INVENTED} [1].", "no"
    answer = ask(QUESTION, "--json").json
    assert [c["support"] for c in answer["citations"]] == ["verbatim", "unsupported"]
    assert len(reproduced(waggle, answer)) == 2
    assert (answer["citation_precision"], answer["citation_recall"]) == (0.5, 0.5)

    shown = ask(QUESTION).out
    text, _, sources = shown.partition("Sources\n")
    assert f"{INVENTED}. [?]" in text
    assert sources.count("verbatim") == 1
    assert "[0]" not in shown
    assert sources.splitlines()[-1] == f"[?] No passage supports: {INVENTED}."


def test_strict_leaves_them_out(ask: Command, chat_server: Any) -> None:
    chat_server.draft, chat_server.check = f"{CLAIM} [1]. {INVENTED} [1].", "no"
    shown = ask(QUESTION, "--strict").out
    assert CLAIM in shown
    assert "Zebras" not in shown


def test_nothing_that_is_supported_is_no_answer(ask: Command, chat_server: Any) -> None:
    chat_server.draft, chat_server.check = f"{INVENTED} [1].", "no"
    done = ask(QUESTION)
    assert done.code == 3
    assert "Zebras" not in done.out
    assert "I don't know: the documents do not say.\n" in done.out
    assert "Sources" not in done.out


def test_a_count_is_shown_with_what_it_counted(ask: Command, waggle: Command) -> None:
    question = "How many documents mention sun?"
    answer = ask(question, "--json").json
    assert answer["status"] == "answered"
    quotes = reproduced(waggle, answer)
    assert quotes
    assert {quote.casefold() for quote in quotes} == {"sun"}
    done = ask(question, "--explain")
    assert done.code == 0
    assert done.out.startswith(f"{answer['answer']}\n\nSources\n[1] ")
    assert "Counted over all documents of the collection" in done.out


def test_a_count_of_nothing(ask: Command) -> None:
    done = ask("How many documents mention xylophones?")
    assert (done.code, done.out) == (0, "No document mentions «xylophones».\n")


def test_explain_tells_the_steps_with_their_scores(ask: Command, chat_server: Any) -> None:
    chat_server.draft = f"{CLAIM} [1]."
    found = ask(QUESTION, "--plan", "diverse", "--explain", "--json").json
    assert found["plan"] == "diverse"
    assert [step["step"] for step in found["steps"]] == ["retrieve", "diversify"]
    best = found["steps"][0]["found"][0]
    assert (best["rank"], best["source"]) == (1, found["contexts"][0]["source"])
    assert best["dense"] is not None
    assert best["lexical"] is not None
    assert "steps" not in ask(QUESTION, "--json").json

    shown = ask(QUESTION, "--plan", "diverse", "--explain").out
    text, _, explained = shown.partition("How it was found\n")
    assert CLAIM in text
    assert "verbatim" in text
    assert "1. Search  " in explained
    assert f"“{QUESTION}”" in explained
    scores = f"{best['score']:.3f}  (meaning {best['dense']:.3f}, words {best['lexical']:.2f})"
    assert f"    1  {scores}  {best['source']}:{best['start']}:{best['end']}\n" in explained
    assert "2. Repetitions set back" in explained
    assert f"Plan: diverse\nPrompt: {found['prompt']}\nModel: scripted\n" in explained
    assert "Citations of the model that hold: 100%\n" in explained
    assert "Sentences that a passage supports: 100%\n" in explained


def test_the_prompt_that_is_asked_for(ask: Command, chat_server: Any) -> None:
    chat_server.draft = f"{CLAIM} [1]."
    usual = ask(QUESTION, "--json").json["prompt"]
    named = ask(QUESTION, "--prompt", "role", "--json").json["prompt"]
    assert usual.startswith("answer@")
    assert named.startswith("role@")


def test_candidates_are_drafts_of_one_question(ask: Command, chat_server: Any) -> None:
    chat_server.draft = json.dumps({"answer": f"{CLAIM} [1].", "short": "the sun"})
    ask(QUESTION, "--candidates", "3", "--json")
    drafts = [b for b in chat_server.requests if b.get("temperature")]
    assert len(drafts) == 3


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--plan", "thoroug"], "There is no retrieval plan «thoroug». Did you mean: thorough?"),
        (["--prompt", "anser"], "There is no prompt «anser». Did you mean: answer"),
        (["--candidates", "0"], "The number of candidates must be at least 1."),
        (["--candidates", "x"], "--candidates must be a whole number."),
    ],
)
def test_what_cannot_be_asked_with(ask: Command, arguments: list[str], sentence: str) -> None:
    done = ask(QUESTION, *arguments)
    assert (done.code, done.out) == (2, "")
    assert sentence in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("typed", "offered", "other"),
    [("--plan th", "thorough", "plain"), ("--prompt re", "react", "search-reword"),
     ("--prompt ch", "chain-of-thought", "check")],
)  # fmt: skip
def test_names_are_completed(shelf: Path, typed: str, offered: str, other: str) -> None:
    line = f"waggle ask x {typed}"
    variables = {"_WAGGLE_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": "4"}
    done = CliRunner().invoke(cli.app, [], prog_name="waggle", env=variables)
    assert offered in done.output.split()
    assert other not in done.output.split()
