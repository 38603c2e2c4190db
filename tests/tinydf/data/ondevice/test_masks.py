import numpy as np
import pytest
import torch

from tinydf.data.masks import BLEND_RATIOS
from tinydf.data.mean_face import MODES, place_mean_face
from tinydf.data.ondevice.faces import Faces, draw_faces
from tinydf.data.ondevice.masks import draw_masks, place_mean_faces
from tinydf.data.ondevice.randomness import open_randomness
from tinydf.data.ondevice.store import PackedFaces

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def faces(packed: PackedFaces) -> Faces:
    return draw_faces(packed, np.zeros(32), open_randomness((3,), CPU))


def test_mean_faces_are_placed_as_one_by_one(faces: Faces) -> None:
    weights = np.random.default_rng(0).normal(0, 1, (len(faces), len(MODES)))
    placed = place_mean_faces(faces.landmarks, weights)
    for points, landmarks, own in zip(placed, faces.landmarks, weights, strict=True):
        np.testing.assert_allclose(points, place_mean_face(landmarks, own))


@pytest.mark.parametrize("features_only", [False, True])
def test_masks_are_soft_and_lie_on_the_face(faces: Faces, features_only: bool) -> None:
    masks = draw_masks(faces, np.full(len(faces), features_only), open_randomness((1,), CPU))
    assert masks.shape == (len(faces), 1, *faces.images.shape[2:])
    assert masks.min() >= 0
    assert masks.max() <= max(BLEND_RATIOS) + 1e-6
    at = torch.arange(masks.shape[-1], dtype=torch.float32)
    weight = masks.sum((1, 2, 3))
    x = ((masks.sum((1, 2)) * at).sum(1) / weight).numpy()
    y = ((masks.sum((1, 3)) * at).sum(1) / weight).numpy()
    left, top, right, bottom = faces.boxes_xyxy.T
    assert (x > left + 0.1 * (right - left)).all()
    assert (x < right - 0.1 * (right - left)).all()
    assert (y > top + 0.1 * (bottom - top)).all()
    assert (y < bottom).all()
    peaks = masks.amax((1, 2, 3), keepdim=True)
    assert (peaks > 0.05).all()
    soft = (masks > 0.05 * peaks) & (masks < 0.95 * peaks)
    assert (soft.sum((1, 2, 3)) > 50).all()
    # Nothing is replaced in the corners of the window.
    assert masks[..., :8, :8].max() < 0.01


def test_features_are_small_parts_of_the_face(faces: Faces) -> None:
    whole, features = (
        float(draw_masks(faces, np.full(len(faces), chosen), open_randomness((1,), CPU)).mean())
        for chosen in (False, True)
    )
    assert features < 0.5 * whole


def test_a_key_gives_one_mask_and_another_key_another(faces: Faces) -> None:
    chosen = np.zeros(len(faces), np.bool_)
    first, again, other = (draw_masks(faces, chosen, open_randomness((key,), CPU)) for key in (1, 1, 2))
    assert torch.equal(first, again)
    assert (first - other).abs().amax((1, 2, 3)).min() > 0.1
