import numpy as np
import pytest
import torch
from torch import Tensor

from tinydf.data import photometry
from tinydf.data.ondevice.jpeg import CHROMINANCE, LUMINANCE, jpeg, scaled_table
from tinydf.data.ondevice.video_codec import video_codec
from tinydf.data.video_codec import h264_round_trip
from tinydf_runtime.types import Image


@pytest.fixture
def picture(astronaut: Image) -> Image:
    return np.ascontiguousarray(astronaut[32:256, 112:336])


def as_batch(bgr: Image) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(bgr[..., ::-1])).permute(2, 0, 1).float()[None]


def decibels(a: Tensor, b: Tensor) -> float:
    """Peak signal-to-noise ratio; a decoder's constant shift of a channel is not counted."""
    error = a - b
    return float(10 * torch.log10(255**2 / (error - error.mean((2, 3), keepdim=True)).square().mean()))


@pytest.mark.parametrize("quality", [35, 60, 90])
def test_jpeg_gives_what_libjpeg_gives(quality: int, picture: Image) -> None:
    batch = as_batch(picture)
    ours, theirs = jpeg(batch, np.array((quality,))), as_batch(photometry.jpeg(picture, quality))
    assert decibels(ours, theirs) > 42
    assert decibels(ours, batch) == pytest.approx(decibels(theirs, batch), abs=0.2)


def test_each_sample_has_its_own_quality(picture: Image) -> None:
    batch = as_batch(picture)
    both = jpeg(batch.expand(2, -1, -1, -1), np.array((40, 80)))
    torch.testing.assert_close(both[0], jpeg(batch, np.array((40,)))[0])
    torch.testing.assert_close(both[1], jpeg(batch, np.array((80,)))[0])


def test_tables_scale_as_libjpeg_scales_them() -> None:
    halved, as_they_are, finest = scaled_table(LUMINANCE, np.array((75, 50, 100)))
    np.testing.assert_array_equal(as_they_are, LUMINANCE)
    np.testing.assert_array_equal(halved[0, :4], (8, 6, 5, 8))
    assert (finest == 1).all()
    assert CHROMINANCE[0].tolist() == [17, 18, 24, 47, 99, 99, 99, 99]


@pytest.mark.parametrize("crf", [18, 28, 38])
def test_the_stand_in_loses_about_as_much_as_h264(crf: int, picture: Image) -> None:
    batch = as_batch(picture)
    ours, theirs = video_codec(batch, np.array((float(crf),))), as_batch(h264_round_trip(picture, crf))
    assert decibels(ours, batch) == pytest.approx(decibels(theirs, batch), abs=1.5)
    # It loses the same things: what it makes is no farther from H.264's than the photo is.
    assert decibels(ours, theirs) > decibels(theirs, batch) - 0.5


def test_all_versions_in_a_sample_are_compressed_alike(picture: Image) -> None:
    pair = as_batch(picture)[:, None].expand(1, 2, -1, -1, -1)
    for done in (jpeg(pair, np.array((50,))), video_codec(pair, np.array((30.0,)))):
        assert done.shape == pair.shape
        assert torch.equal(done[:, 0], done[:, 1])
