"""An OpenVINO model's two files -> accepted, once they are a plain graph of its own operators with finite weights.

Read as text before OpenVINO sees a byte.
"""

from __future__ import annotations

import re
from typing import NoReturn
from xml.parsers import expat

import numpy as np

from tinydf_runtime.errors import ModelFileError
from tinydf_runtime.trust.reading import RefusedError
from tinydf_runtime.trust.strict import brief

MOST_LAYERS = 20_000
MOST_ELEMENTS = 1_000_000
CONTROL_FLOW = ("If", "Loop", "TensorIterator")
"""Control flow: a loop may never end, and no network of ours has one."""
RANDOM = ("Multinomial", "RandomUniform")
"""Random operators: the same file would give another verdict each time."""
MEMORY = ("Assign", "ReadValue")
"""State: a verdict would depend on earlier pictures."""
CONSTANT = ("Const", "Constant")
"""OpenVINO writes the first and reads both."""

_NUMBER = re.compile(r"[0-9]{1,20}")
"""Python reads 1_0 as ten, and OpenVINO as one."""
_OWN = re.compile(r"opset\d{1,2}")
_FLOATS = {"f16": "<f2", "f32": "<f4", "f64": "<f8"}
_WHOLE = frozenset(["boolean", "u1", "u4", "u8", "u16", "u32", "u64", "i4", "i8", "i16", "i32", "i64"])
"""Names that OpenVINO writes. It reads others too, such as FP32."""


def check_openvino(graph: bytes, weights: bytes, source: str) -> None:
    """Accepts a pair of files that is fit to be loaded.

    Args:
        graph: Content of the ``.xml``.
        weights: Content of the ``.bin``.
        source: Names of both, for the error message.

    Raises:
        ModelFileError: It is no XML, names entities, has operators that are not OpenVINO's own, loops, too many layers,
            or a weight that is no finite number.
    """
    try:
        _Reader(weights).read(graph)
    except expat.ExpatError as error:
        raise ModelFileError(
            f"{source}: cannot be loaded as OpenVINO IR (no XML: {error}). A file may be damaged; copy or export both "
            "again."
        ) from error
    except RefusedError as error:
        raise ModelFileError(f"{source}: {error} Export it again, with tinydf-export.") from error


class _Reader:
    """Checks each element as it is parsed."""

    def __init__(self, weights: bytes) -> None:
        self._weights = memoryview(weights)
        self._elements = self._layers = 0
        self._is_constant = False

    def read(self, graph: bytes) -> None:
        parser = expat.ParserCreate()
        parser.StartElementHandler = self._start
        parser.StartDoctypeDeclHandler = self._refuse_doctype
        parser.Parse(graph, True)
        if not self._layers:
            raise RefusedError("has no layers.")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        if self._elements > MOST_ELEMENTS:
            raise RefusedError(f"has more than {MOST_ELEMENTS:,} elements.")
        if name == "layer":
            self._layer(attributes.get("type", ""), attributes.get("version", ""))
        elif name == "data" and self._is_constant:
            self._constant(attributes)

    def _layer(self, kind: str, version: str) -> None:
        self._layers += 1
        self._is_constant = kind in CONSTANT
        if self._layers > MOST_LAYERS:
            raise RefusedError(f"has more than {MOST_LAYERS:,} layers.")
        if kind in CONTROL_FLOW + RANDOM + MEMORY:
            raise RefusedError(f"has the operator {kind}, expected none that loops, branches, draws lots or remembers.")
        if not _OWN.fullmatch(version):
            raise RefusedError(f"has an operator of the set {brief(version)}, expected OpenVINO's own alone.")

    def _constant(self, attributes: dict[str, str]) -> None:
        named = [attributes.get("offset", "0"), attributes.get("size", "0")]
        if not all(map(_NUMBER.fullmatch, named)):
            raise RefusedError("has weights at a place that is no number.")
        start, size = map(int, named)
        if not 0 <= start <= start + size <= len(self._weights):
            raise RefusedError(f"has weights beyond the {len(self._weights):,} bytes of its .bin file.")
        kind = attributes.get("element_type", "")
        if kind in _WHOLE:
            return
        if kind not in _FLOATS:
            raise RefusedError(f"has weights of the type {brief(kind)}, expected floats or whole numbers.")
        # What is left of a number at the end is read by nobody.
        count = size // np.dtype(_FLOATS[kind]).itemsize
        if not np.isfinite(np.frombuffer(self._weights, _FLOATS[kind], count, start)).all():
            raise RefusedError("has a weight that is no finite number.")

    def _refuse_doctype(self, *declared: object) -> NoReturn:
        raise RefusedError("declares entities, expected plain XML.")
