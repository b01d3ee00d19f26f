"""A model of natural language inference, in place of the chat model's yes or no."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from indexes.errors import UsageError
from indexes.i18n import t
from indexes.types import SearchResult
from rag.steps import Steps, work


class Entailment:
    """A sentence-transformers cross-encoder for premise and hypothesis, by name or folder. It is
    loaded when it is first asked; its labels say which of its outputs is «entailment»."""

    def __init__(self, model: str) -> None:
        self._name = model

    def check(self, contexts: Sequence[SearchResult]) -> Callable[[int, str], Steps[bool]]:
        """Asks whether the passage ``number`` of ``contexts`` entails a claim."""

        def asked(number: int, claim: str) -> Steps[bool]:
            return (yield from work(lambda: self.entails(contexts[number - 1].text, claim)))

        return asked

    def entails(self, premise: str, hypothesis: str) -> bool:
        """Whether entailment is the likeliest label. Raises `UsageError` where the model cannot be
        loaded or has no such label."""
        scores = self._model.predict([(premise, hypothesis)], show_progress_bar=False)[0]
        return int(scores.argmax()) == self._label

    @cached_property
    def _model(self) -> Any:
        from sentence_transformers import CrossEncoder

        try:
            return CrossEncoder(self._name)
        except (OSError, ValueError) as error:
            raise UsageError(
                t("The model {name} of [verify] cannot be loaded: {reason}.",
                  name=self._name, reason=error)
            ) from error  # fmt: skip

    @cached_property
    def _label(self) -> int:
        labels = {name.lower(): int(i) for i, name in self._model.config.id2label.items()}
        if "entailment" not in labels:
            raise UsageError(
                t("The model {name} of [verify] has no label «entailment», only: {labels}.",
                  name=self._name, labels=", ".join(labels))
            )  # fmt: skip
        return labels["entailment"]
