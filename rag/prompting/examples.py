"""Which of a prompt's examples are shown: those whose questions are nearest to the one asked.

Liu et al. 2022, What Makes Good In-Context Examples for GPT-3?, https://arxiv.org/abs/2101.06804.
"""

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock

from indexes.embedding.base import Embedder, Matrix
from rag.prompting.types import Example, Prompt

_KEPT = 32

_vectors: OrderedDict[tuple[str, str], Matrix] = OrderedDict()
_lock = Lock()


def nearest(prompt: Prompt, question: str, embedder: Embedder | None) -> tuple[Example, ...]:
    """The prompt's ``shots`` examples most similar to ``question``, the most similar last, where a
    model heeds it most; without an embedder the first ones, in their order."""
    examples = prompt.examples
    if embedder is None or len(examples) <= prompt.shots:
        return examples[: prompt.shots]
    scores = _encoded(prompt, embedder) @ embedder.encode([question])[0]
    best = sorted(range(len(examples)), key=lambda i: (-float(scores[i]), i))[: prompt.shots]
    return tuple(examples[i] for i in reversed(best))


def _encoded(prompt: Prompt, embedder: Embedder) -> Matrix:
    """The vectors (n, d) of the examples' questions, made once for a file and an embedder."""
    key = (prompt.digest, embedder.fingerprint)
    with _lock:
        if key not in _vectors:
            questions: Sequence[str] = [example.question for example in prompt.examples]
            _vectors[key] = embedder.encode(questions)
            while len(_vectors) > _KEPT:
                _vectors.popitem(last=False)
        return _vectors[key]
