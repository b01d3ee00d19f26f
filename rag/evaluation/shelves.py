"""The collections that a set is asked of: its own documents, indexed once, or the user's."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from indexes.collection import Collection, Notice
from indexes.i18n import t
from indexes.made_with import Making, making_of
from indexes.settings import IndexSettings, load_settings
from rag.evaluation.datasets import Corpus, Dataset

_AT_ONCE = 256

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how many are done, of how many."""


@contextmanager
def opened(
    dataset: Dataset,
    home: Path,
    name: str | None,
    notice: Notice | None = None,
    progress: Progress | None = None,
) -> Iterator[Mapping[str, Collection]]:
    """The collections by the groups of the set's questions. A set with documents of its own gets
    them under ``home/evaluations/collections``, where they stay; other questions are asked of the
    collection ``name`` under ``home``. Raises `UnknownCollectionError`."""
    with ExitStack() as stack:
        if not dataset.corpora:
            own = Collection.open(name, home=home, create=False, notice=notice)
            yield {"": stack.enter_context(own)}
            return
        making = making_of(load_settings(IndexSettings, "index", home=home), None, notice)
        shelves: dict[str, Collection] = {}
        for corpus in dataset.corpora:
            shelf = f"{corpus.name}-{_version(dataset, making)}"
            if shelf not in shelves:
                folder = home / "evaluations"
                collection = Collection.open(
                    shelf, home=folder, embedder=making.embedder, notice=notice
                )
                shelves[shelf] = stack.enter_context(collection)
                _fill(collection, corpus, progress)
        names = [(c.group, f"{c.name}-{_version(dataset, making)}") for c in dataset.corpora]
        yield {group: shelves[shelf] for group, shelf in names}


def with_known_gold(dataset: Dataset, collection: Collection) -> Dataset:
    """The user's questions, their gold sources named as the collection names them. Raises
    `UnknownSourceError`."""
    known: dict[str, str] = {}
    for source in dict.fromkeys(source for q in dataset.questions for source in q.gold):
        known[source] = collection.document(source).source
    questions = (replace(q, gold=tuple(known[s] for s in q.gold)) for q in dataset.questions)
    return replace(dataset, questions=tuple(questions))


def _version(dataset: Dataset, making: Making) -> str:
    """Equal where the same documents would be cut and embedded in the same way."""
    key = f"{dataset.sha256}\0{making.embedder.fingerprint}\0{making.splitting}"
    return hashlib.sha256(key.encode()).hexdigest()[:8]


def _fill(collection: Collection, corpus: Corpus, progress: Progress | None) -> None:
    """Add what is not there yet: all of it at first, the rest after an indexing that was killed."""
    total = len(corpus.paragraphs)
    if collection.status().documents == total:
        return
    for start in range(0, total, _AT_ONCE):
        if progress:
            progress(t("Indexing"), start, total)
        some = corpus.paragraphs[start : start + _AT_ONCE]
        collection.add_texts(
            [paragraph.text for paragraph in some],
            [{"title": paragraph.title} for paragraph in some],
            [paragraph.id for paragraph in some],
        )
    if progress:
        progress(t("Indexing"), total, total)
