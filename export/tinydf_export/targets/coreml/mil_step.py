"""One ONNX node with its MIL inputs: the argument of the functions that build MIL operations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto

from tinydf_runtime.errors import UnknownFormatError


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
