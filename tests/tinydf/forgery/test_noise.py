import numpy as np
import pytest
import torch
from skimage.data import astronaut

from tinydf.forgery.noise import CELL_PX, NoiseBranch


@pytest.fixture(scope="module")
def face() -> torch.Tensor:
    crop = np.ascontiguousarray(astronaut()[20:244, 110:334]).transpose(2, 0, 1)  # type: ignore[no-untyped-call]
    return torch.from_numpy(crop).float().unsqueeze(0)


def test_a_blurred_region_has_less_energy_where_it_lies_and_nowhere_else(face: torch.Tensor) -> None:
    blurred = face.clone()
    region = np.s_[:, :, 64:160, 64:160]
    blurred[region] = torch.nn.functional.avg_pool2d(blurred[region], 5, stride=1, padding=2, count_include_pad=False)
    part = NoiseBranch()
    # The second difference of luma along x at full resolution.
    before, after = (part.features(image)[0, 3] for image in (face, blurred))
    inside = np.s_[5:9, 5:9]
    assert (after[inside] < before[inside] - 0.5).all()
    outside = torch.ones_like(before, dtype=torch.bool)
    outside[3:11, 3:11] = False
    torch.testing.assert_close(after[outside], before[outside])


def test_a_plain_crop_has_finite_features_and_no_edge_at_its_border() -> None:
    features = NoiseBranch().features(torch.full((1, 3, 96, 96), 77.0))
    assert torch.isfinite(features).all()
    torch.testing.assert_close(features, features[:, :, :1, :1].expand_as(features))


def test_doubled_contrast_shifts_every_energy_alike(face: torch.Tensor) -> None:
    part = NoiseBranch()
    single, double = (part.features(128 + factor * (face - 128))[0, 3:8] for factor in (1.0, 2.0))
    strong = single > 1.5
    assert strong.sum() > 100
    torch.testing.assert_close(
        (double - single)[strong], torch.full((int(strong.sum()),), np.log(2)), atol=0.03, rtol=0
    )


def test_a_crop_gives_a_logit_and_a_cell_each_16_px(face: torch.Tensor) -> None:
    logit, forgery_map = NoiseBranch().eval()(face)
    assert logit.shape == (1,)
    assert forgery_map.shape == (1, 224 // CELL_PX, 224 // CELL_PX)


def test_autocast_does_not_round_the_pixels(face: torch.Tensor) -> None:
    part = NoiseBranch().eval()
    with torch.autocast("cpu", torch.bfloat16):
        rounded = part(face)[0]
    torch.testing.assert_close(rounded, part(face)[0])


def test_a_verdict_does_not_depend_on_how_noisy_the_whole_crop_is(face: torch.Tensor) -> None:
    part = NoiseBranch().eval()
    features = part.features(face)
    level = torch.randn(1, features.shape[1], 1, 1)
    torch.testing.assert_close(part.score(features + level), part.score(features), atol=1e-4, rtol=1e-4)
