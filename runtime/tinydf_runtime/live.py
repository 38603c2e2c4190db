"""A camera, stream or file as it plays -> moments: faces with scores and running verdicts."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress

from tinydf_runtime.aggregate import judge_track
from tinydf_runtime.engine import Engine
from tinydf_runtime.errors import OutsideImageError
from tinydf_runtime.track import FaceTracker
from tinydf_runtime.types import Face, FaceScore, Frame, Moment, ScoredFace
from tinydf_runtime.video import VideoReader
from tinydf_runtime.watch import Detector, Limits, score_boxes

MEMORY_S = 10.0
"""A running verdict rests on this many seconds: long enough for some ten looks, short enough to follow a change."""
MAXIMUM_RECORDS = 600
"""Bound on the records of one track, reached when every frame of a 60 fps camera is scored."""


def stream_moments(
    source: str | int,
    engine: Engine,
    detector: Detector,
    sample_fps: float | None,
    threshold: float,
    newest_only: bool,
    limits: Limits,
) -> Iterator[Moment]:
    """Yields what is known at each sampled frame; holds a few seconds of scores and one frame.

    Args:
        source: Path, camera index or URL.
        engine: The classifier.
        detector: The face detector.
        sample_fps: Frames a second to look at, None for all.
        threshold: Probability from which a face counts as fake.
        newest_only: Skip frames that came while the last one was looked at.
        limits: When to end.

    Raises:
        UnreadableInputError: The source cannot be opened.
    """
    tracker = FaceTracker()
    recent: dict[int, deque[FaceScore]] = {}
    deadline = math.inf if limits.max_seconds is None else time.monotonic() + limits.max_seconds
    with VideoReader(source, sample_fps) as reader:
        for frame in newest_frames(reader) if newest_only else reader:
            if time.monotonic() >= deadline or (limits.stop is not None and limits.stop.is_set()):
                return
            faces = tracker.update(frame, detector.detect(frame.image))
            scored = tuple(_score(frame, track, face, engine, recent, threshold) for track, face in faces)
            _forget(recent, frame.time_s)
            yield Moment(frame, tuple(face for face in scored if face is not None))


def newest_frames(frames: Iterator[Frame] | VideoReader) -> Iterator[Frame]:
    """Yields the newest frame each time one is asked for; those in between are dropped.

    A thread reads ahead into a single slot, so that neither memory nor delay can grow. Its errors are raised here.
    """
    ready = threading.Condition()
    slot: list[Frame] = []
    ended: list[Exception | None] = []
    wanted = True

    def read() -> None:
        error: Exception | None = None
        try:
            for frame in frames:
                with ready:
                    slot[:] = [frame]
                    ready.notify()
                    if not wanted:
                        return
        # Whatever ends the reading must reach the caller, who would otherwise wait for ever.
        except Exception as caught:
            error = caught
        finally:
            with ready:
                ended.append(error)
                ready.notify()

    thread = threading.Thread(target=read, name="tinydf-newest-frame", daemon=True)
    thread.start()
    try:
        while True:
            with ready:
                ready.wait_for(lambda: slot or ended)
                frame = slot.pop() if slot else None
            if frame is None:
                break
            yield frame
    finally:
        with ready:
            wanted = False
        # The source is closed next, which must not happen under the reading thread.
        thread.join()
    if ended[0] is not None:
        raise ended[0]


def _score(
    frame: Frame, track: int, face: Face, engine: Engine, recent: dict[int, deque[FaceScore]], threshold: float
) -> ScoredFace | None:
    """Scores one face and updates its track's running verdict; None where the box left the picture."""
    with suppress(OutsideImageError):
        scores = score_boxes(engine, frame.image, [face.box_xyxy])
        probability = float(scores.fake_probability[0])
        records = recent.setdefault(track, deque(maxlen=MAXIMUM_RECORDS))
        records.append(FaceScore(frame.time_s, frame.index, face.box_xyxy, face.score, probability))
        while records[0].time_s < frame.time_s - MEMORY_S:
            records.popleft()
        verdict, _ = judge_track(track, records, threshold)
        return ScoredFace(track, face, probability, scores.forgery_map[0], verdict)
    return None


def _forget(recent: dict[int, deque[FaceScore]], now_s: float) -> None:
    """Drops the tracks that have not been seen for ``MEMORY_S``."""
    for track in [track for track, records in recent.items() if records[-1].time_s < now_s - MEMORY_S]:
        del recent[track]
