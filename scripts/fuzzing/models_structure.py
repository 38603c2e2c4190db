"""Model files that are well-formed protobuf and no sane network: nesting, counts, names, references to other files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, helper, numpy_helper

from fuzzing.case import REFUSED, Case
from fuzzing.networks import sealed, small


def cases(seed: int) -> Iterator[Case]:
    """Yields them."""
    for word, path in {
        "name": "weights.bin",
        "up": "../../../etc/passwd",
        "root": "/etc/passwd",
        "zero": "/dev/zero",
    }.items():
        for place in ("initializer", "attribute", "subgraph", "function", "sparse"):
            make = partial(_external, path, place)
            beside = {"weights.bin": lambda: bytes(64)}
            yield Case(f"{place}_{word}/external.onnx", "external data", make, "classifier", REFUSED, beside)
    for word, build in _STRANGE.items():
        # A name may be long.
        codes = (0, 6) if word == "long_name" else REFUSED
        yield Case(f"strange_{word}.onnx", "strange structure", build, "classifier", codes)


def _elsewhere(path: str) -> TensorProto:
    """Returns a tensor whose values lie in another file; entries in an order that ONNX's own writer does not use."""
    tensor = TensorProto(name="far", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="offset", value="0")
    tensor.external_data.add(key="location", value=path)
    return tensor


def _external(path: str, place: str) -> bytes:
    """Returns a network that asks for a file of its author's choice."""
    add = helper.make_node("Add", ["good_probability", "far"], ["odd"])
    if place == "attribute":
        model = small([helper.make_node("Constant", [], ["far"], value=_elsewhere(path)), add], "odd")
    elif place == "subgraph":
        inner = helper.make_graph(
            [helper.make_node("Identity", ["far"], ["inner"])],
            "branch",
            [],
            [helper.make_tensor_value_info("inner", TensorProto.FLOAT, [1])],
            [_elsewhere(path)],
        )
        choice = helper.make_node("If", ["yes"], ["branched"], then_branch=inner, else_branch=inner)
        nodes = [choice, helper.make_node("Add", ["good_probability", "branched"], ["odd"])]
        model = small(nodes, "odd", constants={"yes": np.array(True)})
    elif place == "function":
        constant = helper.make_node("Constant", [], ["far"], value=_elsewhere(path))
        function = helper.make_function("own", "Far", [], ["far"], [constant], [helper.make_opsetid("", 18)])
        model = small([helper.make_node("Far", [], ["far"], domain="own"), add], "odd")
        model.functions.append(function)
        model.opset_import.append(helper.make_opsetid("own", 1))
    elif place == "sparse":
        model = small([add], "odd")
        sparse = model.graph.sparse_initializer.add(dims=[1])
        sparse.values.CopyFrom(_elsewhere(path))
        sparse.indices.CopyFrom(numpy_helper.from_array(np.array([0], np.int64), "indices"))
    else:
        model = small([add], "odd")
        model.graph.initializer.append(_elsewhere(path))
    return sealed(model)


def _branches(depth: int) -> bytes:
    """Returns choices within one another."""
    out = [helper.make_tensor_value_info("b", TensorProto.FLOAT, [])]
    graph = helper.make_graph([helper.make_node("Constant", [], ["b"], value_float=0.0)], "leaf", [], out)
    for _ in range(depth):
        node = helper.make_node("If", ["yes"], ["b"], then_branch=graph, else_branch=graph)
        graph = helper.make_graph([node], "branch", [], out)
    return bytes(graph.SerializeToString())


def _nested(depth: int) -> bytes:
    graph = onnx.GraphProto.FromString(_branches(depth))
    attributes = {"then_branch": graph, "else_branch": graph}
    nodes = [
        helper.make_node("If", ["yes"], ["extra"], **attributes),
        helper.make_node("Add", ["good_probability", "extra"], ["odd"]),
    ]
    return sealed(small(nodes, "odd", constants={"yes": np.array(True)}))


def _deep_protobuf() -> bytes:
    """Returns messages within one another, deeper than any reader climbs, without building them."""
    content = b""
    for _ in range(20_000):
        # GraphProto.node (1) -> NodeProto.attribute (5) -> AttributeProto.g (6), and back.
        for field in (6, 5, 1):
            content = bytes([field << 3 | 2]) + _varint(len(content)) + content
        if len(content) > 1 << 20:
            break
    return b"\x08\x08" + b"\x3a" + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    found = b""
    while number > 127:
        found, number = found + bytes([number & 127 | 128]), number >> 7
    return found + bytes([number])


def _altered(change: Callable[[onnx.ModelProto], object]) -> bytes:
    model = small()
    change(model)
    return sealed(model)


def _many(model: onnx.ModelProto, count: int) -> None:
    names = ["good_probability", *(f"m{n}" for n in range(count))]
    nodes = [helper.make_node("Neg", [a], [b]) for a, b in pairwise(names)]
    model.graph.node.extend(nodes)
    model.graph.node[6].input[0] = names[-1]


def _number(kind: int, **content: Any) -> Callable[[onnx.ModelProto], object]:
    return lambda model: model.graph.initializer.add(name="more", data_type=kind, dims=[1], **content)


def _tensor(dims: list[int], raw: bytes) -> Callable[[onnx.ModelProto], object]:
    return lambda model: model.graph.initializer[0].CopyFrom(
        TensorProto(name="per_level", data_type=TensorProto.FLOAT, dims=dims, raw_data=raw)
    )


def _beyond(bits: int) -> bytes:
    """Returns a graph of which the field's number has one bit more than protocol buffers know."""
    model = small([helper.make_node("Loop", [], [])])
    graph = model.graph.SerializeToString()
    model.ClearField("graph")
    return bytes(model.SerializeToString() + _varint((7 << 3 | 2) + (1 << bits)) + _varint(len(graph)) + graph)


def _with_node(kind: str, inputs: list[str], **settings: Any) -> bytes:
    """Returns a network that also computes something else."""
    more = [helper.make_node(kind, inputs, ["more"], **settings), helper.make_node("Add", ["unit", "more"], ["odd"])]
    return sealed(small(more, constants={"half": np.array(0.5, np.float32), "yes": np.array(True)}))


_STRANGE: dict[str, Callable[[], bytes]] = {
    **{f"field_beyond_{bits}": partial(_beyond, bits) for bits in (29, 32, 34, 63)},
    "setting_nan": partial(_with_node, "Elu", ["unit"], alpha=float("nan")),
    "settings_infinite": partial(_with_node, "Constant", [], value_floats=[0.0, float("inf")]),
    "dropout": partial(_with_node, "Dropout", ["unit", "half", "yes"]),
    "half_as_whole": lambda: _altered(_number(TensorProto.FLOAT16, int32_data=[0x7E00])),
    "float8": lambda: _altered(_number(TensorProto.FLOAT8E5M2, raw_data=b"\x7f")),
    "branches": partial(_nested, 14),
    "deep": _deep_protobuf,
    "nodes": lambda: _altered(lambda model: _many(model, 200_000)),
    "weights": lambda: _altered(lambda model: [_number(TensorProto.FLOAT)(model) for _ in range(100_000)]),
    "long_name": lambda: _altered(lambda model: setattr(model.graph.node[0], "name", "n" * (60 << 20))),
    "opset": lambda: _altered(lambda model: setattr(model.opset_import[0], "version", 999)),
    "no_opset": lambda: _altered(lambda model: model.ClearField("opset_import")),
    "ir_version": lambda: _altered(lambda model: setattr(model, "ir_version", 999)),
    "unknown_operator": lambda: _altered(lambda model: setattr(model.graph.node[1], "op_type", "Mull")),
    "missing_tensor": lambda: _altered(lambda model: model.graph.node[1].input.__setitem__(0, "nowhere")),
    "circle": lambda: _altered(lambda model: model.graph.node[0].input.__setitem__(0, "unit")),
    "twice": lambda: _altered(lambda model: model.graph.node.append(model.graph.node[0])),
    "no_graph": lambda: _altered(lambda model: model.ClearField("graph")),
    "no_nodes": lambda: _altered(lambda model: model.graph.ClearField("node")),
    "negative_dims": lambda: _altered(_tensor([-1], b"\0\0\0\0")),
    "too_many_dims": lambda: _altered(_tensor([1] * 100_000, b"\0\0\0\0")),
    "dims_overflow": lambda: _altered(_tensor([1 << 32, 1 << 32], b"\0\0\0\0")),
    "dims_without_data": lambda: _altered(_tensor([1 << 28], b"\0\0\0\0")),
    "many_entries": lambda: _altered(
        lambda model: [model.metadata_props.add(key=f"k{n}", value="v") for n in range(300_000)]
    ),
    "attribute_type": lambda: _altered(
        lambda model: (
            model.graph.node[0].attribute[0].CopyFrom(AttributeProto(name="to", s=b"x", type=AttributeProto.STRING))
        )
    ),
    "kernel": lambda: _altered(lambda model: model.graph.node[4].attribute[0].ints.__setitem__(0, 0)),
    "kernel_negative": lambda: _altered(lambda model: model.graph.node[4].attribute[1].ints.__setitem__(0, -16)),
}
