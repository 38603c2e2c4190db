"""Report + input -> drawn video or picture: a second pass, which draws between the sampled frames too."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np

from tinydf_runtime.decode import decode
from tinydf_runtime.errors import InputTimeoutError, OutputError, TinyDFError, UnreadableInputError, UsageError
from tinydf_runtime.faces.crop import CropConfig
from tinydf_runtime.io.files import temporary_file, write_atomically
from tinydf_runtime.render.draw import (
    Sizes,
    Zones,
    colour_of,
    draw_face,
    draw_plate,
    draw_timeline,
    paint_timeline,
)
from tinydf_runtime.render.sound import keep_sound
from tinydf_runtime.render.trail import Trail
from tinydf_runtime.render.writer import CODECS, VideoWriter, open_writer
from tinydf_runtime.results import InputReport, TrackReport
from tinydf_runtime.sandbox.client import ChildFrames
from tinydf_runtime.types import Image

PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
_LONGEST_SHOWN_S = 3600.0
"""A damaged or hostile time stamp may lie years later; writers repeat the picture, or refuse such times."""
TIMELINE_ROWS = 4
"""Tracks in the timeline; more would be too thin to see."""


def annotate_image(
    item: InputReport,
    out: Path,
    threshold: float = 0.5,
    margin: float = CropConfig().margin,
    sandbox: bool = True,
    max_seconds: float | None = None,
) -> None:
    """Draws a picture's faces and writes it; of several pages the first.

    Args:
        item: What was found in it.
        out: File to write, ending in one of ``PICTURES``.
        threshold: Probability below which a person is real; the report names the one from which fake is said.
        margin: The crop's border, over which forgery maps lie.
        sandbox: Decode in a child process, see ``Analyzer``.
        max_seconds: Wall clock that decoding may take, None for as long as it takes.

    Raises:
        UsageError: The ending is none of those.
        OutputError: The file cannot be written.
        UnreadableInputError: The input is gone, or cannot be decoded in that time.
    """
    check_suffix(out, PICTURES)
    with decode(item.path, "image", sandbox=sandbox) as frames:
        if isinstance(frames, ChildFrames) and max_seconds is not None:
            frames.bound(time.monotonic() + max_seconds, None)
        image = next(frames).image.copy()
    zones = Zones.of(item, threshold)
    for track in _shown(item):
        if track.first_s == 0 and (face := Trail.of_track(track, zones).at(track.first_s, 0.0)):
            draw_face(image, face, margin)
    _draw_verdict(image, item)
    done, encoded = cv2.imencode(out.suffix.lower(), image)
    if not done:
        raise OutputError(f"{out}: OpenCV cannot encode this format. Use one of {', '.join(PICTURES)}.")
    write_atomically(out, encoded.tobytes())


def annotate_video(
    item: InputReport,
    out: Path,
    threshold: float = 0.5,
    margin: float = CropConfig().margin,
    progress: Callable[[float, float | None], None] | None = None,
    stop: threading.Event | None = None,
    sandbox: bool = True,
    max_seconds: float | None = None,
) -> str | None:
    """Draws faces, scores, forgery maps and a timeline into every frame of a video and writes it.

    Sound and time stamps are kept if PyAV or an ``ffmpeg`` command is installed; pictures are upright and keep their
    size; where that changes midway, all get the first one's.

    Args:
        item: What was found in it; its file is read again.
        out: File to write, ending in one of ``CODECS``.
        threshold: Probability below which a person is real; the report names the one from which fake is said.
        margin: The crop's border, over which forgery maps lie.
        progress: Called after each frame with the seconds done and the length.
        stop: Ends the drawing when set; then no file is left.
        sandbox: Decode in a child process, see ``Analyzer``.
        max_seconds: Wall clock that drawing may take, None for as long as it takes.

    Returns:
        What the video lacks and what to install for it, None where nothing is lost.

    Raises:
        UsageError: The ending is none of those.
        OutputError: The file cannot be written.
        UnreadableInputError: The input is gone, or cannot be drawn in that time; then no file is left.
    """
    deadline_s = None if max_seconds is None else time.monotonic() + max_seconds
    check_suffix(out, CODECS)
    # Its writers name the file under which they write.
    temporary = out
    try:
        # The ending stays last: the container is chosen by it.
        with temporary_file(out, out.suffix.lower()) as temporary, ExitStack() as opened:
            writer: VideoWriter | None = None
            for time_s, image in _drawn_frames(item, threshold, margin, progress, stop, sandbox, deadline_s):
                if writer is None:
                    writer = open_writer(temporary, item.fps, image.shape[1::-1])
                    opened.callback(writer.close)
                writer.write(time_s, image)
            if writer is None or (stop is not None and stop.is_set()):
                return None
            writer.finish()
            opened.close()
            note = keep_sound(temporary, Path(item.path), sandbox, deadline_s, stop)
            if stop is not None and stop.is_set():
                return None
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.replace(out)
    except OutputError as error:
        raise OutputError(str(error).replace(str(temporary), str(out))) from error
    except TinyDFError:
        raise
    except OSError as error:
        raise OutputError(f"{out}: could not be written ({error.strerror}). Check folder and free space.") from error
    return note


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
    sandbox: bool,
    deadline_s: float | None,
) -> Iterator[tuple[float, Image]]:
    """Yields time and annotated picture of every frame, up to the last one that was analysed.

    Raises:
        UnreadableInputError: The input is gone, takes too long, or shows a picture for more than an hour.
    """
    zones = Zones.of(item, threshold)
    trails = [Trail.of_track(track, zones) for track in _shown(item)]
    hold_s = _half_step_s(trails)
    last_s = max((float(trail.time_s[-1]) for trail in trails), default=0.0)
    duration_s = max(item.duration_s or 0.0, last_s)
    trails = [trail.held_to(duration_s, hold_s) for trail in trails]
    strip: Image | None = None
    size: tuple[int, int] | None = None
    before_s = 0.0
    with decode(item.path, item.kind, sandbox=sandbox) as reader:
        if isinstance(reader, ChildFrames):
            reader.bound(deadline_s, stop)
        for frame in reader:
            if stop is not None and stop.is_set():
                return
            if deadline_s is not None and time.monotonic() >= deadline_s:
                break
            if frame.time_s > before_s + _LONGEST_SHOWN_S:
                raise UnreadableInputError(
                    f"{item.path}: shows one picture for {frame.time_s - before_s:,.0f} s, too long to be drawn. "
                    "Cut it before that."
                )
            before_s = frame.time_s
            # The reader may hand out a view of its own buffer.
            image = frame.image.copy()
            for trail in trails:
                if face := trail.at(frame.time_s, hold_s):
                    draw_face(image, face, margin)
            size = size or (image.shape[1], image.shape[0])
            image = _fit(image, size)
            if strip is None:
                strip = _timeline(trails, duration_s, hold_s, zones, image)
            draw_timeline(image, strip, frame.time_s, duration_s)
            _draw_verdict(image, item)
            if progress:
                progress(frame.time_s, item.duration_s)
            yield frame.time_s, image
    if deadline_s is not None and time.monotonic() >= deadline_s:
        raise InputTimeoutError(f"{item.path}: could not be drawn in the time given. Allow more (--max-seconds).")


def _fit(image: Image, size: tuple[int, int]) -> Image:
    """Returns a picture of a width and height: one of another size is scaled, and gets a black border."""
    width, height = size
    if image.shape[:2] == (height, width):
        return image
    scale = min(width / image.shape[1], height / image.shape[0])
    inner = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    fitted: Image = np.zeros((height, width, 3), np.uint8)
    fitted[top : top + inner[1], left : left + inner[0]] = cv2.resize(image, inner, interpolation=cv2.INTER_AREA)
    return fitted


def _half_step_s(trails: Sequence[Trail]) -> float:
    """Returns half the median time between scored frames: how long a score is shown on either side of its frame."""
    steps = [np.diff(trail.time_s) for trail in trails if len(trail.time_s) > 1]
    return float(np.median(np.concatenate(steps))) / 2 + 1e-6 if steps else 0.1


def _shown(item: InputReport) -> list[TrackReport]:
    """Returns the judged tracks: a score beside an unjudged face would be read as evidence."""
    return [track for track in item.tracks if not {"uncertain_face", "side_person"} & set(track.reasons)]


def _timeline(trails: Sequence[Trail], duration_s: float, hold_s: float, zones: Zones, image: Image) -> Image:
    """Paints the timeline of the longest tracks to fit a picture."""
    shown = sorted(sorted(trails, key=lambda trail: -len(trail.time_s))[:TIMELINE_ROWS], key=lambda trail: trail.track)
    sizes = Sizes.for_picture(*image.shape[:2])
    size = (max(1, image.shape[1] - 2 * sizes.pad_px), max(2, sizes.text_px // 2) * max(1, len(shown)))
    rows = [(trail.time_s, trail.probability) for trail in shown]
    return paint_timeline(rows, max(duration_s, 1e-3), hold_s, zones, size)


def _draw_verdict(image: Image, item: InputReport) -> None:
    """Writes verdict and threshold into the upper left corner."""
    sizes = Sizes.for_picture(*image.shape[:2])
    text = item.verdict.replace("_", " ").upper()
    if item.fake_probability is not None and item.fake_threshold is not None:
        text += f" (fake {item.fake_probability:.0%}, threshold {item.fake_threshold:.0%})"
    draw_plate(image, text, (sizes.pad_px, sizes.pad_px), colour_of(item.verdict), sizes)
