"""Networks that would compute for ever, or take more memory than there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from fuzzing.case import REFUSED, Case
from fuzzing.networks import sealed, shipped, small


def cases(seed: int) -> Iterator[Case]:
    """Yields them."""
    for word, build in _HUGE.items():
        yield Case(f"graph_huge_{word}.onnx", "huge", partial(_extra, build), "classifier", REFUSED)
    for word, build in _ENDLESS.items():
        yield Case(f"graph_endless_{word}.onnx", "endless", partial(_extra, build), "classifier", REFUSED)
        make = partial(_endless_detector, build)
        yield Case(f"detector_endless_{word}.onnx", "endless", make, "detector", REFUSED)


_F = TensorProto.FLOAT

Extra = tuple[list[NodeProto], dict[str, np.ndarray]]
"""Nodes that give ``extra``, a number, and their constants."""


def _extra(build: Callable[[], Extra]) -> bytes:
    """Returns a classifier that also computes something else, and gives it out so that it cannot be left out."""
    nodes, constants = build()
    model = small([*nodes, helper.make_node("Add", ["good_probability", "extra"], ["odd"])], "odd", constants=constants)
    return sealed(model)


def _endless_detector(build: Callable[[], Extra]) -> bytes:
    model = shipped(classifier=False)
    nodes, constants = build()
    for node in model.graph.node:
        node.output[:] = ["before" if name == "scores" else name for name in node.output]
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    model.graph.node.extend([*nodes, helper.make_node("Add", ["before", "extra"], ["scores"])])
    return sealed(model)


def _sized(operator: str, sizes: list[int], *inputs: str) -> Callable[[], Extra]:
    """Returns what makes a tensor of a size and takes its largest value."""

    def build() -> Extra:
        made = helper.make_node(operator, [*inputs, "sizes"], ["made"])
        constants: dict[str, np.ndarray] = {"sizes": np.array(sizes, np.int64), "number": np.array([0], np.float32)}
        return [made, helper.make_node("ReduceMax", ["made"], ["extra"], keepdims=0)], constants

    return build


def _range() -> Extra:
    ends = {"low": np.array(0, np.int64), "high": np.array(1 << 60, np.int64), "step": np.array(1, np.int64)}
    nodes = [
        helper.make_node("Range", ["low", "high", "step"], ["made"]),
        helper.make_node("ReduceMax", ["made"], ["most"], keepdims=0),
        helper.make_node("Cast", ["most"], ["extra"], to=_F),
    ]
    return nodes, ends


def _resize() -> Extra:
    nodes = [
        helper.make_node("Resize", ["unit", "", "scales"], ["made"]),
        helper.make_node("ReduceMax", ["made"], ["extra"], keepdims=0),
    ]
    return nodes, {"scales": np.array([1, 1, 900, 900], np.float32)}


def _products() -> Extra:
    """Returns products of large matrices, one after the other: minutes of computing in a few nodes."""
    nodes = [helper.make_node("Expand", ["number", "sizes"], ["m0"])]
    nodes += [helper.make_node("MatMul", [f"m{n}", f"m{n}"], [f"m{n + 1}"]) for n in range(40)]
    nodes += [helper.make_node("ReduceMax", ["m40"], ["extra"], keepdims=0)]
    return nodes, {"number": np.array([0], np.float32), "sizes": np.array([6000, 6000], np.int64)}


def _loop(depth: int, rounds: int) -> Extra:
    """Returns loops within one another that count up."""

    def body(level: int) -> onnx.GraphProto:
        name = f"l{level}"
        if level:
            inner = helper.make_node("Loop", ["rounds", "", f"{name}_in"], [f"{name}_out"], body=body(level - 1))
        else:
            inner = helper.make_node("Sin", [f"{name}_in"], [f"{name}_out"])
        inputs = [
            helper.make_tensor_value_info(f"{name}_i", TensorProto.INT64, []),
            helper.make_tensor_value_info(f"{name}_c", TensorProto.BOOL, []),
            helper.make_tensor_value_info(f"{name}_in", _F, []),
        ]
        outputs = [
            helper.make_tensor_value_info(f"{name}_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info(f"{name}_out", _F, []),
        ]
        keep = helper.make_node("Identity", [f"{name}_c"], [f"{name}_on"])
        return helper.make_graph([keep, inner], name, inputs, outputs)

    loop = helper.make_node("Loop", ["rounds", "go", "start"], ["extra"], body=body(depth - 1))
    constants = {"rounds": np.array(rounds, np.int64), "go": np.array(True), "start": np.array(0, np.float32)}
    return [loop], constants


_HUGE: dict[str, Callable[[], Extra]] = {
    "constant": _sized("ConstantOfShape", [1 << 20, 1 << 20]),
    "constant_overflow": _sized("ConstantOfShape", [1 << 40, 1 << 40]),
    "constant_negative": _sized("ConstantOfShape", [-5]),
    "expand": _sized("Expand", [1 << 36], "number"),
    "tile": _sized("Tile", [1 << 36], "number"),
    "gigabytes": _sized("ConstantOfShape", [3 << 30]),
    "range": _range,
    "resize": _resize,
}

_ENDLESS: dict[str, Callable[[], Extra]] = {
    "loop": partial(_loop, 1, 1 << 62),
    "loop_in_loop": partial(_loop, 3, 1 << 20),
    "products": _products,
}
