"""ONNX operator -> MIL operation, one function each. Only what occurs in the networks' graphs is here."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto

from tinydf_runtime.engines.coreml_package import coremltools
from tinydf_runtime.errors import UnknownFormatError

mb = coremltools.converters.mil.Builder

SMALLEST_NORMAL = float(np.finfo(np.float16).tiny)
"""Chips that compute in float16 may take anything nearer to zero for zero."""


@dataclass(frozen=True, slots=True)
class Step:
    """One node on its way to MIL.

    Attributes:
        node: The ONNX node.
        name: What its output is called in MIL.
        inputs: MIL values, arrays for constants, None where left out. Floating ones have the type to compute in.
        attributes: The node's.
    """

    node: NodeProto
    name: str
    inputs: Sequence[Any]
    attributes: Mapping[str, Any]

    def constant(self, position: int) -> NDArray[Any]:
        """Returns an input that Core ML wants to know when it compiles the model."""
        value = self.inputs[position] if position < len(self.inputs) else None
        if not isinstance(value, np.ndarray):
            raise self.refusal(f"input {position} is not constant")
        return value

    def integers(self, position: int) -> list[int]:
        """Returns a constant input as a list."""
        return [int(value) for value in self.constant(position).ravel()]

    def given(self, position: int) -> Any:
        """Returns an input, None where it is left out."""
        return self.inputs[position] if position < len(self.inputs) else None

    def require(self, **expected: object) -> None:
        """Refuses attributes that differ from these; one that is not there counts as equal."""
        for key, value in expected.items():
            if self.attributes.get(key, value) != value:
                raise self.refusal(f"{key} = {self.attributes[key]!r}, expected {value!r}")

    def refusal(self, found: str) -> UnknownFormatError:
        """Returns the error for a form of the operator that MIL does not have."""
        return UnknownFormatError(f"{self.node.op_type} {self.node.name}: {found}. Core ML export knows no such form.")


def _conv(step: Step) -> Any:
    x, weight = step.inputs[:2]
    step.require(auto_pad=b"NOTSET")
    sides = len(weight.shape) - 2
    pads = list(step.attributes.get("pads", [0] * 2 * sides))
    bias = step.given(2)
    return mb.conv(
        x=x,
        weight=weight,
        **({} if bias is None else {"bias": bias}),
        strides=list(step.attributes.get("strides", [1] * sides)),
        dilations=list(step.attributes.get("dilations", [1] * sides)),
        groups=int(step.attributes.get("group", 1)),
        pad_type="custom" if any(pads) else "valid",
        **({"pad": _interleave(pads)} if any(pads) else {}),
        name=step.name,
    )


def _gemm(step: Step) -> Any:
    step.require(alpha=1.0, beta=1.0, transA=0)
    weight, bias = step.inputs[1], step.given(2)
    if not step.attributes.get("transB", 0):
        weight = np.ascontiguousarray(step.constant(1).T)
    return mb.linear(x=step.inputs[0], weight=weight, **({} if bias is None else {"bias": bias}), name=step.name)


def _matmul(step: Step) -> Any:
    return mb.matmul(x=step.inputs[0], y=step.inputs[1], name=step.name)


def _batch_norm(step: Step) -> Any:
    x = step.inputs[0]
    gamma, beta, mean, variance = (step.constant(i).astype(np.float64) for i in range(1, 5))
    scale = gamma / np.sqrt(variance + step.attributes.get("epsilon", 1e-5))
    columns = (-1, *[1] * (len(x.shape) - 2))
    dtype = step.constant(1).dtype
    # The mean goes first: what is left is small, and float16 holds it well.
    centred = mb.sub(x=x, y=mean.astype(dtype).reshape(columns), name=f"{step.name}_centred")
    scaled = mb.mul(x=centred, y=scale.astype(dtype).reshape(columns), name=f"{step.name}_scaled")
    return mb.add(x=scaled, y=beta.astype(dtype).reshape(columns), name=step.name)


def _clip(step: Step) -> Any:
    low, high = (None if step.given(i) is None else float(step.constant(i)) for i in (1, 2))
    if (low, high) == (0.0, 6.0):
        return mb.relu6(x=step.inputs[0], name=step.name)
    if low == 0.0 and high is None:
        return mb.relu(x=step.inputs[0], name=step.name)
    if low is None or high is None:
        raise step.refusal("only one bound")
    dtype = step.constant(1).dtype.type
    return mb.clip(x=step.inputs[0], alpha=dtype(low), beta=dtype(high), name=step.name)


def _log(step: Step) -> Any:
    # MIL adds a number of its own before the logarithm where none is named.
    return mb.log(x=step.inputs[0], epsilon=np.float32(0), name=step.name)


def _average_pool(step: Step) -> Any:
    step.require(auto_pad=b"NOTSET", ceil_mode=0)
    kernel = list(step.attributes["kernel_shape"])
    pads = list(step.attributes.get("pads", [0] * 2 * len(kernel)))
    return mb.avg_pool(
        x=step.inputs[0],
        kernel_sizes=kernel,
        strides=list(step.attributes.get("strides", [1] * len(kernel))),
        pad_type="custom" if any(pads) else "valid",
        **({"pad": _interleave(pads)} if any(pads) else {}),
        exclude_padding_from_average=not step.attributes.get("count_include_pad", 0),
        name=step.name,
    )


def _global_average_pool(step: Step) -> Any:
    axes = list(range(2, len(step.inputs[0].shape)))
    return mb.reduce_mean(x=step.inputs[0], axes=axes, keep_dims=True, name=step.name)


def _reduce(build: Callable[..., Any]) -> Callable[[Step], Any]:
    def reduce(step: Step) -> Any:
        keep = bool(step.attributes.get("keepdims", 1))
        return build(x=step.inputs[0], axes=step.integers(1), keep_dims=keep, name=step.name)

    return reduce


def _pad(step: Step) -> Any:
    mode = {b"constant": "constant", b"edge": "replicate", b"reflect": "reflect"}.get(
        step.attributes.get("mode", b"constant")
    )
    if mode is None or step.given(3) is not None:
        raise step.refusal("another mode, or axes")
    pads = step.integers(1)
    if any(pads[: len(pads) // 2 - 2]) or any(pads[len(pads) // 2 : -2]):
        raise step.refusal("more than height and width padded")
    top, left, bottom, right = *pads[len(pads) // 2 - 2 : len(pads) // 2], *pads[-2:]
    x = step.inputs[0]
    value = 0.0 if step.given(2) is None else float(step.constant(2))
    # Named in every mode: MIL's own choice is a float32 one, which does not go with a float16 input.
    fill = np.float16(value) if _is_half(x) else np.float32(value)
    return mb.pad(x=x, pad=[top, bottom, left, right], mode=mode, constant_val=fill, name=step.name)


def _resize(step: Step) -> Any:
    step.require(mode=b"linear", coordinate_transformation_mode=b"half_pixel", antialias=0, axes=None)
    x = step.inputs[0]
    if step.given(3) is not None:
        height, width = step.integers(3)[-2:]
    else:
        factors = step.constant(2)[-2:]
        height, width = (math.floor(float(f) * side) for f, side in zip(factors, x.shape[-2:], strict=True))
    # MIL's name for half-pixel centres that stop at the border.
    return mb.resize_bilinear(
        x=x, target_size_height=height, target_size_width=width, sampling_mode="UNALIGN_CORNERS", name=step.name
    )


def _reshape(step: Step) -> Any:
    x, shape = step.inputs[0], step.integers(1)
    if not step.attributes.get("allowzero", 0):
        shape = [x.shape[i] if size == 0 else size for i, size in enumerate(shape)]
    # The first dimension is the batch: left open, the program is right for any.
    if shape[0] == x.shape[0] and -1 not in shape:
        shape[0] = -1
    return mb.reshape(x=x, shape=shape, name=step.name)


def _flatten(step: Step) -> Any:
    step.require(axis=1)
    return mb.reshape(x=step.inputs[0], shape=[-1, math.prod(step.inputs[0].shape[1:])], name=step.name)


def _transpose(step: Step) -> Any:
    return mb.transpose(x=step.inputs[0], perm=list(step.attributes["perm"]), name=step.name)


def _squeeze(step: Step) -> Any:
    return mb.squeeze(x=step.inputs[0], axes=step.integers(1), name=step.name)


def _unsqueeze(step: Step) -> Any:
    return mb.expand_dims(x=step.inputs[0], axes=step.integers(1), name=step.name)


def _gather(step: Step) -> Any:
    x, axis = step.inputs[0], int(step.attributes.get("axis", 0)) % len(step.inputs[0].shape)
    if step.constant(1).ndim or axis == 0:
        raise step.refusal("more than one index, or one into the batch")
    index = int(step.constant(1)) % x.shape[axis]
    here = [i == axis for i in range(len(x.shape))]
    return mb.slice_by_index(
        x=x,
        begin=[index if mine else 0 for mine in here],
        end=[index + 1 if mine else 0 for mine in here],
        end_mask=[not mine for mine in here],
        squeeze_mask=here,
        name=step.name,
    )


def _concat(step: Step) -> Any:
    return mb.concat(values=list(step.inputs), axis=int(step.attributes["axis"]), name=step.name)


def _depth_to_space(step: Step) -> Any:
    block = int(step.attributes["blocksize"])
    if step.attributes.get("mode", b"DCR") == b"CRD":
        return mb.pixel_shuffle(x=step.inputs[0], upscale_factor=block, name=step.name)
    return mb.depth_to_space(x=step.inputs[0], block_size=block, name=step.name)


def _quantize(step: Step) -> Any:
    zero_point = None if step.given(2) is None else step.constant(2)
    if zero_point is None or zero_point.dtype not in (np.int8, np.uint8):
        raise step.refusal("no 8-bit zero point")
    return mb.quantize(
        input=step.inputs[0],
        scale=_scalar_or_vector(step, 1),
        zero_point=_scalar_or_vector(step, 2),
        output_dtype=str(zero_point.dtype),
        **_axis(step),
        name=step.name,
    )


def _dequantize(step: Step) -> Any:
    stored, scale = step.inputs[0], _scalar_or_vector(step, 1)
    has_zero_point = step.given(2) is not None
    if not isinstance(stored, np.ndarray):
        extra = {"zero_point": _scalar_or_vector(step, 2)} if has_zero_point else {}
        return mb.dequantize(input=stored, scale=scale, **extra, **_axis(step), name=step.name)
    zero_point = _scalar_or_vector(step, 2) if has_zero_point else np.zeros(np.shape(scale), stored.dtype)[()]
    if stored.dtype in (np.int8, np.uint8) and np.min(scale) >= SMALLEST_NORMAL:
        axis = int(step.attributes.get("axis", 1)) if np.ndim(scale) else 0
        return mb.constexpr_affine_dequantize(
            quantized_data=stored, scale=scale, zero_point=zero_point, axis=axis, name=step.name
        )
    columns = [1] * stored.ndim
    if np.ndim(scale):
        columns[int(step.attributes.get("axis", 1))] = -1
    factor, shift = (np.reshape(value, columns).astype(np.float64) for value in (scale, zero_point))
    return ((stored - shift) * factor).astype(step.constant(1).dtype)


def _scalar_or_vector(step: Step, position: int) -> Any:
    """Returns a scale or zero point in the form that MIL wants."""
    value = step.constant(position)
    return value.ravel()[0] if value.size == 1 else value


def _axis(step: Step) -> dict[str, int]:
    return {} if step.constant(1).size == 1 else {"axis": int(step.attributes.get("axis", 1))}


def _interleave(pads: list[int]) -> list[int]:
    """Turns ONNX's all beginnings, all ends into MIL's beginning and end of each side."""
    half = len(pads) // 2
    return [value for pair in zip(pads[:half], pads[half:], strict=True) for value in pair]


def _is_half(value: Any) -> bool:
    return bool(value.dtype.__type_info__().name == "fp16")


def _one(build: Callable[..., Any]) -> Callable[[Step], Any]:
    return lambda step: build(x=step.inputs[0], name=step.name)


def _two(build: Callable[..., Any]) -> Callable[[Step], Any]:
    return lambda step: build(x=step.inputs[0], y=step.inputs[1], name=step.name)


OPERATORS: dict[str, Callable[[Step], Any]] = {
    "Abs": _one(mb.abs),
    "Add": _two(mb.add),
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm,
    "Cast": lambda step: step.inputs[0],
    "Clip": _clip,
    "Concat": _concat,
    "Conv": _conv,
    "DepthToSpace": _depth_to_space,
    "DequantizeLinear": _dequantize,
    "Div": _two(mb.real_div),
    "Exp": _one(mb.exp),
    "Flatten": _flatten,
    "Gather": _gather,
    "Gemm": _gemm,
    "GlobalAveragePool": _global_average_pool,
    "Identity": lambda step: step.inputs[0],
    "Log": _log,
    "MatMul": _matmul,
    "Mul": _two(mb.mul),
    "Pad": _pad,
    "QuantizeLinear": _quantize,
    "ReduceMax": _reduce(mb.reduce_max),
    "ReduceMean": _reduce(mb.reduce_mean),
    "Relu": _one(mb.relu),
    "Reshape": _reshape,
    "Resize": _resize,
    "Sigmoid": _one(mb.sigmoid),
    "Sqrt": _one(mb.sqrt),
    "Squeeze": _squeeze,
    "Sub": _two(mb.sub),
    "Tanh": _one(mb.tanh),
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
"""ONNX operator -> function that adds it to the MIL program being built, and returns the value or a constant."""
