"""Options of tinydf-export -> calibration table, shipped or given or measured now, and labelled crops."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from onnx import ModelProto

from tinydf.checkpoint import DEFAULT_PATH, Checkpoint
from tinydf_calibration.sampler import LabelledCrops
from tinydf_calibration.table import CalibrationTable, check_fits, read_table
from tinydf_export.inputs.calibrate import calibrate_checkpoint
from tinydf_export.inputs.labelled_crops import Skip, read_labelled_crops
from tinydf_runtime.errors import StaleTableError, UsageError, install_line
from tinydf_runtime.io.files import sha256_of
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


SHIPPED_TABLE = DEFAULT_PATH.with_suffix(".calibration.json")
"""Calibration table of the shipped checkpoint."""


def is_shipped(checkpoint: Checkpoint) -> bool:
    """Whether this is the checkpoint that comes with TinyDF."""
    return checkpoint.spec.checkpoint_sha256 == sha256_of(DEFAULT_PATH)


def check_table(table: CalibrationTable, checkpoint: Checkpoint, graph: ModelProto) -> None:
    """Accepts a table that was measured on this checkpoint, its crops and its float graph.

    Raises:
        StaleTableError: It was measured on others.
    """
    try:
        check_fits(table, checkpoint.spec.checkpoint_sha256, graph, checkpoint.spec.crop.sha256())
    except StaleTableError as error:
        if not is_shipped(checkpoint) or table != read_table(SHIPPED_TABLE):
            raise
        found = str(error).split(". ")[0]
        raise StaleTableError(
            f"{found}. Both come with TinyDF, so this is a defect of TinyDF. Install the versions that it is tested "
            f"with ({install_line('export')}); if they are installed, please report a bug with this line and what "
            "tinydf-doctor prints."
        ) from error
