from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tinydf.data.dataset import FixedPairs
from tinydf.data.forgery_types.table import TYPES, forgers_by_type
from tinydf.data.manifest import read_table, write_table
from tinydf.data.photos import Photo
from tinydf.data.windows import measure_sharpness
from tinydf.evaluation.faces import FaceSet, open_faces, spread
from tinydf.evaluation.perturbations import LADDER, UNCHANGED
from tinydf_runtime.errors import UnreadableInputError, UsageError
from tinydf_runtime.faces.crop import CropConfig, crop_face

CROP_CONFIG = CropConfig()


@pytest.fixture(scope="module")
def made(drawn_folder: Path) -> FaceSet:
    return open_faces(drawn_folder, "train", CROP_CONFIG, limit=3, seed=4)


def test_stored_face_is_cropped_by_the_runtimes_crop_config_in_rgb(two_methods: Path) -> None:
    entries = open_faces(two_methods, "test", CROP_CONFIG).entries
    (face,) = entries.faces(0)
    window = cv2.imread(str(two_methods / "0-0.png"))
    expected = crop_face(np.asarray(window, np.uint8), face.box_xyxy, CROP_CONFIG)[..., ::-1]
    assert np.array_equal(entries.cut(0, (UNCHANGED,)).crops[0, 0], expected)


def test_a_stored_face_that_is_tilted_is_cut_upright_as_in_a_video(write_set: Callable[..., Path], flat: Any) -> None:
    folder = write_set([flat("real", "000", (60,)), flat("Swap", "000", (90,))])
    window = np.random.default_rng(0).integers(0, 256, (120, 120, 3), np.uint8)
    cv2.imwrite(str(folder / "0-0.png"), window)
    rows = read_table(folder)
    sideways = (70.0, 45.0, 70.0, 75.0, 60.0, 60.0, 50.0, 48.0, 50.0, 72.0)
    write_table([replace(row, landmarks=sideways) for row in rows], folder)
    entries = open_faces(folder, "test", CROP_CONFIG).entries
    points = tuple(zip(sideways[::2], sideways[1::2], strict=True))
    expected = crop_face(window, entries.faces(0)[0].box_xyxy, CROP_CONFIG, points)[..., ::-1]
    found = entries.cut(0, (UNCHANGED,)).crops[0, 0]
    assert np.array_equal(found, expected)
    assert not np.array_equal(found, crop_face(window, entries.faces(0)[0].box_xyxy, CROP_CONFIG)[..., ::-1])


def test_perturbations_act_on_the_window_before_the_crop(two_methods: Path) -> None:
    entries = open_faces(two_methods, "test", CROP_CONFIG).entries
    contrast = next(rung for rung in LADDER if rung.kind == "contrast" and rung.level == 5)
    plain, dark = entries.cut(0, (UNCHANGED, contrast)).crops[0]
    assert plain[..., 1].max() == 60 and dark[..., 1].max() == int(60 * 0.35)


def test_videos_of_one_name_are_told_apart_by_method_and_compression(two_methods: Path) -> None:
    entries = open_faces(two_methods, "test", CROP_CONFIG).entries
    videos = {entries.faces(index)[0].video for index in range(len(entries))}
    assert len(videos) == 24
    assert len({video.name for video in videos}) == 4
    assert len({video.original for video in videos}) == 24


def test_other_splits_are_left_out(write_set: Callable[..., Path], flat: Callable[..., Any]) -> None:
    folder = write_set([flat("real", "a", (1,)), flat("Swap", "b", (2,)), flat("Swap", "c", (3,), split="val")])
    entries = open_faces(folder, "test", CROP_CONFIG).entries
    assert {entries.faces(index)[0].video.name for index in range(len(entries))} == {"a", "b"}


def test_limit_counts_videos_and_spreads_them_over_the_table(two_methods: Path) -> None:
    entries = open_faces(two_methods, "test", CROP_CONFIG, limit=6).entries
    videos = list(dict.fromkeys(entries.faces(index)[0].video for index in range(len(entries))))
    # Every video keeps both of its frames, and each of the six groups of the table is met.
    assert len(entries) == 12
    assert len({(video.method, video.compression) for video in videos}) == 6


def test_real_photos_alone_are_forged_by_every_type(made: FaceSet) -> None:
    assert made.forgery_types == tuple(TYPES)
    assert len(made.entries) == 3 * len(TYPES)
    real, forged = made.entries.faces(4)[0].video, made.entries.faces(4)[1].video
    assert (real.forged, forged.forged) == (False, True)
    assert forged.method == f"synthetic: {made.forgery_types[1]}"
    assert real.rivals == forged.rivals == made.forgery_types[1]
    assert real.original == forged.original


def test_made_pairs_are_those_of_the_fixed_series_at_the_same_seed(made: FaceSet, drawn_photos: list[Photo]) -> None:
    photos = spread(drawn_photos, 3)
    pair = FixedPairs(photos, 4, forgers_by_type(photos)[made.forgery_types[1]])[1]
    cut = made.entries.cut(4, (UNCHANGED,))
    assert np.array_equal(cut.crops[0, 0], pair.real)
    assert np.array_equal(cut.crops[1, 0], pair.forged)
    assert cut.sharpness == measure_sharpness(np.ascontiguousarray(pair.real[..., ::-1]))


def test_both_crops_of_a_made_pair_are_perturbed_alike(made: FaceSet) -> None:
    noise = next(rung for rung in LADDER if rung.kind == "grey blocks" and rung.level == 5)
    (_, real), (_, forged) = made.entries.cut(0, (UNCHANGED, noise)).crops
    blocks = (real == 128).all(axis=2)
    assert blocks.sum() > 1000
    assert (forged[blocks] == 128).all()


def test_an_empty_split_says_which_other_to_name(drawn_folder: Path) -> None:
    with pytest.raises(UsageError, match="no face in split test"):
        open_faces(drawn_folder, "test", CROP_CONFIG)


def test_a_folder_without_a_table_names_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInputError, match=r"no faces\.parquet and no faces\.csv"):
        open_faces(tmp_path, "test", CROP_CONFIG)


def test_spread_takes_both_ends_and_no_item_twice() -> None:
    assert spread(range(11), 3) == [0, 5, 10]
    assert spread(range(3), 10) == [0, 1, 2]
    assert spread(range(3), None) == [0, 1, 2]
