"""The catalogue of served models, and models that lie in folders."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexes.errors import ModelError, ModelFileError
from rag.serving.folder import adapter_rank, read_folder
from rag.serving.models import (
    DEFAULT_SERVED_MODEL,
    SERVED,
    ServedModel,
    bytes_per_number,
    find_served,
    kv_bytes_per_token,
    linear_parameters,
)

QWEN_7B = {
    "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_size": 3584,
    "intermediate_size": 18944, "num_attention_heads": 28, "num_hidden_layers": 28,
    "num_key_value_heads": 4, "max_position_embeddings": 32768, "vocab_size": 152064,
}  # fmt: skip
E5 = {
    "architectures": ["XLMRobertaModel"], "model_type": "xlm-roberta", "hidden_size": 1024,
    "intermediate_size": 4096, "num_attention_heads": 16, "num_hidden_layers": 24,
    "max_position_embeddings": 514, "vocab_size": 250002,
}  # fmt: skip
SERVED_CHAT = [model for model in SERVED.values() if model.kind == "chat"]
SERVED_ENCODERS = [model for model in SERVED.values() if model.kind != "chat"]


def lay(folder: Path, config: object, weights: int = 1000, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").write_bytes(bytes(weights))
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return folder


def decoder_parameters(model: ServedModel) -> int:
    """The weights of a Llama-like decoder, counted matrix by matrix."""
    s, name = model.shape, model.repository
    embeddings = 1 if "SmolLM2" in name or "-1.5B-" in name else 2  # tied to the output, or not
    count = linear_parameters(s) + embeddings * s.vocabulary * s.hidden
    count += (2 * s.layers + 1) * s.hidden  # the norms
    if "Qwen2.5" in name:  # biases of queries, keys and values
        count += s.layers * (s.heads + 2 * s.kv_heads) * s.head_dim
    if "Qwen3" in name:  # norms of queries and keys
        count += s.layers * 2 * s.head_dim
    return count


def encoder_parameters(model: ServedModel) -> int:
    """The weights of XLM-RoBERTa, whose positions begin after the padding token's."""
    s = model.shape
    h, i = s.hidden, s.intermediate
    layer = 4 * (h * h + h) + 2 * h + h * i + i + i * h + h + 2 * h
    count = (s.vocabulary + model.context + 2 + 1 + 2) * h + s.layers * layer + h * h + h
    return count + (h + 1 if model.kind == "rerank" else 0)


@pytest.mark.parametrize("model", SERVED_CHAT, ids=lambda m: m.name)
def test_shape_and_number_of_parameters_agree(model: ServedModel) -> None:
    assert model.parameters == decoder_parameters(model)


@pytest.mark.parametrize("model", SERVED_ENCODERS, ids=lambda m: m.name)
def test_encoders_too(model: ServedModel) -> None:
    assert model.parameters == encoder_parameters(model)
    assert kv_bytes_per_token(model.shape) == 0


def test_weights_are_as_large_as_the_published_files() -> None:
    """Sizes of the safetensors on the hub, in GB, as the model cards list them."""
    published = {
        "qwen2.5-7b-instruct": 15.23, "qwen2.5-7b-instruct-awq": 5.57,
        "qwen2.5-14b-instruct-awq": 9.98, "qwen2.5-32b-instruct-awq": 19.33, "qwen3-8b": 16.38,
        "mistral-7b-instruct-v0.3": 14.50, "smollm2-135m-instruct": 0.269,
    }  # fmt: skip
    for name, size in published.items():
        assert SERVED[name].weight_bytes / 1e9 == pytest.approx(size, rel=0.005)


def test_keys_and_values_of_a_token() -> None:
    shape = SERVED["qwen2.5-7b-instruct"].shape
    assert kv_bytes_per_token(shape) == 57_344
    assert kv_bytes_per_token(shape, 2) == 28_672
    assert kv_bytes_per_token(shape, 4) == kv_bytes_per_token(shape, 28) == 14_336
    assert kv_bytes_per_token(shape, width=4) == 114_688


def test_numbers_of_four_bytes() -> None:
    assert [bytes_per_number(dtype) for dtype in ("float32", "float")] == [4, 4]
    assert {bytes_per_number(dtype) for dtype in ("auto", "bfloat16", "float16", "half", None)} == {
        2
    }


def test_every_model_tells_what_a_user_wants_to_know() -> None:
    for name, model in SERVED.items():
        assert name == model.name == name.lower()
        assert model.licence
        assert model.languages
        assert model.description.endswith(".")
        assert (model.kind == "chat") == bool(model.tool_parser)
    assert DEFAULT_SERVED_MODEL in SERVED


def test_finds_by_name_and_repository_and_suggests() -> None:
    model = SERVED["qwen2.5-7b-instruct"]
    assert find_served(" Qwen2.5-7B-Instruct ") == find_served("Qwen/Qwen2.5-7B-Instruct") == model
    with pytest.raises(ModelError, match=r"did you mean qwen3-8b\?"):
        find_served("qwen3-8")
    with pytest.raises(ModelError, match="There is no model ÿ"):
        find_served("ÿ")


def test_a_folder_says_what_it_holds(tmp_path: Path) -> None:
    template = '{"chat_template": "… <tool_call> …"}'
    model = read_folder(lay(tmp_path / "mine", QWEN_7B, tokenizer_config__json=template))
    known = SERVED["qwen2.5-7b-instruct"]
    assert (model.name, model.kind, model.weight_bytes) == ("mine", "chat", 1000)
    assert model.repository == str((tmp_path / "mine").resolve())
    assert (model.shape, model.context) == (known.shape, known.context)
    assert (model.tool_parser, model.reasoning_parser) == ("hermes", "")


def test_a_reasoning_models_folder(tmp_path: Path) -> None:
    config = {**QWEN_7B, "model_type": "qwen3", "head_dim": 64,
              "quantization_config": {"quant_method": "awq"}}  # fmt: skip
    model = read_folder(lay(tmp_path / "a", config, chat_template__jinja="<think> <tool_call>"))
    assert (model.reasoning_parser, model.quantization, model.shape.head_dim) == (
        "qwen3",
        "awq",
        64,
    )


def test_an_encoders_folder_keeps_no_cache(tmp_path: Path) -> None:
    model = read_folder(lay(tmp_path / "e5", E5))
    assert (model.kind, model.context, model.shape.kv_heads) == ("embedding", 512, 0)
    config = {**E5, "architectures": ["XLMRobertaForSequenceClassification"]}
    assert read_folder(lay(tmp_path / "rerank", config)).kind == "rerank"


@pytest.mark.parametrize("key", ["dtype", "torch_dtype"])
def test_weights_stored_in_float32_are_counted_at_two_bytes(tmp_path: Path, key: str) -> None:
    whole = read_folder(lay(tmp_path / "m", {**QWEN_7B, key: "float32"}))
    assert (whole.parameters, whole.weight_bytes) == (250, 500)
    half = read_folder(lay(tmp_path / "m", {**QWEN_7B, key: "bfloat16"}))
    assert (half.parameters, half.weight_bytes) == (500, 1000)


def test_weights_that_are_there_twice_count_once(tmp_path: Path) -> None:
    folder = lay(tmp_path / "m", QWEN_7B, weights=700)
    (folder / "consolidated.safetensors").write_bytes(bytes(700))
    assert read_folder(folder).weight_bytes == 700


def test_a_folder_without_safetensors_is_refused(tmp_path: Path) -> None:
    folder = lay(tmp_path / "m", QWEN_7B)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelFileError, match="no safetensors"):
        read_folder(folder)
    with pytest.raises(ModelFileError, match="There is no folder"):
        read_folder(tmp_path / "none")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 5000, '{"hidden_size": 1}', "\x00"])
def test_a_broken_config_is_one_sentence(tmp_path: Path, text: str) -> None:
    folder = lay(tmp_path / "m", QWEN_7B)
    (folder / "config.json").write_text(text)
    with pytest.raises(ModelFileError, match=r"config\.json"):
        read_folder(folder)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


@given(st.sampled_from([*QWEN_7B, "quantization_config", "head_dim", "dtype"]), json_values)
def test_any_config_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, key: str, value: Any
) -> None:
    folder = lay(tmp_path_factory.mktemp("any"), {**QWEN_7B, key: value})
    try:
        model = read_folder(folder)
    except ModelFileError:
        return
    assert min(model.shape.layers, model.shape.heads, model.shape.head_dim, model.context) > 0


def test_the_rank_of_an_adapter(tmp_path: Path) -> None:
    assert adapter_rank(tmp_path / "elsewhere") is None
    folder = tmp_path / "adapter"
    folder.mkdir()
    for text in ("{}", '{"r": 0}', '{"r": "8"}', '{"r": true}', "no"):
        (folder / "adapter_config.json").write_text(text)
        with pytest.raises(ModelFileError, match=r"adapter_config\.json"):
            adapter_rank(folder)
    (folder / "adapter_config.json").write_text('{"r": 24}')
    with pytest.raises(ModelFileError, match=r"adapter_model\.safetensors"):
        adapter_rank(folder)
    (folder / "adapter_model.safetensors").write_bytes(b"")
    assert adapter_rank(folder) == 24
