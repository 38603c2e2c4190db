"""Range -> scale and zero point; float weights -> int8 weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
    """Returns the scale that covers a range, and always 0.0 exactly, since padding writes zeros.

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


def quantize_weight(
    weight: NDArray[np.float32], smallest: NDArray[np.float32] | None = None, *, half: bool = False
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Rounds a weight to -127..127 with one scale per output channel.

    Args:
        weight: O x ..., float32.
        smallest: O, lower bounds of the scales; see ``smallest_weight_scale``.
        half: Takes for each channel the next larger scale that float16 holds.

    Returns:
        The stored values, and the scale of each output channel.
    """
    rows = weight.reshape(len(weight), -1)
    largest = np.abs(rows).max(1)
    scales = np.where(largest > 0, largest, 1.0).astype(np.float32) / np.float32(127)
    scales = np.maximum(scales, np.finfo(np.float32).tiny if smallest is None else smallest).astype(np.float32)
    if half:
        scales = _round_up_to_half(scales)
    stored = np.clip(np.rint(rows / scales[:, None]), -127, 127).astype(np.int8)
    return stored.reshape(weight.shape), scales


def smallest_weight_scale(bias: NDArray[np.float32], input_scale: np.float32) -> NDArray[np.float32]:
    """Returns for each channel the weight scale from which its bias fits int32."""
    # Half of what fits: the accumulator adds products to it.
    return np.asarray(2 * np.abs(bias) / (float(input_scale) * _LARGEST_INT32), np.float32)


def quantize_bias(bias: NDArray[np.float32], scales: NDArray[np.float32]) -> NDArray[np.int32]:
    """Rounds a bias to int32 in units of input scale times weight scale."""
    units = np.rint(bias.astype(np.float64) / scales.astype(np.float64))
    return np.clip(units, -_LARGEST_INT32, _LARGEST_INT32).astype(np.int32)


def _step(span: float, steps: int) -> np.float32:
    return np.float32(span / steps) if span / steps > np.finfo(np.float32).tiny else np.float32(1)


def _round_up_to_half(scales: NDArray[np.float32] | np.float32) -> NDArray[np.float32]:
    """Returns the nearest scales that float16 holds and that clip nothing."""
    values = np.asarray(scales, np.float32)
    rounded = values.astype(np.float16)
    larger = np.nextafter(rounded, np.float16(np.inf))
    return np.where(rounded.astype(np.float32) < values, larger, rounded).astype(np.float32)
