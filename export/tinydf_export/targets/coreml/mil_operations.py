"""Core ML's MIL operations in PyTorch, as their reference describes them: what the interpreter executes.

Every function takes exactly the parameters of its operation, so that one the program names and we do not know is an
error and never ignored. Floating values are float32 tensors whatever their type in the program; the interpreter rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


def conv(
    x: Tensor,
    weight: Tensor,
    strides: list[int],
    pad_type: str,
    pad: list[int],
    dilations: list[int],
    groups: int,
    bias: Tensor | None = None,
) -> Tensor:
    """Returns a 2-D convolution."""
    _require(weight.ndim == 4, "weight of another rank than 4")
    padded = functional.pad(x, _margins(pad_type, pad))
    return functional.conv2d(padded, weight, bias, strides, 0, dilations, groups)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Returns x times the transposed weight, plus bias."""
    return functional.linear(x, weight, bias)


def matmul(x: Tensor, y: Tensor, transpose_x: bool = False, transpose_y: bool = False) -> Tensor:
    """Returns a product of matrices."""
    return (x.mT if transpose_x else x) @ (y.mT if transpose_y else y)


def avg_pool(
    x: Tensor,
    kernel_sizes: list[int],
    strides: list[int],
    pad_type: str,
    pad: list[int],
    exclude_padding_from_average: bool,
    ceil_mode: bool = False,
) -> Tensor:
    """Returns means over windows."""
    margins = _margins(pad_type, pad)
    _require(not ceil_mode, "ceil_mode")
    _require(not exclude_padding_from_average or not any(margins), "padding left out of the mean")
    return functional.avg_pool2d(functional.pad(x, margins), kernel_sizes, strides)


def reduce_mean(x: Tensor, axes: list[int], keep_dims: bool) -> Tensor:
    """Returns means over axes."""
    return x.mean(axes, keepdim=keep_dims)


def reduce_max(x: Tensor, axes: list[int], keep_dims: bool) -> Tensor:
    """Returns maxima over axes."""
    return x.amax(axes, keepdim=keep_dims)


def clip(x: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    """Returns x held between alpha and beta."""
    return x.clamp(float(alpha), float(beta))


def log(x: Tensor, epsilon: Tensor) -> Tensor:
    """Returns the natural logarithm of x + epsilon."""
    return (x + epsilon).log()


def cast(x: Tensor, dtype: str) -> Tensor:
    """Returns x; the interpreter rounds to the declared type."""
    _require(dtype in ("fp16", "fp32"), f"dtype {dtype}")
    return x


def pad(x: Tensor, pad: list[int], mode: str, constant_val: Tensor | None = None) -> Tensor:
    """Returns x with margins around height and width."""
    _require(len(pad) == 4 and mode in ("constant", "replicate", "reflect"), f"mode {mode} of {len(pad)} margins")
    margins = _margins("custom", pad)
    if mode == "constant":
        return functional.pad(x, margins, value=0.0 if constant_val is None else float(constant_val))
    return functional.pad(x, margins, mode=mode)


def resize_bilinear(x: Tensor, target_size_height: int, target_size_width: int, sampling_mode: str) -> Tensor:
    """Returns x at another height and width."""
    _require(sampling_mode == "UNALIGN_CORNERS", f"sampling mode {sampling_mode}")
    return _sample(_sample(x, target_size_height, 2), target_size_width, 3)


def reshape(x: Tensor, shape: list[int]) -> Tensor:
    """Returns x in another shape."""
    return x.reshape(shape)


def transpose(x: Tensor, perm: list[int]) -> Tensor:
    """Returns x with its axes in another order."""
    return x.permute(perm)


def squeeze(x: Tensor, axes: list[int]) -> Tensor:
    """Returns x without axes of one value."""
    _require(all(x.shape[axis] == 1 for axis in axes), f"axes {axes} of shape {tuple(x.shape)}")
    return x.squeeze(tuple(axes))


def expand_dims(x: Tensor, axes: list[int]) -> Tensor:
    """Returns x with new axes of one value, numbered as in the result."""
    rank = x.ndim + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        x = x.unsqueeze(axis)
    return x


def slice_by_index(
    x: Tensor, begin: list[int], end: list[int], end_mask: list[bool], squeeze_mask: list[bool]
) -> Tensor:
    """Returns a part of x, from ``begin`` to before ``end`` of each axis."""
    kept = [begin[i] if squeeze_mask[i] else slice(begin[i], None if end_mask[i] else end[i]) for i in range(x.ndim)]
    return x[tuple(kept)]


def concat(values: Sequence[Tensor], axis: int, interleave: bool) -> Tensor:
    """Returns tensors joined along an axis."""
    _require(not interleave, "interleave")
    return torch.cat(list(values), axis)


def pixel_shuffle(x: Tensor, upscale_factor: int) -> Tensor:
    """Returns channels spread over height and width, each channel's cells side by side."""
    return functional.pixel_shuffle(x, upscale_factor)


def depth_to_space(x: Tensor, block_size: int) -> Tensor:
    """Returns channels spread over height and width, cells first."""
    n, c, h, w = x.shape
    cells = x.reshape(n, block_size, block_size, c // block_size**2, h, w)
    return cells.permute(0, 3, 4, 1, 5, 2).reshape(n, -1, h * block_size, w * block_size)


def quantize(
    input: Tensor, scale: Tensor, output_dtype: str, zero_point: Tensor | None = None, axis: int | None = None
) -> Tensor:
    """Returns round(input / scale) + zero point, held in the type's range; halves go to even."""
    low, high = {"int8": (-128, 127), "uint8": (0, 255)}[output_dtype]
    whole = (input / _columns(scale, input, axis)).round() + _columns(zero_point, input, axis)
    return whole.clamp(low, high).to(getattr(torch, output_dtype))


def dequantize(input: Tensor, scale: Tensor, zero_point: Tensor | None = None, axis: int | None = None) -> Tensor:
    """Returns (input - zero point) * scale."""
    return (input.float() - _columns(zero_point, input, axis)) * _columns(scale, input, axis)


def constexpr_affine_dequantize(quantized_data: Tensor, scale: Tensor, zero_point: Tensor, axis: int) -> Tensor:
    """Returns a compressed weight's values."""
    return dequantize(quantized_data, scale, zero_point, axis)


def _columns(value: Tensor | None, like: Tensor, axis: int | None) -> Tensor:
    """Returns a scale or zero point in a shape that spreads over ``like``."""
    if value is None:
        return torch.zeros(())
    if value.ndim == 0:
        return value.float()
    _require(axis is not None, "a vector without axis")
    assert axis is not None
    shape = [1] * like.ndim
    shape[axis] = -1
    return value.float().reshape(shape)


def _sample(x: Tensor, size: int, axis: int) -> Tensor:
    """Returns x sampled at the middles of ``size`` equal parts of an axis."""
    old = x.shape[axis]
    spacing = old / size
    points = (torch.arange(size, dtype=torch.float64) * spacing + 0.5 * spacing - 0.5).clamp(0, old - 1)
    below = points.floor().long()
    above = (below + 1).clamp(max=old - 1)
    shape = [1] * x.ndim
    shape[axis] = -1
    share = (points - below).float().reshape(shape)
    return x.index_select(axis, below) * (1 - share) + x.index_select(axis, above) * share


def _margins(pad_type: str, pad: list[int]) -> list[int]:
    """Returns PyTorch's margins (left, right, top, bottom) from MIL's (top, bottom, left, right)."""
    _require(pad_type in ("valid", "custom"), f"pad_type {pad_type}")
    return [0, 0, 0, 0] if pad_type == "valid" else [*pad[2:], *pad[:2]]


def _require(known: bool, found: str) -> None:
    if not known:
        raise NotImplementedError(found)


def _one(function: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    def operation(x: Tensor) -> Tensor:
        return function(x)

    return operation


def _two(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    def operation(x: Tensor, y: Tensor) -> Tensor:
        return function(x, y)

    return operation


OPERATIONS: dict[str, Callable[..., Any]] = {
    "abs": _one(torch.abs),
    "add": _two(torch.add),
    "avg_pool": avg_pool,
    "cast": cast,
    "clip": clip,
    "concat": concat,
    "constexpr_affine_dequantize": constexpr_affine_dequantize,
    "conv": conv,
    "depth_to_space": depth_to_space,
    "dequantize": dequantize,
    "exp": _one(torch.exp),
    "expand_dims": expand_dims,
    "linear": linear,
    "log": log,
    "matmul": matmul,
    "mul": _two(torch.mul),
    "pad": pad,
    "pixel_shuffle": pixel_shuffle,
    "quantize": quantize,
    "real_div": _two(torch.div),
    "reduce_max": reduce_max,
    "reduce_mean": reduce_mean,
    "relu": _one(torch.relu),
    "relu6": _one(functional.relu6),
    "reshape": reshape,
    "resize_bilinear": resize_bilinear,
    "sigmoid": _one(torch.sigmoid),
    "silu": _one(functional.silu),
    "slice_by_index": slice_by_index,
    "sqrt": _one(torch.sqrt),
    "squeeze": squeeze,
    "sub": _two(torch.sub),
    "tanh": _one(torch.tanh),
    "transpose": transpose,
}
"""Operation's name in MIL -> function of its parameters."""
