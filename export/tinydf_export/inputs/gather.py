"""Options of tinydf-export -> calibration table and labelled crops."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tinydf.checkpoint import Checkpoint
from tinydf_calibration.sampler import LabelledCrops
from tinydf_calibration.table import CalibrationTable, read_table
from tinydf_export.inputs.calibrate import calibrate_checkpoint
from tinydf_export.inputs.labelled_crops import Skip, read_labelled_crops
from tinydf_export.inputs.shipped import SHIPPED_TABLE, is_shipped
from tinydf_runtime.errors import UsageError
from tinydf_runtime.models.spec import Precision
from tinydf_runtime.types import OnStage

PARITY_CROPS = 512
"""Crops that an export is measured on."""


@dataclass(frozen=True, slots=True)
class ExportInputs:
    """What an export needs beside its checkpoint.

    Attributes:
        table: None without one.
        crops: To measure the exported model on, None without a folder of faces.
    """

    table: CalibrationTable | None
    crops: LabelledCrops | None


def gather_inputs(
    checkpoint: Checkpoint,
    precision: Precision,
    table_path: Path | None,
    faces: Path | None,
    max_auc_drop: float,
    *,
    report: OnStage = lambda stage, done, total: None,
    skip: Skip = lambda reason: None,
) -> ExportInputs:
    """Reads the table, or makes one, and cuts the crops that the export is measured on.

    Args:
        checkpoint: To be exported.
        precision: Only int8 calibrates.
        table_path: File that tinydf-calibrate wrote; None to calibrate on ``faces``, or, of the shipped checkpoint, to
            take the table that is shipped with it.
        faces: Folder of prepared faces; on its validation part the export is compared with the checkpoint.
        max_auc_drop: Bound that a calibration must keep to.
        report: Called with stage, done and total.
        skip: Called for each unreadable picture, which is left out.

    Raises:
        CalibrationFileError: The table is missing or damaged.
        UnreadableInputError: The folder cannot be read.
        UsageError: Its validation part is empty, or nothing tells how to calibrate.
    """
    if precision == "int8" and table_path is None and faces is not None:
        calibration = calibrate_checkpoint(checkpoint, faces, max_auc_drop=max_auc_drop, report=report, skip=skip)
        return ExportInputs(calibration.table, calibration.validation)
    if table_path is None and precision in ("int8", "w8") and is_shipped(checkpoint):
        table_path = SHIPPED_TABLE
    if table_path is None and precision == "int8":
        raise UsageError(
            "--int8: needs --calibration TABLE, or --data FACES to calibrate on. Make FACES with tinydf-prepare from "
            "videos or photos like yours, and TABLE with tinydf-calibrate."
        )
    table = None if table_path is None else read_table(table_path)
    if faces is None:
        return ExportInputs(table, None)
    cut = partial(report, "crops to measure on")
    return ExportInputs(
        table, read_labelled_crops(faces, "val", checkpoint.spec.crop, PARITY_CROPS, report=cut, skip=skip)
    )
