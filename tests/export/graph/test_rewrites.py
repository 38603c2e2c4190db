from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from torch import Tensor, nn

from tinydf.checkpoint import Checkpoint
from tinydf.forgery.noise import NoiseBranch
from tinydf_export.graph.rewrites import MergedNoiseBranch, exact_product, rewrite
from tinydf_export.parity.golden import draw_golden_crops
from tinydf_runtime.faces.crop import CropConfig


def images(checkpoint: Checkpoint) -> Tensor:
    return torch.from_numpy(draw_golden_crops(checkpoint.spec.crop)).permute(0, 3, 1, 2).float()


def test_rewritten_network_equals_the_trained_one(checkpoint: Checkpoint) -> None:
    network, crops = checkpoint.build(), images(checkpoint)
    with torch.no_grad():
        logit, _ = network(crops)
        rewritten_logit, _ = rewrite(network).network(crops)
    assert logit.std() > 1
    torch.testing.assert_close(rewritten_logit, logit, atol=2e-3, rtol=0)


def test_what_float32_rounds_is_all_the_difference(checkpoint: Checkpoint) -> None:
    # The head computes in float32 always, and no rewrite touches it: its input is compared in its place.
    network = checkpoint.build().double()
    crops = images(checkpoint).double()
    with torch.no_grad():
        for found, expected in zip(rewrite(network).network.residual(crops), network.residual(crops), strict=True):
            torch.testing.assert_close(found, expected, atol=1e-9, rtol=1e-9)
        network.add_module("head", nn.Identity())
        network.add_module("residual", Silent())
        features, forgery_map = network(crops)
        rewritten_features, rewritten_map = rewrite(network).network(crops)
    torch.testing.assert_close(rewritten_features, features, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(rewritten_map, forgery_map, atol=1e-9, rtol=1e-9)


class Silent(nn.Module):
    """Stands for a noise branch without an opinion."""

    def forward(self, image: Tensor) -> tuple[float, float]:
        return 0.0, 0.0


def test_no_batch_norm_is_left_behind_a_convolution(checkpoint: Checkpoint) -> None:
    modules = rewrite(checkpoint.build()).network.named_modules()
    left = [name for name, module in modules if isinstance(module, nn.BatchNorm2d)]
    assert left == ["residual.compare.0"]


def test_the_trained_network_stays_as_it_is(checkpoint: Checkpoint) -> None:
    network = checkpoint.build()
    rewrite(network)
    assert all(torch.equal(value, checkpoint.state[name]) for name, value in network.state_dict().items())


def test_trained_weight_times_scale_is_the_folded_weight_bit_for_bit(checkpoint: Checkpoint) -> None:
    rewritten = rewrite(checkpoint.build())
    folded = rewritten.network.state_dict()
    compared = 0
    for name, scale in rewritten.scales.items():
        # The stem also takes the image's scale, and PAA's merge loses its share of the global mean.
        if name not in ("backbone.conv_stem.weight", "aggregation.merge.weight"):
            assert torch.equal(checkpoint.state[name] * scale[:, None, None, None], folded[name]), name
            compared += 1
    assert compared > 50


def test_products_are_rounded_once_whatever_the_order_of_their_sums() -> None:
    torch.manual_seed(2)
    # Sizes far apart: sums in float64 differ with their order here.
    left, right = torch.randn(3, 200) * 10 ** torch.randn(200).mul(6), torch.randn(200, 4)
    found = exact_product(left, right)
    for row in range(3):
        for column in range(4):
            terms = zip(left[row].tolist(), right[:, column].tolist(), strict=True)
            assert found[row, column].item() == float(sum(Fraction(one) * Fraction(other) for one, other in terms))
    order = torch.randperm(200)
    assert torch.equal(exact_product(left[:, order], right[order]), found)


@pytest.fixture(scope="module")
def pictures() -> Tensor:
    crops = torch.from_numpy(draw_golden_crops(CropConfig())).permute(0, 3, 1, 2).float()
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
