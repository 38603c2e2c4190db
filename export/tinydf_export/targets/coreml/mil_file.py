"""An ``.mlpackage`` folder -> the program inside, with its weights, read without Apple's libraries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydf_runtime.engines.coreml_package import WEIGHTS, coremltools, read_description
from tinydf_runtime.errors import ModelFileError
from tinydf_runtime.trust.coreml_file import read_blob
from tinydf_runtime.trust.reading import read_model_file

MIL_pb2 = coremltools.proto.MIL_pb2

_DTYPES: Mapping[int, tuple[str, type[np.generic]]] = {
    MIL_pb2.BOOL: ("bool", np.bool_),
    MIL_pb2.STRING: ("string", np.str_),
    MIL_pb2.FLOAT16: ("fp16", np.float16),
    MIL_pb2.FLOAT32: ("fp32", np.float32),
    MIL_pb2.INT8: ("int8", np.int8),
    MIL_pb2.UINT8: ("uint8", np.uint8),
    MIL_pb2.INT32: ("int32", np.int32),
}
_BLOB_DTYPES = {"fp16": 1, "fp32": 2, "uint8": 3, "int8": 4}


@dataclass(frozen=True, slots=True)
class MilType:
    """Type of a tensor.

    Attributes:
        dtype: As MIL spells it: "fp16", "int32" and the like.
        shape: Its sides.
    """

    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that the file holds."""

    type: MilType
    value: Any


@dataclass(frozen=True, slots=True)
class Operation:
    """One line of a program.

    Attributes:
        kind: Name of the operation in MIL.
        name: Name of what it makes.
        inputs: Parameter -> names of earlier values, or constants.
        output: Type that the program declares for what it makes.
    """

    kind: str
    name: str
    inputs: Mapping[str, tuple[str | Constant, ...]]
    output: MilType


@dataclass(frozen=True, slots=True)
class MilProgram:
    """The program of an ``.mlpackage``.

    Attributes:
        inputs: Name -> type.
        constants: Name -> value.
        operations: All others, in the order in which they compute.
        outputs: Names.
    """

    inputs: Mapping[str, MilType]
    constants: Mapping[str, Constant]
    operations: tuple[Operation, ...]
    outputs: tuple[str, ...]


def read_mlpackage(path: Path) -> MilProgram:
    """Reads a model with one program named ``main``.

    Raises:
        ModelFileError: The folder is missing, damaged or holds something else.
    """
    model = read_description(path)
    # Looked up by its key alone, an entry that is not there would be made.
    if "main" not in model.mlProgram.functions:
        raise ModelFileError(f"{path.name}: no program named main found. Make the file with tinydf-export.")
    weights = read_model_file(path / WEIGHTS, advice="Copy or export the whole folder again.")
    try:
        return _read_function(model.mlProgram.functions["main"], weights)
    except (ValueError, KeyError) as error:
        raise ModelFileError(f"{path.name}: cannot be read as Core ML ({error}). Export it again.") from error


def _read_function(function: Any, weights: bytes) -> MilProgram:
    if function.opset not in function.block_specializations:
        raise ValueError(f"no program for operation set {function.opset}")
    block = function.block_specializations[function.opset]
    constants: dict[str, Constant] = {}
    operations: list[Operation] = []
    for line in block.operations:
        if len(line.outputs) != 1 or line.blocks:
            raise ValueError(
                f"{line.type}: found {len(line.outputs)} outputs and {len(line.blocks)} blocks, expected 1, 0"
            )
        name = line.outputs[0].name
        if line.type == "const":
            constants[name] = _read_constant(line.attributes["val"], weights)
            continue
        # Compressed weights keep their parts as attributes, all other operations as inputs.
        inputs: dict[str, tuple[str | Constant, ...]] = {
            key: (_read_constant(value, weights),) for key, value in line.attributes.items() if key != "name"
        }
        for key, argument in line.inputs.items():
            inputs[key] = tuple(
                item.name if item.WhichOneof("binding") == "name" else _read_constant(item.value, weights)
                for item in argument.arguments
            )
        operations.append(Operation(line.type, name, inputs, _read_type(line.outputs[0].type)))
    return MilProgram(
        {value.name: _read_type(value.type) for value in function.inputs},
        constants,
        tuple(operations),
        tuple(block.outputs),
    )


def _read_type(kind: Any) -> MilType:
    tensor = kind.tensorType
    if kind.WhichOneof("type") != "tensorType" or tensor.dataType not in _DTYPES:
        raise ValueError(f"found a value of type {MIL_pb2.DataType.Name(tensor.dataType)}, which is not known")
    if any(size.WhichOneof("dimension") != "constant" for size in tensor.dimensions):
        raise ValueError("found a shape that varies, expected fixed ones")
    return MilType(_DTYPES[tensor.dataType][0], tuple(int(size.constant.size) for size in tensor.dimensions))


def _read_constant(value: Any, weights: bytes) -> Constant:
    """Returns a string, a bool, a list of ints, or an array."""
    kind = _read_type(value.type)
    array = (
        _from_blob(value.blobFileValue, kind, weights) if value.HasField("blobFileValue") else _from_line(value, kind)
    )
    if array.size != int(np.prod(kind.shape, dtype=np.int64)):
        raise ValueError(f"found {array.size} values for shape {kind.shape}")
    array = array.reshape(kind.shape)
    if kind.dtype in ("string", "bool", "int32"):
        return Constant(kind, array.tolist())
    return Constant(kind, array)


def _from_line(value: Any, kind: MilType) -> NDArray[Any]:
    tensor = value.immediateValue.tensor
    held = tensor.WhichOneof("value")
    dtype = dict(_DTYPES.values())[kind.dtype]
    if held == "bytes":
        return np.frombuffer(tensor.bytes.values, dtype)
    return np.array(list(getattr(tensor, held).values) if held else [], dtype)


def _from_blob(place: Any, kind: MilType, weights: bytes) -> NDArray[Any]:
    code, content = read_blob(place, weights)
    if code != _BLOB_DTYPES.get(kind.dtype):
        raise ValueError(f"{WEIGHTS.name}: no {kind.dtype} values found at {place.offset}")
    dtype = np.dtype(dict(_DTYPES.values())[kind.dtype])
    return np.frombuffer(content, dtype, len(content) // dtype.itemsize)
