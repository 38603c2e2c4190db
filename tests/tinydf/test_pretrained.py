from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tinydf.forgery import TinyDF
from tinydf.forgery.backbone import TinyNet
from tinydf.initial import initial_network
from tinydf.pretrained import fetch_imagenet_weights, load_backbone
from tinydf_runtime.errors import ModelFileError, UnavailableError


@pytest.fixture
def timm_file(tmp_path: Path) -> Path:
    torch.manual_seed(1)
    weights = {**TinyNet().state_dict(), "classifier.weight": torch.zeros(1000, 1280)}
    save_file(weights, tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def test_weights_load_by_name_and_the_classifier_is_left_out(timm_file: Path) -> None:
    network, origin = initial_network(str(timm_file))
    assert origin is not None and isinstance(network, TinyDF)
    torch.manual_seed(1)
    expected = TinyNet().state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in network.backbone.state_dict().items())


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    save_file({**TinyNet().state_dict(), "conv_stem.weight": torch.zeros(8, 3, 3, 3)}, tmp_path / "b.safetensors")
    with pytest.raises(ModelFileError, match=r"conv_stem.weight: found \(8, 3, 3, 3\), expected \(32, 3, 3, 3\)"):
        load_backbone(TinyNet(), tmp_path / "b.safetensors")


def test_without_a_network_the_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(repository: str, name: str) -> str:
        raise OSError("no route to host")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", fail)
    with pytest.raises(UnavailableError, match="--init FILE"):
        fetch_imagenet_weights()
