"""Range -> scale and zero point; float weights -> int8 weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST_FACTOR = 64
"""Of weights that are multiplied in 8 bit. Processors without 8-bit dot products add pairs of products with unsigned
activations in 16 bit, saturated (x86: VPMADDUBSW), and 2 * 64 * 255 fits: so every processor gives the same sums."""
_LARGEST_STORED = 127
_LARGEST_INT32 = 2**31 - 1


@dataclass(frozen=True, slots=True)
class ActivationScale:
    """How a tensor's values are written in 8 bit: value = (stored - zero_point) * scale.

    Attributes:
        scale: Step between neighbours, float32.
        zero_point: What stands for 0.0: uint8, or int8 and then 0.
    """

    scale: np.float32
    zero_point: np.uint8 | np.int8


def activation_scale(
    low: float, high: float, *, unsigned: bool, half: bool = False, centred: bool = False
) -> ActivationScale:
    """Returns scale and zero point that cover a range and hold 0.0 exactly, since padding writes zeros.

    Args:
        low: Lowest value to represent.
        high: Highest value to represent.
        unsigned: 0..255 with the zero point where the range asks for it; else -127..127 around 0.
        half: Takes the next larger scale that float16 holds.
        centred: Takes -127..127 around 0 for a range that goes below 0, whatever ``unsigned`` says.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    if not unsigned or (centred and low < 0):
        step = _step(max(-low, high), 127)
        return ActivationScale(np.float32(_round_up_to_half(step)) if half else step, np.int8(0))
    scale = _step(high - low, 255)
    return ActivationScale(scale, np.uint8(np.clip(np.rint(-low / float(scale)), 0, 255)))


def weight_scales(weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns O: the scale of each output channel of a weight that is multiplied in 8 bit, one that float16 holds.

    Args:
        weight: O x ..., float32.
    """
    return _scales(weight, LARGEST_FACTOR, half=True)


def quantize_weight(
    weight: NDArray[np.float32], smallest: NDArray[np.float32] | None = None, moves: NDArray[np.int8] | None = None
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Rounds a weight that is multiplied in 8 bit to -64..64 with one scale per output channel.

    Args:
        weight: O x ..., float32.
        smallest: O, lower bounds of the scales; see ``smallest_weight_scale``.
        moves: Shape of the weight, the steps by which each value differs from the nearest; see ``rounding.py``. They
            do not count for a channel whose scale ``smallest`` raises.

    Returns:
        The stored values, and the scale of each output channel.
    """
    own = weight_scales(weight)
    scales = own if smallest is None else np.maximum(own, _round_up_to_half(smallest))
    stored = _round(weight, scales, LARGEST_FACTOR)
    if moves is not None:
        moved = np.clip(stored + moves, -LARGEST_FACTOR, LARGEST_FACTOR).astype(np.int8)
        stored = np.where(per_channel(scales == own, weight), moved, stored)
    return stored, scales


def store_weight(weight: NDArray[np.float32], *, half: bool = False) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Rounds a weight that is stored in 8 bit and multiplied in float to -127..127, one scale per output channel.

    Args:
        weight: O x ..., float32.
        half: Takes for each channel the next larger scale that float16 holds.

    Returns:
        The stored values, and the scale of each output channel.
    """
    scales = _scales(weight, _LARGEST_STORED, half=half)
    return _round(weight, scales, _LARGEST_STORED), scales


def smallest_weight_scale(bias: NDArray[np.float32], input_scale: np.float32) -> NDArray[np.float32]:
    """Returns O: for each output channel the weight scale from which its bias fits int32."""
    # Half of what fits: the accumulator adds products to it.
    return np.asarray(2 * np.abs(bias) / (float(input_scale) * _LARGEST_INT32), np.float32)


def quantize_bias(bias: NDArray[np.float32], scales: NDArray[np.float32]) -> NDArray[np.int32]:
    """Rounds a bias, O, to int32 in units of ``scales``, O: input scale times weight scale."""
    units = np.rint(bias.astype(np.float64) / scales.astype(np.float64))
    return np.clip(units, -_LARGEST_INT32, _LARGEST_INT32).astype(np.int32)


def per_channel(values: NDArray[Any], weight: NDArray[Any]) -> NDArray[Any]:
    """Returns one value per output channel, O, as O x 1 x ..., which broadcasts over the weight, O x ... ."""
    return values.reshape(-1, *[1] * (weight.ndim - 1))


def _scales(weight: NDArray[np.float32], levels: int, *, half: bool) -> NDArray[np.float32]:
    largest = np.abs(weight.reshape(len(weight), -1)).max(1)
    scales = np.where(largest > 0, largest, 1.0).astype(np.float32) / np.float32(levels)
    # Core ML takes no subnormal scale: one nearly dead channel would keep its whole layer in float16.
    scales = np.maximum(scales, np.finfo(np.float16 if half else np.float32).tiny)
    scales = scales.astype(np.float32)
    return _round_up_to_half(scales) if half else scales


def _round(weight: NDArray[np.float32], scales: NDArray[np.float32], levels: int) -> NDArray[np.int8]:
    steps = np.rint(weight / per_channel(scales, weight))
    return np.asarray(np.clip(steps, -levels, levels), np.int8)


def _step(span: float, steps: int) -> np.float32:
    return np.float32(span / steps) if span / steps > np.finfo(np.float32).tiny else np.float32(1)


def _round_up_to_half(scales: NDArray[np.float32] | np.float32) -> NDArray[np.float32]:
    """Returns the nearest scales that float16 holds and that clip nothing."""
    values = np.asarray(scales, np.float32)
    rounded = values.astype(np.float16)
    larger = np.nextafter(rounded, np.float16(np.inf))
    return np.where(rounded.astype(np.float32) < values, larger, rounded).astype(np.float32)
