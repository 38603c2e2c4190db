"""Core ML program + crops -> scores, where there is no Core ML, so that exports can be checked on any machine.

It checks the graph, the weights and what their number formats do to the result. It does not check Apple's kernels: the
Neural Engine adds up in float16 and may differ a little more. ``tinydf-verify`` on a Mac tells.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tinydf_export.targets.coreml.mil_file import Constant, MilProgram, MilType, Operation, read_mlpackage
from tinydf_export.targets.coreml.mil_operations import OPERATIONS
from tinydf_runtime.engines.coreml_package import check_signature, read_description
from tinydf_runtime.engines.engine import check_crops
from tinydf_runtime.errors import ModelFileError, QualityError
from tinydf_runtime.models.spec import ModelSpec
from tinydf_runtime.trust.coreml_file import check_coreml
from tinydf_runtime.types import Scores

_LARGEST_BATCH = 16
_FLOATS = ("fp16", "fp32")
Value = object


@dataclass(frozen=True, slots=True)
class InterpretedEngine:
    """A classifier run by the interpreter; see ``tinydf_runtime.engines.engine.Engine``."""

    spec: ModelSpec
    program: MilProgram
    source: str
    map_shape: tuple[int, int]
    golden_text: str | None
    device: str = "cpu"
    name: str = "MIL interpreter"

    def score(self, crops: NDArray[np.uint8]) -> Scores:
        """Returns fake probability and forgery map of N x side x side x 3 RGB uint8 crops, in the order given."""
        check_crops(crops, self.spec.crop.side_px)
        probabilities = [np.empty(0, np.float32)]
        maps = [np.empty((0, *self.map_shape), np.float32)]
        for start in range(0, len(crops), _LARGEST_BATCH):
            planes = np.ascontiguousarray(crops[start : start + _LARGEST_BATCH].transpose(0, 3, 1, 2), np.float32)
            found = run_program(self.program, {"image": planes}, self.source)
            probabilities.append(found["fake_probability"])
            maps.append(found["forgery_map"])
        return Scores(np.concatenate(probabilities), np.concatenate(maps))


def open_interpreter(path: Path) -> InterpretedEngine:
    """Opens an exported classifier to be interpreted.

    Raises:
        ModelFileError: The folder is missing, damaged, no TinyDF classifier, or not typed as Core ML wants it.
    """
    description = read_description(path)
    # What we write, the runtime must take.
    check_coreml(description, path)
    spec, golden_text, map_shape = check_signature(description, path.name)
    return InterpretedEngine(spec, read_mlpackage(path), path.name, map_shape, golden_text)


def run_program(
    program: MilProgram,
    inputs: Mapping[str, NDArray[np.float32]],
    source: str,
    keep_all: bool = False,
    instead: Mapping[str, NDArray[np.float32]] | None = None,
) -> dict[str, NDArray[np.float32]]:
    """Executes a program.

    Args:
        program: A program for one crop, whose first dimension is everywhere the batch.
        inputs: Name -> values; the first dimension may be any, and takes the place of the program's 1.
        source: The model's file name, for error messages.
        keep_all: Returns every floating value by its name, not the outputs alone.
        instead: Name -> values that operations further on take in place of what was computed, so that each operation
            can be held against another engine's without what those before it rounded.

    Raises:
        ModelFileError: An operation is unknown, or what it makes is not what the program declares.
        QualityError: A value became infinite or no number.
    """
    batch = len(next(iter(inputs.values())))
    values: dict[str, Value] = {name: torch.from_numpy(value) for name, value in inputs.items()}
    types = dict(program.inputs)
    for name, constant in program.constants.items():
        values[name], types[name] = _load(constant), constant.type
    computed: dict[str, Tensor] = {}
    with torch.inference_mode():
        for operation in program.operations:
            name = operation.name
            computed[name] = _execute(operation, values, types, batch, source)
            values[name] = torch.from_numpy(instead[name]) if instead and name in instead else computed[name]
            types[name] = operation.output
    wanted = [o.name for o in program.operations if o.output.dtype in _FLOATS] if keep_all else program.outputs
    return {name: _array(computed[name]) for name in wanted}


def _execute(
    operation: Operation, values: Mapping[str, Value], types: Mapping[str, MilType], batch: int, source: str
) -> Tensor:
    function = OPERATIONS.get(operation.kind)
    if function is None:
        raise ModelFileError(
            f"{source}: operation {operation.kind} of {operation.name} is not known to the interpreter. Verify the "
            "model on a Mac."
        )
    arguments: dict[str, Value] = {}
    floats = {operation.output.dtype} & set(_FLOATS)
    for key, sources in operation.inputs.items():
        loaded = [_load(item) if isinstance(item, Constant) else values[item] for item in sources]
        kinds = [item.type if isinstance(item, Constant) else types[item] for item in sources]
        floats |= {kind.dtype for kind in kinds} & set(_FLOATS)
        arguments[key] = loaded if key == "values" else loaded[0]
    if len(floats) > 1 and operation.kind != "cast":
        raise _mistyped(operation, source, f"it mixes {' and '.join(sorted(floats))}")
    try:
        inspect.signature(function).bind(**arguments)
        found: Tensor = function(**arguments)
    except (TypeError, NotImplementedError, RuntimeError, IndexError, KeyError) as error:
        raise _mistyped(operation, source, str(error).splitlines()[0]) from error
    expected = operation.output.shape
    if operation.kind.startswith("constexpr_"):
        allowed = expected
    else:
        allowed = (batch, *expected[1:]) if expected[:1] == (1,) else expected
    if tuple(found.shape) != allowed:
        raise _mistyped(operation, source, f"its shape is {tuple(found.shape)}, declared {allowed}")
    if operation.output.dtype == "fp16":
        found = found.half().float()
    # A clip further on would turn infinity into an ordinary number.
    if not bool(torch.isfinite(found).all()):
        raise QualityError(
            f"{source}: {operation.kind} {operation.name} makes values that {operation.output.dtype} cannot hold. "
            "Export the checkpoint in another precision."
        )
    return found


def _mistyped(operation: Operation, source: str, found: str) -> ModelFileError:
    return ModelFileError(
        f"{source}: {operation.kind} {operation.name} cannot be run: {found}. The file may be damaged; export it again."
    )


def _load(constant: Constant) -> Value:
    """Returns a constant as the operations take it: numbers of the network as tensors, all else as Python's own."""
    if not isinstance(constant.value, np.ndarray):
        return constant.value
    tensor = torch.from_numpy(constant.value.copy())
    return tensor.float() if constant.type.dtype in _FLOATS else tensor


def _array(value: Value) -> NDArray[np.float32]:
    assert isinstance(value, Tensor)
    return value.numpy().astype(np.float32)
