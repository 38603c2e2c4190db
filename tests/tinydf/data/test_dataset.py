from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch

from tinydf.data.dataset import PairSeries, collate, sharpness_worth
from tinydf.data.photos import Photo
from tinydf.data.samples import make_pair
from tinydf_runtime.faces.crop import CropConfig
from tinydf_runtime.io.image import read_image
from tinydf_runtime.types import Face


def test_a_pair_is_a_function_of_seed_and_index(drawn_photos: list[Photo]) -> None:
    first, again = (PairSeries(drawn_photos, 96, 100, seed=1) for _ in range(2))
    for index in (7, 3):
        np.testing.assert_array_equal(first[index].forged, again[index].forged)
    assert (first[3].real != PairSeries(drawn_photos, 96, 100, seed=2)[3].real).any()


def test_real_and_forged_are_alike_but_for_the_mask(drawn_photos: list[Photo]) -> None:
    for seed in range(10):
        pair = make_pair(drawn_photos[0], CropConfig(), np.random.default_rng(seed))
        assert pair.real.shape == pair.forged.shape == (224, 224, 3)
        assert pair.mask.shape == (224, 224)
        assert 0.2 < pair.mask.max() <= 1
        assert (pair.real != pair.forged).any()


def test_a_tilted_face_is_trained_on_upright(drawn_photos: list[Photo], tmp_path: Path) -> None:
    photo, face = drawn_photos[0], drawn_photos[0].faces[0]
    image = read_image(photo.path)
    upside_down = tmp_path / "upside_down.png"
    cv2.imwrite(str(upside_down), image[::-1, ::-1])
    height, width = image.shape[:2]
    left, top, right, bottom = face.box_xyxy
    points = tuple((width - 1 - x, height - 1 - y) for x, y in face.landmarks)
    hanging = Face((width - right, height - bottom, width - left, height - top), points, face.score)
    pairs = [
        make_pair(one, CropConfig(), np.random.default_rng(1), draw=lambda _: lambda picture: picture).real
        for one in (photo, replace(photo, path=upside_down, faces=(hanging,)))
    ]
    alike, turned = (np.abs(pairs[0].astype(float) - pairs[1][::step, ::step]).mean() for step in (1, -1))
    # Boxes are jittered in the picture, and hang the other way round in it.
    assert alike < 0.7 * turned


def test_every_patch_of_a_forgery_shows_some_of_it(drawn_photos: list[Photo]) -> None:
    series = PairSeries(drawn_photos, 96, 100, seed=0)
    for index in range(20):
        pair = series[index]
        assert pair.real.shape == (96, 96, 3)
        assert pair.mask.max() > 0.2


def test_a_batch_holds_each_forgery_with_its_original(drawn_photos: list[Photo]) -> None:
    series = PairSeries(drawn_photos, 96, 100, seed=0)
    images, labels, maps = collate([series[0], series[1]])
    assert images.shape == (4, 3, 96, 96)
    assert images.dtype == torch.uint8
    assert labels.tolist() == [0, 0, 1, 1]
    assert maps.shape == (4, 6, 6)
    assert maps[:2].abs().sum() == 0
    assert (maps[2:].amax((1, 2)) > 0.1).all()
    np.testing.assert_array_equal(images[2].permute(1, 2, 0), series[0].forged)


def test_sources_weigh_as_the_root_of_their_size(drawn_photos: list[Photo]) -> None:
    small = Photo(drawn_photos[0].path, "small", ("x",), drawn_photos[1].faces)
    shares = PairSeries([*[drawn_photos[1]] * 16, small], 96, 10, seed=0).shares
    np.testing.assert_allclose(shares, (0.8, 0.2))


def test_small_faces_are_worth_the_share_of_the_crop_that_they_fill() -> None:
    worth = [
        sharpness_worth(Photo(Path("a"), "s", ("x",), (Face((0, 0, side, side / 2), ((0, 0),) * 5, 0.9),)))
        for side in (56, 112, 224, 900)
    ]
    assert worth == [1 / 16, 1 / 4, 1, 1]
