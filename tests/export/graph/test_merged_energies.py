from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tinydf.forgery.residual import ResidualEnergy
from tinydf_export.graph.merged_energies import MergedEnergies
from tinydf_export.proof.golden import draw_golden_crops
from tinydf_runtime.faces.crop import CropConfig


@pytest.fixture(scope="module")
def pictures() -> Tensor:
    crops = torch.from_numpy(draw_golden_crops(CropConfig())).permute(0, 3, 1, 2).float()
    noise = torch.randint(0, 256, (1, 3, 224, 224), generator=torch.manual_seed(0)).float()
    return torch.cat((crops[:2], noise, torch.full((1, 3, 224, 224), 255.0)))


def test_merged_energies_are_the_energies(pictures: Tensor) -> None:
    trained = ResidualEnergy().eval()
    with torch.no_grad():
        found, expected = MergedEnergies(trained).energies(pictures), trained.energies(pictures)
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=0)


def test_in_double_precision_nothing_is_left(pictures: Tensor) -> None:
    trained = ResidualEnergy().double().eval()
    with torch.no_grad():
        found, expected = MergedEnergies(trained)(pictures.double()), trained(pictures.double())
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-9, rtol=1e-9)
