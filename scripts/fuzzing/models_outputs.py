"""Networks that give or take what they may not: other numbers, shapes and types, operators of other domains."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from fuzzing.case import REFUSED, Case
from fuzzing.networks import sealed, shipped, small

_F = TensorProto.FLOAT

_VALUES = {"7": 7.0, "minus3": -3.0, "1e38": 1e38, "nan": np.nan, "inf": np.inf, "minus_inf": -np.inf, "1_001": 1.001}


def cases(seed: int) -> Iterator[Case]:
    """Yields networks whose metadata is in order."""
    for word, value in _VALUES.items():
        yield _case(f"probability_{word}", "outputs", partial(_offset, "good_probability", value))
        yield _case(f"map_{word}", "outputs", partial(_offset, "good_map", value))
        for output in ("scores", "boxes_xyxy", "landmarks"):
            # A box or landmark of another value is a number that pictures are held against, and means no harm.
            codes = REFUSED if output == "scores" or not np.isfinite(value) else (0, 6)
            make = partial(_shifted_detector, output, value)
            yield Case(f"detector_{output}_{word}.onnx", "detector outputs", make, "detector", codes)
    for word, nodes in _SHAPES.items():
        # A map may be of any size.
        codes = (0, 6) if word == "map_smaller" else REFUSED
        which: dict[str, Any] = {"forgery_map": "odd"} if word.startswith("map") else {"probability": "odd"}
        yield _case(f"shape_{word}", "output shapes", partial(_small, nodes, **which), codes)
    for word, outputs in _DECLARED.items():
        # Where the engine finds out the true sides by itself, what comes out is right whatever was said.
        codes = REFUSED if word in ("no_map", "no_probability", "nothing") else (0, 6)
        yield _case(f"declared_{word}", "declared outputs", partial(_declared, outputs), codes)
    for word, kind, shape in _INPUTS:
        yield _case(f"input_{word}", "inputs", partial(_with_input, kind, shape))
    for domain in (
        "ai.evil",
        "com.microsoft",
        "com.microsoft.nchwc",
        "ai.onnx.ml",
        "ai.onnx.preview.training",
        "x" * 5000,
    ):
        for operator in ("Gelu", "PyOp", "Identity"):
            yield _case(f"domain_{domain[:24]}_{operator}", "custom domain", partial(_custom, domain, operator))


def _case(word: str, group: str, make: Callable[[], bytes], codes: tuple[int, ...] = REFUSED) -> Case:
    return Case(f"graph_{word}.onnx", group, make, "classifier", codes)


def _small(nodes: list[NodeProto], **which: Any) -> bytes:
    return sealed(small(nodes, constants=_CONSTANTS, **which))


def _offset(tensor: str, value: float) -> bytes:
    """Returns a classifier that gives one value, whatever it sees."""
    nodes = [
        helper.make_node("Mul", [tensor, "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "value"], ["odd"]),
    ]
    constants = {"zero": np.array(0, np.float32), "value": np.array(value, np.float32)}
    which: dict[str, Any] = {"probability": "odd"} if tensor == "good_probability" else {"forgery_map": "odd"}
    return sealed(small(nodes, constants=constants, **which))


def _shifted_detector(output: str, value: float) -> bytes:
    """Returns the shipped detector with one output shifted."""
    model = shipped(classifier=False)
    for node in model.graph.node:
        for place, name in enumerate(node.output):
            if name == output:
                node.output[place] = "before"
        for place, name in enumerate(node.input):
            if name == output:
                node.input[place] = "before"
    model.graph.initializer.append(numpy_helper.from_array(np.array(value, np.float32), "shift"))
    model.graph.node.append(helper.make_node("Add", ["before", "shift"], [output]))
    return sealed(model)


_CONSTANTS: dict[str, np.ndarray] = {
    "axis_0": np.array([0], np.int64),
    "axis_1": np.array([1], np.int64),
    "no_row": np.array([0], np.int64),
    "row": np.array([0], np.int64),
    "minus_1": np.array([-1], np.int64),
    "halves": np.array([0.5, 0.5], np.float32),
}

_SHAPES: dict[str, list[NodeProto]] = {
    "column": [helper.make_node("Unsqueeze", ["good_probability", "axis_1"], ["odd"])],
    "scalar": [helper.make_node("ReduceMean", ["good_probability", "axis_0"], ["odd"], keepdims=0)],
    "more": [helper.make_node("Concat", ["good_probability", "good_probability"], ["odd"], axis=0)],
    "none": [helper.make_node("Slice", ["good_probability", "no_row", "no_row"], ["odd"])],
    "two": [helper.make_node("Identity", ["halves"], ["odd"])],
    "double": [helper.make_node("Cast", ["good_probability"], ["odd"], to=TensorProto.DOUBLE)],
    "half": [helper.make_node("Cast", ["good_probability"], ["odd"], to=TensorProto.FLOAT16)],
    "whole": [helper.make_node("Cast", ["good_probability"], ["odd"], to=TensorProto.INT64)],
    "flags": [helper.make_node("Cast", ["good_probability"], ["odd"], to=TensorProto.BOOL)],
    "words": [helper.make_node("Cast", ["good_probability"], ["odd"], to=TensorProto.STRING)],
    "sequence": [helper.make_node("SequenceConstruct", ["good_probability"], ["odd"])],
    "map_flat": [helper.make_node("Flatten", ["good_map"], ["odd"])],
    "map_deeper": [helper.make_node("Unsqueeze", ["good_map", "axis_1"], ["odd"])],
    "map_smaller": [helper.make_node("MaxPool", ["good_map"], ["odd"], kernel_shape=[2], strides=[2])],
    "map_turned": [helper.make_node("Transpose", ["good_map"], ["odd"], perm=[1, 0, 2])],
    "map_double": [helper.make_node("Cast", ["good_map"], ["odd"], to=TensorProto.DOUBLE)],
}

_DECLARED: dict[str, list[onnx.ValueInfoProto]] = {
    "no_map": [helper.make_tensor_value_info("fake_probability", _F, ["n"])],
    "no_probability": [helper.make_tensor_value_info("forgery_map", _F, ["n", 14, 14])],
    "free_map": [
        helper.make_tensor_value_info("fake_probability", _F, ["n"]),
        helper.make_tensor_value_info("forgery_map", _F, ["n", "h", "w"]),
    ],
    "huge_map": [
        helper.make_tensor_value_info("fake_probability", _F, ["n"]),
        helper.make_tensor_value_info("forgery_map", _F, ["n", 1 << 40, 1 << 40]),
    ],
    "negative_map": [
        helper.make_tensor_value_info("fake_probability", _F, ["n"]),
        helper.make_tensor_value_info("forgery_map", _F, ["n", -14, -14]),
    ],
    "no_rank": [
        helper.make_tensor_value_info("fake_probability", _F, None),
        helper.make_tensor_value_info("forgery_map", _F, None),
    ],
    "nothing": [helper.make_tensor_value_info("per_level", _F, [])],
}


def _declared(outputs: list[onnx.ValueInfoProto]) -> bytes:
    return sealed(small(outputs=outputs))


_INPUTS: tuple[tuple[str, int, Sequence[int | str] | None], ...] = (
    ("floats", TensorProto.FLOAT, ["n", 3, 224, 224]),
    ("other_side", TensorProto.UINT8, ["n", 3, 225, 224]),
    ("free_side", TensorProto.UINT8, ["n", 3, "h", "w"]),
    ("channels_last", TensorProto.UINT8, ["n", 224, 224, 3]),
    ("fixed_batch", TensorProto.UINT8, [7, 3, 224, 224]),
    ("words", TensorProto.STRING, ["n", 3, 224, 224]),
    ("no_rank", TensorProto.UINT8, None),
)


def _with_input(kind: int, shape: Sequence[int | str] | None) -> bytes:
    model = small()
    model.graph.input[0].CopyFrom(helper.make_tensor_value_info("image", kind, shape))
    return sealed(model)


def _custom(domain: str, operator: str) -> bytes:
    model = small([helper.make_node(operator, ["good_probability"], ["odd"], domain=domain)], "odd")
    model.opset_import.append(helper.make_opsetid(domain, 1))
    return sealed(model)
