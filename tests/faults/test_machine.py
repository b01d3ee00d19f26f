"""Any order of changes, searches and crashes, against a dict."""

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from indexes.collection import Collection
from tests.faults.checks import check
from tests.faults.processes import run
from tests.faults.scenarios import NAME, OtherEmbedder, embedder_of, text_of
from tests.faults.work import apply
from tests.indexes.hash_embedder import HashEmbedder

_GROUND = Path("/dev/shm") if Path("/dev/shm").is_dir() else None
_NAMES = st.sampled_from(["ant", "bee", "cat", "dog"])
_PLACES = st.sampled_from([
    "store.begun", "store.changed", "store.committing", "store.committed", "postings.added",
    "postings.committed", "session.finished", "session.checkpointed", "vectors.built",
    "vectors.half_written", "vectors.written", "vectors.renamed", "vectors.publishing",
    "vectors.published", "clean.vectors",
])  # fmt: skip


class Machine(RuleBasedStateMachine):
    """``model`` is what must be in the collection."""

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp(prefix="waggle-machine-", dir=_GROUND))
        self.files = self.home / "files"
        self.model: dict[str, str] = {}
        self.version = 0
        self.collection = Collection.open(NAME, home=self.home, embedder=HashEmbedder())

    def teardown(self) -> None:
        self.collection.close()
        shutil.rmtree(self.home)

    def reopen(self) -> None:
        self.collection.close()
        self.collection = Collection.open(NAME, home=self.home, embedder=embedder_of(self.home))

    @initialize()
    def begin(self) -> None:
        self.add({"ant"})

    @rule(names=st.sets(_NAMES, min_size=1))
    def add(self, names: set[str]) -> None:
        """New documents, and new versions of those that are there."""
        self.version += 1
        texts = {f"doc-{name}": text_of(name, self.version, 18) for name in names}
        self.collection.add_texts(list(texts.values()), sources=list(texts))
        self.model |= texts

    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        if self.model:
            gone = data.draw(st.sets(st.sampled_from(sorted(self.model)), min_size=1))
            receipt = self.collection.remove(gone)
            assert set(receipt.removed) == gone
            for source in gone:
                del self.model[source]

    @rule(present=st.sets(_NAMES))
    def prune(self, present: set[str]) -> None:
        """A folder holds these files now, and no others."""
        self.version += 1
        shutil.rmtree(self.files, ignore_errors=True)
        self.files.mkdir()
        for name in present:
            text = text_of(name, self.version, 18)
            (self.files / f"{name}.txt").write_text(text, encoding="utf-8")
        self.collection.add([self.files], prune=True)
        self.model = {s: text for s, text in self.model.items() if s.startswith("doc-")}
        for name in present:
            self.model[str(self.files / f"{name}.txt")] = text_of(name, self.version, 18)

    @rule(names=st.sets(_NAMES, min_size=1), gone=_NAMES, place=_PLACES, hit=st.integers(1, 2))
    def crash_and_reopen(self, names: set[str], gone: str, place: str, hit: int) -> None:
        """A process is killed while it changes several documents; each call is all or nothing."""
        if isinstance(self.collection.embedder, OtherEmbedder):
            return
        self.version += 1
        added = {f"doc-{name}": text_of(name, self.version, 18) for name in names}
        changes: dict[str, str | None] = {**added, f"doc-{gone}": None}
        outcome = run(apply, self.home, changes, plan=f"{place}=kill@{hit}")
        assert outcome.error is None, outcome.describe()
        self.reopen()
        now = self.held()
        added = {source: text for source, text in changes.items() if text is not None}
        states = [self.model]
        states.append({**states[-1], **added})
        states.append({s: text for s, text in states[-1].items() if s != f"doc-{gone}"})
        confirmed = len([done for done in outcome.all("done") if done])
        assert now in states[confirmed:], (place, hit, confirmed)
        self.model = now

    @rule()
    def reembed(self) -> None:
        """With the other model."""
        other = isinstance(self.collection.embedder, OtherEmbedder)
        self.collection.close()
        embedder = HashEmbedder() if other else OtherEmbedder()
        self.collection = Collection.open(NAME, home=self.home, embedder=embedder)
        self.collection.reembed()

    @rule()
    def close_and_reopen(self) -> None:
        self.reopen()

    def held(self) -> dict[str, str]:
        documents = [document.source for document, _ in self.collection.documents()]
        return {source: self.collection.document(source).text for source in documents}

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        assert self.held() == self.model

    @invariant()
    def finds_what_the_model_holds(self) -> None:
        for mode in ("dense", "lexical", "hybrid"):
            results = self.collection.search("the keeper wrote bees", 500, mode=mode).results
            assert {r.source for r in results} == set(self.model)
            assert all(r.text in self.model[r.source] for r in results)
            assert len({r.chunk_id for r in results}) == len(results)


class CheckedMachine(Machine):
    """The same, and at the end everything is checked from the ground up."""

    def teardown(self) -> None:
        self.collection.close()
        wrong = run(check, self.home, {source: [text] for source, text in self.model.items()})
        assert wrong.result == []
        super().teardown()


def _settings(examples: int, steps: int) -> settings:
    return settings(
        max_examples=examples, stateful_step_count=steps, deadline=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip


TestMachine = CheckedMachine.TestCase
TestMachine.settings = _settings(6, 10)


@pytest.mark.slow
@pytest.mark.timeout(1800)
class TestLongMachine(CheckedMachine.TestCase):  # type: ignore[misc, valid-type]
    """Many more steps."""

    settings = _settings(60, 40)
