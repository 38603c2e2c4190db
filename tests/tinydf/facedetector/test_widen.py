from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from tinydf.facedetector.model import FaceDetectorNet
from tinydf.facedetector.widen import start_from
from tinydf_runtime.errors import UsageError


@pytest.fixture(scope="module")
def narrow(make_face_network: Callable[..., FaceDetectorNet]) -> FaceDetectorNet:
    return make_face_network(4, 6, 8)


@pytest.mark.parametrize("widths", [(4, 6, 8), (5, 6, 12), (8, 12, 16)])
def test_a_wider_network_finds_the_same_at_first(narrow: FaceDetectorNet, widths: tuple[int, int, int]) -> None:
    wide = FaceDetectorNet(*widths)
    start_from(narrow, wide)
    image = torch.rand(1, 3, 96, 64) * 255
    for ours, theirs in zip(wide.eval()(image), narrow(image), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-3)


def test_new_channels_learn(narrow: FaceDetectorNet) -> None:
    wide = FaceDetectorNet(8, 12, 16)
    start_from(narrow, wide)
    wide(torch.rand(2, 3, 64, 64) * 255).class_logits.sum().backward()
    listening = wide.laterals[0].get_parameter("0.weight").grad
    assert listening is not None
    assert (listening[:8, 8:] != 0).any()


def test_a_wider_start_is_refused(narrow: FaceDetectorNet) -> None:
    with pytest.raises(UsageError, match="no wider"):
        start_from(narrow, FaceDetectorNet(4, 5, 8))
