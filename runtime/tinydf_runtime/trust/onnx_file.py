"""An ONNX file's bytes -> its metadata, once it is known to be a plain graph with all weights in it, and finite ones.

Parsed from the wire format before ONNX Runtime sees a byte: forbidden content is found by its field, not by a byte
pattern, which could occur in a name or be missed in another encoding. Field numbers are those of onnx.proto3.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from tinydf_runtime.errors import ModelFileError
from tinydf_runtime.trust.reading import RefusedError
from tinydf_runtime.trust.strict import brief

MOST_NUMBER = (1 << 29) - 1
"""Of a field, by the format. Some readers take the lower bits of a larger one."""
MOST_FIELDS = 2_000_000
"""Fields read in one file at most. The shipped classifier has some ten thousand."""

_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5


class WireError(ValueError):
    """The bytes are no message."""


class Wire:
    """Reads the messages of one file in protocol buffers' wire format, and counts their fields to bound the time.

    https://protobuf.dev/programming-guides/encoding. Groups, which no file of ours has, count as damage.
    """

    def __init__(self) -> None:
        """Starts with nothing read."""
        self._left = MOST_FIELDS

    def fields(self, message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
        """Yields number and value of each field: a whole number for a varint, else the field's bytes.

        Raises:
            WireError: The bytes are no message, or the file has too many fields.
        """
        at, end = 0, len(message)
        while at < end:
            self._left -= 1
            if self._left < 0:
                raise WireError(f"more than {MOST_FIELDS:,} fields")
            key, at = _varint(message, at)
            number, kind = key >> 3, key & 7
            if not 0 < number <= MOST_NUMBER:
                raise WireError(f"a field with the number {number}")
            if kind == _VARINT:
                value, at = _varint(message, at)
                yield number, value
                continue
            if kind == _BYTES:
                length, at = _varint(message, at)
            elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
                length = 8 if kind == _EIGHT_BYTES else 4
            else:
                raise WireError(f"a field of kind {kind}")
            if length > end - at:
                raise WireError("a field that goes beyond its message")
            yield number, message[at : at + length]
            at += length


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """Returns a whole number and the place behind it."""
    value = 0
    for place in range(10):
        if at + place >= len(message):
            break
        byte = message[at + place]
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value, at + place + 1
    raise WireError("a number without an end")


MOST_NODES = 20_000
"""Nodes at most; the shipped classifier has a thousand."""
MOST_WEIGHTS = 20_000
"""Tensors at most; of a hundred thousand that it does not need, ONNX Runtime takes minutes to let go."""
MOST_METADATA = 1_000
"""Entries of metadata at most; a file of ours has three."""
DOMAINS = ("", "ai.onnx")
"""Operator sets that ONNX itself defines. Any other is custom code, or known to one engine only."""
CONTROL_FLOW = ("If", "Loop", "Scan", "SequenceMap")
"""Control flow: a loop may never end, and no network of ours has one."""
RANDOM = ("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike")
"""Random operators: the same file would give another verdict each time."""
DROPOUT_INPUTS = 2
"""A third input, the training flag, makes Dropout random too."""

_MODEL_OPSETS, _MODEL_GRAPH, _MODEL_METADATA, _MODEL_TRAINING, _MODEL_FUNCTIONS = 8, 7, 14, 20, 25
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_SPARSE = 1, 5, 15
_NODE_INPUT, _NODE_OPERATOR, _NODE_ATTRIBUTE, _NODE_DOMAIN = 1, 4, 5, 7
_ATTRIBUTE_FLOATS, _ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS, _ATTRIBUTE_SPARSE = (2, 7), (5, 10), (6, 11), (22, 23)
_TENSOR_TYPE, _TENSOR_FLOATS, _TENSOR_WHOLE, _TENSOR_RAW, _TENSOR_DOUBLES = 2, 4, 5, 9, 10
_TENSOR_EXTERNAL, _TENSOR_LOCATION = 13, 14
_RAW_TYPES = {1: "<f4", 10: "<f2", 11: "<f8"}
_FLOAT16, _BFLOAT16, _BFLOAT16_EXPONENT = 10, 16, 0x7F80
_WHOLE_TYPES = (2, 3, 4, 5, 6, 7, 9, 12, 13, 21, 22)
"""Whole numbers and booleans, as TensorProto.DataType counts them."""


def read_onnx(model: bytes, source: str) -> dict[str, str]:
    """Returns the metadata of a model that is fit to be loaded.

    Args:
        model: Content of an ONNX file.
        source: Its name, for the error message.

    Raises:
        ModelFileError: It is no ONNX file, keeps weights elsewhere, has operators that are not ONNX's own, loops,
            functions, too many nodes or weights, or a weight that is no finite number.
    """
    reader = _Reader()
    try:
        metadata = reader.model(memoryview(model))
    except WireError as error:
        raise ModelFileError(
            f"{source}: cannot be loaded as ONNX ({error}). The file may be damaged; copy or export it again."
        ) from error
    except RefusedError as error:
        raise ModelFileError(f"{source}: {error} Export it again, with tinydf-export.") from error
    if not reader.nodes:
        raise ModelFileError(
            f"{source}: cannot be loaded as ONNX (no graph found). The file may be damaged; copy or export it again."
        )
    return metadata


@dataclass(slots=True)
class _Reader:
    """State shared by the messages of one file."""

    wire: Wire = field(default_factory=Wire)
    nodes: int = 0
    weights: int = 0
    entries: int = 0

    def model(self, message: memoryview) -> dict[str, str]:
        metadata: dict[str, str] = {}
        for number, value in self.wire.fields(message):
            if number == _MODEL_GRAPH:
                self._graph(_message(value))
            elif number == _MODEL_METADATA:
                self.entries += 1
                if self.entries > MOST_METADATA:
                    raise RefusedError(f"has more than {MOST_METADATA:,} entries of metadata.")
                entry = {part: _text(one) for part, one in self.wire.fields(_message(value))}
                metadata[entry.get(1, "")] = entry.get(2, "")
            elif number == _MODEL_OPSETS:
                self._check_domains(_message(value), 1)
            elif number in (_MODEL_TRAINING, _MODEL_FUNCTIONS):
                raise RefusedError("has functions or training steps of its own, expected a plain graph.")
        return metadata

    def _graph(self, message: memoryview) -> None:
        for number, value in self.wire.fields(message):
            if number == _GRAPH_NODE:
                self.nodes += 1
                if self.nodes > MOST_NODES:
                    raise RefusedError(f"has more than {MOST_NODES:,} nodes.")
                self._node(_message(value))
            elif number == _GRAPH_INITIALIZER:
                self._tensor(_message(value))
            elif number == _GRAPH_SPARSE:
                raise RefusedError("has sparse weights, expected dense ones.")

    def _node(self, message: memoryview) -> None:
        self._check_domains(message, _NODE_DOMAIN)
        fields = list(self.wire.fields(message))
        operators = {_text(value) for number, value in fields if number == _NODE_OPERATOR}
        trains = sum(number == _NODE_INPUT for number, _ in fields) > DROPOUT_INPUTS
        if refused := operators.intersection(CONTROL_FLOW + RANDOM + (("Dropout",) if trains else ())):
            raise RefusedError(f"has the operator {min(refused)}, expected none that loops, branches or draws lots.")
        for number, value in fields:
            if number == _NODE_ATTRIBUTE:
                self._attribute(_message(value))

    def _attribute(self, message: memoryview) -> None:
        for number, value in self.wire.fields(message):
            if number in _ATTRIBUTE_GRAPHS:
                raise RefusedError("has a graph within its graph, expected no loops or branches.")
            if number in _ATTRIBUTE_SPARSE:
                raise RefusedError("has sparse weights, expected dense ones.")
            if number in _ATTRIBUTE_TENSORS:
                self._tensor(_message(value))
            if number in _ATTRIBUTE_FLOATS and not _finite(_TENSOR_FLOATS, _message(value), 1):
                raise RefusedError("has a number among its settings that is not finite.")

    def _check_domains(self, message: memoryview, place: int) -> None:
        for number, value in self.wire.fields(message):
            if number == place and _text(value) not in DOMAINS:
                raise RefusedError(f"has operators of the domain {brief(_text(value))}, expected ONNX's own alone.")

    def _tensor(self, message: memoryview) -> None:
        self.weights += 1
        if self.weights > MOST_WEIGHTS:
            raise RefusedError(f"has more than {MOST_WEIGHTS:,} weights.")
        kinds: list[int] = []
        contents: list[tuple[int, memoryview]] = []
        whole = False
        for number, value in self.wire.fields(message):
            if number == _TENSOR_EXTERNAL or (number == _TENSOR_LOCATION and value):
                raise RefusedError("keeps weights in other files, expected all in one.")
            if number == _TENSOR_TYPE and isinstance(value, int):
                # An int32, of which readers take the lower bits.
                kinds.append(value & 0xFFFFFFFF)
            elif number in (_TENSOR_FLOATS, _TENSOR_DOUBLES, _TENSOR_RAW):
                contents.append((number, _message(value)))
            whole = whole or number == _TENSOR_WHOLE
        # Repeated scalar field: by the specification the last one counts, but readers differ.
        for kind in set(kinds):
            if kind not in (*_RAW_TYPES, _BFLOAT16, *_WHOLE_TYPES) or (whole and kind in (_FLOAT16, _BFLOAT16)):
                raise RefusedError("has weights in another form than floats of 16 to 64 bits or whole numbers.")
            if not all(_finite(number, content, kind) for number, content in contents):
                raise RefusedError("has a weight that is no finite number.")


def _finite(place: int, content: memoryview, kind: int) -> bool:
    """Returns whether a tensor's content has no NaN and no infinity; whole numbers have none."""
    if place == _TENSOR_RAW and kind == _BFLOAT16:
        exponents = np.frombuffer(content[: len(content) // 2 * 2], "<u2") & _BFLOAT16_EXPONENT
        return bool((exponents != _BFLOAT16_EXPONENT).all())
    name = _RAW_TYPES.get(kind) if place == _TENSOR_RAW else "<f4" if place == _TENSOR_FLOATS else "<f8"
    if name is None:
        return True
    size = np.dtype(name).itemsize
    return bool(np.isfinite(np.frombuffer(content[: len(content) // size * size], name)).all())


def _message(value: int | memoryview) -> memoryview:
    """Returns a field's bytes."""
    if isinstance(value, int):
        raise WireError("a number where a message should be")
    return value


def _text(value: int | memoryview) -> str:
    """Returns a field as text."""
    try:
        return str(_message(value), "utf-8")
    except UnicodeDecodeError as error:
        raise WireError("a text that is no UTF-8") from error
