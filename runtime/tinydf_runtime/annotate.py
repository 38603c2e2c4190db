"""Report + input -> drawn video or picture: a second pass, which draws between the sampled frames too."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tinydf_runtime.crop import CropRecipe
from tinydf_runtime.draw import (
    DOUBT_COLOUR,
    FAKE_COLOUR,
    REAL_COLOUR,
    DrawnFace,
    Sizes,
    draw_face,
    draw_plate,
    draw_timeline,
    paint_timeline,
)
from tinydf_runtime.errors import OutputError, UsageError
from tinydf_runtime.files import write_atomically
from tinydf_runtime.picture import read_image
from tinydf_runtime.types import Image, InputReport, TrackReport
from tinydf_runtime.video import VideoReader

CODECS = {".mp4": "mp4v", ".mov": "mp4v", ".m4v": "mp4v", ".mkv": "mp4v", ".avi": "MJPG"}
"""Ending of a video -> code of a codec that every OpenCV wheel can write."""
PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
LONGEST_GAP_S = 1.0
"""A face missed for longer than this is not drawn: nobody knows where it was."""
TIMELINE_ROWS = 4
"""Tracks in the timeline; more would be too thin to see."""


@dataclass(frozen=True, slots=True)
class Trail:
    """Where a track was and what it scored, at the times it was looked at.

    Attributes:
        track: Its id.
        time_s: N, in seconds, rising.
        boxes: N x 4, xyxy in pixels.
        probability: N, 0..1.
        maps: N x h x w, 0..1, or None where they were not kept.
    """

    track: int
    time_s: NDArray[np.float64]
    boxes: NDArray[np.float64]
    probability: NDArray[np.float64]
    maps: NDArray[np.float32] | None

    @classmethod
    def of_track(cls, track: TrackReport) -> Trail:
        """Returns a track's trail."""
        maps = [score.forgery_map for score in track.scores]
        kept = [item.astype(np.float32) / 255 for item in maps if item is not None]
        return cls(
            track.id,
            np.array([score.time_s for score in track.scores]),
            np.array([score.box_xyxy for score in track.scores]),
            np.array([score.fake_probability for score in track.scores]),
            np.stack(kept) if len(kept) == len(maps) else None,
        )

    def held_to(self, end_s: float, hold_s: float) -> Trail:
        """Returns the trail with its last look repeated at the video's end, where no further look came in between."""
        if not 0 < end_s - self.time_s[-1] <= 2 * hold_s:
            return self
        return Trail(
            self.track,
            np.append(self.time_s, end_s),
            np.concatenate([self.boxes, self.boxes[-1:]]),
            np.concatenate([self.probability, self.probability[-1:]]),
            None if self.maps is None else np.concatenate([self.maps, self.maps[-1:]]),
        )

    def at(self, time_s: float, hold_s: float) -> DrawnFace | None:
        """Returns the face between the two nearest looks, None where it was not there.

        Args:
            time_s: When.
            hold_s: How long the face stays before the first and after the last look.
        """
        after = int(np.searchsorted(self.time_s, time_s))
        first, last = max(after - 1, 0), min(after, len(self.time_s) - 1)
        if first == last or self.time_s[last] - self.time_s[first] > max(LONGEST_GAP_S, 2.1 * hold_s):
            first = last = min((first, last), key=lambda i: abs(float(self.time_s[i]) - time_s))
            if abs(float(self.time_s[first]) - time_s) > hold_s:
                return None
        gap = float(self.time_s[last] - self.time_s[first])
        share = (time_s - float(self.time_s[first])) / gap if gap else 0.0

        def between(values: NDArray[np.float64]) -> NDArray[np.float64]:
            mixed: NDArray[np.float64] = values[first] + (values[last] - values[first]) * share
            return mixed

        left, top, right, bottom = (float(value) for value in between(self.boxes))
        mixed_map = None
        if self.maps is not None:
            mixed_map = self.maps[first] + (self.maps[last] - self.maps[first]) * np.float32(share)
        return DrawnFace(self.track, (left, top, right, bottom), float(between(self.probability)), mixed_map)


def annotate_image(item: InputReport, out: Path, threshold: float = 0.5, margin: float = CropRecipe().margin) -> None:
    """Draws a picture's faces and writes it.

    Args:
        item: What was found in it.
        out: File to write, ending in one of ``PICTURES``.
        threshold: Probability at which the colour turns.
        margin: The crop's border, over which forgery maps lie.

    Raises:
        UsageError: The ending is none of those.
        OutputError: The file cannot be written.
    """
    check_suffix(out, PICTURES)
    image = read_image(Path(item.path))
    for track in _shown(item):
        if face := Trail.of_track(track).at(track.first_s, 0.0):
            draw_face(image, face, threshold, margin)
    _draw_verdict(image, item)
    done, encoded = cv2.imencode(out.suffix.lower(), image)
    if not done:
        raise OutputError(f"{out}: OpenCV cannot encode this format. Use one of {', '.join(PICTURES)}.")
    write_atomically(out, encoded.tobytes())


def annotate_video(
    item: InputReport,
    out: Path,
    threshold: float = 0.5,
    margin: float = CropRecipe().margin,
    progress: Callable[[float, float | None], None] | None = None,
    stop: threading.Event | None = None,
) -> None:
    """Draws faces, scores, forgery maps and a timeline into every frame of a video and writes it, without sound.

    Args:
        item: What was found in it; its file is read again.
        out: File to write, ending in one of ``CODECS``.
        threshold: Probability at which the colour turns.
        margin: The crop's border, over which forgery maps lie.
        progress: Called after each frame with the seconds done and the length.
        stop: Ends the drawing when set; then no file is left.

    Raises:
        UsageError: The ending is none of those.
        OutputError: The file cannot be written.
        UnreadableInputError: The input is gone.
    """
    check_suffix(out, CODECS)
    # The ending stays last: OpenCV chooses the container by it.
    temporary = out.with_name(f".{secrets.token_hex(8)}.tmp{out.suffix.lower()}")
    try:
        written = _write_frames(temporary, item.fps, _drawn_frames(item, threshold, margin, progress, stop))
        if stop is not None and stop.is_set():
            return
        _check_video(temporary, out, written)
        temporary.replace(out)
    except OSError as error:
        if isinstance(error, OutputError):
            raise OutputError(str(error).replace(str(temporary), str(out))) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def check_suffix(out: Path, endings: Sequence[str] | dict[str, str]) -> None:
    """Accepts a file name with one of the endings.

    Raises:
        UsageError: It has another.
    """
    if out.suffix.lower() not in endings:
        raise UsageError(f"{out}: expected a name that ends in one of {', '.join(endings)}.")


def _drawn_frames(
    item: InputReport,
    threshold: float,
    margin: float,
    progress: Callable[[float, float | None], None] | None,
    stop: threading.Event | None,
) -> Iterator[Image]:
    """Yields every frame with what was found drawn into it, up to where the input was looked at."""
    trails = [Trail.of_track(track) for track in _shown(item)]
    hold_s = _half_step_s(trails)
    last_s = max((float(trail.time_s[-1]) for trail in trails), default=0.0)
    duration_s = max(item.duration_s or 0.0, last_s)
    trails = [trail.held_to(duration_s, hold_s) for trail in trails]
    strip: Image | None = None
    with VideoReader(item.path, None) as reader:
        for frame in reader:
            if stop is not None and stop.is_set():
                return
            # The reader may hand out a view of its own buffer.
            image = frame.image.copy()
            if strip is None:
                strip = _timeline(trails, duration_s, hold_s, threshold, image)
            for trail in trails:
                if face := trail.at(frame.time_s, hold_s):
                    draw_face(image, face, threshold, margin)
            draw_timeline(image, strip, frame.time_s, duration_s)
            _draw_verdict(image, item)
            if progress:
                progress(frame.time_s, item.duration_s)
            yield image


def _write_frames(path: Path, fps: float | None, images: Iterator[Image]) -> int:
    """Writes pictures as a video and returns how many.

    Raises:
        OutputError: OpenCV cannot write there.
    """
    first = next(images, None)
    if first is None:
        return 0
    # The codec halves the colour planes: with an odd side it would drop a row or column of the picture.
    size = (first.shape[1] + first.shape[1] % 2, first.shape[0] + first.shape[0] % 2)
    writer = cv2.VideoWriter(
        str(path), cv2.VideoWriter.fourcc(*CODECS[path.suffix]), min(max(fps or 25.0, 1.0), 240.0), size
    )
    try:
        if not writer.isOpened():
            raise OutputError(f"{path}: OpenCV could not open it for writing. Check the folder and its permissions.")
        writer.write(_fit(first, size))
        written = 1
        for image in images:
            writer.write(_fit(image, size))
            written += 1
    finally:
        writer.release()
    return written


def _fit(image: Image, size: tuple[int, int]) -> Image:
    """Brings a picture to the video's size: one repeated row or column, or scaled where a stream changed its size."""
    width, height = size
    right, below = width - image.shape[1], height - image.shape[0]
    if right == 0 and below == 0:
        return image
    if right in (0, 1) and below in (0, 1):
        return np.asarray(cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE), np.uint8)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _check_video(path: Path, out: Path, written: int) -> None:
    """Makes sure that what was written can be read, since OpenCV tells of no error while writing.

    Raises:
        OutputError: It is not all there.
    """
    capture = cv2.VideoCapture(str(path))
    try:
        found = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
    finally:
        capture.release()
    if found < written or written == 0:
        raise OutputError(f"{out}: only {found} of {written} frames could be written. Check the free space.")
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _half_step_s(trails: Sequence[Trail]) -> float:
    """Returns half the usual time between two looks at a face; a face stands for that long around each look."""
    steps = [np.diff(trail.time_s) for trail in trails if len(trail.time_s) > 1]
    return float(np.median(np.concatenate(steps))) / 2 + 1e-6 if steps else 0.1


def _shown(item: InputReport) -> list[TrackReport]:
    """Returns the tracks to draw: a score beside what may not be a face would be read as evidence."""
    return [track for track in item.tracks if "uncertain_face" not in track.reasons]


def _timeline(trails: Sequence[Trail], duration_s: float, hold_s: float, threshold: float, image: Image) -> Image:
    """Paints the timeline of the longest tracks to fit a picture."""
    shown = sorted(sorted(trails, key=lambda trail: -len(trail.time_s))[:TIMELINE_ROWS], key=lambda trail: trail.track)
    sizes = Sizes.for_picture(*image.shape[:2])
    size = (max(1, image.shape[1] - 2 * sizes.pad_px), max(2, sizes.text_px // 2) * max(1, len(shown)))
    rows = [(trail.time_s, trail.probability) for trail in shown]
    return paint_timeline(rows, max(duration_s, 1e-3), hold_s, threshold, size)


def _draw_verdict(image: Image, item: InputReport) -> None:
    """Writes the verdict into the upper left corner."""
    sizes = Sizes.for_picture(*image.shape[:2])
    text = item.verdict.replace("_", " ").upper()
    if item.fake_probability is not None:
        text += f" (fake {item.fake_probability:.0%})"
    colour = {"fake": FAKE_COLOUR, "real": REAL_COLOUR}.get(item.verdict, DOUBT_COLOUR)
    draw_plate(image, text, (sizes.pad_px, sizes.pad_px), colour, sizes)
