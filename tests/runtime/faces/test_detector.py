"""detector.py, with the hand-made detector of conftest."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tinydf_runtime.errors import ModelFileError, UsageError
from tinydf_runtime.faces.detector import FaceDetector
from tinydf_runtime.io.files import sha256_of
from tinydf_runtime.types import Image


def test_faces_come_best_first_in_pixels_of_the_image(tiny_detector: Path, draw_squares: Callable[..., Image]) -> None:
    image = draw_squares(red_xyxy=(200, 40, 260, 110), blue_xyxy=(20, 100, 60, 150))
    red, blue = FaceDetector(tiny_detector).detect(image)
    np.testing.assert_allclose(red.box_xyxy, (200, 40, 260, 110), atol=0.01)
    np.testing.assert_allclose(blue.box_xyxy, (20, 100, 60, 150), atol=0.01)
    assert [red.score, blue.score] == pytest.approx([0.9, 0.8])
    assert len(red.landmarks) == 5
    np.testing.assert_allclose(red.landmarks[0], (230, 75), atol=0.01)


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (333, 1001), (640, 640), (31, 47), (97, 2000)])
def test_box_is_mapped_back_from_any_size(
    tiny_detector: Path, draw_squares: Callable[..., Image], width: int, height: int
) -> None:
    box = (width // 4, height // 4, 3 * width // 4, 3 * height // 4)
    detector = FaceDetector(tiny_detector, long_side_px=320)
    (face,) = detector.detect(draw_squares(red_xyxy=box, width=width, height=height))
    tolerance = max(1.0, 1.5 * max(width, height) / 320)
    np.testing.assert_allclose(face.box_xyxy, box, atol=tolerance)


def test_network_sees_whole_cells_of_the_coarsest_stride(constant_detector: Callable[..., Path]) -> None:
    whole = FaceDetector(constant_detector(np.array([0.9])), long_side_px=320)
    sizes = ((720, 1280), (1, 1), (100, 33), (5000, 3))
    seen = [whole.detect(np.zeros((height, width, 3), np.uint8))[0].box_xyxy for height, width in sizes]
    # 320 x 192, 32 x 32, 64 x 128 and 32 x 320 pixels, in those of the pictures.
    expected = [(0, 0, 1280, 768), (0, 0, 32, 32), (0, 0, 64, 128), (0, 0, 64, 5000)]
    np.testing.assert_allclose(seen, expected)


def test_overlapping_padded_and_empty_boxes_are_dropped(constant_detector: Callable[..., Path]) -> None:
    boxes = np.array(
        [
            [10, 10, 50, 50],
            [12, 10, 52, 50],  # the same face again
            [105, 10, 125, 30],  # in the padding right of the 100 px wide image
            [-30, 5, -1, 40],
            [60, 60, 55, 70],
            [80, 80, 110, 110],  # reaches beyond the image
            [60, 10, 80, 30],  # too weak
        ],
        np.float32,
    )
    scores = np.array([0.8, 0.9, 0.95, 0.95, 0.95, 0.7, 0.49], np.float32)

    detector = FaceDetector(constant_detector(scores, boxes))
    image = np.zeros((100, 100, 3), np.uint8)
    assert [face.box_xyxy for face in detector.detect(image)] == [(12, 10, 52, 50), (80, 80, 110, 110)]
    assert len(detector.detect(image, score_threshold=0.3)) == 3


def test_empty_picture_has_no_faces(tiny_detector: Path, draw_squares: Callable[..., Image]) -> None:
    assert FaceDetector(tiny_detector).detect(draw_squares()) == []


def test_name_and_hash_come_from_the_file(tiny_detector: Path) -> None:
    detector = FaceDetector(tiny_detector, threads=1)
    assert detector.name == "tiny-squares"
    assert detector.sha256 == sha256_of(tiny_detector)
    assert (detector.score_threshold, detector.nms_iou) == (0.5, 0.45)


def test_detection_leaves_the_image_unchanged(tiny_detector: Path, astronaut: Image) -> None:
    before = astronaut.copy()
    FaceDetector(tiny_detector).detect(astronaut)
    np.testing.assert_array_equal(astronaut, before)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((10, 10), np.uint8),
        np.zeros((10, 10, 4), np.uint8),
        np.zeros((10, 10, 3), np.float32),
        np.zeros((0, 10, 3), np.uint8),
        [[1, 2, 3]],
    ],
    ids=["grey", "alpha", "float", "empty", "list"],
)
def test_other_arrays_are_refused(tiny_detector: Path, image: Image) -> None:
    with pytest.raises(UsageError, match="image: found"):
        FaceDetector(tiny_detector).detect(image)


def test_files_that_are_no_detector_are_refused(
    tmp_path: Path, tiny_classifier: Path, make_detector: Callable[..., Path]
) -> None:
    (tmp_path / "text.onnx").write_text("no network")
    with pytest.raises(ModelFileError, match=r"missing\.onnx"):
        FaceDetector(tmp_path / "missing.onnx")
    with pytest.raises(ModelFileError, match="cannot be loaded"):
        FaceDetector(tmp_path / "text.onnx")
    with pytest.raises(ModelFileError, match="no metadata of a TinyDF face detector"):
        FaceDetector(tiny_classifier)
    for text, message in (
        ("{", "cannot be read"),
        (json.dumps({"schema": "tinydf.detector/1"}), "cannot be read"),
        (json.dumps({"schema": "tinydf.detector/9"}), "expected tinydf.detector/1"),
    ):
        with pytest.raises(ModelFileError, match=message):
            FaceDetector(make_detector(metadata={"tinydf.detector": text}))
    with pytest.raises(UsageError, match="long_side_px"):
        FaceDetector(make_detector(), long_side_px=8)
