from pathlib import Path

import numpy as np
import pytest

from tinydf.checkpoint import Checkpoint, load_checkpoint
from tinydf.evaluation.operating_point import OperatingPoint, store_operating_point
from tinydf.evaluation.scoring import open_scorer
from tinydf_export import ExportedModel, to_onnx
from tinydf_export.golden import draw_golden_crops
from tinydf_runtime.engine import open_engine


def test_fitted_temperature_and_threshold_are_in_the_export(
    checkpoint_path: Path, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    point = OperatingPoint(temperature=1.9, threshold=0.31, fpr=0.1, found_fpr=0.1, real_videos=50)
    fitted, model = tmp_path / "fitted.safetensors", tmp_path / "fitted.onnx"
    store_operating_point(point, checkpoint_path, fitted, [])
    to_onnx.export(load_checkpoint(fitted), model)
    engine = open_engine(model)
    assert (engine.spec.temperature, engine.spec.threshold) == (1.9, 0.31)
    # What the graph itself computes is the network's logit over the new temperature.
    crops = draw_golden_crops(checkpoint.spec.crop)
    plain = open_scorer(checkpoint_path)
    expected = plain.logits(crops) * plain.spec.temperature / 1.9
    assert open_scorer(model).logits(crops) == pytest.approx(expected, abs=1e-3)
    assert open_scorer(fitted).logits(crops) == pytest.approx(expected, abs=1e-5)


def test_checkpoint_and_its_export_score_alike(
    checkpoint_path: Path, exported: ExportedModel, checkpoint: Checkpoint
) -> None:
    crops = draw_golden_crops(checkpoint.spec.crop)
    assert open_scorer(exported.path).logits(crops) == pytest.approx(
        open_scorer(checkpoint_path).logits(crops), abs=1e-3
    )
    assert np.ptp(open_scorer(checkpoint_path).logits(crops)) > 0.5
