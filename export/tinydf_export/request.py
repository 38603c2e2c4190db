"""What is asked of an export, and what comes of it; importable without PyTorch, onnx and TensorRT."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tinydf_calibration.agreement import MAX_AUC_DROP
from tinydf_export.targets.tensorrt.options import PlanOptions

if TYPE_CHECKING:
    from tinydf.checkpoint import Checkpoint
    from tinydf_calibration.sampler import LabelledCrops
    from tinydf_calibration.table import CalibrationTable
    from tinydf_export.parity.report import ParityReport
    from tinydf_runtime.models.spec import ModelSpec, Precision


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """A network to export, and how good the file must be.

    Attributes:
        checkpoint: The network.
        target: Key of ``TARGETS``.
        out: File or folder to write.
        precision: Number format of the weights, and of the computation where the target's engine has it.
        table: Calibration table. Required for "int8"; for "w8" it says how weights round.
        crops: Labelled crops to measure the exported model on, beside the golden crops.
        max_auc_drop: Largest loss of AUC on ``crops``.
        plan: What TensorRT is to build; for target "tensorrt" alone.
    """

    checkpoint: Checkpoint
    target: str
    out: Path
    precision: Precision = "fp32"
    table: CalibrationTable | None = None
    crops: LabelledCrops | None = None
    max_auc_drop: float = MAX_AUC_DROP
    plan: PlanOptions | None = None


@dataclass(frozen=True, slots=True)
class ExportedModel:
    """A written model file.

    Attributes:
        path: The file or folder.
        spec: The metadata that it carries.
        parity: How far it is from its checkpoint.
        size_bytes: Size of all its files.
    """

    path: Path
    spec: ModelSpec
    parity: ParityReport
    size_bytes: int
