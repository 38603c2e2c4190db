from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from tinydf.facedetector.model import FaceDetectorNet
from tinydf.facedetector.weights import DetectorCheckpoint
from tinydf_export.facedetector import OPSET, OUTPUTS, TraceableDetector, export_detector, fold_norms
from tinydf_runtime.faces.detector import METADATA_KEY, FaceDetector

FACTS = {"name": "test", "score_threshold": 0.4, "nms_iou": 0.45}


@pytest.fixture(scope="module")
def network(make_face_network: Callable[..., FaceDetectorNet]) -> FaceDetectorNet:
    # Norms that differ from channel to channel: folding must not be right by luck.
    return make_face_network()


@pytest.fixture(scope="module")
def exported(network: FaceDetectorNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("detector") / "detector.onnx"
    return export_detector(DetectorCheckpoint(network, FACTS, "0" * 64), path)


def test_folded_norms_change_nothing(network: FaceDetectorNet) -> None:
    image = torch.rand(1, 3, 96, 64) * 255
    folded = fold_norms(network)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())
    for ours, theirs in zip(folded(image), network(image), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("shape", [(1, 96, 128), (2, 64, 64), (5, 32, 160), (1, 192, 320)])
def test_exported_equals_eager_at_any_batch_and_size(
    network: FaceDetectorNet, exported: Path, shape: tuple[int, int, int]
) -> None:
    images = np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)
    session = onnxruntime.InferenceSession(str(exported), providers=["CPUExecutionProvider"])
    scores, boxes, points = session.run(list(OUTPUTS), {"image": images})
    wanted = TraceableDetector(network)(torch.from_numpy(images))
    np.testing.assert_allclose(scores, wanted[0].numpy(), atol=1e-5)
    np.testing.assert_allclose(boxes, wanted[1].numpy(), rtol=1e-4, atol=1e-2)
    np.testing.assert_allclose(points, wanted[2].numpy(), rtol=1e-4, atol=1e-2)


def test_rounding_large_weights_to_float16_hardly_changes_anything(network: FaceDetectorNet) -> None:
    images = torch.randint(0, 256, (2, 96, 128, 3), dtype=torch.uint8)
    scores, boxes, points = TraceableDetector(network)(images)
    wanted = network(images.permute(0, 3, 1, 2).float())
    assert not torch.equal(scores, wanted.scores)
    torch.testing.assert_close(scores, wanted.scores, rtol=0, atol=2e-3)
    torch.testing.assert_close(boxes, wanted.boxes_xyxy, rtol=2e-3, atol=0.2)
    torch.testing.assert_close(points, wanted.landmarks, rtol=2e-3, atol=0.2)


def test_file_is_small_and_carries_its_facts(exported: Path) -> None:
    assert exported.stat().st_size <= 350 * 1024
    model = onnx.load(str(exported))
    assert model.opset_import[0].version == OPSET
    facts = json.loads({entry.key: entry.value for entry in model.metadata_props}[METADATA_KEY])
    assert facts["schema"] == "tinydf.detector/1"
    assert (facts["name"], facts["score_threshold"], facts["nms_iou"]) == ("test", 0.4, 0.45)
    assert facts["checkpoint_sha256"] == "0" * 64


def test_the_runtime_reads_it(exported: Path) -> None:
    detector = FaceDetector(exported, threads=1)
    assert (detector.name, detector.score_threshold) == ("test", 0.4)
    assert isinstance(detector.detect(np.zeros((70, 90, 3), np.uint8)), list)
