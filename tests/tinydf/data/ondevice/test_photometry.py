import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from tinydf.data.ondevice import photometry
from tinydf.data.ondevice.randomness import Randomness, change_some, open_randomness
from tinydf.data.photometry import sharpen
from tinydf_runtime.types import Image


@pytest.fixture
def picture(astronaut: Image) -> Image:
    return np.ascontiguousarray(astronaut[60:220, 130:290, ::-1])


@pytest.fixture
def rng() -> Randomness:
    return open_randomness((4,), torch.device("cpu"))


def as_batch(image: Image) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).float()[None]


def differences(batch: Tensor, expected: object) -> Tensor:
    """Returns absolute differences away from the border."""
    return (batch - as_batch(np.asarray(expected, np.uint8))).abs()[..., 4:-4, 4:-4]


def test_median_is_that_of_opencv(picture: Image) -> None:
    assert differences(photometry.median(as_batch(picture)), cv2.medianBlur(picture, 3)).max() == 0


def test_bilateral_is_that_of_opencv(picture: Image) -> None:
    smooth = photometry.bilateral(as_batch(picture), np.array((15.0,)))
    found = differences(smooth, cv2.bilateralFilter(picture, 5, 15, 2))
    assert found.mean() < 0.1
    assert found.max() <= 2


def test_sharpening_is_that_of_the_loader(picture: Image) -> None:
    found = differences(photometry.sharpen(as_batch(picture), np.array((0.8,))), sharpen(picture, 0.8))
    assert found.mean() < 0.5


def test_resampling_loses_more_by_a_smaller_factor(picture: Image, rng: Randomness) -> None:
    batch = as_batch(picture).expand(2, -1, -1, -1)
    change = (photometry.resample(batch, np.array((0.3, 0.8)), rng) - batch).abs().mean((1, 2, 3))
    assert change[0] > 1.5 * change[1] > 0


def test_colour_shifts_grow_with_their_strength(picture: Image, rng: Randomness) -> None:
    batch = as_batch(picture).expand(40, -1, -1, -1)
    change = (photometry.shift_colour(batch, np.repeat((0.0, 1.0), 20), rng) - batch).abs().mean((1, 2, 3))
    # At strength 0 nothing but the rounding down of gamma's curve is left.
    assert change[:20].max() <= 1
    assert change[20:].mean() > 5


def test_noise_is_the_same_in_all_images_of_a_sample(rng: Randomness) -> None:
    noisy = photometry.add_noise(torch.full((16, 2, 3, 64, 64), 128.0), np.full(16, 5.0), rng)
    assert torch.equal(noisy[:, 0], noisy[:, 1])
    assert not torch.equal(noisy[0], noisy[1])
    assert noisy.std() == pytest.approx(5, rel=0.05)
    grey = (noisy[:, 0, 0] == noisy[:, 0, 1]).flatten(1).all(1)
    assert 2 < grey.sum() < 14


def test_only_the_chosen_samples_change() -> None:
    values = torch.arange(4.0).view(4, 1)
    changed = change_some(values, np.array((False, True, False, True)), lambda part, index: part * 10 + index[0])
    assert changed.flatten().tolist() == [0, 11, 2, 31]
    assert change_some(values, np.zeros(4, np.bool_), lambda part, index: part / 0) is values
