"""The table of export targets, and the one function that looks into it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

from tinydf_runtime.errors import UsageError, needs

if TYPE_CHECKING:
    from tinydf.checkpoint import Checkpoint
    from tinydf_export.parity import Parity
    from tinydf_runtime.spec import ModelSpec

TARGETS: dict[str, tuple[str, str, str]] = {"onnx": ("to_onnx", "export", ".onnx")}
"""Target -> (module, extra that installs its libraries, ending of its files)."""


@dataclass(frozen=True, slots=True)
class ExportedModel:
    """A written model file.

    Attributes:
        path: The file.
        spec: What it says about itself.
        parity: How far it is from its checkpoint.
        size_bytes: Size of the file.
    """

    path: Path
    spec: ModelSpec
    parity: Parity
    size_bytes: int


def export_model(checkpoint: Checkpoint, target: str, out: Path) -> ExportedModel:
    """Exports a network with the exporter that the target asks for. Only that exporter's libraries are imported.

    Raises:
        UsageError: No such target, or ``out`` has another ending than its files.
        MissingExtraError: A library of the exporter is not installed.
        QualityError: The exported model differs from its checkpoint; nothing is written.
        OutputError: The file cannot be written.
    """
    check_target(target, out)
    module, extra, _ = TARGETS[target]
    with needs(extra):
        exporter = import_module(f"tinydf_export.{module}")
    export = cast("Callable[[Checkpoint, Path], ExportedModel]", exporter.export)
    return export(checkpoint, out)


def check_target(target: str, out: Path) -> None:
    """Accepts a target and a file name that fit, before hours or seconds are spent.

    Raises:
        UsageError: They do not.
    """
    if target not in TARGETS:
        raise UsageError(f"target: found {target}, expected one of {', '.join(TARGETS)}.")
    ending = TARGETS[target][2]
    if out.suffix.lower() != ending:
        raise UsageError(f"{out}: expected a name that ends in {ending} for target {target}.")
    if not out.resolve().parent.is_dir():
        raise UsageError(f"{out}: its folder does not exist. Make it first.")
