from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tinydf.forgery.noise import NoiseBranch
from tinydf_export.graph.merged_noise import MergedNoiseBranch
from tinydf_export.parity.golden import draw_golden_crops
from tinydf_runtime.faces.crop import CropRecipe


@pytest.fixture(scope="module")
def pictures() -> Tensor:
    crops = torch.from_numpy(draw_golden_crops(CropRecipe())).permute(0, 3, 1, 2).float()
    noise = torch.randint(0, 256, (1, 3, 224, 224), generator=torch.manual_seed(0)).float()
    return torch.cat((crops[:2], noise, torch.full((1, 3, 224, 224), 255.0)))


def test_merged_features_are_the_features(pictures: Tensor) -> None:
    trained = NoiseBranch().eval()
    with torch.no_grad():
        found, expected = MergedNoiseBranch(trained).features(pictures), trained.features(pictures)
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=0)


def test_in_double_precision_nothing_is_left(pictures: Tensor) -> None:
    trained = NoiseBranch().double().eval()
    with torch.no_grad():
        found, expected = MergedNoiseBranch(trained)(pictures.double()), trained(pictures.double())
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-9, rtol=1e-9)
