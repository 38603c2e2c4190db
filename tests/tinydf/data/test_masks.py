from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from tinydf.data.geometry import FaceGeometry, lay_mean_mesh
from tinydf.data.masks import BLEND_RATIOS, REGION_GROUPS, REGION_POINTS, Mask, Region, draw_mask
from tinydf.data.mean_face import FIVE_POINTS

LANDMARKS = FIVE_POINTS * 120 + (60, 50)
BARE = FaceGeometry(LANDMARKS)
MESHED = FaceGeometry(LANDMARKS, lay_mean_mesh(LANDMARKS))


@pytest.mark.parametrize("geometry", [BARE, MESHED])
def test_masks_are_soft_and_within_their_ratio(geometry: FaceGeometry) -> None:
    for seed in range(40):
        mask = draw_mask(geometry, 220, 240, np.random.default_rng(seed))
        assert mask.shape == (220, 240)
        assert mask.dtype == np.float32
        assert mask.min() >= 0
        assert 0.2 < mask.max() <= max(BLEND_RATIOS)
        assert ((mask > 0.05 * mask.max()) & (mask < 0.95 * mask.max())).sum() > 50


@pytest.mark.parametrize("geometry", [BARE, MESHED])
def test_masks_stay_on_the_face(geometry: FaceGeometry) -> None:
    left, right = LANDMARKS[:2, 0]
    for seed in range(40):
        mask = draw_mask(geometry, 220, 240, np.random.default_rng(seed))
        x = np.indices(mask.shape)[1]
        centre = (mask * x).sum() / mask.sum()
        assert left - 25 < centre < right + 25
        # Nothing is replaced a face's width away from the eyes.
        assert mask[:, : int(left - 1.2 * (right - left))].max(initial=0) < 0.5


@pytest.mark.parametrize("geometry", [BARE, MESHED])
def test_a_seed_gives_one_mask_and_another_seed_another(geometry: FaceGeometry) -> None:
    first, again, other = (draw_mask(geometry, 220, 240, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1


def share_of(mask: Mask, chosen: NDArray[np.bool_]) -> float:
    return float(mask[chosen].sum() / mask.sum())


@pytest.mark.parametrize("geometry", [BARE, MESHED])
def test_a_region_lies_where_its_name_says(geometry: FaceGeometry) -> None:
    y, x = np.indices((220, 240))
    eyes_y, nose_x, nose_y, mouth_y = LANDMARKS[0, 1], LANDMARKS[2, 0], LANDMARKS[2, 1], LANDMARKS[3, 1]
    for seed in range(10):
        rngs = {region: np.random.default_rng(seed) for region in REGION_POINTS}
        drawn = {region: draw_mask(geometry, 220, 240, rng, {region: 1.0}) for region, rng in rngs.items()}
        assert share_of(drawn["lower"], y > eyes_y) > 0.85
        assert share_of(drawn["upper"], y < nose_y + 15) > 0.8
        assert share_of(drawn["eyes"], y < nose_y) > 0.8
        assert share_of(drawn["mouth"], np.abs(y - mouth_y) < 35) > 0.8
        left = share_of(drawn["half"], x < nose_x)
        assert max(left, 1 - left) > 0.75
        assert (drawn["face_and_forehead"] > 0).sum() > (drawn["mouth"] > 0).sum()


def test_every_region_can_be_drawn_with_and_without_a_mesh() -> None:
    assert set(REGION_POINTS) == set(REGION_GROUPS) == set(get_args(Region))
