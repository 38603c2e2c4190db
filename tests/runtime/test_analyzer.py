"""analyze(): the steps joined, over engines whose scores a test can foretell."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import jsonschema
import numpy as np
import pytest
from numpy.typing import NDArray

from tinydf_runtime.analyzer import Analyzer
from tinydf_runtime.engines.engine import Engine
from tinydf_runtime.errors import ModelFileError, OutsideImageError, UnavailableError, UsageError
from tinydf_runtime.faces.crop import CropConfig
from tinydf_runtime.io.input import parse_input
from tinydf_runtime.models.spec import ModelSpec
from tinydf_runtime.render.report import SCHEMA_FILE
from tinydf_runtime.results import Report
from tinydf_runtime.types import Face, Image, Scores
from tinydf_runtime.verdict.rules import MINIMUM_FACES
from tinydf_runtime.watch import BATCH, Limits

VideoWriter = Callable[..., Path]

DARK, LIGHT = 45, 240
"""Brightness of a drawn face; ``BrightnessEngine`` takes the lighter for more forged."""


def shaded(height: int, width: int) -> Image:
    """A dark picture of more colours than a palette holds."""
    image = np.full((height, width, 3), 60, np.uint8)
    image[..., 0] = np.arange(width) // 3 + 40
    image[..., 2] = np.arange(height)[:, None] // 3 + 40
    return image


@dataclass
class BrightnessEngine:
    """Its fake probability is a crop's mean brightness / 255."""

    spec: ModelSpec = field(default_factory=lambda: ModelSpec("brightness", CropConfig(side_px=32, margin=0.0)))
    name: str = "drawn"
    device: str = "cpu"
    golden_text: str | None = None
    batches: list[int] = field(default_factory=list)

    def score(self, crops: NDArray[np.uint8]) -> Scores:
        self.batches.append(len(crops))
        probability = crops.reshape(len(crops), -1).mean(axis=1) / 255 if len(crops) else np.zeros(0)
        return Scores(probability.astype(np.float32), np.zeros((len(crops), 14, 14), np.float32))


@dataclass
class FixedDetector:
    """Finds the same boxes in every picture that is not black."""

    boxes: tuple[tuple[float, float, float, float], ...] = ((20.0, 20.0, 100.0, 100.0),)
    name: str = "fixed"
    sha256: str = "c" * 64

    def detect(self, image: Image) -> list[Face]:
        if image.max() < 8:
            return []
        return [
            Face(box, tuple(((box[0] + box[2]) / 2, (box[1] + box[3]) / 2) for _ in range(5)), 0.9)
            for box in self.boxes
        ]


def frame_of(brightness: int) -> Image:
    image = shaded(120, 160)
    image[20:100, 20:100] = brightness
    return image


def analyzer_of(**options: object) -> Analyzer:
    return Analyzer(BrightnessEngine(), detector=FixedDetector(), **options)  # type: ignore[arg-type]


def check(report: Report) -> Report:
    jsonschema.validate(json.loads(json.dumps(report.to_dict())), json.loads(SCHEMA_FILE.read_text()))
    return report


def test_a_video_is_judged_with_times_scores_and_facts(write_video: VideoWriter) -> None:
    path = write_video([frame_of(DARK)] * 75)
    report = check(analyzer_of().analyze(path))
    (item,) = report.inputs
    assert (item.status, item.verdict, item.kind) == ("ok", "real", "video")
    assert (item.width, item.height, item.fps, item.duration_s) == (160, 120, 25.0, 3.0)
    assert (item.frames_decoded, item.frames_expected, item.frames_scored) == (75, 75, 15)
    assert [len(track.scores) for track in item.tracks] == [15]
    assert item.fake_probability == pytest.approx(DARK / 255, abs=0.02)
    assert np.diff([score.time_s for score in item.tracks[0].scores]) == pytest.approx(0.2, abs=0.01)
    assert report.model.threshold == 0.5
    assert report.detector.name == "fixed"


def test_half_real_and_half_forged_is_fake_with_a_segment_in_the_right_half(write_video: VideoWriter) -> None:
    path = write_video([frame_of(DARK)] * 125 + [frame_of(LIGHT)] * 125)
    (item,) = check(analyzer_of().analyze(path)).inputs
    assert item.verdict == "fake"
    # The brightness jump may count as a cut; then the forged half is a track of its own.
    assert len(item.segments) == 1
    assert item.segments[0].start_s == pytest.approx(5.0, abs=0.3)
    assert item.segments[0].end_s == pytest.approx(9.8, abs=0.3)


def test_crops_are_scored_in_batches_across_frames(write_video: VideoWriter) -> None:
    engine = BrightnessEngine()
    Analyzer(engine, detector=FixedDetector(), sample_fps=None).analyze(write_video([frame_of(DARK)] * (4 * BATCH + 2)))
    assert engine.batches == [BATCH] * 4 + [2]


def test_two_faces_are_two_tracks_and_the_worse_decides(write_video: VideoWriter) -> None:
    image = shaded(120, 260)
    image[20:100, 20:100] = DARK
    image[20:100, 160:240] = LIGHT
    detector = FixedDetector(boxes=((20.0, 20.0, 100.0, 100.0), (160.0, 20.0, 240.0, 100.0)))
    (item,) = check(Analyzer(BrightnessEngine(), detector=detector).analyze(write_video([image] * 75))).inputs
    assert sorted(track.verdict for track in item.tracks) == ["fake", "real"]
    assert (item.verdict, item.fake_probability) == (
        "fake",
        max(track.fake_probability or 0 for track in item.tracks),
    )


def test_the_threshold_given_beats_the_models(write_video: VideoWriter) -> None:
    path = write_video([frame_of(80)] * 30)
    assert analyzer_of().analyze(path).inputs[0].verdict == "real"
    report = analyzer_of(threshold=0.1).analyze(path)
    assert (report.model.threshold, report.inputs[0].verdict) == (0.1, "fake")


def test_one_face_is_enough_in_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "face.png"
    cv2.imwrite(str(path), frame_of(LIGHT))
    (item,) = check(analyzer_of().analyze(path)).inputs
    assert (item.kind, item.status, item.verdict, item.frames_scored) == ("image", "ok", "fake", 1)
    assert (item.fps, item.duration_s, item.segments[1:]) == (None, None, ())


def test_a_picture_without_a_face_has_no_probability(tmp_path: Path) -> None:
    path = tmp_path / "black.png"
    cv2.imwrite(str(path), np.zeros((50, 50, 3), np.uint8))
    (item,) = check(analyzer_of().analyze(path)).inputs
    assert (item.status, item.verdict, item.fake_probability, item.tracks) == ("no_face", "no_face", None, ())


def test_tiny_faces_are_inconclusive(write_video: VideoWriter) -> None:
    detector = FixedDetector(boxes=((20.0, 20.0, 40.0, 40.0),))
    (item,) = check(Analyzer(BrightnessEngine(), detector=detector).analyze(write_video([frame_of(LIGHT)] * 50))).inputs
    assert (item.verdict, item.fake_probability, item.reasons) == ("inconclusive", None, ("faces_too_small",))


def test_a_box_beyond_the_picture_is_left_out(write_video: VideoWriter) -> None:
    detector = FixedDetector(boxes=((20.0, 20.0, 100.0, 100.0), (900.0, 900.0, 980.0, 980.0)))
    (item,) = check(Analyzer(BrightnessEngine(), detector=detector).analyze(write_video([frame_of(DARK)] * 50))).inputs
    assert len(item.tracks) == 1


@pytest.mark.parametrize("content", [b"", b"no video, only words\n" * 50])
@pytest.mark.parametrize("name", ["bad.mp4", "bad.png", "bad"])
def test_what_cannot_be_read_is_an_error_without_a_number(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    (item,) = check(analyzer_of().analyze(path)).inputs
    assert (item.status, item.verdict, item.fake_probability) == ("unreadable", "error", None)
    assert item.message is not None and str(path) in item.message and "\n" not in item.message


def test_a_missing_file_does_not_stop_the_others(tmp_path: Path, write_video: VideoWriter) -> None:
    good = write_video([frame_of(DARK)] * 30)
    analyzer = analyzer_of()
    report = check(analyzer.analyze_all([tmp_path / "none.mp4", good, tmp_path]))
    assert [item.status for item in report.inputs] == ["unreadable", "ok", "unreadable"]


def test_a_truncated_video_gives_what_could_be_read(cut_video: Callable[..., Path]) -> None:
    rng = np.random.default_rng(0)
    frames = [
        np.clip(frame_of(LIGHT) + rng.integers(0, 15, (120, 160, 3)), 0, 255).astype(np.uint8) for _ in range(100)
    ]
    (item,) = check(analyzer_of().analyze(cut_video(frames))).inputs
    assert (item.status, item.verdict) == ("truncated", "fake")
    assert item.frames_expected is not None and 0 < item.frames_decoded < item.frames_expected


def test_the_time_limit_ends_an_input_and_is_told(write_video: VideoWriter) -> None:
    path = write_video([frame_of(DARK)] * 50)
    # In this process the first frame is always there; a child may not have sent it within so short a time.
    item = analyzer_of(sandbox=False).analyze_input(path, limits=Limits(max_seconds=1e-6))
    check(replace(analyzer_of().analyze(path), inputs=(item,)))
    assert (item.status, item.frames_scored, item.verdict) == ("timeout", 1, "inconclusive")


def test_a_real_verdict_is_withheld_where_most_was_not_seen(write_video: VideoWriter) -> None:
    stop = threading.Event()

    def stop_after_two_seconds(done_s: float, total_s: float | None) -> None:
        assert total_s == 10.0
        if done_s >= 2:
            stop.set()

    path = write_video([frame_of(DARK)] * 250)
    item = analyzer_of().analyze_input(path, stop_after_two_seconds, Limits(stop=stop))
    assert (item.status, item.verdict) == ("truncated", "inconclusive")
    assert item.reasons == ("mostly_unseen", "interrupted")


def test_several_threads_get_what_one_gets(
    write_video: VideoWriter, tiny_classifier: Path, tiny_detector: Path
) -> None:
    frames = [np.full((120, 160, 3), 90, np.uint8) for _ in range(60)]
    for i, image in enumerate(frames):
        image[30:90, 30 + i // 2 : 90 + i // 2] = (0, 2 * i, 255)
    path = write_video(frames)
    with Analyzer(tiny_classifier, detector=tiny_detector, threads=1) as analyzer, ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda _: analyzer.analyze_input(path), range(8)))
        alone = analyzer.analyze_input(path)
    assert alone.status == "ok"
    assert [(item.status, item.message) for item in together if item.status != "ok"] == []
    assert {replace(item, timing=alone.timing) for item in together} == {alone}


def test_networks_are_loaded_at_first_use_and_their_errors_are_raised(tmp_path: Path) -> None:
    analyzer = Analyzer(tmp_path / "none.onnx", detector=FixedDetector())
    with pytest.raises(ModelFileError):
        analyzer.analyze(tmp_path / "clip.mp4")


def test_a_missing_device_is_an_error_unless_a_fallback_is_allowed(
    monkeypatch: pytest.MonkeyPatch, tiny_classifier: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def open_on_cpu_alone(path: Path, device: str, threads: int | None, sandbox: bool) -> Engine:
        if device != "cpu":
            raise UnavailableError(f"{device}: not there.")
        return BrightnessEngine()

    monkeypatch.setattr("tinydf_runtime.engines.onnxruntime_engine.open_model", open_on_cpu_alone)
    with pytest.raises(UnavailableError):
        Analyzer(tiny_classifier, detector=FixedDetector(), device="cuda").load()
    analyzer = Analyzer(tiny_classifier, detector=FixedDetector(), device="cuda", allow_fallback=True)
    assert analyzer.device == "cpu"
    assert "cuda" in caplog.text


def test_a_score_that_is_no_number_is_the_models_fault(write_video: VideoWriter) -> None:
    class BrokenEngine(BrightnessEngine):
        def score(self, crops: NDArray[np.uint8]) -> Scores:
            return Scores(np.full(len(crops), np.nan, np.float32), np.zeros((len(crops), 14, 14), np.float32))

    with pytest.raises(ModelFileError):
        Analyzer(BrokenEngine(), detector=FixedDetector()).analyze(write_video([frame_of(DARK)] * 5))


def test_own_boxes_are_scored_in_order() -> None:
    image = np.zeros((100, 200, 3), np.uint8)
    image[:, 100:] = 255
    scores = analyzer_of().score_faces(image, [[10, 10, 60, 60], [120, 10, 170, 60]])
    assert scores.fake_probability.tolist() == [0.0, 1.0]
    assert scores.forgery_map.shape == (2, 14, 14)
    assert len(analyzer_of().score_faces(image, []).fake_probability) == 0


def test_crops_reach_the_engine_as_rgb() -> None:
    class RednessEngine(BrightnessEngine):
        def score(self, crops: NDArray[np.uint8]) -> Scores:
            return Scores(
                (crops[..., 0].mean(axis=(1, 2)) / 255).astype(np.float32), np.zeros((len(crops), 14, 14), np.float32)
            )

    blue_green_red = np.zeros((100, 100, 3), np.uint8)
    blue_green_red[..., 2] = 255
    assert Analyzer(RednessEngine(), detector=FixedDetector()).score_faces(
        blue_green_red, [[0, 0, 99, 99]]
    ).fake_probability == [1.0]


def test_a_tilted_face_is_scored_upright_and_its_map_lies_over_the_picture(write_video: VideoWriter) -> None:
    class TopEngine(BrightnessEngine):
        def score(self, crops: NDArray[np.uint8]) -> Scores:
            """Scores the brightness of the upper half; its map is the crop itself."""
            small = crops.reshape(len(crops), 8, 4, 8, 4, 3).mean(axis=(2, 4, 5)) / 255
            return Scores(small[:, :4].mean(axis=(1, 2)).astype(np.float32), small.astype(np.float32))

    class UpsideDown(FixedDetector):
        def detect(self, image: Image) -> list[Face]:
            points = ((75.0, 75.0), (45.0, 75.0), (60.0, 60.0), (70.0, 45.0), (50.0, 45.0))
            return [replace(face, landmarks=points) for face in super().detect(image)]

    image = frame_of(DARK)
    image[60:100, 20:60] = LIGHT
    with Analyzer(TopEngine(), detector=UpsideDown()).stream(write_video([image] * 3)) as live:
        ((face,), *_) = [moment.faces for moment in live]
    analyzer = Analyzer(TopEngine(), detector=UpsideDown())
    found = analyzer.score_faces(image, analyzer.detect_faces(image))
    assert found.fake_probability[0] == pytest.approx((LIGHT + DARK) / 2 / 255, abs=0.01)
    assert found.forgery_map[0, 4:, :4].min() > 0.9 * LIGHT / 255
    # Boxes alone are cut as they stand, and the upper half is dark.
    assert analyzer.score_faces(image, [[20, 20, 100, 100]]).fake_probability[0] == pytest.approx(DARK / 255, abs=0.01)
    # Its lower half is its upper one to the engine.
    assert face.fake_probability == pytest.approx((LIGHT + DARK) / 2 / 255, abs=0.03)
    bright = face.forgery_map > (LIGHT + DARK) / 2 / 255
    assert bright[4:, :4].all() and bright.sum() == 16


@pytest.mark.parametrize("boxes", [[1, 2, 3], [[1, 2, 3]], [[np.nan, 0, 1, 1]], ["a", "b"], [[1, 2, 3, 4], None]])
def test_boxes_of_another_shape_are_refused(boxes: object) -> None:
    with pytest.raises(UsageError):
        analyzer_of().score_faces(frame_of(DARK), boxes)  # type: ignore[arg-type]


def test_boxes_outside_and_foreign_frames_are_refused() -> None:
    with pytest.raises(OutsideImageError):
        analyzer_of().score_faces(frame_of(DARK), [[900, 900, 980, 980]])
    with pytest.raises(UsageError):
        analyzer_of().detect_faces(np.zeros((10, 10), np.uint8))
    with pytest.raises(UsageError):
        analyzer_of().score_faces(np.zeros((10, 10, 3), np.float32), [])


@pytest.mark.parametrize("options", [{"sample_fps": 0}, {"sample_fps": -1}, {"threshold": 0.0}, {"threshold": 1.0}])
def test_settings_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        analyzer_of(**options)


def test_a_stream_gives_faces_with_running_verdicts(write_video: VideoWriter) -> None:
    moments = list(analyzer_of().stream(write_video([frame_of(LIGHT)] * 50)))
    assert len(moments) == 10
    labels = [moment.faces[0].verdict.label for moment in moments]
    assert labels[: MINIMUM_FACES - 1] == ["inconclusive"] * (MINIMUM_FACES - 1)
    assert labels[MINIMUM_FACES:] == ["fake"] * (10 - MINIMUM_FACES)
    assert moments[-1].frame.time_s == pytest.approx(1.8, abs=0.05)


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        (0, "stream"),
        ("0", "stream"),
        ("rtsp://x/1", "stream"),
        ("https://x/a.mp4", "stream"),
        ("a.mp4", "video"),
        ("a.JPG", "image"),
        (Path("a"), "video"),
    ],
)
def test_inputs_are_told_apart(source: str | int | Path, kind: str) -> None:
    item = parse_input(source)
    assert item.kind == kind and parse_input(item) is item


def test_maps_are_kept_only_when_asked_for(write_video: VideoWriter) -> None:
    path = write_video([frame_of(DARK)] * 10)
    (plain,) = analyzer_of().analyze(path).inputs
    (kept,) = analyzer_of(keep_maps=True).analyze(path).inputs
    assert all(score.forgery_map is None for score in plain.tracks[0].scores)
    assert all(score.forgery_map is not None and score.forgery_map.dtype == np.uint8 for score in kept.tracks[0].scores)
    assert plain.tracks == kept.tracks
