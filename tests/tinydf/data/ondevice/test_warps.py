import cv2
import numpy as np
import torch

from tinydf.data.ondevice.warps import about_centre, elastic_field, inverted, pixel_grid, sample_at, similarities
from tinydf_runtime.types import Image

CPU = torch.device("cpu")


def test_affine_warps_are_those_of_opencv(astronaut: Image) -> None:
    picture = np.ascontiguousarray(astronaut[60:220, 130:290])
    centres, turns, scales = np.array(((70.0, 90), (80, 60))), np.array((12.0, -3)), np.array((0.8, 1.1))
    affines = about_centre(centres, turns, scales, np.zeros((2, 2)))
    planes = torch.from_numpy(picture).permute(2, 0, 1).float().expand(2, -1, -1, -1)
    warped = sample_at(planes, pixel_grid(inverted(affines), 160, CPU))
    for number, (centre, turn, scale) in enumerate(zip(centres, turns, scales, strict=True)):
        matrix = cv2.getRotationMatrix2D((float(centre[0]), float(centre[1])), float(turn), float(scale))
        np.testing.assert_allclose(affines[number], matrix, atol=1e-9)
        expected = cv2.warpAffine(picture, matrix, (160, 160), borderMode=cv2.BORDER_REFLECT_101)
        # OpenCV places samples on a grid of 1/32 pixel.
        assert (warped[number].permute(1, 2, 0) - torch.from_numpy(expected)).abs().mean() < 0.6


def test_similarities_bring_points_onto_others() -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 100, (3, 5, 2))
    turned = about_centre(rng.uniform(0, 100, (3, 2)), rng.uniform(-30, 30, 3), rng.uniform(0.5, 2, 3), np.ones((3, 2)))
    moved = points @ turned[:, :, :2].transpose(0, 2, 1) + turned[:, None, :, 2]
    np.testing.assert_allclose(similarities(points, moved), turned, atol=1e-9)


def test_elastic_fields_are_smooth_and_go_on_beyond_their_square() -> None:
    coarse = np.random.default_rng(0).normal(0, 1, (2, 2, 4, 4))
    field = elastic_field(coarse, np.array(((40.0, 40), (30, 50))), np.array((40.0, 60)), 80, CPU)
    assert field.shape == (2, 2, 80, 80)
    assert field.diff(dim=3).abs().max() < 0.5
    torch.testing.assert_close(field[0, :, :, :18], field[0, :, :, :1].expand(-1, -1, 18))
    expected = cv2.resize(coarse[0, 0].astype(np.float32), (40, 40), interpolation=cv2.INTER_CUBIC)
    # Of a field this coarse, how the border is weighed shows everywhere.
    np.testing.assert_allclose(field[0, 0, 28:52, 28:52], expected[8:32, 8:32], atol=0.15)
