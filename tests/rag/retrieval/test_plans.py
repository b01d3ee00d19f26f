"""Which techniques are on is one value, chosen by name or by the settings."""

from pathlib import Path
from typing import Any

import pytest

from indexes.errors import UsageError
from rag.retrieval.plan import PLANS, RetrievalPlan, plan_of


def test_every_name_stands_for_its_plan() -> None:
    assert all(plan_of(name).name == name for name in PLANS)
    assert set(PLANS) == {
        "default", "plain", "rewordings", "hypothetical", "step-back", "multi-hop", "window",
        "parent", "diverse", "reranked", "thorough",
    }  # fmt: skip


def test_by_default_nothing_is_on_that_costs_a_call_for_a_first_question() -> None:
    assert plan_of(None) == RetrievalPlan("default", condense=True, rerank="served")


def test_a_plan_of_ones_own_is_taken_as_it_is() -> None:
    plan = RetrievalPlan("mine", hops=3)
    assert plan_of(plan) is plan


def test_the_settings_choose_and_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "waggle.toml").write_text('[retrieval]\nplan = "window"\nrewordings = 2\n')
    monkeypatch.chdir(tmp_path)
    plan = plan_of(None)
    assert (plan.expand, plan.rewordings) == ("window", 2)
    assert plan.name == "window rewordings=2"
    monkeypatch.setenv("WAGGLE_RETRIEVAL_REWORDINGS", "0")
    assert plan_of(None) == PLANS["window"]
    assert plan_of("parent") == PLANS["parent"]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('plan = "widnow"', "no retrieval plan «widnow». Did you mean: window?"),
        ('rerank = "best"', "«retrieval.rerank» is not usable"),
        ("rewords = 2", "«retrieval.rewords» is not usable"),
        ("hops = 9", "hops must lie between 1 and 4"),
        ("diversity = 1.5", "diversity must lie between 0 and 1"),
    ],
)
def test_what_is_no_plan_is_told_in_a_sentence(
    table: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "waggle.toml").write_text(f"[retrieval]\n{table}\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=said):
        plan_of(None)


@pytest.mark.parametrize(
    "wrong",
    [{"rewordings": -1}, {"hops": 0}, {"diversity": float("nan")}, {"candidates": -5}],
    ids=str,
)
def test_a_plan_out_of_bounds_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="must lie between"):
        RetrievalPlan("mine", **wrong)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match="default, plain, rewordings"):
        plan_of("xyzzy")
