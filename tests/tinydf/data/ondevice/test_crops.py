import numpy as np
import pytest
import torch

from tinydf.data.ondevice.crops import crop_faces, jitter_boxes, scale_boxes
from tinydf.data.ondevice.randomness import open_randomness
from tinydf_runtime.crop import CropRecipe, crop_face
from tinydf_runtime.types import Image


def test_crops_are_those_of_the_one_crop_function(astronaut: Image) -> None:
    picture = np.ascontiguousarray(astronaut[:288, 80:368])
    rng = np.random.default_rng(0)
    middles, sides = rng.uniform(130, 158, (12, 2)), rng.uniform(40, 230, (12, 1))
    shapes = np.concatenate((rng.uniform(0.7, 1, (12, 1)), np.ones((12, 1))), axis=1)
    boxes = np.concatenate((middles - sides * shapes / 2, middles + sides * shapes / 2), axis=1)
    planes = torch.from_numpy(picture).permute(2, 0, 1).float().expand(12, -1, -1, -1)
    for recipe in (CropRecipe(), CropRecipe(112)):
        cropped = crop_faces(planes, boxes, recipe).clamp(0, 255).round().permute(0, 2, 3, 1).numpy()
        for box, crop in zip(boxes.tolist(), cropped, strict=True):
            left, top, right, bottom = box
            expected = crop_face(picture, (left, top, right, bottom), recipe)
            difference = np.abs(crop - expected)
            assert difference.mean() < 0.2
            assert difference.max() <= 2


def test_boxes_move_and_scale_within_bounds() -> None:
    boxes = np.tile((10.0, 20, 110, 140), (200, 1))
    jittered = jitter_boxes(boxes, open_randomness((1,), torch.device("cpu")))
    heights = jittered[:, 3] - jittered[:, 1]
    assert 0.9 * 120 <= heights.min() < heights.max() <= 1.15 * 120
    np.testing.assert_allclose((jittered[:, 2] - jittered[:, 0]) / heights, 100 / 120)
    assert np.abs((jittered[:, 0] + jittered[:, 2]) / 2 - 60).max() <= 6


def test_boxes_follow_a_picture_scaled_about_its_middle() -> None:
    scaled = scale_boxes(np.array(((40.0, 50, 60, 70),)), np.array((0.5,)), middle=50)
    assert scaled.tolist() == [pytest.approx((45, 50, 55, 60))]
