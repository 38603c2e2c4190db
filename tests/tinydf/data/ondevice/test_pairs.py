from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from tinydf.data.dataset import Batch
from tinydf.data.drawn_faces import write_drawn_faces
from tinydf.data.ondevice.pairs import DevicePairs
from tinydf.data.ondevice.store import PackedFaces, pack_faces
from tinydf.data.photos import Photo, read_photos
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
    pairs_at_once: int = 4,
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
        pairs_at_once=pairs_at_once,
    )


def first(pairs: DevicePairs) -> Batch:
    return next(iter(pairs))


def test_a_resumed_series_goes_on_as_it_would_have(packed: PackedFaces) -> None:
    whole, resumed = list(series(packed)), list(series(packed, start=1))
    assert len(whole) == 3
    assert len(resumed) == len(series(packed, start=1)) == 2
    for expected, found in zip(whole[1:], resumed, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))
    assert not torch.equal(whole[1][0], whole[2][0])
    assert not torch.equal(whole[0][0], first(series(packed, seed=2))[0])


def test_several_steps_may_be_made_at_once(packed: PackedFaces) -> None:
    whole, resumed = (list(series(packed, start=start, pairs_at_once=7)) for start in (0, 1))
    assert [len(images) for images, _, _ in whole] == [8, 8, 8]
    for expected, found in zip(whole[1:], resumed, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))
    assert not torch.equal(whole[0][0], whole[1][0])


@pytest.mark.parametrize("patch_px", [96, 224])
def test_a_batch_is_what_collate_would_make(packed: PackedFaces, patch_px: int) -> None:
    images, labels, maps = first(series(packed, patch_px=patch_px))
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
    one, other = (first(series(packed, rank=rank, world_size=2, pairs_at_once=2))[0] for rank in (0, 1))
    assert len(one) == len(other) == 4
    assert not torch.equal(one, other)
    with pytest.raises(UsageError, match="divide over 3"):
        series(packed, world_size=3)


def test_forgeries_are_easy_until_the_easy_pairs_are_over(packed: PackedFaces) -> None:
    plain, eased = iter(series(packed)), iter(series(packed, easy=4))
    assert not torch.equal(next(plain)[0], next(eased)[0])
    assert torch.equal(next(plain)[0], next(eased)[0])


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch does not type it
    """Keeps the names of all operations that are called."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: set[str] = set()

    def __torch_dispatch__(
        self, operation: Any, types: Any, arguments: tuple[Any, ...] = (), settings: dict[str, Any] | None = None
    ) -> Any:
        self.names.add(str(operation.overloadpacket))
        return operation(*arguments, **(settings or {}))


def test_no_operation_needs_a_value_from_the_device(packed: PackedFaces) -> None:
    waiting = {"aten._local_scalar_dense", "aten.nonzero", "aten.masked_select", "aten._unique2", "aten.equal"}
    with Recorder() as recorder:
        list(series(packed, patch_px=96, pairs_at_once=12))
    assert "aten.bmm" in recorder.names
    assert not waiting & recorder.names


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_makes_the_same_pairs_again_and_is_never_waited_for(drawn_photos: list[Photo]) -> None:
    packed = pack_faces(drawn_photos, torch.device("cuda"))
    once = list(series(packed, pairs_at_once=12))
    torch.cuda.set_sync_debug_mode("error")
    try:
        again = list(series(packed, pairs_at_once=12))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    for expected, found in zip(once, again, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))


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
    write_drawn_faces(tmp_path, 96, seed=1)
    packed = pack_faces(read_photos(tmp_path, "train"), torch.device("cpu"))
    pairs = DevicePairs(packed, steps=3, batch_pairs=24, patch_px=224, seed=0, pairs_at_once=24)
    real, forged = torch.cat([images.float().view(2, 24, 3, 224, 224) for images, _, _ in pairs], 1)
    statistics = np.stack((file_statistics(real), file_statistics(forged)), 1)
    labels = np.tile((0, 1), 36)
    classifier = make_pipeline(StandardScaler(), LogisticRegression())
    classifier.fit(statistics[:36].reshape(72, -1), labels)
    scores = classifier.decision_function(statistics[36:].reshape(-1, statistics.shape[2])).reshape(-1, 2)
    assert auc(scores[:, 0], scores[:, 1]) < NEAR_CHANCE
