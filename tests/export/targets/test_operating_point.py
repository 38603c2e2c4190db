from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from tinydf.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from tinydf.evaluation.operating_point import OperatingPoint, store_operating_point
from tinydf.evaluation.scoring import open_scorer
from tinydf_export import ExportedModel, ExportRequest, runner
from tinydf_export.graph import float_graph
from tinydf_export.graph.traceable import Traceable
from tinydf_export.parity.golden import draw_golden_crops
from tinydf_runtime.engines.engine import open_engine
from tinydf_runtime.models.spec import ModelSpec


def test_fitted_temperature_and_threshold_are_in_the_export(
    checkpoint: Checkpoint, plain_model: onnx.ModelProto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Tracing takes long: the trace at hand divides by the fixture's temperature, so that is what is fitted here.
    fitted_temperature = checkpoint.spec.temperature
    traced: list[Traceable] = []

    def reuse_trace(network: Traceable, spec: ModelSpec) -> onnx.ModelProto:
        traced.append(network)
        return plain_model

    monkeypatch.setattr(float_graph, "trace", reuse_trace)
    unfitted, fitted, model = (tmp_path / name for name in ("a.safetensors", "b.safetensors", "b.onnx"))
    save_checkpoint(replace(checkpoint, spec=replace(checkpoint.spec, temperature=1.4)), unfitted, half=True)
    store_operating_point(OperatingPoint(fitted_temperature, 0.31, 0.1, 0.1, 50), unfitted, fitted, [])
    runner.run(ExportRequest(load_checkpoint(fitted), "onnx", model))
    assert [network.temperature for network in traced] == [fitted_temperature]
    engine = open_engine(model)
    assert (engine.spec.temperature, engine.spec.threshold) == (fitted_temperature, 0.31)
    crops = draw_golden_crops(checkpoint.spec.crop)
    expected = open_scorer(unfitted).logits(crops) * 1.4 / fitted_temperature
    assert open_scorer(fitted).logits(crops) == pytest.approx(expected, abs=1e-5)
    assert open_scorer(model).logits(crops) == pytest.approx(expected, abs=3e-3)


def test_checkpoint_and_its_export_score_alike(
    checkpoint_path: Path, exported: ExportedModel, checkpoint: Checkpoint
) -> None:
    crops = draw_golden_crops(checkpoint.spec.crop)
    eager, engine = open_scorer(checkpoint_path), open_scorer(exported.path)
    assert engine.logits(crops) == pytest.approx(eager.logits(crops), abs=3e-3)
    assert np.ptp(eager.logits(crops)) > 0.5
    assert engine.spec.threshold == eager.spec.threshold
