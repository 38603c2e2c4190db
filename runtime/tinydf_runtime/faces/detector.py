"""Frame -> faces: the embedded detector network and what is made of its output."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tinydf_runtime.engines.onnxruntime_engine import open_session, run_session
from tinydf_runtime.errors import ModelFileError, UsageError
from tinydf_runtime.faces.matching import keep_best
from tinydf_runtime.faces.tracker import CERTAIN_SCORE
from tinydf_runtime.io.files import sha256_of
from tinydf_runtime.models.seal import check_seal
from tinydf_runtime.models.shipped import DEFAULT_DETECTOR
from tinydf_runtime.models.spec import MOST_LETTERS
from tinydf_runtime.trust import strict
from tinydf_runtime.trust.outputs import checked_faces
from tinydf_runtime.types import Face, Image

METADATA_KEY = "tinydf.detector"
SCHEMA = "tinydf.detector/1"

_COARSEST_STRIDE_PX = 32
_OUTPUTS = ["scores", "boxes_xyxy", "landmarks"]


class FaceDetector:
    """Finds faces in pictures. Safe to use from several threads.

    Attributes:
        name: Name of the network, for reports.
        sha256: Hash of its file.
        score_threshold: Detection score from which a face counts, 0..1, as the file says.
        nms_iou: Overlap above which the weaker of two boxes is dropped, as the file says.
        certain_score: Median detection score from which a track counts as a person; ``CERTAIN_SCORE`` where the file
            says nothing.
        long_side_px: Larger pictures are shrunk to this before detection. At 640 the embedded detector takes three
            times as long, finds fewer of the large faces and mistakes more patterns for faces.
    """

    def __init__(
        self,
        path: Path | None = None,
        threads: int | None = None,
        long_side_px: int = 320,
        sandbox: bool = True,
    ) -> None:
        """Loads a detector.

        Args:
            path: ONNX file, None for the embedded one.
            threads: Threads of one run, None for one a core.
            long_side_px: See the attribute.
            sandbox: As ``open_engine`` takes it.

        Raises:
            UsageError: ``long_side_px`` is below 32.
            ModelFileError: The file is missing, damaged or no TinyDF face detector.
        """
        if long_side_px < _COARSEST_STRIDE_PX:
            raise UsageError(f"long_side_px: found {long_side_px}, expected {_COARSEST_STRIDE_PX} or more.")
        path = DEFAULT_DETECTOR if path is None else Path(path)
        check_seal(path)
        self._session = open_session(path, "cpu", threads, sandbox)
        missing = {*_OUTPUTS} - {output.name for output in self._session.get_outputs()}
        facts = _read_metadata(self._session.get_modelmeta().custom_metadata_map, path.name)
        if missing:
            raise ModelFileError(f"{path.name}: has no output {', '.join(sorted(missing))}. Export the detector again.")
        self.name: str = facts[0]
        self.score_threshold: float = facts[1]
        self.nms_iou: float = facts[2]
        self.certain_score: float = facts[3]
        self.sha256: str = sha256_of(path)
        self._source = path.name
        self.long_side_px: int = long_side_px

    def detect(self, image: Image, score_threshold: float | None = None) -> list[Face]:
        """Returns the faces of a picture, best score first.

        Args:
            image: H x W x 3, BGR, uint8.
            score_threshold: Lowest score to return, None for the file's own. A tracker can make use of weaker ones.

        Raises:
            UsageError: ``image`` has another shape or type.
            ModelFileError: The network cannot be run, or returns invalid scores or boxes.
        """
        if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            found = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
            raise UsageError(f"image: found {found}, expected H x W x 3 of uint8 in BGR.")
        height, width = image.shape[:2]
        if min(height, width) == 0:
            raise UsageError(f"image: found {width} x {height} pixels, expected at least one.")
        canvas, scale_xy = _fit(image, self.long_side_px)
        outputs = run_session(self._session, _OUTPUTS, canvas[None], self._source)
        threshold = self.score_threshold if score_threshold is None else score_threshold
        # All but a few of some thousand cells see nothing and are dropped before the costly steps.
        scores, boxes, landmarks = checked_faces(outputs, self._source)
        some = np.flatnonzero(scores.astype(np.float64) >= threshold)
        if not some.size:
            return []
        boxes = boxes[some].astype(np.float64) / np.tile(scale_xy, 2)
        # The padding on the right and below belongs to no picture, and a box there could not be cropped.
        on_picture = (boxes[:, 0] < width) & (boxes[:, 1] < height) & (boxes[:, 2] > 0) & (boxes[:, 3] > 0)
        if not (np.isfinite(boxes).all() and np.isfinite(landmarks[some]).all()):
            raise ModelFileError(f"{self._source}: gave a face without a place. Export the detector again.")
        has_area = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        usable = np.flatnonzero(on_picture & has_area)
        boxes, some = boxes[usable], some[usable]
        kept = keep_best(boxes, scores[some].astype(np.float64), self.nms_iou)
        points = landmarks[some[kept]].astype(np.float64) / scale_xy
        return [
            Face((left, top, right, bottom), tuple((x, y) for x, y in face_points), min(score, 1.0))
            for (left, top, right, bottom), face_points, score in zip(
                boxes[kept].tolist(), points.tolist(), scores[some[kept]].tolist(), strict=True
            )
        ]


def _fit(image: Image, long_side_px: int) -> tuple[Image, NDArray[np.float64]]:
    """Shrinks a picture so that its long side fits, and pads it with black to whole cells of the coarsest stride.

    Halving it until the rest is a factor below two takes a third of the time of one step that averages areas.

    Returns:
        The padded picture, and how much x and y were scaled (they differ by the rounding to whole pixels).
    """
    scale_xy = np.ones(2)
    while max(image.shape[:2]) >= 2 * long_side_px and min(image.shape[:2]) > 1:
        half_height, half_width = image.shape[0] // 2, image.shape[1] // 2
        even = image[: 2 * half_height, : 2 * half_width]
        image = np.asarray(cv2.resize(even, (half_width, half_height), interpolation=cv2.INTER_AREA), dtype=np.uint8)
        scale_xy /= 2
    height, width = image.shape[:2]
    shrink = min(1.0, long_side_px / max(height, width))
    new_width, new_height = max(1, round(width * shrink)), max(1, round(height * shrink))
    if shrink < 1:
        shrunk = cv2.resize(image, (new_width, new_height), interpolation=cv2.INTER_LINEAR)
        image = np.asarray(shrunk, dtype=np.uint8)
    canvas = np.zeros((_whole_cells(new_height), _whole_cells(new_width), 3), np.uint8)
    canvas[:new_height, :new_width] = image
    return canvas, scale_xy * np.array([new_width / width, new_height / height])


def _whole_cells(length_px: int) -> int:
    """Returns the next multiple of the coarsest stride."""
    return -(-length_px // _COARSEST_STRIDE_PX) * _COARSEST_STRIDE_PX


def _read_metadata(metadata: dict[str, str], source: str) -> tuple[str, float, float, float]:
    """Returns name, score threshold, suppression overlap and certain score from a detector file's metadata.

    Raises:
        ModelFileError: They are missing or of another schema.
    """
    if METADATA_KEY not in metadata:
        raise ModelFileError(f"{source}: no metadata of a TinyDF face detector found. Use a detector that TinyDF made.")
    try:
        # Its other fields record how it was trained.
        fields = strict.Fields(strict.parse(metadata[METADATA_KEY], MOST_LETTERS))
        schema = fields.take("schema", strict.text)
        if schema != SCHEMA:
            raise ModelFileError(f"{source}: schema {schema}, expected {SCHEMA}. Update TinyDF or the file.")
        return (
            fields.take("name", strict.text),
            fields.take("score_threshold", strict.finite, 0.01, 1),
            fields.take("nms_iou", strict.finite, 0, 1),
            fields.maybe("certain_score", CERTAIN_SCORE, strict.finite, 0, 1),
        )
    except strict.StrictError as error:
        raise ModelFileError(f"{source}: its detector metadata cannot be read ({error}). Export it again.") from error
