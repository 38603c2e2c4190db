"""steps.py: files, own frames and live sources take their frames through the same steps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tinydf_runtime import Analyzer, Frame, Image, VideoReader
from tinydf_runtime.results import InputReport

VideoWriter = Callable[..., Path]
ImageDrawer = Callable[..., Image]


def tracks_of(item: InputReport) -> dict[int, list[tuple[int, tuple[float, ...]]]]:
    return {track.id: [(score.frame, score.box_xyxy) for score in track.scores] for track in item.tracks}


def probabilities(item: InputReport) -> list[float]:
    return [score.fake_probability for track in item.tracks for score in track.scores]


@pytest.mark.parametrize("size", [(240, 320), (1080, 1920)])
def test_a_file_own_frames_and_a_live_run_of_the_same_frames_give_equal_scores(
    tiny_classifier: Path,
    tiny_detector: Path,
    write_video: VideoWriter,
    draw_squares: ImageDrawer,
    size: tuple[int, int],
) -> None:
    """The large picture shows small faces only, which are searched for in parts."""
    squares = [(20 + i, 30, 90 + i, 100) for i in range(12)]
    pictures = [draw_squares(square, (200, 120 + i, 260, 180 + i)) for i, square in enumerate(squares)]
    height, width = size
    pictures = [np.pad(p, ((0, height - p.shape[0]), (0, width - p.shape[1]), (0, 0)), "edge") for p in pictures]
    path = write_video(pictures)
    with Analyzer(tiny_classifier, detector=tiny_detector, sample_fps=None) as analyzer:
        of_file = analyzer.analyze_input(path)
        with VideoReader(str(path), None) as reader:
            frames = [Frame(frame.index, frame.time_s, frame.image.copy()) for frame in reader]
        own = analyzer.analyze_frames(frames)
        with analyzer.stream(path) as live:
            moments = list(live)
            played = live.report()
    assert len(moments) == 12 and of_file.tracks
    assert tracks_of(of_file) == tracks_of(own) == tracks_of(played)
    np.testing.assert_allclose(probabilities(own), probabilities(of_file), atol=1e-6)
    np.testing.assert_allclose(probabilities(played), probabilities(of_file), atol=1e-6)
    shown = {(face.track, m.frame.index): face.fake_probability for m in moments for face in m.faces}
    scores = {(track.id, score.frame): score.fake_probability for track in of_file.tracks for score in track.scores}
    assert shown == pytest.approx(scores, abs=1e-6)
    assert [i.smallest_face_px for i in (own, played)] == [of_file.smallest_face_px] * 2
    assert [i.verdict for i in (own, played)] == [of_file.verdict] * 2
