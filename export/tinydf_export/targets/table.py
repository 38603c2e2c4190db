"""Table of export targets, a row each: name -> file, extra, ending and precisions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tinydf_runtime.engines.engine import check_choice
from tinydf_runtime.errors import UsageError
from tinydf_runtime.models.spec import Precision


@dataclass(frozen=True, slots=True)
class Target:
    """One row of the table.

    Attributes:
        module: Its file in this folder; see ``protocol.TargetModule``.
        extra: Installs its libraries.
        ending: Suffix of its files; empty for a folder.
        precisions: Supported precisions; the first is the default.
        int8: What ``--int8`` means here: "w8" where most users want small files that compute in float.
        tools: Distributions whose versions shape its files, beside those that shape every export.
    """

    module: str
    extra: str
    ending: str
    precisions: tuple[Precision, ...]
    int8: Precision = "int8"
    tools: tuple[str, ...] = ()


TARGETS: dict[str, Target] = {
    "onnx": Target("onnx", "export", ".onnx", ("fp32", "fp16", "int8")),
    "openvino": Target("openvino.target", "openvino", ".xml", ("fp32", "fp16", "int8"), tools=("openvino",)),
    "coreml": Target(
        "coreml.target", "coreml", ".mlpackage", ("fp16", "fp32", "w8", "int8"), int8="w8", tools=("coremltools",)
    ),
    # Its libraries are on the device; without them the exporter leaves the ONNX file that the device builds from.
    "tensorrt": Target("tensorrt.target", "export", ".plan", ("fp32", "fp16", "int8")),
    "web": Target("web", "export", "", ("fp32", "int8")),
}
"""Name -> target."""


def check_target(target: str, out: Path, precision: Precision = "fp32") -> None:
    """Checks that target, file name and precision fit each other, before anything is computed.

    Raises:
        UsageError: They do not.
    """
    row = find_target(target)
    if out.suffix.lower() != row.ending:
        raise UsageError(f"{out}: expected a name that ends in {row.ending} for target {target}.")
    if not out.resolve().parent.is_dir():
        raise UsageError(f"{out}: its folder does not exist. Make it first.")
    if precision not in row.precisions:
        raise UsageError(f"precision: found {precision}, expected one of {', '.join(row.precisions)} for {target}.")


def find_target(name: str) -> Target:
    """Returns a row of the table.

    Raises:
        UsageError: There is none of this name.
    """
    check_choice("target", name, TARGETS)
    return TARGETS[name]
