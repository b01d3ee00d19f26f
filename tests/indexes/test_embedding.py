import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings

from indexes.embedding import (
    Embedder,
    LangChainEmbedder,
    LocalEmbedder,
    default_embedder,
    served_embedder,
)
from indexes.embedding.adapter import estimate_tokens
from indexes.embedding.base import Matrix
from indexes.embedding.default import _installed_model
from indexes.embedding.int8 import INPUTS
from indexes.errors import EndpointError, ModelError, ModelFileError
from tests.served_models import running

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

ROOT = Path(__file__).resolve().parents[2]
MINILM_FINGERPRINT = "c006c9485a9bef2b32fa4211f98d5bc526db0fde6c16cd541e38233f4eced8ea"
Damage = Callable[[Path], None]

ENGLISH = [
    "When is the mooncake festival?",
    "The bees dance to tell the others where the food is.",
    "A court may set aside an award if the tribunal exceeded its powers.",
    "def parse(line: str) -> tuple[str, int]: return line.split()",
    "Prices rose 3.4% in Q2, to €1,204.50 — the highest since 2011.",
    "e",
    "naïve café Übergrößenträger",
    "HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\n\r\n",
]
CHINESE = [
    "中秋节是什么时候？",
    "蜜蜂用舞蹈告诉同伴食物在哪里。",
    "人民法院应当自收到申请之日起五日内作出裁定。",
    "汉",
    "《红楼梦》共一百二十回，前八十回为曹雪芹所作。",
    "繁體中文也應當能夠處理。",
]
MIXED = [
    "用 FAISS 建立 index，再用 vLLM 回答问题。",
    "The word 你好 means hello.",
    "日本語とEnglishの混在",
    "Привет, мир! مرحبا بالعالم",
]
ODD = [
    "",
    " ",
    "\n\n",
    "😀👩‍👩‍👧‍👦🇨🇳",
    "a\u0000b",
    "x" * 300,
    "∑∫√≠≤",
    "[CLS] [SEP] [PAD]",
    "\ufeffBOM",
]
LONG = [
    " ".join(f"Sentence number {n} speaks about {word}." for n in range(repeats))
    for word, repeats in [("rivers", 20), ("mountains", 60), ("honey", 400)]
] + ["长文本需要截断。" * repeats for repeats in (10, 40, 500)]
TEXTS = (
    ENGLISH
    + CHINESE
    + MIXED
    + ODD
    + LONG
    + [f"{english} {chinese}" for english in ENGLISH[:5] for chinese in CHINESE[:5]]
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("embedding")


@pytest.fixture(scope="module")
def local(cache: Path) -> LocalEmbedder:
    return default_embedder(cache)


class TestConformance:
    """What holds for every Embedder."""

    @pytest.fixture(params=["local", "langchain", "served"])
    def embedder(self, request: pytest.FixtureRequest, local: LocalEmbedder) -> Iterator[Embedder]:
        if request.param == "local":
            yield local
        elif request.param == "langchain":
            yield LangChainEmbedder(DeterministicFakeEmbedding(size=48), name="fake")
        else:
            with running() as server:
                yield served_embedder(server.url, "hash")

    def test_vectors_are_float32_rows_of_length_one(self, embedder: Embedder) -> None:
        vectors = embedder.encode(TEXTS)
        assert vectors.dtype == np.float32
        assert vectors.shape == (len(TEXTS), embedder.dimension)
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)

    def test_no_texts_give_no_rows(self, embedder: Embedder) -> None:
        assert embedder.encode([]).shape == (0, embedder.dimension)

    def test_order_is_kept(self, embedder: Embedder) -> None:
        together = embedder.encode(TEXTS)
        for row in (0, 7, 30, len(TEXTS) - 1):
            assert together[row] @ embedder.encode([TEXTS[row]])[0] > 0.9999

    def test_progress_counts_up_to_the_end(self, embedder: Embedder) -> None:
        seen: list[int] = []
        embedder.encode(TEXTS, progress=seen.append)
        assert seen == sorted(set(seen))
        assert seen[-1] == len(TEXTS)

    def test_langchain_methods_agree_with_encode(self, embedder: Embedder) -> None:
        rows = embedder.embed_documents(TEXTS[:3])
        assert np.allclose(rows, embedder.encode(TEXTS[:3]), atol=1e-6)
        query = embedder.embed_query(TEXTS[0])
        assert len(query) == embedder.dimension
        assert np.linalg.norm(query) == pytest.approx(1, abs=1e-5)

    def test_text_that_utf8_cannot_hold_is_embedded(self, embedder: Embedder) -> None:
        assert embedder.encode(["bad \ud800 text"]).shape[0] == 1
        assert len(embedder.embed_query("\udfff")) == embedder.dimension
        assert embedder.count_tokens("\ud83d") > 0

    def test_describes_itself(self, embedder: Embedder) -> None:
        assert embedder.name
        assert len(embedder.fingerprint) == 64
        assert embedder.max_tokens > embedder.count_tokens("a few words") > 2

    def test_threads_get_the_same_vectors(self, embedder: Embedder) -> None:
        texts = TEXTS[:24]
        expected = embedder.encode(texts)
        with ThreadPoolExecutor(4) as pool:
            for vectors in pool.map(embedder.encode, [texts] * 4):
                assert np.allclose(vectors, expected, atol=1e-5)


def reference(model: "SentenceTransformer", text: str) -> tuple[Matrix, bool]:
    """What sentence-transformers makes of the tokens of a text that the model knows, and whether
    there are any."""
    features = model.preprocess([text])
    known = features["input_ids"][0] != model.tokenizer.unk_token_id
    features = {name: features[name][:, known] for name in INPUTS}
    vector: Matrix = model(features)["sentence_embedding"].detach().numpy()[0]
    return vector, int(known.sum()) > 2  # [CLS] and [SEP]


def test_vectors_equal_those_of_sentence_transformers(cache: Path, local: LocalEmbedder) -> None:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(_installed_model()), device="cpu").eval()
    expected, known = zip(*(reference(model, text) for text in TEXTS), strict=True)
    cosines = (local.encode(TEXTS) * expected).sum(axis=1)
    assert len(TEXTS) >= 55
    # Rounding to 8 bits costs a text of no known words most.
    blank = ~np.array(known)
    assert cosines.mean() >= 0.99
    assert cosines[blank].min() >= 0.97
    worst = int(np.where(blank, 1, cosines).argmin())
    assert cosines[worst] >= 0.98, TEXTS[worst]
    assert list(cache.glob("exports/*/model.onnx"))  # not the float32 that convert falls back to
    assert local.dimension == 384
    assert local.max_tokens == model.max_seq_length == 256


def test_what_the_model_does_not_know_adds_nothing(local: LocalEmbedder) -> None:
    # The vocabulary has 中, 文 and 人, but not 喝, 茶 or 饿.
    known, mixed, unknown, other = local.encode(["中文人", "喝中茶文饿人", "喝茶", "饿"])
    assert known @ mixed > 0.9999
    assert unknown @ other > 0.9999
    assert known @ unknown < 0.9


def test_tokens_are_counted_beyond_the_limit(local: LocalEmbedder) -> None:
    assert local.count_tokens("hello world") == 4
    assert local.count_tokens("hello " * 1000) == 1002
    assert local.tokenizer.truncation is None
    assert local.tokenizer.padding is None


RUN = """
import sys
from pathlib import Path
from indexes.embedding import default_embedder
vector = default_embedder(Path(sys.argv[1]), threads=1).embed_query("When is the festival?")
heavy = sorted(
    {"torch", "transformers", "sentence_transformers", "openvino", "onnx"} & set(sys.modules)
)
print(sum(vector), heavy)
"""


def start(cache: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", RUN, str(cache)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_only_onnx_runtime_is_imported_once_the_export_exists(
    cache: Path, local: LocalEmbedder
) -> None:
    expected = sum(local.embed_query("When is the festival?"))
    output, errors = start(cache).communicate(timeout=120)
    total, heavy = output.split(maxsplit=1)
    assert float(total) == pytest.approx(expected, abs=1e-4)
    assert (heavy.strip(), errors) == ("[]", "")


def test_two_processes_may_export_at_once(tmp_path: Path) -> None:
    processes = [start(tmp_path), start(tmp_path)]
    outputs = [process.communicate(timeout=250) for process in processes]
    totals = {round(float(output.split()[0]), 4) for output, _ in outputs}
    assert len(totals) == 1
    assert [errors for _, errors in outputs] == ["", ""]
    (export,) = (tmp_path / "exports").iterdir()
    assert not list(export.glob(".tmp-*"))


def flip_a_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def copied_model(folder: Path) -> Path:
    """The installed model, with weights linked and every other file writable."""
    source = _installed_model()
    for path in source.rglob("*"):
        target = folder / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".safetensors":
            target.symlink_to(path)
        elif path.is_file():
            target.write_bytes(path.read_bytes())
    return folder


@pytest.fixture
def model_copy(tmp_path: Path) -> Path:
    return copied_model(tmp_path / "my-model")


def edit_json(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.fixture(scope="module")
def float_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that is not converted to 8 bits: it pools by the first token."""
    folder = copied_model(tmp_path_factory.mktemp("float") / "first-token")
    edit_json(
        folder / "1_Pooling" / "config.json",
        pooling_mode_cls_token=True,
        pooling_mode_mean_tokens=False,
    )
    return folder


@pytest.fixture(scope="module")
def float_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("float-cache")


def test_another_kind_of_model_keeps_float32(float_model: Path, float_cache: Path) -> None:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(float_model), device="cpu").eval()
    expected = np.stack([reference(model, text)[0] for text in TEXTS])
    found = default_embedder(float_cache, str(float_model)).encode(TEXTS)
    cosines = (found * expected).sum(axis=1)
    assert cosines.min() >= 0.999, TEXTS[int(cosines.argmin())]
    (folder,) = (float_cache / "exports").iterdir()
    assert not (folder / "model.onnx").exists()


def mended(embedder: Callable[[], LocalEmbedder], cache: Path, name: str, damage: Damage) -> None:
    """Damage a file of the export; the next embedder must give the same vectors and mend it."""
    expected = embedder().encode(TEXTS[:5])
    (folder,) = (cache / "exports").iterdir()
    if name in ("model.xml", "model.bin"):  # read only where no compilation is kept
        next(folder.glob("compiled-*.blob")).unlink()
    path = next(folder.glob(name))
    damage(path)
    hurt = path.read_bytes() if path.exists() else b""
    assert np.allclose(embedder().encode(TEXTS[:5]), expected, atol=1e-5)
    assert path.read_bytes() != hurt
    assert [entry.name for entry in (cache / "exports").iterdir()] == [folder.name]


@pytest.mark.parametrize(
    ("damaged", "damage"),
    [
        ("model.onnx", flip_a_byte),
        ("model.onnx", cut_short),
        ("model.onnx", Path.unlink),
        ("tokenizer.json", flip_a_byte),
        ("export.json", cut_short),
    ],
)
def test_damage_is_found_and_mended(
    cache: Path, local: LocalEmbedder, damaged: str, damage: Damage
) -> None:
    mended(lambda: default_embedder(cache), cache, damaged, damage)


@pytest.mark.parametrize(
    ("damaged", "damage"),
    [
        ("model.bin", flip_a_byte),
        ("model.xml", Path.unlink),
        ("compiled-*.blob", flip_a_byte),
        ("compiled-*.blob", cut_short),
        ("compiled-*.blob", Path.unlink),
    ],
)
def test_damage_to_a_float_model_is_mended(
    float_cache: Path, float_model: Path, damaged: str, damage: Damage
) -> None:
    mended(lambda: default_embedder(float_cache, str(float_model)), float_cache, damaged, damage)


def test_a_compilation_for_another_processor_is_not_used(
    float_cache: Path, float_model: Path
) -> None:
    expected = default_embedder(float_cache, str(float_model)).encode(TEXTS[:2])
    (folder,) = (float_cache / "exports").iterdir()
    kept = next(folder.glob("compiled-*.blob"))
    foreign = kept.rename(folder / "compiled-0000000000000000.blob")
    again = default_embedder(float_cache, str(float_model)).encode(TEXTS[:2])
    assert np.allclose(again, expected, atol=1e-5)
    assert kept.exists()
    foreign.unlink()


def test_an_export_of_an_earlier_version_is_made_again(cache: Path, local: LocalEmbedder) -> None:
    expected = local.encode(TEXTS[:2])
    (folder,) = (cache / "exports").iterdir()
    edit_json(folder / "export.json", format=1)
    embedder = default_embedder(cache)
    assert np.allclose(embedder.encode(TEXTS[:2]), expected, atol=1e-5)
    assert embedder.fingerprint == MINILM_FINGERPRINT  # existing collections stay usable


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_vectors_do_not_depend_on_threads(cache: Path, local: LocalEmbedder, threads: int) -> None:
    vectors = default_embedder(cache, threads=threads).encode(TEXTS)
    assert np.array_equal(vectors, local.encode(TEXTS))


def test_vectors_do_not_depend_on_the_batch(local: LocalEmbedder) -> None:
    together = local.encode(TEXTS)
    alone = np.concatenate([local.encode([text]) for text in TEXTS])
    assert np.allclose(together, alone, rtol=0, atol=1e-5)


def test_limit_and_prompts_come_from_the_folder(
    model_copy: Path, tmp_path: Path, local: LocalEmbedder
) -> None:
    edit_json(model_copy / "sentence_bert_config.json", max_seq_length=16)
    edit_json(
        model_copy / "config_sentence_transformers.json",
        prompts={"query": "query: ", "passage": "passage: "},
    )
    embedder = default_embedder(tmp_path / "cache", str(model_copy))
    assert (embedder.name, embedder.max_tokens) == ("my-model", 16)
    assert embedder.fingerprint != local.fingerprint
    query = np.asarray(embedder.embed_query("Where is it?"))
    passage = embedder.encode(["Where is it?"])[0]
    plain = local.encode(["query: Where is it?", "passage: Where is it?"])
    assert query @ plain[0] > 0.999
    assert passage @ plain[1] > 0.999
    assert embedder.encode(["a " * 40])[0] @ embedder.encode(["a " * 400])[0] > 0.999


def test_fingerprint_follows_the_content_of_the_files(model_copy: Path, tmp_path: Path) -> None:
    def fingerprint() -> str:
        from indexes.embedding.fingerprint import model_fingerprint

        return model_fingerprint(model_copy, tmp_path / "cache")

    first = fingerprint()
    os.utime(model_copy / "config.json", ns=(1, 1))
    (model_copy / "README.md").write_text("Another description")
    assert fingerprint() == first
    edit_json(model_copy / "config.json", hidden_act="relu")
    assert fingerprint() != first


def test_weights_that_are_not_the_published_ones_are_refused(tmp_path: Path) -> None:
    embedder = LocalEmbedder(_installed_model(), tmp_path, name="m", weights_sha256="0" * 64)
    with pytest.raises(ModelFileError, match="not the published file"):
        embedder.encode(["a"])


def test_pickled_weights_are_refused(model_copy: Path, tmp_path: Path) -> None:
    (model_copy / "model.safetensors").unlink()
    (model_copy / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(ModelFileError, match="safetensors"):
        default_embedder(tmp_path / "cache", str(model_copy)).encode(["a"])


def test_broken_weights_are_refused(model_copy: Path, tmp_path: Path) -> None:
    (model_copy / "model.safetensors").unlink()
    (model_copy / "model.safetensors").write_bytes(b"\x10" * 400)
    with pytest.raises(ModelFileError, match="cannot be loaded"):
        default_embedder(tmp_path / "cache", str(model_copy)).encode(["a"])
    assert list((tmp_path / "cache" / "exports").iterdir()) == []


def test_code_in_a_model_folder_is_not_run(model_copy: Path, tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    (model_copy / "custom.py").write_text(f"open({str(witness)!r}, 'w')\nclass Transformer: ...")
    modules = json.loads((model_copy / "modules.json").read_text())
    modules[0]["type"] = "custom.Transformer"
    (model_copy / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ModelFileError, match="cannot be loaded"):
        default_embedder(tmp_path / "cache", str(model_copy)).encode(["a"])
    assert not witness.exists()


@pytest.mark.parametrize("content", ["", "[1]", "{", '[{"path": "x"}]'])
def test_a_folder_that_is_no_model_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "modules.json").write_text(content)
    with pytest.raises(ModelFileError, match="not a sentence-transformers model"):
        default_embedder(tmp_path / "cache", str(tmp_path)).encode(["a"])


def test_an_unknown_name_says_what_is_possible(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no embedding model nonsense.*all-MiniLM-L6-v2"):
        default_embedder(tmp_path, "nonsense")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ModelError, match=r"cannot be prepared in .*file"):
        default_embedder(tmp_path / "file").encode(["a"])


class Scripted(Embeddings):
    """A served model that answers with ``rows`` or fails with ``error``."""

    def __init__(self, rows: list[list[float]], error: Exception | None = None) -> None:
        self.rows, self.error = rows, error

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        if self.error:
            raise self.error
        return self.rows

    def embed_query(self, text: str) -> list[float]:
        return [3.0, 4.0]


def test_a_served_model_that_fails_is_named() -> None:
    embedder = LangChainEmbedder(Scripted([], ConnectionError("refused")), name="bge")
    with pytest.raises(EndpointError, match="bge does not answer: refused"):
        embedder.encode(["a"])


@pytest.mark.parametrize(
    "rows", [[], [[1.0, 2.0, 3.0]], [[1.0, 2.0]] * 2, [[float("nan"), 1.0]], [[]]]
)
def test_a_served_model_with_wrong_vectors_is_named(rows: list[list[float]]) -> None:
    with pytest.raises(EndpointError, match="wrong shape"):
        LangChainEmbedder(Scripted(rows), name="bge").encode(["a"])


def test_served_vectors_are_scaled_to_length_one() -> None:
    embedder = LangChainEmbedder(Scripted([[6.0, 8.0]]), name="bge", max_tokens=8192)
    assert np.allclose(embedder.embed_query("a"), [0.6, 0.8])
    assert np.allclose(embedder.encode(["a"]), [[0.6, 0.8]])
    assert embedder.max_tokens == 8192


def test_fingerprint_of_a_served_model_tells_models_apart() -> None:
    def fingerprint(name: str, size: int) -> str:
        return LangChainEmbedder(DeterministicFakeEmbedding(size=size), name=name).fingerprint

    assert fingerprint("a", 8) == fingerprint("a", 8)
    assert len({fingerprint("a", 8), fingerprint("b", 8), fingerprint("a", 9)}) == 3


def test_the_models_own_token_count_is_preferred() -> None:
    fake = DeterministicFakeEmbedding(size=8)
    assert LangChainEmbedder(fake, name="a", count_tokens=len).count_tokens("abc") == 3


def test_estimated_tokens_err_upward(local: LocalEmbedder) -> None:
    ordinary = [text for text in TEXTS if text.strip() and "x" * 300 not in text]
    short = [text for text in ordinary if estimate_tokens(text) < local.count_tokens(text)]
    assert short == []
    assert estimate_tokens("The bees dance to tell the others.") < 25
