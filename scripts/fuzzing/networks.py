"""Networks to be spoilt: the shipped ones, and one of a few nodes that carries the shipped classifier's facts."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from tinydf_runtime.models.seal import BLANK_SEAL, SEAL_KEY, seal
from tinydf_runtime.models.shipped import DEFAULT_DETECTOR, DEFAULT_MODEL

SPEC_KEY, GOLDEN_KEY, DETECTOR_KEY = "tinydf", "tinydf.golden", "tinydf.detector"
Change = Callable[[onnx.ModelProto], None]


@cache
def _classifier() -> bytes:
    return DEFAULT_MODEL.read_bytes()


@cache
def _detector() -> bytes:
    return DEFAULT_DETECTOR.read_bytes()


def shipped(classifier: bool = True) -> onnx.ModelProto:
    """Returns a shipped network."""
    return onnx.load_from_string(_classifier() if classifier else _detector())


@cache
def facts_text(classifier: bool = True) -> str:
    """Returns what a shipped network says about itself, as JSON; without golden crops, which the small one misses."""
    key = SPEC_KEY if classifier else DETECTOR_KEY
    facts = json.loads(next(entry.value for entry in shipped(classifier).metadata_props if entry.key == key))
    if classifier:
        facts |= {"golden_probability": [], "golden_sha256": "", "proof": {}}
    return json.dumps(facts, sort_keys=True)


def facts(classifier: bool = True) -> dict[str, Any]:
    """Returns the same as values."""
    found: dict[str, Any] = json.loads(facts_text(classifier))
    return found


def sealed(model: onnx.ModelProto) -> bytes:
    """Returns a model's file with a new seal: whoever writes a model can seal it."""
    for at in reversed([place for place, entry in enumerate(model.metadata_props) if entry.key == SEAL_KEY]):
        del model.metadata_props[at]
    model.metadata_props.add(key=SEAL_KEY, value=BLANK_SEAL)
    return seal(model.SerializeToString())


def unsealed(model: onnx.ModelProto) -> bytes:
    """Returns a model's file without its seal."""
    for at in reversed([place for place, entry in enumerate(model.metadata_props) if entry.key == SEAL_KEY]):
        del model.metadata_props[at]
    return bytes(model.SerializeToString())


def small(
    nodes: Sequence[NodeProto] = (),
    probability: str = "good_probability",
    forgery_map: str = "good_map",
    constants: Mapping[str, np.ndarray] | None = None,
    outputs: Sequence[onnx.ValueInfoProto] | None = None,
    metadata: Mapping[str, str] | None = None,
) -> onnx.ModelProto:
    """Returns a classifier whose probability is a crop's mean of green.

    Args:
        nodes: Further nodes; they see ``unit`` (N x 3 x 224 x 224, 0..1), ``good_probability`` and ``good_map``.
        probability: Tensor that is given out as ``fake_probability``.
        forgery_map: Tensor that is given out as ``forgery_map``.
        constants: Further initializers.
        outputs: What the outputs are said to be.
        metadata: What it says about itself; default: as the shipped one.
    """
    all_nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["pixels", "per_level"], ["unit"]),
        helper.make_node("Gather", ["unit", "green"], ["green_plane"], axis=1),
        helper.make_node("ReduceMean", ["green_plane", "plane_axes"], ["good_probability"], keepdims=0),
        helper.make_node("AveragePool", ["unit"], ["cells"], kernel_shape=[16, 16], strides=[16, 16]),
        helper.make_node("ReduceMean", ["cells", "colour_axis"], ["good_map"], keepdims=0),
        *nodes,
        helper.make_node("Identity", [probability], ["fake_probability"]),
        helper.make_node("Identity", [forgery_map], ["forgery_map"]),
    ]
    values: dict[str, np.ndarray] = {
        "per_level": np.array(1 / 255, np.float32),
        "green": np.array(1, np.int64),
        "plane_axes": np.array([1, 2], np.int64),
        "colour_axis": np.array([1], np.int64),
        **(constants or {}),
    }
    graph = helper.make_graph(
        all_nodes,
        "small",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", 3, 224, 224])],
        outputs
        or [
            helper.make_tensor_value_info("fake_probability", TensorProto.FLOAT, ["n"]),
            helper.make_tensor_value_info("forgery_map", TensorProto.FLOAT, ["n", 14, 14]),
        ],
        [numpy_helper.from_array(value, name) for name, value in values.items()],
    )
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 18)])
    helper.set_model_props(model, dict({SPEC_KEY: facts_text()} if metadata is None else metadata))
    return model


def described(text: str, key: str = SPEC_KEY, golden: str | None = None) -> bytes:
    """Returns the small classifier, or the shipped detector, that says this about itself."""
    if key == DETECTOR_KEY:
        model = shipped(classifier=False)
        helper.set_model_props(model, {DETECTOR_KEY: text})
        return sealed(model)
    return sealed(small(metadata={SPEC_KEY: text} | ({GOLDEN_KEY: golden} if golden is not None else {})))
