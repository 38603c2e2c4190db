from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from tinydf.data.manifest import FaceRow, write_table
from tinydf_export.inputs.labelled_crops import read_labelled_crops
from tinydf_export.parity.golden import FACE_XYXY, LANDMARKS
from tinydf_runtime.errors import UnreadableInputError, UsageError
from tinydf_runtime.faces.crop import CropConfig
from tinydf_runtime.types import Image

CROP_CONFIG = CropConfig(side_px=64)


@pytest.fixture(scope="module")
def photos(astronaut: Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real photos alone: six of source many and two of source few in split train, one in split val."""
    folder = tmp_path_factory.mktemp("photos")
    left, top, right, bottom = FACE_XYXY
    points = [float(value) for point in LANDMARKS for value in point]
    faces = json.dumps([[left, top, right - left, bottom - top, *points, 0.9]])
    with (folder / "faces.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "source", "identity", "split", "faces"])
        for number in range(9):
            name, source = f"{number}.png", "few" if number in (6, 7) else "many"
            cv2.imwrite(str(folder / name), np.clip(astronaut * (0.6 + 0.1 * number), 0, 255).astype(np.uint8))
            table.writerow([name, source, f"{number}", "val" if number == 8 else "train", faces])
    return folder


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    """Videos of two methods and their originals, one of whose pictures is damaged."""
    rows = []
    for number in range(24):
        name, fake = f"{number}.png", number % 3 > 0
        window = np.full((80, 80, 3), 9 * number, np.uint8)
        window[::4] = 255
        cv2.imwrite(str(tmp_path / name), window)
        rows.append(
            FaceRow(
                file=name,
                label="fake" if fake else "real",
                source="set",
                method=("real", "swap", "mask")[number % 3],
                compression="c23" if number < 12 else "c40",
                split="val",
                video=f"v{number // 6}",
                identities=(f"p{number // 6}",),
                frame=number,
                time_s=0.0,
                track=0,
                box_xyxy=(20.0, 20.0, 60.0, 62.0),
                landmarks=(0.0,) * 10,
                detection_score=0.9,
                sharpness=float(number),
                sha256="0" * 64,
            )
        )
    write_table(rows, tmp_path)
    return tmp_path


def test_photos_alone_come_with_a_forgery_each_and_sources_balanced(photos: Path) -> None:
    found = read_labelled_crops(photos, "train", CROP_CONFIG, 16)
    assert found.crops.shape == (16, 64, 64, 3) and found.crops.dtype == np.uint8
    assert found.forged.tolist() == [False, True] * 8
    # A photo and its forgery are resampled together and differ.
    assert np.array_equal(found.cluster[::2], found.cluster[1::2])
    assert (found.crops[::2] != found.crops[1::2]).any(axis=(1, 2, 3)).all()
    assert (found.source == "few").sum() == 8
    assert len(set(found.method[found.forged])) == 8
    assert set(found.method[~found.forged]) == {"real"}
    assert (found.face_px == 113).all()
    assert (found.sharpness > 0).all() and (found.bits_per_pixel > 0).all()


def test_crops_follow_from_the_seed(photos: Path) -> None:
    first, again, other = (read_labelled_crops(photos, "train", CROP_CONFIG, 4, seed).crops for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_set_with_fakes_is_balanced_over_methods_and_compressions(prepared: Path) -> None:
    found = read_labelled_crops(prepared, "val", CROP_CONFIG, 12)
    assert len(found) == 12
    assert {one: int((found.compression == one).sum()) for one in ("c23", "c40")} == {"c23": 6, "c40": 6}
    assert 5 <= found.forged.sum() <= 8
    assert set(found.method) == {"real", "swap", "mask"}
    assert (found.face_px == 42).all()


def test_pictures_that_cannot_be_read_are_left_out_unless_all_are(prepared: Path) -> None:
    (prepared / "3.png").write_bytes(b"no picture")
    skipped: list[str] = []
    assert len(read_labelled_crops(prepared, "val", CROP_CONFIG, 100, skip=skipped.append)) == 23
    assert len(skipped) == 1 and "3.png: cannot be read" in skipped[0]
    for path in prepared.glob("*.png"):
        path.write_bytes(b"no picture")
    with pytest.raises(UnreadableInputError, match="not one picture"):
        read_labelled_crops(prepared, "val", CROP_CONFIG, 100)


def test_an_empty_split_is_a_usage_error(photos: Path) -> None:
    with pytest.raises(UsageError, match="no face in split test"):
        read_labelled_crops(photos, "test", CROP_CONFIG, 4)
