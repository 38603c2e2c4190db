import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from tinydf.forgery import TinyDF
from tinydf.forgery.aggregation import PyramidAtrousAggregation
from tinydf.forgery.fusion import ShuffleFusionMixer
from tinydf.forgery.head import GRID_INTERVALS, GRID_RANGE, ORDER, KANHead, KANLayer, cubic_spline_bases
from tinydf.forgery.model import RGBBranch


@pytest.fixture(scope="module")
def model() -> TinyDF:
    torch.manual_seed(0)
    return TinyDF().eval()


@pytest.mark.parametrize("side", [64, 128, 224])
def test_map_has_a_cell_for_sixteen_pixels(model: TinyDF, side: int) -> None:
    with torch.inference_mode():
        logits, forgery_map = model(torch.rand(2, 3, side, side) * 255)
    assert logits.shape == (2,)
    assert forgery_map.shape == (2, side // 16, side // 16)


def test_batch_equals_single(model: TinyDF) -> None:
    images = torch.rand(3, 3, 64, 64) * 255
    with torch.inference_mode():
        together = model(images)
        apart = [model(image[None]) for image in images]
    torch.testing.assert_close(together[0], torch.cat([logits for logits, _ in apart]), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(together[1], torch.cat([maps for _, maps in apart]), atol=1e-5, rtol=1e-4)


def test_every_position_of_the_aggregation_reaches_its_output() -> None:
    torch.manual_seed(0)
    aggregation = PyramidAtrousAggregation().eval()
    shallow = torch.rand(1, 16, 112, 112, requires_grad=True)
    reduced = aggregation(shallow)
    assert reduced.shape == (1, 64, 7, 7)
    # The global mean reaches everywhere: without it, what is left came through the windows that tile the map.
    aggregation.global_mean.weight.data.zero_()
    aggregation(shallow).square().sum().backward()
    assert shallow.grad is not None
    assert (shallow.grad.abs().sum(dim=1) > 0).all()


def test_a_change_at_one_position_changes_the_cell_over_it() -> None:
    torch.manual_seed(0)
    aggregation = PyramidAtrousAggregation().eval()
    shallow = torch.rand(1, 16, 112, 112)
    with torch.inference_mode():
        before = aggregation(shallow)
        for y, x in ((0, 0), (3, 101), (57, 58), (111, 111)):
            changed = shallow.clone()
            changed[:, :, y, x] += 0.5
            difference = (aggregation(changed) - before).abs().sum(1)[0]
            assert difference[y // 16, x // 16] > 0


def test_mixer_lets_every_channel_reach_every_channel() -> None:
    torch.manual_seed(0)
    mixer = ShuffleFusionMixer(24).eval()
    # A shut rectifier would hide a connection; what is asked is which channels are wired to which.
    for layer in mixer.modules():
        if hasattr(layer, "act"):
            layer.act = nn.Identity()
    deep = torch.rand(1, 16, 3, 3, requires_grad=True)
    texture = torch.rand(1, 8, 3, 3, requires_grad=True)
    for channel in range(24):
        output = mixer(deep, texture)[:, channel].sum()
        for gradient in torch.autograd.grad(output, (deep, texture)):
            assert (gradient.abs().sum((0, 2, 3)) > 0).all()


def test_the_verdict_is_the_sum_of_what_the_parts_say(model: TinyDF) -> None:
    images = torch.rand(2, 3, 96, 96) * 255
    with torch.inference_mode():
        whole, rgb, noise = model(images), RGBBranch(model)(images), model.residual(images)
    torch.testing.assert_close(whole[0], rgb[0] + noise[0])
    torch.testing.assert_close(whole[1], rgb[1] + noise[1])


def test_the_rgb_branch_alone_has_the_networks_own_weights(model: TinyDF) -> None:
    alone = {id(parameter) for parameter in RGBBranch(model).parameters()}
    assert alone == {id(p) for name, p in model.named_parameters() if not name.startswith("residual.")}


def cox_de_boor(x: NDArray[np.float64], knots: NDArray[np.float64], order: int) -> NDArray[np.float64]:
    """The recursion of the textbook: N x (number of knots - order - 1)."""
    bases = ((x[:, None] >= knots[:-1]) & (x[:, None] < knots[1:])).astype(float)
    for k in range(1, order + 1):
        left = (x[:, None] - knots[: -k - 1]) / (knots[k:-1] - knots[: -k - 1])
        right = (knots[k + 1 :] - x[:, None]) / (knots[k + 1 :] - knots[1:-k])
        bases = left * bases[:, :-1] + right * bases[:, 1:]
    return bases


@pytest.mark.parametrize("reach", [1.0, 3.0])
def test_closed_form_equals_the_recursion(reach: float) -> None:
    layer = KANLayer(1, 1)
    low, high = GRID_RANGE
    spacing = (high - low) / GRID_INTERVALS
    knots = low + spacing * np.arange(-ORDER, GRID_INTERVALS + ORDER + 1, dtype=np.float64)
    x = np.linspace(-reach, reach, 4001).astype(np.float64)
    closed = cubic_spline_bases(torch.tensor(x, dtype=torch.float32), layer.centres, layer.spacing).numpy()
    np.testing.assert_allclose(closed, cox_de_boor(x, knots, ORDER), atol=1e-6)


def test_bases_sum_to_one_inside_the_grid() -> None:
    layer = KANLayer(1, 1)
    bases = cubic_spline_bases(torch.linspace(*GRID_RANGE, 501), layer.centres, layer.spacing)
    torch.testing.assert_close(bases.sum(-1), torch.ones(501))


def test_gradient_reaches_features_of_any_scale() -> None:
    head = KANHead(8)
    for scale in (1e-3, 1.0, 1e3):
        features = (torch.randn(16, 8, 2, 2) * scale).requires_grad_()
        head(features).square().sum().backward()
        assert features.grad is not None
        assert features.grad.abs().sum() > 0


def test_each_face_has_one_logit_whatever_its_company() -> None:
    head = KANHead(8).eval()
    features = torch.randn(5, 8, 3, 3)
    together = head(features)
    assert together.shape == (5,)
    torch.testing.assert_close(together, torch.cat([head(one[None]) for one in features]))
