import numpy as np
import pytest
import torch
from torch import Tensor

from tinydf.data.families.table import SHARES
from tinydf.data.ondevice.faces import Faces, draw_faces
from tinydf.data.ondevice.families.table import BatchMixture, exaggerate
from tinydf.data.ondevice.lab import from_lab, match_colour, to_lab
from tinydf.data.ondevice.randomness import open_randomness
from tinydf.data.ondevice.store import PackedFaces
from tinydf_runtime.errors import UsageError

CPU = torch.device("cpu")
CHANGES_THE_SURROUND = ("self-blend", "region-blend")


@pytest.fixture(scope="module")
def faces(packed: PackedFaces) -> Faces:
    return draw_faces(packed, np.zeros(12), open_randomness((3,), CPU))


def weighted(values: Tensor, weights: Tensor) -> Tensor:
    return (values * weights).sum((1, 2, 3)) / weights.sum((1, 2, 3))


@pytest.mark.parametrize("family", SHARES)
def test_each_family_forges_what_its_mask_shows(family: str, faces: Faces, packed: PackedFaces) -> None:
    others = [name for name in SHARES if name != family]
    forged, masks = BatchMixture(packed, others)(faces, open_randomness((1,), CPU))
    assert torch.equal(forged, forged.clamp(0, 255).round())
    difference = (forged - faces.images).abs().mean(1, keepdim=True)
    inside = weighted(difference, masks)
    assert inside.min() > 0.2
    assert inside.median() > 1
    unchanged = (difference * (masks < 1e-4)).amax((1, 2, 3)) == 0
    if family in CHANGES_THE_SURROUND:
        # Seven of ten change the face, the others what is around it.
        assert 3 <= unchanged.sum() < 12
    else:
        assert unchanged.all()


def test_a_batch_holds_every_family(packed: PackedFaces) -> None:
    faces = draw_faces(packed, np.zeros(24), open_randomness((2,), CPU))
    forged, masks = BatchMixture(packed)(faces, open_randomness((2,), CPU))
    assert ((forged - faces.images).abs() * masks).amax((1, 2, 3)).min() > 1


def test_unknown_and_too_many_families_are_refused(packed: PackedFaces) -> None:
    with pytest.raises(UsageError, match="no such family"):
        BatchMixture(packed, ["face-lift"])
    with pytest.raises(UsageError, match="every family"):
        BatchMixture(packed, SHARES)


def test_small_changes_are_enlarged_inside_the_mask_alone() -> None:
    originals, masks = torch.full((2, 3, 8, 8), 100.0), torch.zeros(2, 1, 8, 8)
    masks[..., 2:6, 2:6] = 1
    forged = originals + torch.tensor((1.0, 20.0)).view(2, 1, 1, 1)
    enlarged = exaggerate(forged, originals, masks, np.array((0.0, 0.0))) - originals
    assert enlarged[0, 0, 4, 4] == 2
    assert enlarged[0, 0, 0, 0] == 1
    assert (enlarged[1] == 20).all()


def test_lab_and_back_is_the_same_picture(faces: Faces) -> None:
    assert (from_lab(to_lab(faces.images)) - faces.images).abs().max() <= 1
    white = to_lab(torch.full((1, 3, 1, 1), 255.0)).flatten()
    torch.testing.assert_close(white, torch.tensor((255.0, 0, 0)), atol=0.1, rtol=0)


def test_matched_colours_have_the_targets_mean(faces: Faces) -> None:
    masks = torch.zeros(2, 1, *faces.images.shape[2:])
    inside = np.s_[..., 100:180, 100:180]
    masks[inside] = 1
    source, target = faces.images[:2] * 0.7, faces.images[2:4]
    before, matched, wanted = (
        to_lab(images)[inside].mean((2, 3)) for images in (source, match_colour(source, target, masks), target)
    )
    assert (matched - wanted).abs().max() < 4 < (before - wanted).abs().max()


def test_easy_forgeries_are_coarser(faces: Faces, packed: PackedFaces) -> None:
    forge = BatchMixture(packed, [name for name in SHARES if name != "self-blend"])
    easy = Faces(faces.images, faces.photos, faces.boxes_xyxy, faces.landmarks, np.ones(len(faces)))
    changes = [
        float((forge(some, open_randomness((1,), CPU))[0] - faces.images).abs().mean()) for some in (faces, easy)
    ]
    assert changes[1] > 1.2 * changes[0]
