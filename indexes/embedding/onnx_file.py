"""Writing an ONNX model: the part of ``onnx.proto`` that `indexes.embedding.int8` needs.

The field numbers are those of https://github.com/onnx/onnx/blob/main/onnx/onnx.proto, the encoding
that of https://protobuf.dev/programming-guides/encoding. The ``onnx`` package does this as well;
it would be one more dependency for every user, for one file that is written once.
"""

import struct
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

MICROSOFT = "com.microsoft"
"""The domain of ONNX Runtime's own operators."""

_IR_VERSION = 8
_OPSETS = (("", 17), (MICROSOFT, 1))
_ELEMENT_TYPES = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6, "int64": 7, "float16": 10}
_FLOAT, _INT, _INTS = 1, 2, 7  # AttributeProto.AttributeType
_VARINT, _BYTES, _FIXED32 = 0, 2, 5  # wire types


class OnnxGraph:
    """A graph under construction. Tensors are named by strings; `add` and `constant` return one."""

    def __init__(self) -> None:
        self._nodes: list[bytes] = []
        self._constants: list[bytes] = []
        self._inputs: list[bytes] = []
        self._outputs: list[bytes] = []
        self._count = 0

    def input(self, name: str, element: str, shape: Iterable[str | int]) -> str:
        """Declare an input; a dimension named by a string may have any size."""
        self._inputs.append(_value_info(name, element, shape))
        return name

    def output(self, name: str, element: str, shape: Iterable[str | int]) -> None:
        """Declare an output."""
        self._outputs.append(_value_info(name, element, shape))

    def constant(self, values: NDArray[Any]) -> str:
        """A tensor that is stored in the file, in the type of ``values``."""
        name = self._next_name()
        little_endian = np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<")))
        self._constants.append(
            b"".join(_integer(1, size) for size in values.shape)
            + _integer(2, _ELEMENT_TYPES[values.dtype.name])
            + _text(8, name)
            + _field(9, little_endian.tobytes())
        )
        return name

    def add(
        self, operator: str, *inputs: str, domain: str = "", **attributes: float | list[int]
    ) -> str:
        """Append a node with one output. An empty input name leaves an optional input out."""
        name = self._next_name()
        self._nodes.append(
            b"".join(_text(1, tensor) for tensor in inputs)
            + _text(2, name)
            + _text(4, operator)
            + b"".join(_field(5, _attribute(key, attributes[key])) for key in attributes)
            + _text(7, domain)
        )
        return name

    def serialized(self) -> bytes:
        """The model as the content of an ``.onnx`` file."""
        graph = (
            b"".join(_field(1, node) for node in self._nodes)
            + _text(2, "graph")
            + b"".join(_field(5, tensor) for tensor in self._constants)
            + b"".join(_field(11, value) for value in self._inputs)
            + b"".join(_field(12, value) for value in self._outputs)
        )
        opsets = (_text(1, domain) + _integer(2, version) for domain, version in _OPSETS)
        return (
            _integer(1, _IR_VERSION)
            + _field(7, graph)
            + b"".join(_field(8, opset) for opset in opsets)
        )

    def _next_name(self) -> str:
        self._count += 1
        return f"t{self._count}"


def _value_info(name: str, element: str, shape: Iterable[str | int]) -> bytes:
    sizes = (_text(2, size) if isinstance(size, str) else _integer(1, size) for size in shape)
    tensor = _integer(1, _ELEMENT_TYPES[element]) + _field(
        2, b"".join(_field(1, size) for size in sizes)
    )
    return _text(1, name) + _field(2, _field(1, tensor))


def _attribute(name: str, value: float | list[int]) -> bytes:
    if isinstance(value, list):
        body = b"".join(_integer(8, number) for number in value) + _integer(20, _INTS)
    elif isinstance(value, int):
        body = _integer(3, value) + _integer(20, _INT)
    else:
        body = _varint(2 << 3 | _FIXED32) + struct.pack("<f", value) + _integer(20, _FLOAT)
    return _text(1, name) + body


def _text(number: int, value: str) -> bytes:
    return _field(number, value.encode())


def _field(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(value)) + value


def _integer(number: int, value: int) -> bytes:
    return _varint(number << 3 | _VARINT) + _varint(value & (1 << 64) - 1)


def _varint(value: int) -> bytes:
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)
