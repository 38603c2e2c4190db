"""ONNX graph -> Core ML's MIL program, tensor for tensor under the same names.

Built from the graph that every other target starts from, so that a calibration table's ranges fit here too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper, numpy_helper, shape_inference
from onnx.reference import ReferenceEvaluator

from tinydf_export.targets.coreml.mil_operators import OPERATORS
from tinydf_export.targets.coreml.mil_step import Step
from tinydf_runtime.engines.coreml_package import coremltools
from tinydf_runtime.errors import QualityError, UnknownFormatError

mil = coremltools.converters.mil.mil
mb, types = mil.Builder, mil.types

Float = Literal["fp16", "fp32"]
_NUMPY = {"fp16": np.float16, "fp32": np.float32}
_NEVER_FOLDED = frozenset({"DequantizeLinear"})
"""Weights stay compressed."""
_COMPUTED_WITH_HERE = frozenset({"Resize"})
"""Their constants say which operation to build: rounded to float16, a factor would give another size."""


def build_program(model: ModelProto, precision: Float, opset: Any) -> Any:
    """Builds the program for one crop at a time.

    In float16, two things stay in float32: what leads to a logarithm, which tells differences between pixels that are
    smaller than float16's steps, and what makes an output, since float16 knows no probability between .9995 and 1.

    Args:
        model: ONNX graph with one input, of a fixed shape but for its batch. ``QuantizeLinear`` and
            ``DequantizeLinear`` become MIL's; those of constants become compressed weights.
        precision: Type to compute in.
        opset: coremltools' target whose operations the program may use.

    Raises:
        UnknownFormatError: The graph holds an operator, or a form of one, that is not known here.
        QualityError: A constant does not fit into float16.
    """
    (image,) = model.graph.input
    shape = tuple(size.dim_value or 1 for size in image.type.tensor_type.shape.dim)
    with mil.Function({image.name: mb.placeholder(shape, dtype=types.fp32)}, opset_version=opset) as function:
        builder = _Builder(model, precision, {image.name: function.inputs[image.name]})
        for node in model.graph.node:
            builder.add(node)
        function.set_outputs([builder.finish(value.name) for value in model.graph.output])
    program = mil.Program()
    program.add_function("main", function)
    return program


def mil_name(name: str) -> str:
    """Returns what a tensor of an ONNX graph is called in MIL, which knows letters, digits and underscores."""
    plain = re.sub(r"\W", "_", name, flags=re.ASCII)
    return f"_{plain}" if plain[:1].isdigit() else plain


class _Builder:
    """The values made so far, and what is needed to make the next."""

    def __init__(self, model: ModelProto, precision: Float, inputs: dict[str, Any]) -> None:
        self.precision = precision
        self.values: dict[str, Any] = dict(inputs)
        self.values |= {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
        self.shapes = {
            value.name: tuple(size.dim_value for size in value.type.tensor_type.shape.dim)
            for value in shape_inference.infer_shapes(model).graph.value_info
        }
        self.opsets = list(model.opset_import)
        self.wide = _always_wide(model) if precision == "fp16" else frozenset[str]()
        self.casts: dict[tuple[str, str], Any] = {}

    def add(self, node: NodeProto) -> None:
        """Adds one node, or computes it at once where all it takes is constant."""
        inputs = [self.values[name] if name else None for name in node.input]
        if node.op_type == "Shape":
            self.values[node.output[0]] = self._shape(node, inputs[0])
        elif node.op_type == "Constant" or (
            node.op_type not in _NEVER_FOLDED
            and all(value is None or isinstance(value, np.ndarray) for value in inputs)
        ):
            self._fold(node, inputs)
        else:
            self.values[node.output[0]] = self._operate(node, inputs)

    def finish(self, name: str) -> Any:
        """Returns an output of the graph as float32 under its name."""
        value = self.values[name]
        if value.dtype == types.fp32 and value.name == mil_name(name):
            return value
        return mb.cast(x=value, dtype="fp32", name=mil_name(name))

    def _operate(self, node: NodeProto, inputs: list[Any]) -> Any:
        if node.op_type not in OPERATORS:
            raise UnknownFormatError(
                f"{node.op_type} {node.name}: operator not known to Core ML export, expected one of "
                f"{', '.join(OPERATORS)}."
            )
        dtype: Float = "fp32" if node.output[0] in self.wide else self.precision
        name = mil_name(node.output[0])
        taken = [self._as_float(value, dtype, node) for value in inputs]
        attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
        made = OPERATORS[node.op_type](Step(node, name, taken, attributes))
        self._check_shape(node, made.shape)
        return made

    def _check_shape(self, node: NodeProto, found: Sequence[int]) -> None:
        """Refuses a MIL value whose shape is not ONNX's, but for the batch."""
        expected = self.shapes.get(node.output[0], ())
        if any(size and size != made for size, made in zip(expected[1:], found[1:], strict=False)):
            raise UnknownFormatError(
                f"{node.op_type} {node.name}: makes shape {tuple(found)} in Core ML, expected {expected}. Core ML "
                "export knows no such form."
            )

    def _as_float(self, value: Any, dtype: Float, node: NodeProto) -> Any:
        """Returns a floating value or constant in a type; any other as it is."""
        if value is None:
            return None
        if isinstance(value, np.ndarray):
            if node.op_type in _COMPUTED_WITH_HERE:
                return value
            return _narrow(value, dtype, node) if value.dtype == np.float32 else value
        if value.dtype not in (types.fp16, types.fp32) or value.dtype == getattr(types, dtype):
            return value
        key = (value.name, dtype)
        if key not in self.casts:
            self.casts[key] = mb.cast(x=value, dtype=dtype, name=f"{value.name}_{dtype}")
        return self.casts[key]

    def _shape(self, node: NodeProto, value: Any) -> NDArray[np.int64]:
        attributes = {item.name: item.i for item in node.attribute}
        return np.array(value.shape[attributes.get("start", 0) : attributes.get("end")], np.int64)

    def _fold(self, node: NodeProto, inputs: list[Any]) -> None:
        feeds = {name: value for name, value in zip(node.input, inputs, strict=True) if name}
        graph = helper.make_graph(
            [node],
            "constants",
            [
                helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape)
                for n, v in feeds.items()
            ],
            [helper.make_empty_tensor_value_info(name) for name in node.output],
        )
        results = ReferenceEvaluator(helper.make_model(graph, opset_imports=self.opsets)).run(None, feeds)
        self.values.update(zip(node.output, map(np.asarray, results), strict=True))


def _narrow(value: NDArray[np.float32], dtype: Float, node: NodeProto) -> NDArray[Any]:
    with np.errstate(over="ignore"):
        narrow: NDArray[Any] = value.astype(_NUMPY[dtype])
    if not np.isfinite(narrow).all():
        raise QualityError(
            f"{node.op_type} {node.name}: a constant of {np.abs(value).max():.3g} does not fit into {dtype}. Export "
            "float32 weights of a smaller size."
        )
    return narrow


def _always_wide(model: ModelProto) -> frozenset[str]:
    """Returns the tensors that are computed in float32 always."""
    outputs = {value.name for value in model.graph.output}
    logarithms: set[str] = set()
    for node in reversed(model.graph.node):
        if node.op_type == "Log" or logarithms.intersection(node.output):
            logarithms.update(node.input, node.output)
    return frozenset(logarithms | outputs)
