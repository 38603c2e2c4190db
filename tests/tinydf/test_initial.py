from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional

from tinydf.forgery import TinyDF
from tinydf.forgery.backbone import TinyNet
from tinydf.forgery.model import IMAGE_MEAN, IMAGE_STD
from tinydf.initial import initial_network
from tinydf.pretrained import LITE1_PACKAGE, fetch_imagenet_weights, find_lite1_weights, load_backbone, load_lite1
from tinydf_runtime.errors import ModelFileError, UnavailableError

ESPRESSO, TIGER_CAT, EGYPTIAN_CAT = 967, 282, 285


@pytest.fixture(scope="module")
def weights() -> Path:
    pytest.importorskip(LITE1_PACKAGE, reason="needs the extra pretrained")
    return find_lite1_weights()


def classify(name: str, backbone: TinyNet, weights: Path) -> torch.Tensor:
    """Returns ImageNet's probabilities of a photo of scikit-image, by our backbone under Lite1's own last layers."""
    data = pytest.importorskip("skimage.data")
    photo = getattr(data, name)()
    side = min(photo.shape[:2])
    top, left = (photo.shape[0] - side) // 2, (photo.shape[1] - side) // 2
    image = torch.from_numpy(np.ascontiguousarray(photo[top : top + side, left : left + side])).permute(2, 0, 1)[None]
    image = functional.interpolate(image.float(), (256, 256), mode="bilinear", antialias=True)
    normalised = (image - torch.tensor(IMAGE_MEAN).view(1, 3, 1, 1)) / torch.tensor(IMAGE_STD).view(1, 3, 1, 1)
    lite = torch.load(weights, map_location="cpu", weights_only=True)
    with torch.inference_mode():
        deep = functional.conv2d(backbone(normalised)[1], lite["_conv_head.weight"])
        mean, var, gain, bias = (lite[f"_bn1.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        pooled = functional.batch_norm(deep, mean, var, gain, bias, eps=1e-3).clamp(0, 6).mean((2, 3))
        return torch.softmax(functional.linear(pooled, lite["_fc.weight"], lite["_fc.bias"]), 1)[0]


def test_the_backbone_still_knows_a_cat_and_a_coffee(weights: Path) -> None:
    backbone = TinyNet()
    load_lite1(backbone, weights)
    cat, coffee = (classify(name, backbone.eval(), weights) for name in ("chelsea", "coffee"))
    assert cat.argmax() in (281, TIGER_CAT, EGYPTIAN_CAT)
    assert cat[[281, TIGER_CAT, EGYPTIAN_CAT]].sum() > 0.4
    assert coffee.argmax() == ESPRESSO


def test_without_the_package_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tinydf.pretrained.LITE1_PACKAGE", "no_such_package_of_weights")
    with pytest.raises(UnavailableError, match=r"'\.\[pretrained\]'"):
        find_lite1_weights()


def test_another_file_in_its_place_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "fake_lite1_package"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "models" / "efficientnet-lite1-77cc7160.pth").write_bytes(b"other weights")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("tinydf.pretrained.LITE1_PACKAGE", package.name)
    with pytest.raises(ModelFileError, match="SHA-256"):
        find_lite1_weights()


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
