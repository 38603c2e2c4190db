"""Steps that overlap: the same result as without, errors of every step raised, and an end at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tinydf_runtime.engines.loading import open_engine
from tinydf_runtime.errors import ModelFileError, UnreadableInputError
from tinydf_runtime.faces.detector import FaceDetector
from tinydf_runtime.io.file_frames import MOST_AHEAD, FileFrames
from tinydf_runtime.steps import MOST_CROPS, FrameStep
from tinydf_runtime.types import Face, FaceScore, Frame, Image, Scores
from tinydf_runtime.verdict.summary import summarize
from tinydf_runtime.watch import BATCH, FRAMES_AHEAD, Limits, Watch, watch_image, watch_video

pytestmark = pytest.mark.usefixtures("no_thread_is_left")

VideoWriter = Callable[..., Path]
ImageDrawer = Callable[..., Image]


@pytest.fixture
def clip(write_video: VideoWriter, draw_squares: ImageDrawer) -> Path:
    """Two faces that move, 40 frames."""
    return write_video(
        [draw_squares((20 + i, 30, 90 + i, 100), (200, 120 + i // 2, 260, 180 + i // 2)) for i in range(40)]
    )


@pytest.fixture
def new_watch(tiny_classifier: Path, tiny_detector: Path) -> Callable[[], Watch]:
    engine, detector = open_engine(tiny_classifier, threads=1), FaceDetector(tiny_detector, threads=1)
    return lambda: Watch(FrameStep(engine, detector), keep_maps=True)


@dataclass
class Broken:
    """Passes calls on until one fails."""

    inside: Any
    fail_at: int
    calls: int = 0
    threads: set[str] = field(default_factory=set)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inside, name)

    def detect(self, image: Image) -> list[Face]:
        self._count()
        return self.inside.detect(image)  # type: ignore[no-any-return]

    def score(self, crops: NDArray[np.uint8]) -> Scores:
        self._count()
        return self.inside.score(crops)  # type: ignore[no-any-return]

    def _count(self) -> None:
        self.calls += 1
        self.threads.add(threading.current_thread().name)
        if self.calls == self.fail_at:
            raise ModelFileError("broken.onnx: gave up.")


def seen(watch: Watch) -> tuple[dict[int, list[FaceScore]], list[bytes], int, int, float]:
    maps = [score.forgery_map.tobytes() for scores in watch.scores.values() for score in scores]  # type: ignore[union-attr]
    return (
        {track: list(scores) for track, scores in watch.scores.items()},
        maps,
        watch.frames_decoded,
        watch.frames_scored,
        watch.last_s,
    )


@pytest.mark.parametrize("sample_fps", [5.0, None])
def test_overlap_changes_nothing(new_watch: Callable[[], Watch], clip: Path, sample_fps: float | None) -> None:
    found = []
    for overlap in (True, False):
        watch = new_watch()
        with FileFrames(str(clip), sample_fps) as frames:
            watch_video(frames, watch, None, Limits(), overlap=overlap)
        found.append(seen(watch))
    assert found[0] == found[1]
    assert len(found[0][0]) == 2 and found[0][2] == 40


def test_progress_and_scores_stay_in_the_callers_thread(new_watch: Callable[[], Watch], clip: Path) -> None:
    watch, me = new_watch(), threading.current_thread().name
    engine: Any = Broken(watch.step.engine, 0)
    detector: Any = Broken(watch.step.detector, 0)
    watch.step.engine, watch.step.detector = engine, detector
    called: list[tuple[str, float]] = []
    with FileFrames(str(clip), 5.0) as frames:
        watch_video(frames, watch, lambda done, _: called.append((threading.current_thread().name, done)), Limits())
    assert {name for name, _ in called} == {me} == engine.threads
    assert [done for _, done in called] == sorted(done for _, done in called)
    assert len(called) == watch.frames_scored
    assert me not in detector.threads and len(detector.threads) == 1


@pytest.mark.parametrize("step", ["engine", "detector"])
def test_an_error_of_any_step_reaches_the_caller(new_watch: Callable[[], Watch], clip: Path, step: str) -> None:
    watch = new_watch()
    setattr(watch.step, step, Broken(getattr(watch.step, step), 3))
    with pytest.raises(ModelFileError), FileFrames(str(clip), None) as frames:
        watch_video(frames, watch, None, Limits())


def test_an_error_of_the_callers_progress_ends_everything(new_watch: Callable[[], Watch], clip: Path) -> None:
    def refuse(done_s: float, total_s: float | None) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"), FileFrames(str(clip), None) as frames:
        watch_video(frames, new_watch(), refuse, Limits())


def test_a_file_that_cannot_be_opened_says_so_at_the_first_frame(tmp_path: Path) -> None:
    with FileFrames(str(tmp_path / "none.mp4"), 5.0) as frames, pytest.raises(UnreadableInputError):
        next(frames)


def test_a_stop_counts_only_what_was_seen(new_watch: Callable[[], Watch], clip: Path) -> None:
    watch, stop = new_watch(), threading.Event()
    with FileFrames(str(clip), None) as frames:
        watch_video(frames, watch, lambda done, _: stop.set() if done >= 0.4 else None, Limits(stop=stop))
    assert watch.interrupted
    assert watch.frames_scored == watch.frames_decoded == 11
    assert all(score.frame <= 10 for scores in watch.scores.values() for score in scores)


def test_what_waits_is_bounded(new_watch: Callable[[], Watch], write_video: VideoWriter) -> None:
    path = write_video([np.full((240, 320, 3), 90, np.uint8)] * 120)
    watch = new_watch()
    detector: Any = Broken(watch.step.detector, 0)
    watch.step.detector = detector
    most = FRAMES_AHEAD + 1

    def check(done_s: float, total_s: float | None) -> None:
        # Long enough for the others to run away, if they could.
        time.sleep(0.002)
        assert detector.calls <= watch.frames_scored + most
        assert frames.frames_decoded <= watch.frames_scored + most + MOST_AHEAD + 2

    with FileFrames(str(path), None) as frames:
        watch_video(frames, watch, check, Limits())
    assert watch.frames_scored == 120


class Crowd:
    name, sha256 = "crowd", "0" * 64

    def __init__(self, count: int) -> None:
        self.count = count

    def detect(self, image: Image) -> list[Face]:
        boxes = [(3.0 * i, 10.0, 3.0 * i + 40, 50.0) for i in range(self.count)]
        return [Face(box, tuple(((box[0] + 20), 30.0) for _ in range(5)), 0.9) for box in boxes]


def test_many_faces_of_one_frame_are_scored_in_batches(tiny_classifier: Path) -> None:
    engine = Broken(open_engine(tiny_classifier, threads=1), 0)
    watch = Watch(FrameStep(engine, Crowd(2 * BATCH + 1)))
    watch.take(watch.step.find(Frame(0, 0.0, np.zeros((100, 300, 3), np.uint8))))
    watch.finish()
    assert engine.calls == 3
    assert sum(map(len, watch.scores.values())) == 2 * BATCH + 1


def test_a_crowd_is_cropped_in_parts_and_no_longer_than_a_picture_may_take(
    tiny_classifier: Path, tmp_path: Path
) -> None:
    engine, count = open_engine(tiny_classifier, threads=1), 3 * MOST_CROPS + 2
    picture = np.random.default_rng(0).integers(0, 255, (100, 300, 3), np.uint8)
    found = [*FrameStep(engine, Crowd(count), tracks=False).find_parts(Frame(0, 0.0, picture))]
    assert [len(part.crops) for part in found] == [MOST_CROPS, MOST_CROPS, MOST_CROPS, 2]
    assert cv2.imwrite(str(tmp_path / "crowd.png"), picture)
    for max_seconds, faces, status in ((None, count, "ok"), (1e-9, MOST_CROPS, "timeout")):
        watch = Watch(FrameStep(engine, Crowd(count), tracks=False))
        with FileFrames(str(tmp_path / "crowd.png"), None, "image") as frames:
            watch_image(frames, watch, Limits(max_seconds))
        assert (sum(map(len, watch.scores.values())), watch.status, watch.frames_scored) == (faces, status, 1)
        # Whoever was not looked at may be forged.
        item = summarize("crowd.png", None, "image", watch, 0.99999, 0.0)
        assert (item.verdict, item.reasons) == (
            ("real", ()) if status == "ok" else ("inconclusive", ("mostly_unseen",))
        )
