"""The whole path with real models: files → index → search → llama.cpp → checked citations."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from indexes.collection import Collection
from indexes.embedding import LocalEmbedder
from rag import RAG, Answer
from rag.attribution import attributed
from rag.models.catalogue import find
from rag.models.download import pull
from rag.models.engine import stop_engine
from rag.models.resolve import engine_dir, models_dir, resolve_chat
from rag.settings import ChatSettings
from rag.steps import run
from tests.rag import leaning

QUESTIONS = Path(__file__).resolve().parent.parent / "data" / "example_questions.jsonl"


def pulled(name: str, home: Path) -> None:
    """Put a model into ``home``, from a folder that outlives the test run."""
    cache = Path(os.environ.get("WAGGLE_TEST_MODELS", "~/.cache/waggle-tests/models")).expanduser()
    file = pull(find(name), cache)
    folder = models_dir(home) / name
    folder.mkdir(parents=True)
    (folder / file.name).symlink_to(file)


@pytest.fixture
def library(tmp_path: Path, embedder: LocalEmbedder, examples: Path) -> Iterator[Collection]:
    with Collection.open("bees", home=tmp_path / "home", embedder=embedder) as collection:
        collection.add([examples])
        yield collection
        stop_engine(engine_dir(collection.home))


def rag_with(collection: Collection, model: str) -> RAG:
    pulled(model, collection.home)
    settings = ChatSettings(model=model, threads=1, max_tokens=128, timeout=600)
    return RAG(collection, lambda: resolve_chat(collection.home, settings))


def check(answer: Answer, collection: Collection) -> None:
    """What holds whatever the model says."""
    for citation in answer.citations:
        document = collection.document(citation.source)
        assert document.text[citation.start : citation.end] == citation.quote
        assert citation.quote.strip() == citation.quote != ""
        assert answer.contexts[citation.number - 1].source == citation.source
    assert answer.usage.prompt_tokens > 100
    if answer.status == "answered":
        assert any(c.support != "unsupported" for c in answer.citations)
    else:
        assert answer.citations == ()


@pytest.mark.model
def test_a_small_model_through_the_real_engine(library: Collection) -> None:
    answer = rag_with(library, "smollm2-135m-instruct").ask(
        "How much water is left in honey when the bees cap the cell?"
    )
    assert answer.model == "smollm2-135m-instruct"
    assert "from-nectar-to-honey.html" in {Path(c.source).name for c in answer.contexts}
    check(answer, library)


@pytest.mark.model
def test_the_passage_that_an_answer_leans_on(collection: Collection) -> None:
    rag = rag_with(collection, "smollm2-135m-instruct")
    try:
        chat = rag.chat()
        assert chat is not None
        leaning.check(run(attributed(chat, leaning.ASKED, leaning.ANSWER, rag.budget())))
    finally:
        stop_engine(engine_dir(collection.home))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.model
def test_the_default_model_on_the_example_questions(library: Collection) -> None:
    rag = rag_with(library, "qwen2.5-coder-1.5b-instruct")
    right = []
    for line in QUESTIONS.read_text("utf-8").splitlines():
        question = json.loads(line)
        answer = rag.ask(question["question"])
        check(answer, library)
        if question["answerable"]:
            told = all(part in answer.text for part in question["answer_contains"])
            right.append(answer.status == "answered" and told)
        else:
            right.append(answer.status == "unanswerable")
    assert sum(right) >= 12, right
