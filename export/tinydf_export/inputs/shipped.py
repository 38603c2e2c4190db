"""The shipped checkpoint and its calibration table; a mismatch between them is reported as a defect of TinyDF."""

from __future__ import annotations

from onnx import ModelProto

from tinydf.checkpoint import DEFAULT_PATH, Checkpoint
from tinydf_calibration.table import CalibrationTable, check_fits, read_table
from tinydf_runtime.errors import StaleTableError, install_line
from tinydf_runtime.io.files import sha256_of

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
