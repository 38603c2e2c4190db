"""Each reader of model files, as ``parser_calls`` has those of media."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from fuzzing.parser_calls import temporary_file
from tinydf_calibration.table import CalibrationTable
from tinydf_runtime.engines.golden import decode_crops
from tinydf_runtime.errors import TinyDFError
from tinydf_runtime.models.plan import read_facts
from tinydf_runtime.models.seal import check_seal
from tinydf_runtime.models.spec import ModelSpec
from tinydf_runtime.trust import strict
from tinydf_runtime.trust.onnx_file import read_onnx
from tinydf_runtime.trust.openvino_file import check_openvino


def spec(content: bytes) -> None:
    """Reads what a model says about itself; what is accepted is in range, and the same once written and read again."""
    try:
        found = ModelSpec.from_json(content.decode("utf-8", "replace"), "model")
    except TinyDFError:
        return
    assert 0 < found.threshold < 1 and found.temperature > 0 and found.crop.side_px > 0
    assert ModelSpec.from_json(found.to_json(), "model") == found


def seals(content: bytes) -> None:
    """Checks a seal."""
    _refused(check_seal, temporary_file(content, ".onnx"))


def onnx_wire(content: bytes) -> None:
    """Walks the messages of an ONNX file."""
    try:
        found = read_onnx(content, "model")
    except TinyDFError:
        return
    assert all(isinstance(text, str) for entry in found.items() for text in entry)


def openvino_graph(content: bytes) -> None:
    """Walks the layers of an OpenVINO file."""
    _refused(check_openvino, content, bytes(64), "model")


def strict_json(content: bytes) -> None:
    """Reads JSON; what is accepted holds no number that is none."""
    try:
        found = strict.plain(strict.parse(content.decode("utf-8", "replace"), 10_000))
    except strict.StrictError as error:
        assert "\n" not in str(error) and len(str(error)) < 2000
        return
    assert not isinstance(found, float) or math.isfinite(found)


def plan_facts(content: bytes) -> None:
    """Reads the JSON beside a plan."""
    beside = temporary_file(content, ".plan.json")
    _refused(read_facts, beside.with_name("input.plan"))


def table(content: bytes) -> None:
    """Reads a calibration table; what is accepted has ranges to compute with."""
    try:
        found = CalibrationTable.from_json(content.decode("utf-8", "replace"), "table")
    except TinyDFError:
        return
    assert all(math.isfinite(low) and math.isfinite(high) and low <= high for low, high in found.ranges.values())


def golden_crops(content: bytes) -> None:
    """Unpacks golden crops."""
    _refused(decode_crops, content.decode("utf-8", "replace"), ModelSpec("model"), "model")


def _refused(read: Callable[..., object], *arguments: bytes | str | Path | ModelSpec) -> None:
    """Reads, and takes a documented error for an answer, if it is a line."""
    try:
        read(*arguments)
    except TinyDFError as error:
        assert len(str(error)) < 5000
