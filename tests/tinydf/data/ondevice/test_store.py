from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tinydf.data.dataset import PairSeries
from tinydf.data.ondevice.store import SURROUND, WINDOW_PX, PackedFaces, cut_window, pack_faces
from tinydf.data.photos import Photo
from tinydf_runtime.crop import CropRecipe, crop_face
from tinydf_runtime.errors import UnreadableInputError
from tinydf_runtime.types import Face, Image

LANDMARKS = ((201.0, 111.0), (241.0, 108.0), (225.0, 131.0), (207.0, 152.0), (240.0, 150.0))


def write_photo(path: Path, image: Image, face: Face) -> Photo:
    cv2.imwrite(str(path), image)
    return Photo(path, "s", ("x",), (face,))


def test_a_small_face_keeps_its_pixels(astronaut: Image, tmp_path: Path) -> None:
    photo = write_photo(tmp_path / "a.png", astronaut, Face((170.2, 70.3, 270, 180), LANDMARKS, 0.9))
    window, points = cut_window(photo)
    assert window.shape == (WINDOW_PX, WINDOW_PX, 3)
    offset = np.array(LANDMARKS[0]) - points[2]
    np.testing.assert_allclose(np.array(LANDMARKS) - points[2:], np.tile(offset, (5, 1)))
    (left, top), (right, bottom) = points[:2].tolist()
    expected = crop_face(astronaut, photo.faces[0].box_xyxy, CropRecipe())
    np.testing.assert_array_equal(crop_face(window, (left, top, right, bottom), CropRecipe()), expected)


def test_a_large_face_is_shrunk_to_the_window(astronaut: Image, tmp_path: Path) -> None:
    large = cv2.resize(astronaut, None, fx=3, fy=3, interpolation=cv2.INTER_LINEAR)
    landmarks = tuple((3 * x, 3 * y) for x, y in LANDMARKS)
    photo = write_photo(tmp_path / "a.png", np.asarray(large, np.uint8), Face((510, 210, 810, 540), landmarks, 0.9))
    _, points = cut_window(photo)
    height = points[1, 1] - points[0, 1]
    assert height == pytest.approx(WINDOW_PX / SURROUND, abs=0.5)
    assert points[3, 0] - points[2, 0] == pytest.approx(120 * height / 330)


def test_photos_are_drawn_as_often_as_by_the_loader(drawn_photos: list[Photo]) -> None:
    small = [Photo(drawn_photos[0].path, "small", ("x",), photo.faces) for photo in drawn_photos[:2]]
    packed = pack_faces([*small, *drawn_photos[2:20]], torch.device("cpu"))
    shares = PairSeries([*small, *drawn_photos[2:20]], 224, 10, seed=0).shares
    # Sources by name: the 18 of drawn come before the 2 of small.
    drawn = packed.draw(np.random.default_rng(0), 20_000)
    assert (drawn >= 18).mean() == pytest.approx(shares[1], abs=0.02)
    assert np.bincount(drawn)[18:].min() / 20_000 == pytest.approx(shares[1] / 2, abs=0.02)


def test_windows_are_rgb(packed: PackedFaces, drawn_photos: list[Photo]) -> None:
    # Drawn skin is red above all.
    x, y = packed.landmarks[:, 2].astype(int).T
    red, _, blue = (packed.windows[torch.arange(len(x)), channel, y + 20, x].float().mean() for channel in range(3))
    assert red > blue + 20
    assert len(packed.windows) == len(drawn_photos)


def test_an_unreadable_photo_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no image")
    photo = Photo(tmp_path / "broken.png", "s", ("x",), (Face((0, 0, 9, 9), LANDMARKS, 0.9),))
    with pytest.raises(UnreadableInputError, match=r"broken\.png"):
        pack_faces([photo], torch.device("cpu"))
