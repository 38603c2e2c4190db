"""ONNX operators that reshape, move or resize -> MIL operations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinydf_export.targets.coreml.mil_step import Step
from tinydf_runtime.engines.coreml_package import coremltools

mb = coremltools.converters.mil.Builder


def pad(step: Step) -> Any:
    """Returns the padded tensor; only height and width can be padded."""
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


def resize(step: Step) -> Any:
    """Returns the tensor at another height and width, bilinear with half-pixel centres."""
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


def reshape(step: Step) -> Any:
    """Returns the tensor in another shape, its batch left open."""
    x, shape = step.inputs[0], step.integers(1)
    if not step.attributes.get("allowzero", 0):
        shape = [x.shape[i] if size == 0 else size for i, size in enumerate(shape)]
    # The first dimension is the batch: left open, the program is right for any.
    if shape[0] == x.shape[0] and -1 not in shape:
        shape[0] = -1
    return mb.reshape(x=x, shape=shape, name=step.name)


def flatten(step: Step) -> Any:
    """Returns the tensor as one vector a crop."""
    step.require(axis=1)
    return mb.reshape(x=step.inputs[0], shape=[-1, math.prod(step.inputs[0].shape[1:])], name=step.name)


def transpose(step: Step) -> Any:
    """Returns the tensor with its axes in another order."""
    return mb.transpose(x=step.inputs[0], perm=list(step.attributes["perm"]), name=step.name)


def squeeze(step: Step) -> Any:
    """Returns the tensor without some axes of one value."""
    return mb.squeeze(x=step.inputs[0], axes=step.integers(1), name=step.name)


def unsqueeze(step: Step) -> Any:
    """Returns the tensor with new axes of one value."""
    return mb.expand_dims(x=step.inputs[0], axes=step.integers(1), name=step.name)


def gather(step: Step) -> Any:
    """Returns one index of an axis, without that axis."""
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


def concat(step: Step) -> Any:
    """Returns tensors joined along an axis."""
    return mb.concat(values=list(step.inputs), axis=int(step.attributes["axis"]), name=step.name)


def depth_to_space(step: Step) -> Any:
    """Returns channels spread over height and width."""
    block = int(step.attributes["blocksize"])
    if step.attributes.get("mode", b"DCR") == b"CRD":
        return mb.pixel_shuffle(x=step.inputs[0], upscale_factor=block, name=step.name)
    return mb.depth_to_space(x=step.inputs[0], block_size=block, name=step.name)


def _is_half(value: Any) -> bool:
    return bool(value.dtype.__type_info__().name == "fp16")
