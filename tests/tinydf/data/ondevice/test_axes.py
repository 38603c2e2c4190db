import cv2
import numpy as np
import pytest
import torch

from tinydf.data.ondevice.axes import Kernel, apply_axes, double_box_axis, gaussian_axis, sampling_axis
from tinydf_runtime.types import Image

CPU = torch.device("cpu")
INTERPOLATIONS: dict[Kernel, int] = {
    "linear": cv2.INTER_LINEAR,
    "cubic": cv2.INTER_CUBIC,
    "area": cv2.INTER_AREA,
}


@pytest.fixture
def picture(astronaut: Image) -> Image:
    return np.ascontiguousarray(astronaut[40:200, 120:280])


def as_planes(image: Image) -> torch.Tensor:
    return torch.from_numpy(image).permute(2, 0, 1).float()


def as_picture(planes: torch.Tensor) -> Image:
    return np.asarray(planes.clamp(0, 255).round().to(torch.uint8).permute(1, 2, 0))


@pytest.mark.parametrize("kernel", INTERPOLATIONS)
def test_every_sample_is_resized_by_its_own_factor_as_opencv_does(kernel: Kernel, picture: Image) -> None:
    sides = np.array((70, 160, 230))
    axis = sampling_axis(np.zeros(3), 160 / sides, kernel, 230, 160, CPU)
    resized = apply_axes(as_planes(picture).expand(3, -1, -1, -1), axis, axis)
    for side, planes in zip(sides.tolist(), resized, strict=True):
        # The outermost pixels of a cubic enlargement weigh the border otherwise.
        inner = np.s_[3 : side - 3, 3 : side - 3]
        expected = cv2.resize(picture, (side, side), interpolation=INTERPOLATIONS[kernel])
        assert np.abs(as_picture(planes)[inner].astype(int) - expected[inner]).max() <= 1


def test_kernels_may_differ_within_a_batch(picture: Image) -> None:
    step = np.full(3, 160 / 60)
    mixed = sampling_axis(np.zeros(3), step, ("area", "linear", "cubic"), 60, 160, CPU)
    kernels: tuple[Kernel, ...] = ("area", "linear", "cubic")
    for number, kernel in enumerate(kernels):
        torch.testing.assert_close(mixed[number], sampling_axis(np.zeros(3), step, kernel, 60, 160, CPU)[0])


def test_each_sample_is_blurred_by_its_own_width(picture: Image) -> None:
    sigmas = np.array((0.6, 2.5))
    axis = gaussian_axis(sigmas, 160, CPU)
    blurred = apply_axes(as_planes(picture).expand(2, -1, -1, -1), axis, axis)
    for sigma, planes in zip(sigmas, blurred, strict=True):
        expected = cv2.GaussianBlur(picture, (0, 0), float(sigma))
        assert np.abs(as_picture(planes)[8:-8, 8:-8].astype(int) - expected[8:-8, 8:-8]).max() <= 2


def test_two_box_filters_are_those_of_opencv() -> None:
    mask = np.zeros((64, 64), np.float32)
    mask[20:40, 24:44] = 1
    axis = double_box_axis(np.array((3.0,)), 64, CPU)
    blurred = apply_axes(torch.from_numpy(mask)[None], axis, axis)[0]
    expected = cv2.blur(cv2.blur(mask, (11, 11)), (11, 11))
    np.testing.assert_allclose(blurred, expected, atol=1e-5)
