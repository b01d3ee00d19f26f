"""How passages are found in a run, as its first line binds it."""

from collections.abc import Mapping
from dataclasses import asdict

from rag.prompting.library import PromptLibrary
from rag.prompting.types import LANGUAGES
from rag.retrieval.plan import RetrievalPlan, prompts_of
from rag.settings import load_rerank_settings


def plan_fields(plan: RetrievalPlan) -> dict[str, int | float | str | bool]:
    """The fields of ``plan``, which the settings may have changed, and the server's reranker where
    it has one and the plan uses it."""
    fields: dict[str, int | float | str | bool] = asdict(plan)
    reranker = load_rerank_settings()
    if reranker.url and reranker.model and plan.rerank in ("served", "cross-encoder"):
        fields |= {"reranker": reranker.model, "reranker candidates": reranker.candidates}
    return fields


def search_texts(library: PromptLibrary, plan: RetrievalPlan) -> Mapping[str, str]:
    """The prompts of the techniques of ``plan``, by name and language, each as ident and text."""
    found = {
        f"{name}.{lang}": library.get(name, lang) for name in prompts_of(plan) for lang in LANGUAGES
    }
    return {key: f"{prompt.ident}\n\n{prompt.text}" for key, prompt in found.items()}
