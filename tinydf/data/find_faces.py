"""Clip -> windows of its faces, found with the runtime's own decoder, detector and tracker, written as they come."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median

import cv2
import numpy as np

from tinydf.data.layouts.listing import Clip
from tinydf.data.mask_video import FORGED_SHARE, MaskVideo
from tinydf.data.parts import PartStatus, StoredFace, write_file
from tinydf.data.sequences import read_sequence
from tinydf.data.windows import Window, cut_window
from tinydf_runtime.errors import UnreadableInputError
from tinydf_runtime.faces.crop import CropConfig
from tinydf_runtime.faces.detector import FaceDetector
from tinydf_runtime.faces.tracker import FaceTracker
from tinydf_runtime.io.files import sha256_of
from tinydf_runtime.io.image import read_image
from tinydf_runtime.io.video import VideoReader
from tinydf_runtime.types import Face, Image, longer_side
from tinydf_runtime.verdict.evidence import MINIMUM_SIDE_PX
from tinydf_runtime.verdict.rules import MINIMUM_FACES

SAMPLE_FPS = 5.0
"""Frames a second that are searched, as in ``Analyzer``; more in a short video."""
CROP_CONFIG = CropConfig()
"""The crop config that the windows must serve."""
_FASTEST_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1]


@dataclass(frozen=True, slots=True)
class Found:
    """The faces of a clip.

    Attributes:
        status: ``ok``, ``truncated`` or ``no_face``.
        reason: One line, empty for ``ok``.
        faces: In order of track and frame.
    """

    status: PartStatus
    reason: str
    faces: tuple[StoredFace, ...]


@dataclass(slots=True)
class _Track:
    """A person in a video, and an even choice of the windows seen so far: never more than twice those wanted.

    Attributes:
        scores: Of every detection.
        altered: Share of each face that the clip's masks mark; empty without masks.
        every: One face of so many is kept.
        kept: In order of frame.
    """

    scores: list[float] = field(default_factory=list)
    altered: list[float] = field(default_factory=list)
    every: int = 1
    kept: list[StoredFace] = field(default_factory=list)


def find_in_video(clip: Clip, detector: FaceDetector, out: Path, place: str, count: int) -> Found:
    """Writes evenly spaced windows of the people in a video; one frame is in memory at a time.

    Keeps only tracks that the runtime would judge: seen ``MINIMUM_FACES`` times, at ``MINIMUM_SIDE_PX`` or more, and
    in half of them surely a face. Several share ``count`` equally. Where the clip has masks, only people whom they
    mark count.

    Args:
        clip: A video.
        detector: Finds the faces.
        out: Folder of the table.
        place: Folder of the windows below ``out``; its content is replaced.
        count: Windows of the whole video.

    Raises:
        UnreadableInputError: No frame can be read, or the masks cannot.
        OutputError: A window cannot be written.
    """
    sha256 = sha256_of(clip.path)
    with VideoReader(clip.path) as reader:
        duration_s = reader.info.duration_s
    looks = max(count, 2 * MINIMUM_FACES)
    sample_fps = max(SAMPLE_FPS, looks / duration_s) if duration_s else SAMPLE_FPS
    tracker, tracks = FaceTracker(), dict[int, _Track]()
    seen = 0
    with VideoReader(clip.path, sample_fps) as reader, _masks_of(clip) as masks:
        for frame in reader:
            for number, face in tracker.update(frame, detector.detect(frame.image)):
                if longer_side(face.box_xyxy) < MINIMUM_SIDE_PX:
                    continue
                seen += 1
                altered = masks.forged_share(frame, face.box_xyxy) if masks else None
                if masks and altered is None:
                    continue
                track = tracks.setdefault(number, _Track())
                track.scores.append(face.score)
                track.altered += [] if altered is None else [altered]
                if (len(track.scores) - 1) % track.every:
                    continue
                window = cut_window(frame.image, face, CROP_CONFIG)
                if window is not None:
                    file = f"{place}/{number}-{frame.index:06d}.png"
                    track.kept.append(_store(window, out, file, frame.index, frame.time_s, number, sha256))
                if len(track.kept) == 2 * count:
                    _drop(track.kept[1::2], out)
                    track.kept, track.every = track.kept[::2], 2 * track.every
        cut_short = reader.truncated
        decoded, expected = reader.frames_decoded, reader.info.frames_expected
    faces = _choose(tracks, count, detector.certain_score)
    _drop({face for track in tracks.values() for face in track.kept} - set(faces), out)
    cut = ""
    if cut_short:
        cut = f"the video is cut off: {decoded} frames read" + (f" of {expected}" if expected else "")
    if not faces:
        who = f"nobody {'whom the masks mark ' if clip.mask else ''}seen {MINIMUM_FACES} times"
        why = f"{seen} detections, {who}" if seen else "nothing was detected"
        return Found("no_face", f"no face: {why}" + (f"; {cut}" if cut else ""), ())
    return Found("truncated" if cut else "ok", cut, faces)


def find_in_photo(clip: Clip, detector: FaceDetector, out: Path, place: str) -> Found:
    """Writes a window of the largest face of a photo; the set does not name other people in it.

    Raises:
        UnreadableInputError: It cannot be read.
        OutputError: The window cannot be written.
    """
    image = read_image(clip.path)
    faces = [face for face in detector.detect(image) if face.score >= detector.certain_score]
    window = _largest(image, faces)
    if window is None:
        return Found("no_face", f"no face of {MINIMUM_SIDE_PX:.0f} px or more found", ())
    return Found("ok", "", (_store(window, out, f"{place}.png", 0, 0.0, 0, sha256_of(clip.path)),))


def find_in_sequence(clip: Clip, detector: FaceDetector, out: Path, place: str, count: int) -> Found:
    """Writes a window of the face in each of some pictures, spread evenly over the sequence.

    The pictures are faces that someone has cut out, some so tightly that the detector needs a border to see them. They
    have no clock: their time is 0.

    Raises:
        UnreadableInputError: No picture can be read.
        OutputError: A window cannot be written.
    """
    faces: list[StoredFace] = []
    unread: list[str] = []
    looked = 0
    for index, name, sha256, image in read_sequence(clip, count, out / place):
        looked += 1
        if image is None:
            unread.append(name)
            continue
        window = _largest(image, detector.detect(image) or _detect_bordered(image, detector))
        if window is not None:
            faces.append(_store(window, out, f"{place}/1-{index:06d}.png", index, 0.0, 1, sha256))
    if len(unread) == looked:
        raise UnreadableInputError(f"{clip.path}: no picture of {clip.video} can be read. Copy it again.")
    cut = f"{len(unread)} of {looked} pictures cannot be read, such as {unread[0]}" if unread else ""
    if not faces:
        return Found("no_face", f"no face found in {looked} pictures" + (f"; {cut}" if cut else ""), ())
    # An archive is read in its own order.
    return Found("truncated" if cut else "ok", cut, tuple(sorted(faces, key=lambda face: face.frame)))


@contextmanager
def _masks_of(clip: Clip) -> Iterator[MaskVideo | None]:
    if clip.mask is None:
        yield None
        return
    with MaskVideo(clip.mask) as masks:
        yield masks


def _choose(tracks: dict[int, _Track], count: int, certain_score: float) -> tuple[StoredFace, ...]:
    """Returns the windows that stay: an equal share of each credible track, evenly spread over it."""
    credible = [
        (number, track)
        for number, track in tracks.items()
        if len(track.scores) >= MINIMUM_FACES
        and median(track.scores) >= certain_score
        and track.kept
        and (not track.altered or mean(track.altered) >= FORGED_SHARE)
    ]
    longest = sorted(credible, key=lambda pair: (-len(pair[1].scores), pair[0]))[:count]
    share = count // max(1, len(longest))
    return tuple(face for _, track in sorted(longest, key=lambda pair: pair[0]) for face in _spread(track.kept, share))


def _spread(faces: list[StoredFace], count: int) -> list[StoredFace]:
    """Returns evenly spaced items of a list, first and last included."""
    if len(faces) <= count:
        return faces
    return [faces[round(place)] for place in np.linspace(0, len(faces) - 1, count)]


def _largest(image: Image, faces: list[Face]) -> Window | None:
    large = [face for face in faces if longer_side(face.box_xyxy) >= MINIMUM_SIDE_PX]
    return cut_window(image, max(large, key=lambda face: longer_side(face.box_xyxy)), CROP_CONFIG) if large else None


def _detect_bordered(image: Image, detector: FaceDetector) -> list[Face]:
    """Returns the faces found with a border of a quarter on each side, in pixels of the picture itself.

    The border repeats the outermost pixels: in it, faces cut off at chin and brow are found (docs/experiments.md).
    """
    border = max(image.shape[:2]) // 4
    bordered = cv2.copyMakeBorder(image, border, border, border, border, cv2.BORDER_REPLICATE)
    return [
        Face(
            (left - border, top - border, right - border, bottom - border),
            tuple((x - border, y - border) for x, y in face.landmarks),
            face.score,
        )
        for face in detector.detect(np.asarray(bordered, np.uint8))
        for left, top, right, bottom in [face.box_xyxy]
    ]


def _store(window: Window, out: Path, file: str, frame: int, time_s: float, track: int, sha256: str) -> StoredFace:
    """Writes a window as PNG and returns its record.

    Raises:
        OutputError: It cannot be written.
    """
    write_file(out / file, cv2.imencode(".png", window.image, _FASTEST_PNG)[1].tobytes())
    face = window.face
    return StoredFace(
        file,
        frame,
        time_s,
        track,
        face.box_xyxy,
        tuple(value for point in face.landmarks for value in point),
        face.score,
        window.sharpness,
        sha256,
    )


def _drop(faces: list[StoredFace] | set[StoredFace], out: Path) -> None:
    for face in faces:
        (out / face.file).unlink(missing_ok=True)
