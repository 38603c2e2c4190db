"""Checkpoint + a folder of faces -> calibration table."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tinydf.checkpoint import Checkpoint
from tinydf_calibration.agreement import MAX_AUC_DROP, Bounds
from tinydf_calibration.calibrate import Keys, calibrate
from tinydf_calibration.sampler import LabelledCrops, stratified_sample
from tinydf_calibration.table import CalibrationTable, read_table, rekey
from tinydf_export.graph.float_graph import build_float_graph
from tinydf_export.inputs.labelled_crops import Skip, read_labelled_crops
from tinydf_runtime.types import OnStage

SAMPLES = 256
VALIDATION_PAIRS = 300
POOL = 2
"""Factor by which more crops are cut than used: sharpness and compression are known only after cutting."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """A calibration table and the crops that judged it.

    Attributes:
        table: To export with.
        validation: The crops that it was judged on, which an export can be judged on too.
    """

    table: CalibrationTable
    validation: LabelledCrops


def calibrate_checkpoint(
    checkpoint: Checkpoint,
    folder: Path,
    *,
    samples: int = SAMPLES,
    validation_pairs: int = VALIDATION_PAIRS,
    max_auc_drop: float = MAX_AUC_DROP,
    seed: int = 0,
    report: OnStage = lambda stage, done, total: None,
    skip: Skip = lambda reason: None,
) -> Calibration:
    """Calibrates a checkpoint on split train of a folder and judges it on split val; split test is not touched.

    Args:
        checkpoint: The network.
        folder: Holds ``faces.parquet`` or ``faces.csv``.
        samples: Crops that ranges are collected from.
        validation_pairs: Half as many crops as every choice is judged on.
        max_auc_drop: Loss of AUC that the quantised network may show.
        seed: Of the choice of crops and of forgeries.
        report: Called with stage, done and total.
        skip: Called for each unreadable picture, which is left out.

    Raises:
        UnreadableInputError: The table of faces is missing or damaged, or no picture can be read.
        UsageError: A split is empty.
    """
    crop_config = checkpoint.spec.crop
    validation = read_labelled_crops(
        folder, "val", crop_config, 2 * validation_pairs, seed, partial(report, "validation crops"), skip
    )
    pool = read_labelled_crops(
        folder, "train", crop_config, POOL * samples, seed, partial(report, "calibration crops"), skip
    )
    sample = pool.take(stratified_sample(list(pool.attributes().values()), samples, seed))
    report("graph", 0, 1)
    graph = build_float_graph(checkpoint)
    keys = Keys(checkpoint.spec.checkpoint_sha256, crop_config.sha256(), checkpoint.spec.threshold)
    return Calibration(calibrate(graph, sample, validation, keys, Bounds(auc_drop=max_auc_drop), report), validation)


def rekey_table(checkpoint: Checkpoint, path: Path) -> CalibrationTable:
    """Returns a table with its ranges, keyed to the graph that the installed versions write for its checkpoint.

    Raises:
        CalibrationFileError: The table is missing or damaged.
        StaleTableError: It was made for other weights, or for a graph with other names.
    """
    table = read_table(path)
    return rekey(table, checkpoint.spec.checkpoint_sha256, build_float_graph(checkpoint), checkpoint.spec.crop.sha256())
