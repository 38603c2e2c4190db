"""Frame -> faces: the embedded detector network on the whole frame and, for small faces, on ever finer tiles of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
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


LEAST_FACE_PX = 16
"""Side of a face in the detector's input from which it is found reliably."""
PICTURE_PARTS = 96
"""Tiles of a picture, at most: two thirds of a second on one core."""
FRAME_PARTS = 24
"""Of a video's frame."""
_OVERLAP = 0.25
"""Overlap of neighbouring tiles as a share of their side; larger faces are found at the coarser step before."""
_BORDER_PX = 2
_Place = Callable[[float, float], tuple[float, float]]
PART_SCORE = 0.8
"""Detection score from which a face in a tile counts: many tiles hold many patterns that resemble faces."""
_SAME_PLACE = 0.5
"""Distance of two centres, as a share of the larger box, below which they are one face."""


@dataclass(frozen=True, slots=True)
class Found:
    """Result of a search.

    Attributes:
        faces: Best score first.
        smallest_px: Side of a face from which all were looked for.
    """

    faces: list[Face]
    smallest_px: int


def search_in_parts(detector: FaceDetector, image: Image, whole: Sequence[Face], most_parts: int) -> Found:
    """Returns the faces of a picture, those found in enlarged tiles of it included.

    Args:
        detector: Searches a picture of ``long_side_px`` without shrinking it.
        image: H x W x 3, BGR, uint8.
        whole: What it found in the picture as a whole.
        most_parts: Bounds the time that this takes. Steps that would need more are left out.
    """
    side = detector.long_side_px
    longest = max(image.shape[:2])
    faces, parts, scale = list(whole), 0, longest / side
    # Each step looks at parts of half the side of the one before.
    while scale > 1:
        finer = max(scale / 2, 1.0)
        boxes = list(_parts(image.shape[0], image.shape[1], round(side * finer)))
        parts += len(boxes)
        if parts > most_parts:
            break
        for left, top, right, bottom in boxes:
            found = detector.detect(np.ascontiguousarray(image[top:bottom, left:right]))
            faces += [
                _moved(face, _from_part(left, top))
                for face in found
                if face.score >= PART_SCORE and _is_whole(face, (left, top, right, bottom), image)
            ]
        scale = finer
    return Found(_one_each(faces), smallest_face_px(scale))


def search_turned(detector: FaceDetector, image: Image) -> list[Face]:
    """Returns the certain faces of a picture that lies on its side or stands on its head, none of one that does not.

    Args:
        detector: Knows upright faces alone.
        image: H x W x 3, BGR, uint8.
    """
    height, width = image.shape[:2]
    turns: dict[int, _Place] = {
        cv2.ROTATE_90_CLOCKWISE: lambda x, y: (y, height - x),
        cv2.ROTATE_90_COUNTERCLOCKWISE: lambda x, y: (width - y, x),
        cv2.ROTATE_180: lambda x, y: (width - x, height - y),
    }
    for turn, to_image in turns.items():
        found = detector.detect(np.asarray(cv2.rotate(image, turn), np.uint8), detector.certain_score)
        if found:
            return [_moved(face, to_image) for face in found]
    return []


def smallest_face_px(scale: float) -> int:
    """Returns the side of the smallest face that is looked for in a picture shrunk by ``scale``."""
    return round(LEAST_FACE_PX * max(1.0, scale))


def _parts(height: int, width: int, side: int) -> Iterator[tuple[int, int, int, int]]:
    """Yields parts as left, top, right, bottom; together they cover the picture."""
    for top in _starts(height, side):
        for left in _starts(width, side):
            yield left, top, min(left + side, width), min(top + side, height)


def _starts(length: int, side: int) -> list[int]:
    """Returns where parts of a side begin, evenly spread."""
    if length <= side:
        return [0]
    count = 1 + int(np.ceil((length - side) / (side * (1 - _OVERLAP))))
    return [round(start) for start in np.linspace(0, length - side, count)]


def _is_whole(face: Face, part: tuple[int, int, int, int], image: Image) -> bool:
    """Returns whether a face ends within its part: what the part's edge cuts, the next part shows whole."""
    left, top, right, bottom = part
    box = face.box_xyxy
    return not (
        (left > 0 and box[0] < _BORDER_PX)
        or (top > 0 and box[1] < _BORDER_PX)
        or (right < image.shape[1] and box[2] > right - left - _BORDER_PX)
        or (bottom < image.shape[0] and box[3] > bottom - top - _BORDER_PX)
    )


def _from_part(left: int, top: int) -> _Place:
    return lambda x, y: (x + left, y + top)


def _moved(face: Face, to_image: _Place) -> Face:
    """Returns a face in the pixels of the whole picture, where a quarter turn may have swapped its box's corners."""
    left, top, right, bottom = face.box_xyxy
    (x0, x1), (y0, y1) = (sorted(ends) for ends in zip(to_image(left, top), to_image(right, bottom), strict=True))
    return replace(face, box_xyxy=(x0, y0, x1, y1), landmarks=tuple(to_image(x, y) for x, y in face.landmarks))


def _one_each(faces: list[Face]) -> list[Face]:
    """Returns each face once, best score first."""
    if not faces:
        return []
    boxes = np.array([face.box_xyxy for face in faces])
    middles, sides = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    kept: list[int] = []
    for place in np.argsort([-face.score for face in faces], kind="stable"):
        far = np.linalg.norm(middles[kept] - middles[place], axis=1)
        if (far > _SAME_PLACE * np.maximum(sides[kept], sides[place])).all():
            kept.append(int(place))
    return [faces[place] for place in kept]
