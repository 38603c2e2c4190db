"""ONNX operator -> MIL operation, one function each. Only what occurs in the networks' graphs is here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinydf_export.targets.coreml import mil_layout
from tinydf_export.targets.coreml.mil_step import Step
from tinydf_runtime.engines.coreml_package import coremltools

mb = coremltools.converters.mil.Builder

SMALLEST_NORMAL = float(np.finfo(np.float16).tiny)
"""Smallest normal float16: chips may flush smaller values to zero."""


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
    # Without an epsilon MIL adds its own before the logarithm.
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
    "Concat": mil_layout.concat,
    "Conv": _conv,
    "DepthToSpace": mil_layout.depth_to_space,
    "DequantizeLinear": _dequantize,
    "Div": _two(mb.real_div),
    "Exp": _one(mb.exp),
    "Flatten": mil_layout.flatten,
    "Gather": mil_layout.gather,
    "Gemm": _gemm,
    "GlobalAveragePool": _global_average_pool,
    "Identity": lambda step: step.inputs[0],
    "Log": _log,
    "MatMul": _matmul,
    "Mul": _two(mb.mul),
    "Pad": mil_layout.pad,
    "QuantizeLinear": _quantize,
    "ReduceMax": _reduce(mb.reduce_max),
    "ReduceMean": _reduce(mb.reduce_mean),
    "Relu": _one(mb.relu),
    "Reshape": mil_layout.reshape,
    "Resize": mil_layout.resize,
    "Sigmoid": _one(mb.sigmoid),
    "Sqrt": _one(mb.sqrt),
    "Squeeze": mil_layout.squeeze,
    "Sub": _two(mb.sub),
    "Tanh": _one(mb.tanh),
    "Transpose": mil_layout.transpose,
    "Unsqueeze": mil_layout.unsqueeze,
}
"""ONNX operator -> function that adds it to the MIL program being built, and returns the value or a constant."""
