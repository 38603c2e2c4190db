"""The table of export targets, and the one function that looks into it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from tinydf_runtime.engines.choices import check_choice
from tinydf_runtime.errors import UsageError, needs

if TYPE_CHECKING:
    from tinydf.checkpoint import Checkpoint
    from tinydf_calibration.sampler import LabelledCrops
    from tinydf_calibration.table import CalibrationTable
    from tinydf_export.proof.prove import Proof
    from tinydf_export.targets.tensorrt.options import PlanOptions
    from tinydf_runtime.models.spec import ModelSpec, Precision


@dataclass(frozen=True, slots=True)
class Target:
    """One row of the table.

    Attributes:
        module: Holds the exporter's one function, ``export``; see ``Exporter``.
        extra: Installs its libraries.
        ending: Of its files.
        precisions: Those it writes, first the one that nobody needs to ask for.
        int8: What ``--int8`` means here: "w8" where most users want small files that compute in float.
    """

    module: str
    extra: str
    ending: str
    precisions: tuple[Precision, ...]
    int8: Precision = "int8"


TARGETS: dict[str, Target] = {
    "onnx": Target("onnx", "export", ".onnx", ("fp32", "fp16", "int8")),
    "openvino": Target("openvino.target", "openvino", ".xml", ("fp32", "fp16", "int8")),
    "coreml": Target("coreml.target", "coreml", ".mlpackage", ("fp16", "fp32", "w8", "int8"), int8="w8"),
    # Its libraries are on the device; without them the exporter leaves the ONNX file that the device builds from.
    "tensorrt": Target("tensorrt.target", "export", ".plan", ("fp32", "fp16", "int8")),
    "web": Target("web", "export", "", ("fp32", "int8")),
}
"""Name -> target."""


@dataclass(frozen=True, slots=True)
class ExportedModel:
    """A written model file.

    Attributes:
        path: The file.
        spec: What it says about itself.
        proof: How far it is from its checkpoint.
        size_bytes: Size of the file, or of all of a folder's.
    """

    path: Path
    spec: ModelSpec
    proof: Proof
    size_bytes: int


class Exporter(Protocol):
    """The one function that an exporter's file offers."""

    def __call__(
        self,
        checkpoint: Checkpoint,
        out: Path,
        *,
        precision: Precision,
        table: CalibrationTable | None,
        crops: LabelledCrops | None,
        max_auc_drop: float,
    ) -> ExportedModel:
        """Exports a network: ``start_export``, a trial, ``finish_export``, and only then the file."""


def export_model(
    checkpoint: Checkpoint,
    target: str,
    out: Path,
    *,
    precision: Precision = "fp32",
    table: CalibrationTable | None = None,
    crops: LabelledCrops | None = None,
    max_auc_drop: float = 0.005,
    plan: PlanOptions | None = None,
) -> ExportedModel:
    """Exports a network with the exporter that the target asks for. Only that exporter's libraries are imported.

    Args:
        checkpoint: The network.
        target: Key of ``TARGETS``.
        out: File or folder to write.
        precision: Number format to compute in.
        table: Calibration table, which INT8 needs.
        crops: To measure the exported model on, beside the golden crops.
        max_auc_drop: Largest loss of AUC on these.
        plan: What to build; for target tensorrt alone.

    Raises:
        UsageError: No such target, ``out`` has another ending than its files, it does not write this precision, or
            INT8 lacks a table.
        MissingExtraError: A library of the exporter is not installed.
        StaleTableError: The table was made for another checkpoint, graph or crop recipe.
        QualityError: The exported model differs from its checkpoint; nothing is written.
        OutputError: The file cannot be written.
    """
    check_target(target, out, precision)
    row = TARGETS[target]
    with needs(row.extra):
        module = import_module(f"tinydf_export.targets.{row.module}")
    export = cast("Exporter", module.export if plan is None else partial(module.export, plan=plan))
    return export(checkpoint, out, precision=precision, table=table, crops=crops, max_auc_drop=max_auc_drop)


def check_target(target: str, out: Path, precision: Precision = "fp32") -> None:
    """Accepts a target, a file name and a precision that fit, before hours or seconds are spent.

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
