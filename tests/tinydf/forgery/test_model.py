import pytest
import torch
from torch import nn

from tinydf.forgery import TinyDF
from tinydf.forgery.aggregation import PyramidAtrousAggregation
from tinydf.forgery.fusion import ShuffleFusionMixer
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
