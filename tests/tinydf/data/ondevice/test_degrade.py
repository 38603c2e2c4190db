import numpy as np
import pytest
import torch

from tinydf.data.ondevice.degrade import degrade
from tinydf.data.ondevice.randomness import open_randomness
from tinydf.data.ondevice.store import PackedFaces

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def twins(packed: PackedFaces) -> torch.Tensor:
    return packed.windows[:24].float().unsqueeze(1).expand(-1, 2, -1, -1, -1).contiguous()


def test_both_versions_of_a_picture_suffer_alike(twins: torch.Tensor) -> None:
    for key in range(3):
        degraded, scales = degrade(twins, np.full(len(twins), 1.3), open_randomness((key,), CPU))
        assert torch.equal(degraded[:, 0], degraded[:, 1])
        assert torch.equal(degraded, degraded.clamp(0, 255).round())
        assert 0.45 <= scales.min() < 1 <= scales.max() <= 1.3


def test_pictures_suffer_each_in_its_own_way(twins: torch.Tensor) -> None:
    same = twins[:1].expand(24, -1, -1, -1, -1)
    degraded, _ = degrade(same, np.full(24, 1.3), open_randomness((5,), CPU))
    distances = (degraded[:, None, 0] - degraded[None, :, 0]).abs().mean((2, 3, 4)) + torch.eye(24)
    # A few may be left as they are.
    assert (distances > 0).float().mean() > 0.9


def test_nothing_is_enlarged_beyond_its_window(twins: torch.Tensor) -> None:
    _, scales = degrade(twins, np.full(len(twins), 1.02), open_randomness((1,), CPU))
    assert scales.max() <= 1.02
