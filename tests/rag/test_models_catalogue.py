import re
from dataclasses import replace
from pathlib import Path

import pytest

from indexes.errors import ModelError
from rag.models.catalogue import (
    CATALOGUE,
    DEFAULT_CHAT_MODEL,
    DEFAULT_EMBEDDING_MODEL,
    ModelSpec,
    find,
)
from rag.models.download import local_path, pull


@pytest.mark.parametrize("spec", CATALOGUE.values(), ids=lambda spec: spec.name)
def test_every_model_can_be_obtained_and_checked(spec: ModelSpec) -> None:
    assert re.fullmatch(r"[0-9a-f]{64}", spec.sha256)
    assert spec.size > 0
    assert spec.packages or spec.hub or spec.bundled
    assert spec.licence
    assert spec.languages
    if spec.packages:
        assert sum(part.size for part in spec.packages) == spec.size
        assert all(re.fullmatch(r"[\w.-]+==[\w.]+", part.requirement) for part in spec.packages)
        assert len({part.member for part in spec.packages}) == len(spec.packages)


def test_defaults_are_in_the_catalogue() -> None:
    assert find(DEFAULT_CHAT_MODEL).kind == "chat"
    assert find(DEFAULT_EMBEDDING_MODEL).kind == "embedding"


def test_the_case_of_a_name_does_not_matter() -> None:
    assert find(" QWEN2.5-coder-1.5B-instruct ").name == "qwen2.5-coder-1.5b-instruct"


def test_a_misspelt_name_gets_a_suggestion_and_the_list() -> None:
    with pytest.raises(ModelError, match=r"did you mean qwen2\.5-coder") as raised:
        find("qwen-coder-1.5b")
    assert all(name in str(raised.value) for name in CATALOGUE)


def test_a_strange_name_gets_the_list() -> None:
    with pytest.raises(ModelError) as raised:
        find("█")
    assert "did you mean" not in str(raised.value)
    assert all(name in str(raised.value) for name in CATALOGUE)


def test_the_embedding_model_is_found_where_its_package_is_installed(tmp_path: Path) -> None:
    spec = find(DEFAULT_EMBEDDING_MODEL)
    path = local_path(spec, tmp_path)
    assert path is not None
    assert (path.parent / "tokenizer.json").is_file()
    assert pull(spec, tmp_path, verify=True) == path


def test_an_embedding_model_that_is_not_installed_names_the_package(tmp_path: Path) -> None:
    spec = replace(find(DEFAULT_EMBEDDING_MODEL), bundled="no_such_module_here/model.safetensors")
    assert local_path(spec, tmp_path) is None
    with pytest.raises(ModelError, match="no-such-module-here"):
        pull(spec, tmp_path)
