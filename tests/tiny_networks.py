"""Networks small enough to be written by hand: a test can foretell what they compute."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tinydf_runtime.models.spec import METADATA_KEY, ModelSpec


def write_classifier(path: Path, spec: ModelSpec | None = None, metadata: dict[str, str] | None = None) -> Path:
    """Writes a classifier whose fake probability is a crop's mean green value / 255, and returns its path.

    Its forgery map is the mean of the colours over 16 x 16 pixels / 255.
    """
    spec = spec or ModelSpec(name="tiny-green")
    side = spec.crop.side_px
    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["pixels", "per_level"], ["unit"]),
        helper.make_node("Gather", ["unit", "green"], ["green_plane"], axis=1),
        helper.make_node("ReduceMean", ["green_plane", "plane_axes"], ["fake_probability"], keepdims=0),
        helper.make_node("AveragePool", ["unit"], ["cells"], kernel_shape=[16, 16], strides=[16, 16]),
        helper.make_node("ReduceMean", ["cells", "colour_axis"], ["forgery_map"], keepdims=0),
    ]
    constants: dict[str, np.ndarray] = {
        "per_level": np.array(1 / 255, np.float32),
        "green": np.array(1, np.int64),
        "plane_axes": np.array([1, 2], np.int64),
        "colour_axis": np.array([1], np.int64),
    }
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", 3, side, side])],
        [
            helper.make_tensor_value_info("fake_probability", TensorProto.FLOAT, ["n"]),
            helper.make_tensor_value_info("forgery_map", TensorProto.FLOAT, ["n", side // 16, side // 16]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return _save(graph, {METADATA_KEY: spec.to_json()} if metadata is None else metadata, path)


def write_detector(path: Path, metadata: dict[str, str] | None = None) -> Path:
    """Writes a detector that finds one pure red and one pure blue square, and returns its path."""
    return _save(_square_finder(), _detector_metadata() if metadata is None else metadata, path)


def _detector_metadata() -> dict[str, str]:
    facts = {
        "schema": "tinydf.detector/1",
        "name": "tiny-squares",
        "score_threshold": 0.5,
        "nms_iou": 0.45,
        "certain_score": 0.5,
        "checkpoint_sha256": "",
        "versions": {},
    }
    return {"tinydf.detector": json.dumps(facts)}


def write_answer(
    path: Path, scores: np.ndarray, boxes_xyxy: np.ndarray | None = None, metadata: dict[str, str] | None = None
) -> Path:
    """Writes a detector that gives the same answer for every picture, and returns its path.

    Args:
        path: ONNX file to write.
        scores: P, float32.
        boxes_xyxy: P x 4, float32; None for the whole of what the network sees, with P = 1.
        metadata: That of ``write_detector`` if not given.
    """
    node, count = helper.make_node, len(scores)
    constants: dict[str, np.ndarray] = {
        "answer": scores[None].astype(np.float32),
        "points": np.zeros((1, count, 5, 2), np.float32),
        "corner": np.zeros(2, np.int64),
        "width_height": np.array([2, 1], np.int64),
        "one_box": np.array([1, 1, 4], np.int64),
    }
    nodes = [
        node("Identity", ["answer"], ["scores"]),
        node("Identity", ["points"], ["landmarks"]),
    ]
    if boxes_xyxy is None:
        nodes += [
            node("Shape", ["image"], ["shape"]),
            node("Gather", ["shape", "width_height"], ["size"]),
            node("Concat", ["corner", "size"], ["whole"], axis=0),
            node("Reshape", ["whole", "one_box"], ["box"]),
            node("Cast", ["box"], ["boxes_xyxy"], to=TensorProto.FLOAT),
        ]
    else:
        constants["places"] = boxes_xyxy[None].astype(np.float32)
        nodes.append(node("Identity", ["places"], ["boxes_xyxy"]))
    used = {name for one in nodes for name in one.input}
    graph = helper.make_graph(
        nodes,
        "answer",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", "height", "width", 3])],
        [
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, count]),
            helper.make_tensor_value_info("boxes_xyxy", TensorProto.FLOAT, [1, count, 4]),
            helper.make_tensor_value_info("landmarks", TensorProto.FLOAT, [1, count, 5, 2]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items() if name in used],
    )
    return _save(graph, metadata or _detector_metadata(), path)


def _square_finder() -> onnx.GraphProto:
    """Builds the graph of ``write_detector``: the moments of each colour's pixels give the centre and the sides."""
    node = helper.make_node
    nodes = [
        node("Cast", ["image"], ["pixels"], to=TensorProto.FLOAT),
        # One output channel a colour: far above 0 on it, below 0 elsewhere.
        node("MatMul", ["pixels", "purity"], ["pure"]),
        node("Greater", ["pure", "purity_threshold"], ["is_colour"]),
        node("Cast", ["is_colour"], ["mask"], to=TensorProto.FLOAT),
        node("ReduceSum", ["mask", "rows_columns"], ["count"], keepdims=0),
        node("Max", ["count", "one"], ["count_or_one"]),
        node("Greater", ["count", "fewest_pixels"], ["is_there"]),
        node("Cast", ["is_there"], ["there"], to=TensorProto.FLOAT),
        node("Mul", ["there", "confidence"], ["scores"]),
    ]
    for name, axis, other in (("x", 2, 1), ("y", 1, 2)):
        nodes += [
            node("ReduceSum", ["mask", f"axis_{other}"], [f"profile_{name}"], keepdims=0),
            node("Shape", ["mask"], [f"length_{name}"], start=axis, end=axis + 1),
            node("Squeeze", [f"length_{name}"], [f"count_{name}"]),
            node("Range", ["zero_index", f"count_{name}", "one_index"], [f"index_{name}"]),
            node("Cast", [f"index_{name}"], [f"edge_{name}"], to=TensorProto.FLOAT),
            node("Add", [f"edge_{name}", "half"], [f"flat_{name}"]),
            node("Unsqueeze", [f"flat_{name}", "axis_1"], [f"place_{name}"]),
            node("Mul", [f"profile_{name}", f"place_{name}"], [f"moment_{name}"]),
            node("ReduceSum", [f"moment_{name}", "axis_1"], [f"sum_{name}"], keepdims=0),
            node("Div", [f"sum_{name}", "count_or_one"], [f"centre_{name}"]),
            # The side along this axis is the number of rows or columns that hold the colour.
            node("Greater", [f"profile_{name}", "half"], [f"holds_{name}"]),
            node("Cast", [f"holds_{name}"], [f"held_{name}"], to=TensorProto.FLOAT),
            node("ReduceSum", [f"held_{name}", "axis_1"], [f"side_{name}"], keepdims=0),
            node("Mul", [f"side_{name}", "half"], [f"reach_{name}"]),
            node("Sub", [f"centre_{name}", f"reach_{name}"], [f"low_{name}"]),
            node("Add", [f"centre_{name}", f"reach_{name}"], [f"high_{name}"]),
        ]
        nodes += [
            node("Unsqueeze", [value, "axis_2"], [f"{value}_column"])
            for value in (f"low_{name}", f"high_{name}", f"centre_{name}")
        ]
    nodes += [
        node("Concat", ["low_x_column", "low_y_column", "high_x_column", "high_y_column"], ["boxes_xyxy"], axis=2),
        node("Concat", ["centre_x_column", "centre_y_column"], ["centre"], axis=2),
        node("Unsqueeze", ["centre", "axis_2"], ["point"]),
        node("Tile", ["point", "five_points"], ["landmarks"]),
    ]
    constants: dict[str, np.ndarray] = {
        # Columns: red is high in R and low in B and G; blue the other way round. Rows are B, G, R.
        "purity": np.array([[-1, 1], [-1, -1], [1, -1]], np.float32),
        "purity_threshold": np.array(120, np.float32),
        "rows_columns": np.array([1, 2], np.int64),
        "axis_1": np.array([1], np.int64),
        "axis_2": np.array([2], np.int64),
        "one": np.array(1, np.float32),
        "half": np.array(0.5, np.float32),
        "fewest_pixels": np.array(40, np.float32),
        "confidence": np.array([0.9, 0.8], np.float32),
        "zero_index": np.array(0, np.int64),
        "one_index": np.array(1, np.int64),
        "five_points": np.array([1, 1, 5, 1], np.int64),
    }
    return helper.make_graph(
        nodes,
        "squares",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", "height", "width", 3])],
        [
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 2]),
            helper.make_tensor_value_info("boxes_xyxy", TensorProto.FLOAT, ["n", 2, 4]),
            helper.make_tensor_value_info("landmarks", TensorProto.FLOAT, ["n", 2, 5, 2]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )


def _save(graph: onnx.GraphProto, metadata: dict[str, str], path: Path) -> Path:
    """Checks a graph and writes it with its metadata."""
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, metadata)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path
