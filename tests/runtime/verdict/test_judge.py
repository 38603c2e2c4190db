"""What was not seen, or not seen well enough, is never called real."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tinydf_runtime.faces.quality import measure_quality
from tinydf_runtime.results import Verdict
from tinydf_runtime.types import Face, FaceQuality, FaceScore, Image, Reason
from tinydf_runtime.verdict.judge import CERTAIN_FAKE, LEAST_QUALITY, doubt_palette, doubt_quality, weigh_caveats

FACE = Face((0.0, 0.0, 100.0, 100.0), (), 0.95)


@pytest.mark.parametrize("caveat", ["decoding_failed", "damaged_part", "more_tracks", "size_changes"])
def test_what_was_not_looked_at_may_be_forged(caveat: Reason) -> None:
    assert weigh_caveats("real", (), (caveat,)) == ("inconclusive", (caveat,))
    assert weigh_caveats("fake", ("forged_segment",), (caveat,)) == ("fake", ("forged_segment", caveat))
    assert weigh_caveats("no_face", ("no_face_found",), (caveat,)) == ("no_face", ("no_face_found", caveat))


def test_a_palette_settles_nothing_but_what_is_beyond_doubt() -> None:
    real = Verdict(1, "real", 0.1, (), 5)
    doubted = Verdict(1, "fake", CERTAIN_FAKE - 0.01, (), 5)
    certain = Verdict(1, "fake", CERTAIN_FAKE, (), 5)
    for verdict in (real, doubted):
        found = doubt_palette(verdict, ("few_colours",))
        assert (found.label, found.reasons) == ("inconclusive", ("few_colours",))
    assert doubt_palette(certain, ("few_colours",)) == certain
    assert doubt_palette(real, ("more_tracks",)) == real
    not_judged = Verdict(1, "inconclusive", None, ("side_person",), 2)
    assert doubt_palette(not_judged, ("few_colours",)) == not_judged


def test_without_caveats_nothing_changes() -> None:
    assert weigh_caveats("real", ("many_people",), ()) == ("real", ("many_people",))


def scores(**quality: float) -> list[FaceScore]:
    return [FaceScore(i, i, (0, 0, 99, 99), 0.9, 0.9, quality=FaceQuality(**quality)) for i in range(5)]


@pytest.mark.parametrize(("measure", "least", "reason"), [(name, *found) for name, found in LEAST_QUALITY.items()])
def test_faces_unlike_any_photo_are_no_verdict(measure: str, least: float, reason: Reason) -> None:
    verdict = Verdict(1, "fake", 0.9, ("forged_segment",), 5)
    doubted = doubt_quality(verdict, scores(**{measure: least - 0.005}))
    assert (doubted.label, doubted.reasons) == ("inconclusive", ("forged_segment", reason))
    assert doubt_quality(verdict, scores(**{measure: least})) == verdict


def crop_of(astronaut: Image) -> Image:
    return np.ascontiguousarray(cv2.resize(astronaut[60:240, 130:310], (224, 224))[..., ::-1])


def reasons_for(crop: Image) -> tuple[Reason, ...]:
    seen = FaceScore(0, 0, FACE.box_xyxy, 0.9, 0.1, quality=measure_quality(crop, FACE))
    return doubt_quality(Verdict(1, "real", 0.1, (), 1), [seen]).reasons


def test_a_photo_its_jpeg_and_its_noise_are_no_reason(astronaut: Image) -> None:
    crop = crop_of(astronaut)
    small = cv2.resize(cv2.resize(crop, (48, 48), interpolation=cv2.INTER_AREA), (224, 224))
    jpeg = cv2.imdecode(cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, 30])[1], cv2.IMREAD_COLOR)
    noisy = np.clip(crop + np.random.default_rng(0).normal(0, 12, crop.shape), 0, 255)
    for picture in (crop, small, jpeg, noisy, crop // 2, np.full_like(crop, 120)):
        assert reasons_for(np.asarray(picture, np.uint8)) == ()


def test_over_and_underexposed_posterised_and_photographed_from_a_screen(astronaut: Image) -> None:
    crop = crop_of(astronaut)
    rows, columns = np.mgrid[:224, :224]
    grid = (0.75 + 0.25 * np.sin(2.1 * columns)) * (0.8 + 0.2 * np.sin(1.9 * rows))
    assert "over_exposed" in reasons_for(np.asarray(np.clip(crop * 4.0 + 60, 0, 255), np.uint8))
    assert "under_exposed" in reasons_for(np.asarray(crop // 10, np.uint8))
    assert "smoothed" in reasons_for(np.asarray(cv2.medianBlur(crop, 9) // 48 * 48, np.uint8))
    assert reasons_for(np.asarray(crop * grid[..., None], np.uint8)) == ("screen_pattern",)
    assert "smoothed" in reasons_for(np.asarray(np.where(crop[..., 1:2] > 128, 255, 0).repeat(3, 2), np.uint8))
