import cv2
import numpy as np
import pytest

from tinydf.data.degrade import draw_degradation
from tinydf.data.video_codec import h264_round_trip
from tinydf_runtime.types import Image


def difference(a: Image, b: Image) -> float:
    return float(cv2.absdiff(a, b).mean())


def test_a_drawn_chain_does_the_same_to_every_image(astronaut: Image) -> None:
    face = astronaut[60:240, 140:300]
    for seed in range(30):
        degrade = draw_degradation(np.random.default_rng(seed))
        np.testing.assert_array_equal(degrade(face), degrade(face.copy()))


def test_chains_keep_the_aspect_and_stay_pictures(astronaut: Image) -> None:
    face = astronaut[60:240, 140:300]
    for seed in range(30):
        degraded = draw_degradation(np.random.default_rng(seed))(face)
        assert degraded.dtype == np.uint8
        assert degraded.shape[0] / degraded.shape[1] == pytest.approx(180 / 160, rel=0.03)


def test_h264_loses_more_at_a_higher_rate_factor(astronaut: Image) -> None:
    face = astronaut[61:240, 141:300]
    good, poor = h264_round_trip(face, 18), h264_round_trip(face, 40)
    assert good.shape == poor.shape == face.shape
    assert 0 < difference(good, face) < difference(poor, face)
    assert difference(good, face) < 6
