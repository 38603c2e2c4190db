"""What the shipped networks say about the example video and about known faces."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("skimage")

from tinydf_runtime import Analyzer, VideoReader
from tinydf_runtime.engines.golden import TOLERANCE, replay_golden
from tinydf_runtime.engines.loading import load_engine
from tinydf_runtime.models.shipped import DEFAULT_MODEL

CLIP = Path(__file__).resolve().parents[2] / "examples" / "clip.mp4"
FORGED_FROM_S = 6.0
GOLDEN = Path(__file__).with_name("golden.json")


@pytest.fixture(scope="module")
def analyzer() -> Iterator[Analyzer]:
    with Analyzer(threads=1) as opened:
        yield opened


def test_the_example_video_is_fake_from_its_middle_on(analyzer: Analyzer) -> None:
    (found,) = analyzer.analyze(str(CLIP)).inputs
    assert found.verdict == "fake", found.reasons
    assert found.segments[0].start_s == pytest.approx(FORGED_FROM_S, abs=0.4)


def test_the_first_half_of_the_example_video_alone_is_not_fake(analyzer: Analyzer, tmp_path: Path) -> None:
    half = tmp_path / "half.mp4"
    with VideoReader(str(CLIP)) as frames:
        shown = [frame.image.copy() for frame in frames if frame.time_s < FORGED_FROM_S - 0.2]
    height, width = shown[0].shape[:2]
    writer = cv2.VideoWriter(str(half), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"mp4v"), 25, (width, height))
    for image in shown:
        writer.write(image)
    writer.release()
    (written,) = analyzer.analyze(str(half)).inputs
    as_shown = analyzer.analyze_frames(shown, fps=25)
    for found in (written, as_shown):
        assert found.status == "ok" and found.tracks
        assert found.verdict in ("real", "inconclusive")


def test_the_classifier_gives_its_golden_scores() -> None:
    engine = load_engine(DEFAULT_MODEL, threads=1)
    difference = np.abs(replay_golden(engine, DEFAULT_MODEL.name) - np.array(engine.spec.golden_probability))
    assert difference.max() <= TOLERANCE[engine.spec.precision]


def test_both_networks_say_about_known_faces_what_they_said_when_they_were_recorded(recorder: ModuleType) -> None:
    recorded, found = json.loads(GOLDEN.read_text(encoding="utf-8")), recorder.measure()
    assert found.keys() == recorded.keys()
    for name, faces in recorded.items():
        assert len(found[name]) == len(faces) >= 1, name
        for face, expected in zip(found[name], faces, strict=True):
            assert face["box_xyxy"] == pytest.approx(expected["box_xyxy"], abs=1.5)
            assert face["detection_score"] == pytest.approx(expected["detection_score"], abs=0.01)
            # In 8 bit processors round differently.
            assert face["fake_probability"] == pytest.approx(expected["fake_probability"], abs=TOLERANCE["int8"])
