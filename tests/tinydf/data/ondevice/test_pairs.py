from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.nn import functional

from tinydf.data.drawn_faces import write_drawn_faces
from tinydf.data.ondevice.pairs import DevicePairs
from tinydf.data.ondevice.store import PackedFaces, pack_faces
from tinydf.data.photos import read_photos
from tinydf.metrics import auc
from tinydf_runtime.errors import UsageError

NEAR_CHANCE = 0.65


def series(
    packed: PackedFaces,
    *,
    patch_px: int = 224,
    seed: int = 1,
    easy: int = 0,
    start: int = 0,
    rank: int = 0,
    world_size: int = 1,
) -> DevicePairs:
    return DevicePairs(
        packed,
        steps=3,
        batch_pairs=4,
        patch_px=patch_px,
        seed=seed,
        easy=easy,
        start=start,
        rank=rank,
        world_size=world_size,
    )


def test_a_resumed_series_goes_on_as_it_would_have(packed: PackedFaces) -> None:
    whole, resumed = list(series(packed)), list(series(packed, start=1))
    assert len(whole) == 3
    assert len(resumed) == len(series(packed, start=1)) == 2
    for expected, found in zip(whole[1:], resumed, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))
    assert not torch.equal(whole[1][0], whole[2][0])
    assert not torch.equal(whole[1][0], series(packed, seed=2).batch(1)[0])


@pytest.mark.parametrize("patch_px", [96, 224])
def test_a_batch_is_what_collate_would_make(packed: PackedFaces, patch_px: int) -> None:
    images, labels, maps = series(packed, patch_px=patch_px).batch(0)
    assert images.shape == (8, 3, patch_px, patch_px)
    assert images.dtype == torch.uint8
    assert labels.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert labels.dtype == maps.dtype == torch.float32
    assert maps.shape == (8, patch_px // 16, patch_px // 16)
    assert maps[:4].abs().sum() == 0
    assert (maps[4:].amax((1, 2)) > 0.05).all()
    assert maps.max() <= 1
    # Each forgery's original is four places before it.
    distances = (images[:4, None].float() - images[None, 4:].float()).abs().mean((2, 3, 4))
    assert distances.argmin(1).tolist() == [0, 1, 2, 3]


def test_processes_make_parts_of_their_own(packed: PackedFaces) -> None:
    first, second = (series(packed, rank=rank, world_size=2).batch(0)[0] for rank in (0, 1))
    assert len(first) == len(second) == 4
    assert not torch.equal(first, second)
    with pytest.raises(UsageError, match="divide over 3"):
        series(packed, world_size=3)


def test_forgeries_are_easy_until_the_easy_pairs_are_over(packed: PackedFaces) -> None:
    plain, eased = series(packed), series(packed, easy=4)
    assert not torch.equal(plain.batch(0)[0], eased.batch(0)[0])
    assert torch.equal(plain.batch(1)[0], eased.batch(1)[0])


def file_statistics(crops: torch.Tensor) -> np.ndarray:
    """Sharpness, 8 x 8 blockiness, mean and spread of each channel: what a file gives away without its content."""
    grey = crops.mean(1, keepdim=True)
    kernel = torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]]).view(1, 1, 3, 3)
    sharpness = functional.conv2d(grey, kernel).flatten(1).var(1).log1p()
    steps = grey.diff(dim=3).abs().mean((1, 2))
    blockiness = steps[:, 7::8].mean(1) / steps.mean(1)
    columns = torch.stack((sharpness, blockiness), 1)
    return torch.cat((columns, crops.mean((2, 3)), crops.std((2, 3))), 1).numpy()


def test_file_statistics_do_not_give_the_label_away(tmp_path: Path) -> None:
    write_drawn_faces(tmp_path, 128, seed=1)
    packed = pack_faces(read_photos(tmp_path, "train"), torch.device("cpu"))
    pairs = DevicePairs(packed, steps=1, batch_pairs=120, patch_px=224, seed=0)
    images = pairs.batch(0)[0].float()
    statistics = np.stack((file_statistics(images[:120]), file_statistics(images[120:])), 1)
    labels = np.tile((0, 1), 60)
    classifier = make_pipeline(StandardScaler(), LogisticRegression())
    classifier.fit(statistics[:60].reshape(120, -1), labels)
    scores = classifier.decision_function(statistics[60:].reshape(-1, statistics.shape[2])).reshape(-1, 2)
    assert auc(scores[:, 0], scores[:, 1]) < NEAR_CHANCE
