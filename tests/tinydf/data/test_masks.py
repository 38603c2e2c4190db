import numpy as np

from tinydf.data.masks import BLEND_RATIOS, draw_mask
from tinydf.data.mean_face import FIVE_POINTS

LANDMARKS = FIVE_POINTS * 120 + (60, 50)


def test_masks_are_soft_and_within_their_ratio() -> None:
    for seed in range(40):
        mask = draw_mask(LANDMARKS, 220, 240, np.random.default_rng(seed))
        assert mask.shape == (220, 240)
        assert mask.dtype == np.float32
        assert mask.min() >= 0
        assert 0.2 < mask.max() <= max(BLEND_RATIOS)
        assert ((mask > 0.05 * mask.max()) & (mask < 0.95 * mask.max())).sum() > 50


def test_masks_stay_on_the_face() -> None:
    left, right = LANDMARKS[:2, 0]
    for seed in range(40):
        mask = draw_mask(LANDMARKS, 220, 240, np.random.default_rng(seed))
        x = np.indices(mask.shape)[1]
        centre = (mask * x).sum() / mask.sum()
        assert left - 25 < centre < right + 25
        # Nothing is replaced a face's width away from the eyes.
        assert mask[:, : int(left - 1.2 * (right - left))].max(initial=0) < 0.5


def test_a_seed_gives_one_mask_and_another_seed_another() -> None:
    first, again, other = (draw_mask(LANDMARKS, 220, 240, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1
