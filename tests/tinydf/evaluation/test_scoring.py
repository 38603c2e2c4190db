from pathlib import Path

import numpy as np
import pytest
import torch

from tinydf.checkpoint import Checkpoint, save_checkpoint
from tinydf.evaluation.scoring import Scorer, open_scorer
from tinydf.forgery import TinyDF
from tinydf_runtime.errors import UnknownFormatError, UnreadableInputError, UsageError
from tinydf_runtime.io.files import sha256_of
from tinydf_runtime.models.spec import ModelSpec

TEMPERATURE = 2.5


@pytest.fixture(scope="module")
def checkpoint_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("checkpoint") / "random.safetensors"
    spec = ModelSpec(name="random", threshold=0.6, temperature=TEMPERATURE)
    save_checkpoint(Checkpoint(TinyDF().state_dict(), {}, spec), path)
    return path


def flat_crops(*greens: int) -> np.ndarray:
    crops = np.zeros((len(greens), 224, 224, 3), np.uint8)
    crops[..., 1] = np.array(greens)[:, None, None]
    return crops


def test_exported_model_gives_the_logit_of_its_probability(scorer: Scorer) -> None:
    found = scorer.logits(flat_crops(51, 204))
    assert 1 / (1 + np.exp(-found)) == pytest.approx((0.2, 0.8), abs=1e-5)


def test_certainty_stays_a_finite_logit(scorer: Scorer) -> None:
    low, high = scorer.logits(flat_crops(0, 255))
    assert -20 < low < -10 and 10 < high < 20


def test_checkpoint_gives_the_networks_logit_over_the_temperature(checkpoint_path: Path) -> None:
    opened = open_scorer(checkpoint_path)
    crops = np.random.default_rng(0).integers(0, 256, (3, 224, 224, 3), dtype=np.uint8)
    torch.manual_seed(0)
    with torch.inference_mode():
        expected = TinyDF().eval()(torch.from_numpy(crops).permute(0, 3, 1, 2).float())[0].numpy() / TEMPERATURE
    assert opened.logits(crops) == pytest.approx(expected, abs=1e-4)
    assert (opened.spec.threshold, opened.engine) == (0.6, "torch")


def test_scorer_names_the_hash_of_its_own_file(scorer: Scorer, checkpoint_path: Path) -> None:
    for opened in (scorer, open_scorer(checkpoint_path)):
        assert opened.sha256 == sha256_of(opened.path)


def test_unknown_ending_names_those_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(UnknownFormatError, match=r"\.safetensors, \.pt, \.onnx"):
        open_scorer(tmp_path / "model.bin")


def test_missing_file_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInputError, match=r"none\.onnx"):
        open_scorer(tmp_path / "none.onnx")


def test_unknown_device_is_refused_for_a_checkpoint(checkpoint_path: Path) -> None:
    with pytest.raises(UsageError, match="expected one of cpu, cuda"):
        open_scorer(checkpoint_path, device="abacus")
