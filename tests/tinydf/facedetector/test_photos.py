from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tinydf.facedetector.photos import Photo, add_second_look, read_photos
from tinydf_runtime.errors import UnreadableInputError


def test_table_is_read_with_its_pictures(photos: list[Photo]) -> None:
    assert len(photos) == 6
    assert photos[0].decode().shape == (300, 300, 3)
    assert photos[0].decode(2).shape == (150, 150, 3)
    assert photos[0].faces.shape == (1, 15)
    assert photos[0].doubtful.shape == (0, 4)


def test_a_second_look_adds_sure_faces_and_doubts_the_rest(photos: list[Photo]) -> None:
    sure = [10.0, 10.0, 20.0, 25.0, *[15.0] * 10, 0.8]
    unsure = [50.0, 10.0, 20.0, 25.0, *[55.0] * 10, 0.4]
    first, second = add_second_look(photos[:2], {photos[0].name: [sure, unsure]})
    assert first.faces[:, 0].tolist() == [photos[0].faces[0, 0], 10.0]
    assert first.doubtful.tolist() == [[50.0, 10.0, 20.0, 25.0]]
    assert np.array_equal(second.faces, photos[1].faces)


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInputError, match=r"faces\.csv"):
        read_photos(tmp_path, "train")


def test_an_empty_split_is_named(faces_folder: Path) -> None:
    with pytest.raises(UnreadableInputError, match="no photo of split 'other'"):
        read_photos(faces_folder, "other")
