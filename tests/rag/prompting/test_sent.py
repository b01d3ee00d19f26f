"""What is sent: the bytes of the default prompts, and the beginning that all prompts share."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexes.types import SearchResult
from rag.prompting.library import SHARED, PromptLibrary, built_in
from rag.prompting.rendering import messages_of, prefix, turns_of
from rag.prompting.types import EXAMPLE, MAIN
from rag.prompts import answer_messages, check_messages, shared_prefix
from tests.rag.prompting.passages import BEES, passage, passages, texts

SENT = json.loads((Path(__file__).parent / "sent.json").read_text("utf-8"))
PROMPTS = [p for p in built_in().shelf().prompts if p.task == "answer"]
GOLDEN = (
    passage(1, "Queens live for three to five years.\nWorkers live {six} weeks.",
            "Bees", ("Life", "Queens")),
    passage(2, "蜂王能活三到五年。", "蜜蜂", ("蜜蜂",)),
)  # fmt: skip


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_default_prompts_send_these_bytes(lang: str) -> None:
    """A change here moves every measured figure: make it on purpose."""
    wanted = SENT[lang]
    asked = answer_messages(wanted["question"], GOLDEN)
    assert [[m.type, m.text] for m in asked] == wanted["answer"]
    prompts = built_in()
    said = messages_of(
        prompts.get("answer", lang),
        {"question": wanted["question"], "short": wanted["short"]},
        GOLDEN,
    )
    assert said[-1].text.removeprefix(shared_prefix(GOLDEN, lang)[1]) == wanted["said"]
    for name in ("extract", "answerable", "stated"):
        task = messages_of(prompts.get(name, lang), {"question": wanted["question"]}, GOLDEN)
        assert task[-1].text.removeprefix(shared_prefix(GOLDEN, lang)[1]) == wanted[name]
    shown = {"text": "T", "question": wanted["question"], "short": wanted["short"]}
    judged = turns_of(prompts.get("exact", lang), shown)
    assert [[m.type, m.text] for m in judged] == wanted["exact"]
    check = check_messages(asked, "D. [2]", 2, wanted["claim"], lang)
    assert [[m.type, m.text] for m in check] == wanted["check"]


@pytest.mark.parametrize("prompt", PROMPTS, ids=lambda p: f"{p.name}.{p.language}")
@given(contexts=passages, value=texts, other=texts)
def test_all_prompts_about_the_same_passages_begin_alike(
    prompt: object, contexts: tuple[SearchResult, ...], value: str, other: str
) -> None:
    own = next(p for p in PROMPTS if p is prompt)
    system, before = shared_prefix(contexts, own.language)
    for step, template in own.steps.items():
        if step == EXAMPLE:
            continue
        for data in (value, other):
            messages = messages_of(own, dict.fromkeys(template.names, data), contexts, step)
            assert [m.type for m in messages] == ["system", "human"]
            assert messages[0].text == system
            assert messages[1].text.startswith(before)


def test_a_prompt_with_a_system_message_of_its_own_departs_from_it(tmp_path: Path) -> None:
    (tmp_path / "pirate.en.md").write_text(
        "---\nname: pirate\nversion: 1\nlanguage: en\ntask: answer\ndescription: Arr.\n"
        "variables: [question]\nsystem: Speak like {a pirate}.\n---\nQ: {question}\n"
    )
    pirate = PromptLibrary([tmp_path]).get("pirate", "en")
    system, user = messages_of(pirate, {"question": "Who?"}, BEES)
    assert system.text == "Speak like {a pirate}."
    shared = built_in().get(SHARED, "en")
    assert user.text == prefix(shared, BEES)[1] + "Q: Who?"


@given(st.sampled_from(["en", "zh"]), texts, texts)
def test_a_task_without_passages_stands_alone(lang: str, number: str, claim: str) -> None:
    check = built_in().get("check", lang)
    (message,) = messages_of(check, {"number": number, "claim": claim})
    literals = check.steps[MAIN].literals
    assert message.text.startswith(literals[0])
    assert "资料：\n" not in message.text
