"""BERT with 8-bit matrix products, as an ONNX graph for ONNX Runtime.

Weights are rounded once, per output channel; activations are rounded as they come, per token:
each token has a scale of its own, so that a vector depends neither on the texts that share its
batch nor on texts for calibration, and outliers of one token cost the others no precision
(Yao et al., ZeroQuant, NeurIPS 2022). Everything between the products stays float32.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from indexes.embedding.onnx_file import MICROSOFT, OnnxGraph

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

INPUTS = ("input_ids", "attention_mask")

# Processors without VNNI add two products of a byte pair in 16 bits, which saturate when weights
# use their whole range: 2 * 255 * 64 < 2**15.
_LARGEST_WEIGHT = 63
_LARGEST_ACTIVATION = 127
_ZERO = 128
_SMALLEST_SCALE = 1e-20


def is_supported(model: "SentenceTransformer") -> bool:
    """Whether `bert_graph` computes what ``model`` does: BERT and the mean over its tokens."""
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling
    from transformers import BertModel

    modules = list(model)
    bert: Any = getattr(modules[0], "auto_model", None)
    if type(bert) is not BertModel or len(modules) < 2 or not isinstance(modules[1], Pooling):
        return False
    pooled_by_mean = modules[1].pooling_mode in ("mean", ("mean",))
    plain = bert.config.hidden_act == "gelu" and not bert.config.is_decoder
    return pooled_by_mean and plain and all(isinstance(m, Normalize) for m in modules[2:])


def bert_graph(model: "SentenceTransformer") -> bytes:
    """The content of an ONNX file: `INPUTS`, int64 (texts, tokens), to float32 (texts, dimension).

    Rows are sums over tokens: they have the direction of the model's vectors, not their length.
    """
    transformer: Any = model[0]
    bert = transformer.auto_model
    weights = {name: tensor.numpy() for name, tensor in bert.state_dict().items()}
    return _Bert(weights, bert.config.num_attention_heads, bert.config.layer_norm_eps).build(
        bert.config.num_hidden_layers
    )


class _Bert:
    def __init__(self, weights: dict[str, NDArray[Any]], heads: int, epsilon: float) -> None:
        self._weights = weights
        self._heads = heads
        self._epsilon = epsilon
        self._graph = OnnxGraph()
        self._largest = self._graph.constant(np.array(_LARGEST_ACTIVATION, dtype=np.float32))
        self._smallest = self._graph.constant(np.array(_SMALLEST_SCALE, dtype=np.float32))
        self._one = self._graph.constant(np.array(1, dtype=np.float32))
        self._zero = self._graph.constant(np.array(_ZERO, dtype=np.uint8))

    def build(self, layers: int) -> bytes:
        graph = self._graph
        ids, mask = (graph.input(name, "int64", ("texts", "tokens")) for name in INPUTS)
        keys = graph.add("Cast", mask, to=6)
        hidden = self._embeddings(ids)
        for layer in range(layers):
            hidden = self._layer(f"encoder.layer.{layer}.", hidden, keys)
        first = graph.constant(np.array([1], dtype=np.int64))
        weights = graph.add("Unsqueeze", graph.add("Cast", mask, to=1), first)
        pooled = graph.add("Squeeze", graph.add("MatMul", weights, hidden), first)
        graph.output(pooled, "float32", ("texts", "dimension"))
        return graph.serialized()

    def _embeddings(self, ids: str) -> str:
        graph, prefix = self._graph, "embeddings."
        words = self._weights[prefix + "word_embeddings.weight"]
        # One text has one segment, so its embedding is part of every position.
        positions = (
            self._weights[prefix + "position_embeddings.weight"]
            + self._weights[prefix + "token_type_embeddings.weight"][0]
        )
        table = graph.constant(words.astype(np.float16))
        found = graph.add("Cast", graph.add("Gather", table, ids), to=1)
        width = graph.add("Shape", ids, start=1, end=2)
        start = graph.constant(np.array([0], dtype=np.int64))
        rows = graph.add("Slice", graph.constant(positions), start, width)
        return self._normalised(prefix, graph.add("Add", found, rows))

    def _layer(self, prefix: str, hidden: str, keys: str) -> str:
        graph = self._graph
        parts = [prefix + f"attention.self.{part}." for part in ("query", "key", "value")]
        biases = np.concatenate([self._weights[part + "bias"] for part in parts])
        attended = graph.add(
            "MultiHeadAttention",
            *self._products(hidden, *parts),
            graph.constant(biases),
            keys,
            domain=MICROSOFT,
            num_heads=self._heads,
        )
        hidden = self._residual(prefix + "attention.output.", attended, hidden)
        (inner,) = self._products(hidden, prefix + "intermediate.dense.")
        bias = self._constants(prefix, "intermediate.dense.bias")
        inner = graph.add("BiasGelu", inner, *bias, domain=MICROSOFT)
        return self._residual(prefix + "output.", inner, hidden)

    def _residual(self, prefix: str, values: str, hidden: str) -> str:
        # Not SkipLayerNormalization: on the CPU it takes several times as long as its parts.
        graph = self._graph
        (product,) = self._products(values, prefix + "dense.")
        (bias,) = self._constants(prefix, "dense.bias")
        return self._normalised(prefix, graph.add("Add", graph.add("Add", product, bias), hidden))

    def _normalised(self, prefix: str, values: str) -> str:
        return self._graph.add(
            "LayerNormalization",
            values,
            *self._constants(prefix, "LayerNorm.weight", "LayerNorm.bias"),
            epsilon=self._epsilon,
        )

    def _products(self, values: str, *linears: str) -> list[str]:
        """``values`` times the weight of each of ``linears``, without their biases."""
        graph = self._graph
        peaks = graph.add("ReduceMax", graph.add("Abs", values), axes=[-1], keepdims=1)
        scales = graph.add("Max", graph.add("Div", peaks, self._largest), self._smallest)
        scaled = graph.add("Div", values, scales)
        rounded = graph.add("QuantizeLinear", scaled, self._one, self._zero)
        return [
            graph.add("Mul", self._product(rounded, self._weights[linear + "weight"]), scales)
            for linear in linears
        ]

    def _product(self, rounded: str, weight: NDArray[Any]) -> str:
        scales = np.abs(weight).max(axis=1) / _LARGEST_WEIGHT
        scales = np.maximum(scales, _SMALLEST_SCALE).astype(np.float32)
        levels = np.rint(weight / scales[:, None]).astype(np.int8)
        return self._graph.add(
            "MatMulIntegerToFloat",
            rounded,
            self._graph.constant(np.ascontiguousarray(levels.T)),
            self._one,
            self._graph.constant(scales),
            self._zero,
            domain=MICROSOFT,
        )

    def _constants(self, prefix: str, *names: str) -> list[str]:
        return [self._graph.constant(self._weights[prefix + name]) for name in names]
