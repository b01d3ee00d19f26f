"""What vLLM is told: it fits by the plan's own account, on whatever there is."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexes.errors import ModelError, UsageError, WaggleError
from rag.serving.hardware import GIB, MIB, Gpu, Hardware, Instructions
from rag.serving.layout import Wish, lay_out
from rag.serving.memory import (
    LORA_RANKS,
    budget,
    lora_bytes,
    reserve,
    tensor_sizes,
    usable,
    utilisation,
)
from rag.serving.models import SERVED, ServedModel, kv_bytes_per_token
from rag.serving.plan import ServeOptions, ServePlan, plan

QWEN = SERVED["qwen2.5-7b-instruct"]
RTX_4090 = Gpu(0, "NVIDIA GeForce RTX 4090", 24564 * MIB, 300 * MIB, 8.9)


def machine(
    *gpus: Gpu, memory: int = 64 * GIB, instructions: Instructions = "x86-avx512"
) -> Hardware:
    return Hardware(gpus=gpus, memory=memory, cpus=8, instructions=instructions)


def cards(count: int, gigabytes: float, used: int = 0) -> tuple[Gpu, ...]:
    return tuple(Gpu(n, f"GPU of {gigabytes} GB", int(gigabytes * GIB), used) for n in range(count))


def value(planned: ServePlan, flag: str) -> str:
    return planned.arguments[planned.arguments.index(flag) + 1]


# -- the usual cases ---------------------------------------------------------------------------


def test_seven_billion_on_one_card_of_24_gb() -> None:
    planned = plan(QWEN, machine(RTX_4090), ServeOptions())
    assert planned.arguments == (
        "--model", "Qwen/Qwen2.5-7B-Instruct", "--served-model-name", "qwen2.5-7b-instruct",
        "--host", "127.0.0.1", "--port", "8000", "--load-format", "safetensors",
        "--max-model-len", "32768", "--gpu-memory-utilization", "0.92",
        "--enable-prefix-caching", "--enable-auto-tool-choice", "--tool-call-parser", "hermes",
    )  # fmt: skip
    assert dict(planned.environment) == {"VLLM_NO_USAGE_STATS": "1"}
    assert (planned.context, planned.tensor_parallel, planned.notes) == (32_768, 1, ())


def test_the_context_is_cut_and_that_is_said() -> None:
    planned = plan(SERVED["qwen3-8b"], machine(RTX_4090), ServeOptions())
    assert planned.context % 1024 == 0
    assert 16_384 < planned.context < 40_960
    assert planned.notes[0] == (
        f"The context was cut from 40,960 to {planned.context:,} tokens to fit "
        "NVIDIA GeForce RTX 4090."
    )
    assert value(planned, "--reasoning-parser") == "qwen3"


def test_what_does_not_fit_says_what_does() -> None:
    with pytest.raises(ModelError) as caught:
        plan(SERVED["qwen2.5-14b-instruct"], machine(RTX_4090), ServeOptions())
    assert "needs 30.9 GB per GPU" in str(caught.value)
    assert "qwen2.5-14b-instruct-awq fits" in str(caught.value)
    with pytest.raises(ModelError, match="a smaller model"):
        plan(SERVED["smollm2-135m-instruct"], machine(*cards(1, 1)), ServeOptions())


def test_a_context_asked_for_is_kept_or_refused() -> None:
    assert plan(QWEN, machine(RTX_4090), ServeOptions(context=3000)).context == 3000
    with pytest.raises(ModelError, match=r"30,000 tokens; [\d,]+ fit"):
        plan(SERVED["qwen3-8b"], machine(*cards(1, 22)), ServeOptions(context=30_000))
    with pytest.raises(UsageError, match="at most 32,768 tokens"):
        plan(QWEN, machine(RTX_4090), ServeOptions(context=32_769))
    with pytest.raises(UsageError, match="at most 32,768 tokens"):
        plan(QWEN, machine(), ServeOptions(context=32_769))


def test_splits_over_as_few_gpus_as_hold_it() -> None:
    planned = plan(SERVED["qwen2.5-14b-instruct"], machine(*cards(4, 24)), ServeOptions())
    assert value(planned, "--tensor-parallel-size") == "2"
    assert planned.environment["CUDA_VISIBLE_DEVICES"] == "0,1"
    assert planned.environment["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    assert "GPUs left free: 2." in planned.notes[0]


def test_uses_the_gpus_asked_for_and_copies() -> None:
    assert plan(QWEN, machine(*cards(4, 24)), ServeOptions(gpus=4)).tensor_parallel == 4
    copied = plan(QWEN, machine(*cards(4, 24)), ServeOptions(replicas=4))
    assert value(copied, "--data-parallel-size") == "4"
    assert (copied.tensor_parallel, copied.replicas) == (1, 4)
    both = plan(QWEN, machine(*cards(4, 24)), ServeOptions(gpus=4, replicas=2))
    assert (both.tensor_parallel, both.replicas) == (2, 2)
    with pytest.raises(UsageError, match="GPUs wanted: 5; GPUs here: 4"):
        plan(QWEN, machine(*cards(4, 24)), ServeOptions(gpus=5))
    with pytest.raises(UsageError, match="5 replicas"):
        plan(QWEN, machine(*cards(4, 24)), ServeOptions(replicas=5))


def test_takes_the_gpu_that_is_free_and_what_is_left_of_it() -> None:
    busy, free = replace(RTX_4090, used=20 * GIB), replace(RTX_4090, index=1)
    assert (
        plan(QWEN, machine(busy, free), ServeOptions()).environment["CUDA_VISIBLE_DEVICES"] == "1"
    )
    half = replace(RTX_4090, used=12 * GIB)
    planned = plan(SERVED["qwen2.5-7b-instruct-awq"], machine(half), ServeOptions())
    assert value(planned, "--gpu-memory-utilization") == "0.48"
    assert "vLLM gets 48 % of it" in planned.notes[0]
    with pytest.raises(ModelError):
        plan(QWEN, machine(replace(RTX_4090, used=RTX_4090.memory)), ServeOptions())


def test_an_old_gpu_gets_float16() -> None:
    t4 = Gpu(0, "Tesla T4", 15360 * MIB, 0, 7.5)
    planned = plan(SERVED["qwen2.5-7b-instruct-awq"], machine(t4), ServeOptions())
    assert value(planned, "--dtype") == "float16"
    assert "This GPU does not compute in bfloat16, so float16 is used." in planned.notes
    assert "--dtype" not in plan(QWEN, machine(RTX_4090), ServeOptions()).arguments
    assert value(plan(QWEN, machine(RTX_4090), ServeOptions(dtype="half")), "--dtype") == "half"


def test_embedding_and_reranking_models_pool() -> None:
    for name in ("multilingual-e5-large", "bge-reranker-v2-m3"):
        planned = plan(SERVED[name], machine(RTX_4090), ServeOptions(port=8001))
        assert value(planned, "--runner") == "pooling"
        assert not {"--enable-prefix-caching", "--tool-call-parser"} & set(planned.arguments)
        assert planned.context == SERVED[name].context
    with pytest.raises(UsageError, match="takes no adapters"):
        plan(SERVED[name], machine(RTX_4090), ServeOptions(loras=(("a", "/a"),)))


def test_mistral_is_loaded_by_its_own_loader() -> None:
    planned = plan(SERVED["mistral-7b-instruct-v0.3"], machine(RTX_4090), ServeOptions())
    assert "--load-format" not in planned.arguments
    assert value(planned, "--tool-call-parser") == "mistral"


def test_without_a_gpu_it_computes_on_the_processor() -> None:
    planned = plan(SERVED["smollm2-135m-instruct"], machine(), ServeOptions())
    assert value(planned, "--dtype") == "bfloat16"
    assert "--enforce-eager" in planned.arguments
    assert "--gpu-memory-utilization" not in planned.arguments
    assert planned.environment["VLLM_CPU_KVCACHE_SPACE"] == "1"
    assert not planned.gpu
    assert len(planned.notes) == 1
    assert "waggle models pull" in planned.notes[0]
    assert not plan(QWEN, machine(RTX_4090), ServeOptions(gpus=0)).gpu
    with pytest.raises(ModelError, match=r"of memory, and 8 GB are free"):
        plan(QWEN, machine(memory=8 * GIB), ServeOptions())
    with pytest.raises(ModelError, match="no GPU here"):
        plan(QWEN, machine(), ServeOptions(replicas=2))


@pytest.mark.parametrize(
    ("instructions", "dtype", "note"),
    [
        ("x86", "float32", "so float32 is used"),
        ("arm", "float32", "so float32 is used"),
        ("x86-avx512", "bfloat16", ""),
        ("arm-bf16", "bfloat16", ""),
        ("", "bfloat16", "--dtype float32 may be faster"),
    ],
)
def test_a_processor_computes_in_what_it_is_quick_in(
    instructions: Instructions, dtype: str, note: str
) -> None:
    here = machine(instructions=instructions)
    for name in ("smollm2-135m-instruct", "multilingual-e5-large"):
        planned = plan(SERVED[name], here, ServeOptions())
        assert planned.arguments.count("--dtype") == 1
        assert value(planned, "--dtype") == dtype
        assert bool(note) == (len(planned.notes) > 1)
        assert note in planned.notes[-1]
    for chosen in ("bfloat16", "float16", "auto", "float"):
        planned = plan(SERVED[name], here, ServeOptions(dtype=chosen))
        assert value(planned, "--dtype") == chosen
        assert len(planned.notes) == 1


def test_float32_takes_twice_the_memory_of_a_processors_machine() -> None:
    """Of 33 GB, 15.2 GB of weights in bfloat16 leave room for the whole context, in float32 for
    none; of 36 GB for a part."""
    options, forced = ServeOptions(), ServeOptions(dtype="float32")
    short = machine(memory=32 * GIB, instructions="x86")
    planned = plan(QWEN, short, options)
    assert (value(planned, "--dtype"), planned.context) == ("bfloat16", 32_768)
    assert "no room for float32" in planned.notes[1]
    with pytest.raises(ModelError, match=r"needs 32\.[0-9] GB of memory, and 32 GB are free"):
        plan(QWEN, short, forced)
    for chosen in (options, forced):
        planned = plan(QWEN, machine(memory=34 * GIB, instructions="x86"), chosen)
        assert value(planned, "--dtype") == "float32"
        assert 4096 <= planned.context < 32_768
        assert f"The context is {planned.context:,} tokens, of the model's 32,768." in planned.notes


def test_the_cache_of_a_processor_holds_four_contexts_in_either_type() -> None:
    """28,672 bytes a token in bfloat16, for 4 times 32,768 tokens: 3.5 GiB, and 7 in float32."""
    model = SERVED["qwen2.5-1.5b-instruct"]
    sizes = [
        plan(model, machine(), ServeOptions(dtype=dtype)).environment["VLLM_CPU_KVCACHE_SPACE"]
        for dtype in ("bfloat16", "float32")
    ]
    assert sizes == ["4", "7"]


def test_float32_takes_twice_the_memory_of_a_gpu() -> None:
    card = Gpu(0, "A GPU", 36 * GIB, 0, 8.0)
    half, whole = (plan(QWEN, machine(card), ServeOptions(dtype=d)) for d in (None, "float32"))
    assert value(whole, "--dtype") == "float32"
    assert half.context == 32_768 > whole.context
    with pytest.raises(ModelError, match=r"qwen2\.5-1\.5b-instruct fits"):
        plan(QWEN, machine(RTX_4090), ServeOptions(dtype="float"))
    two, four = (budget(QWEN, 80 * GIB, lora_rank=16, loras=2, width=w) for w in (2, 4))
    assert (four.weights, four.adapters, four.kv_per_token) == (
        2 * two.weights, 2 * two.adapters, 2 * two.kv_per_token,
    )  # fmt: skip
    assert four.reserve > two.reserve


def test_quantised_models_are_computed_in_16_bits() -> None:
    awq = SERVED["qwen2.5-7b-instruct-awq"]
    for here in (machine(RTX_4090), machine()):
        for dtype in ("float32", "float"):
            with pytest.raises(UsageError, match=r"is quantised \(awq\), and computed in 16 bits"):
                plan(awq, here, ServeOptions(dtype=dtype))
    with pytest.raises(ModelError, match="processors with AVX-512 only"):
        plan(awq, machine(instructions="x86"), ServeOptions())
    other = replace(QWEN, quantization="compressed-tensors")
    planned = plan(other, machine(instructions="x86"), ServeOptions())
    assert value(planned, "--dtype") == "bfloat16"


def test_adapters(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text('{"r": 24}')
    (tmp_path / "adapter_model.safetensors").write_bytes(b"")
    options = ServeOptions(loras=(("law", str(tmp_path)), ("tax", "/not/here,really")))
    planned = plan(QWEN, machine(RTX_4090), options)
    assert planned.arguments[-8:] == (
        "--enable-lora", "--max-loras", "2", "--max-lora-rank", "64", "--lora-modules",
        f"law={tmp_path}", '{"name": "tax", "path": "/not/here,really"}',
    )  # fmt: skip
    assert "The adapter /not/here,really is not on this machine" in planned.notes[-1]
    (tmp_path / "adapter_config.json").write_text('{"r": 513}')
    with pytest.raises(ModelError, match="so high a rank as law"):
        plan(QWEN, machine(RTX_4090), options)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (ServeOptions(host="0.0.0.0"), "this machine only, not at 0.0.0.0"),
        (ServeOptions(host="192.168.1.2"), "administrative routes"),
        (ServeOptions(host="::"), "this machine only"),
        (ServeOptions(host="example.org"), "this machine only"),
        (ServeOptions(port=0), "0 is no port"),
        (ServeOptions(port=65_536), "65536 is no port"),
        (ServeOptions(dtype="int8"), "«int8» is not among auto, bfloat16"),
        (ServeOptions(context=3), "too short"),
    ],
)
def test_refuses_what_cannot_be(options: ServeOptions, sentence: str) -> None:
    for hardware in (machine(RTX_4090), machine()):
        with pytest.raises(UsageError, match=sentence):
            plan(QWEN, hardware, options)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.1.2.3"])
def test_serves_to_the_loopback(host: str) -> None:
    assert value(plan(QWEN, machine(RTX_4090), ServeOptions(host=host)), "--host") == host


def test_a_folder_is_served_without_asking_a_hub(tmp_path: Path) -> None:
    config = {
        "architectures": ["LlamaForCausalLM"], "hidden_size": 576, "intermediate_size": 1536,
        "num_attention_heads": 9, "num_hidden_layers": 30, "num_key_value_heads": 3,
        "max_position_embeddings": 8192, "vocab_size": 49152,
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").write_bytes(bytes(64))
    planned = plan(str(tmp_path), machine(), ServeOptions())
    assert value(planned, "--model") == str(tmp_path.resolve())
    assert planned.environment["HF_HUB_OFFLINE"] == "1"
    assert "answers without tools" in planned.notes[-1]


# -- for all machines --------------------------------------------------------------------------

gpu_sizes = st.integers(2 * GIB, 200 * GIB)
machines = st.builds(
    lambda sizes, used: tuple(
        Gpu(n, "GPU", size, min(size, used * MIB)) for n, size in enumerate(sizes)
    ),
    st.lists(gpu_sizes, min_size=1, max_size=9) | gpu_sizes.map(lambda size: [size] * 8),
    st.integers(0, 90_000),
)
models = st.sampled_from(sorted(SERVED.values(), key=lambda model: model.name))
wishes = st.builds(
    ServeOptions,
    context=st.none() | st.integers(256, 50_000),
    gpus=st.none() | st.integers(0, 9),
    replicas=st.none() | st.integers(1, 4),
)


@given(models, machines, wishes)
def test_a_plan_keeps_within_the_memory_it_counts(
    model: ServedModel, gpus: tuple[Gpu, ...], options: ServeOptions
) -> None:
    hardware = Hardware(gpus=gpus, memory=500 * GIB, cpus=8)
    try:
        planned = plan(model, hardware, options)
    except WaggleError:
        return
    assert planned.context <= model.context
    assert options.context in (None, planned.context)
    if not planned.gpu:
        return
    size, share = planned.tensor_parallel, float(value(planned, "--gpu-memory-utilization"))
    visible = planned.environment.get("CUDA_VISIBLE_DEVICES")
    chosen = gpus if visible is None else [gpus[int(number)] for number in visible.split(",")]
    assert len(chosen) == size * planned.replicas
    shape = model.shape
    assert shape.heads % size == 0
    assert not shape.kv_heads or shape.kv_heads % size == 0 or size % shape.kv_heads == 0
    needed = model.weight_bytes / size + reserve(shape)
    needed += planned.context * kv_bytes_per_token(shape, size)
    for gpu in chosen:
        assert share * gpu.memory <= gpu.free
        assert needed <= share * gpu.memory + 1


@given(models, st.integers(1, 8), gpu_sizes, st.integers(0, 50 * GIB))
def test_more_memory_is_never_less_context(
    model: ServedModel, count: int, size: int, more: int
) -> None:
    def context(memory: int) -> int:
        gpus = [Gpu(n, "GPU", memory) for n in range(count)]
        try:
            return lay_out(model, gpus, Wish()).context
        except ModelError:
            return 0

    assert context(size) <= context(size + more)


@given(models, st.integers(1, 32))
def test_matrices_are_split_evenly(model: ServedModel, most: int) -> None:
    sizes = tensor_sizes(model, most)
    assert sizes[0] == 1
    for size in sizes:
        group = 128 if model.quantization else 1
        assert model.shape.intermediate % (size * group) == model.shape.heads % size == 0


def test_quantised_matrices_are_split_by_whole_groups() -> None:
    """18,944 is 148 groups of 128, which 8 does not divide; the whole model's heads forbid it too.
    13,824 is 108 groups, which 4 divides and 8 does not, though the 40 heads would allow it."""
    assert tensor_sizes(SERVED["qwen2.5-14b-instruct"], 8) == (1, 2, 4, 8)
    assert tensor_sizes(SERVED["qwen2.5-14b-instruct-awq"], 8) == (1, 2, 4)


def test_a_pipeline_shares_layers_and_cache() -> None:
    whole = budget(QWEN, 20 * GIB)
    halved = budget(QWEN, 20 * GIB, pipeline_parallel=2)
    assert whole.weights / 2 < halved.weights < whole.weights * 0.65
    assert halved.kv_per_token * 2 == whole.kv_per_token


@given(st.integers(1, 300 * GIB), st.floats(0, 1))
def test_vllm_is_never_told_to_take_more_than_is_free(memory: int, part: float) -> None:
    free = int(memory * part)
    share = utilisation(memory, free)
    assert 0 <= share <= 0.92
    assert share * memory <= free
    assert usable(memory, share) <= share * memory


def test_an_adapters_slot() -> None:
    """Rank 16 on all matrices of the 7B model: 40.4 million weights, as peft counts them."""
    assert lora_bytes(QWEN.shape, 16) == 2 * 40_370_176
    assert LORA_RANKS == (1, 8, 16, 32, 64, 128, 256, 320, 512)
