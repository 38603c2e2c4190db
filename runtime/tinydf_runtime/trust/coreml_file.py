"""A Core ML package -> accepted, once it is one plain program with finite weights, all of them in the package.

The checks run before Apple's compiler sees the package.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tinydf_runtime.errors import ModelFileError
from tinydf_runtime.trust.reading import DESCRIPTION, MANIFEST, MOST_TEXT_BYTES, WEIGHTS, RefusedError, read_model_file
from tinydf_runtime.trust.strict import StrictError, brief, parse

MOST_OPERATIONS = 20_000
"""Operations at most; the shipped classifier has some three thousand, constants included."""
CONTROL_FLOW = ("cond", "while_loop")
"""Control flow: a loop may never end, and no network of ours has one."""
RANDOM = ("random_bernoulli", "random_categorical", "random_normal", "random_uniform")
"""Random operators: the same file would give another verdict each time."""
MEMORY = ("read_state", "write_state", "coreml_update_state")
"""State: a verdict would depend on earlier pictures."""

_WEIGHTS_NAME = f"@model_path/weights/{WEIGHTS.name}"
_BLOB = struct.Struct("<IIQQ")
"""Mark, type, size in bytes and place of the values: what a weight file holds in front of each array."""
_BLOB_MARK = 0xDEADBEEF
_FLOATS = {10: "<f2", 11: "<f4"}
"""FLOAT16 and FLOAT32 of MIL.proto, as NumPy calls them."""
_OTHER_FLOATS = (12, 13, 40, 41)
"""FLOAT64, BFLOAT16 and two 8-bit floats, which no network of ours uses."""
_BLOBS_OF, _FLOAT_BLOBS = {10: 1, 11: 2}, (1, 2, 5)
"""The same types, and all floats, as weight files number them."""


def check_coreml(model: Any, path: Path) -> None:
    """Accepts a package that is fit to be loaded.

    Args:
        model: Its description, as ``coreml_package.read_description`` returns it.
        path: The folder.

    Raises:
        ModelFileError: Its manifest names other files, or it is no single ML program, has loops, random numbers or too
            many operations, keeps weights elsewhere, or one that is no finite number.
    """
    try:
        _check_manifest(path)
        _check_program(model, path)
    except (RefusedError, StrictError) as error:
        raise ModelFileError(f"{path.name}: {error} Export it again, with tinydf-export.") from error


def _check_manifest(path: Path) -> None:
    """Refuses a manifest that makes Core ML load another file than the one that was checked."""
    content = read_model_file(path / MANIFEST, MOST_TEXT_BYTES)
    try:
        manifest = parse(content.decode(), MOST_TEXT_BYTES)
        named = manifest["itemInfoEntries"][manifest["rootModelIdentifier"]]["path"]
    except (UnicodeDecodeError, StrictError, LookupError, TypeError) as error:
        raise RefusedError(f"{MANIFEST} names no model.") from error
    if named != DESCRIPTION.relative_to("Data").as_posix():
        raise RefusedError(f"{MANIFEST} names the model {brief(named)}, expected the usual place.")


def _check_program(model: Any, path: Path) -> None:
    kind = model.WhichOneof("Type")
    if kind != "mlProgram" or model.isUpdatable:
        found = "an updatable model" if model.isUpdatable else kind or "no model"
        raise RefusedError(f"is {found}, expected an ML program.")
    functions = model.mlProgram.functions
    if list(functions) != ["main"]:
        raise RefusedError(f"has the functions {brief(list(functions))}, expected main alone.")
    blocks = list(functions["main"].block_specializations.values())
    if sum(len(block.operations) for block in blocks) > MOST_OPERATIONS:
        raise RefusedError(f"has more than {MOST_OPERATIONS:,} operations.")
    weights: bytes | None = None
    for value in (value for block in blocks for operation in block.operations for value in _values(operation)):
        if value.HasField("blobFileValue"):
            weights = read_model_file(path / WEIGHTS) if weights is None else weights
            finite = _is_finite_blob(value, weights)
        else:
            finite = _is_finite_line(value)
        if not finite:
            raise RefusedError("has a weight that is no finite number.")


def _values(operation: Any) -> Iterator[Any]:
    """Yields the values that an operation holds itself."""
    if operation.type in CONTROL_FLOW + RANDOM + MEMORY or operation.blocks:
        raise RefusedError(
            f"has the operation {brief(operation.type)}, expected none that loops, branches, draws lots or remembers."
        )
    yield from operation.attributes.values()
    for argument in operation.inputs.values():
        for binding in argument.arguments:
            if binding.WhichOneof("binding") == "value":
                yield binding.value


def _is_finite_line(value: Any) -> bool:
    """Returns whether a value that stands in the description has no NaN and no infinity."""
    if value.immediateValue.WhichOneof("value") != "tensor":
        raise RefusedError("has a list or table among its values, expected arrays alone.")
    tensor = value.immediateValue.tensor
    held = tensor.WhichOneof("value")
    if held in ("floats", "doubles"):
        return bool(np.isfinite(np.array(getattr(tensor, held).values, np.float64)).all())
    if held != "bytes":
        return True
    return _is_finite(tensor.bytes.values, value.type.tensorType.dataType)


def _is_finite_blob(value: Any, weights: bytes) -> bool:
    """Returns whether a value that lies in the weight file has no NaN and no infinity."""
    kind = value.type.tensorType.dataType
    code, content = read_blob(value.blobFileValue, weights)
    finite = _is_finite(content, kind)
    if (code if code in _FLOAT_BLOBS else None) != _BLOBS_OF.get(kind):
        raise RefusedError(f"has weights of one type in its program and of another in {WEIGHTS.name}.")
    return finite


def read_blob(place: Any, weights: bytes) -> tuple[int, memoryview]:
    """Returns the type, as weight files number them, and the bytes of an array.

    Args:
        place: Where a program says it lies, a ``BlobFileValue`` of MIL.proto.
        weights: Content of the weight file.

    Raises:
        ValueError: It lies in another file, or there is none.
    """
    if place.fileName != _WEIGHTS_NAME:
        raise RefusedError(f"keeps weights in {brief(place.fileName)}, expected {_WEIGHTS_NAME}.")
    if place.offset + _BLOB.size <= len(weights):
        mark, code, size, start = _BLOB.unpack_from(weights, place.offset)
        if mark == _BLOB_MARK and start + size <= len(weights):
            return code, memoryview(weights)[start : start + size]
    raise RefusedError(f"has weights beyond the {len(weights):,} bytes of {WEIGHTS.name}, or no such ones.")


def _is_finite(content: bytes | memoryview, kind: int) -> bool:
    """Returns whether an array of a type of MIL.proto has no NaN and no infinity; whole numbers have none."""
    if kind in _OTHER_FLOATS:
        raise RefusedError("has weights in another format than float16, float32 or whole numbers.")
    if kind not in _FLOATS:
        return True
    if len(content) % np.dtype(_FLOATS[kind]).itemsize:
        raise RefusedError("has half a weight.")
    return bool(np.isfinite(np.frombuffer(content, _FLOATS[kind])).all())
