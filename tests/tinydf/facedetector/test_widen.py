from __future__ import annotations

import pytest
import torch

from tinydf.facedetector.model import FaceDetectorNet
from tinydf.facedetector.widen import start_from
from tinydf_runtime.errors import UsageError


@pytest.fixture(scope="module")
def narrow() -> FaceDetectorNet:
    """A network whose norms differ from channel to channel, as those of a trained one do."""
    torch.manual_seed(0)
    network = FaceDetectorNet(4, 6, 8)
    with torch.no_grad():
        for _ in range(3):
            network(torch.rand(2, 3, 64, 64) * 255)
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.uniform_(-0.3, 0.3)
    return network.eval().requires_grad_(False)


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
