"""summary.py: the second look at the deciding track's crops."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tinydf_runtime.io.video import VideoInfo
from tinydf_runtime.models.spec import ModelSpec
from tinydf_runtime.results import InputReport
from tinydf_runtime.steps import FrameStep
from tinydf_runtime.types import Face, FaceScore, FaceScores, Image, Reason, Scores
from tinydf_runtime.verdict.judge import CERTAIN_FAKE
from tinydf_runtime.verdict.recheck import RECHECKED_TRACKS
from tinydf_runtime.verdict.summary import summarize
from tinydf_runtime.watch import Watch


class AgainEngine:
    """Gives what was encoded once more one probability."""

    spec, name, device = ModelSpec("again"), "again", "cpu"

    def __init__(self, again: float) -> None:
        self.again = again
        self.batches = 0

    def score(self, crops: NDArray[np.uint8]) -> Scores:
        self.batches += 1
        return Scores(np.full(len(crops), self.again, np.float32), np.zeros((len(crops), 14, 14), np.float32))


class NoDetector:
    name, sha256 = "none", "0" * 64

    def detect(self, image: Image) -> list[Face]:
        return []


def watch_on(engine: AgainEngine, probabilities: dict[int, float], caveats: tuple[Reason, ...] = ()) -> Watch:
    watch = Watch(FrameStep(engine, NoDetector()), caveats=caveats)
    watch.info = VideoInfo(640, 480, 25.0, 6.0, 0, 150)
    for track, probability in probabilities.items():
        for index in range(30):
            record = FaceScore(index / 5, 5 * index, (0, 0, 200, 200), 0.9, probability)
            watch.scores.setdefault(track, FaceScores()).append(record)
            watch.exemplars.offer(track, record, np.full((224, 224, 3), 128, np.uint8), np.zeros((14, 14), np.uint8))
    return watch


def report_on(engine: AgainEngine, probabilities: dict[int, float], caveats: tuple[Reason, ...] = ()) -> InputReport:
    return summarize("a.mp4", "0" * 64, "video", watch_on(engine, probabilities, caveats), 0.5, 1.0)


@pytest.mark.parametrize(("probability", "plain"), [(0.8, "fake"), (0.25, "real")])
def test_a_verdict_that_encoding_turns_round_is_inconclusive(probability: float, plain: str) -> None:
    assert report_on(AgainEngine(probability), {1: probability}).verdict == plain
    found = report_on(AgainEngine(1 - probability), {1: probability})
    assert (found.verdict, found.reasons) == ("inconclusive", ("unstable_under_compression",))
    assert found.tracks[0].verdict == "inconclusive"
    assert found.fake_probability == pytest.approx(probability)


def test_a_clear_verdict_costs_no_second_look() -> None:
    engine = AgainEngine(0.1)
    assert report_on(engine, {1: 0.97}).verdict == "fake"
    assert engine.batches == 0


def test_the_cost_does_not_grow_with_the_people() -> None:
    engine = AgainEngine(0.9)
    report_on(engine, dict.fromkeys(range(1, 8), 0.2))
    assert 1 <= engine.batches <= RECHECKED_TRACKS


def test_a_track_says_between_what_its_probability_lies() -> None:
    interval = report_on(AgainEngine(0.2), {1: 0.2}).tracks[0].interval
    assert interval is not None and interval[0] < 0.2 < interval[1]


def test_who_is_doubted_for_a_palette_does_not_look_forged_from_here_to_there() -> None:
    probability = CERTAIN_FAKE - 0.005
    assert report_on(AgainEngine(probability), {1: probability}).segments
    found = report_on(AgainEngine(probability), {1: probability}, ("few_colours",))
    assert found.verdict == found.tracks[0].verdict == "inconclusive"
    assert found.segments == () and found.reasons == ("few_colours",)


@pytest.mark.parametrize(
    ("expected", "duration_s", "seen", "verdict"),
    [
        (150, 6.0, (150, 6.0), "real"),
        (None, 6.0, (150, 5.9), "real"),
        # More than was promised came before the time was over: how much is left is not known.
        (30, None, (150, 6.0), "inconclusive"),
        (30, 100.0, (150, 6.0), "inconclusive"),
        (None, 1.0, (150, 6.0), "inconclusive"),
    ],
)
def test_headers_that_promise_too_little_do_not_make_a_part_the_whole(
    expected: int | None, duration_s: float | None, seen: tuple[int, float], verdict: str
) -> None:
    watch = watch_on(AgainEngine(0.1), {1: 0.1})
    watch.info = VideoInfo(640, 480, 25.0, duration_s, 0, expected)
    watch.frames_decoded, watch.last_s = seen
    watch.status = "timeout"
    found = summarize("a.mp4", "0" * 64, "video", watch, 0.5, 1.0)
    assert (found.status, found.verdict) == ("timeout", verdict)
