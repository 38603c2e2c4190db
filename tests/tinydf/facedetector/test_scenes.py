from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tinydf.facedetector.photos import Photo
from tinydf.facedetector.scenes import LEAST_DOUBT, read_scenes
from tinydf_runtime.errors import UnreadableInputError


def test_faces_doubts_and_mistakes_are_read(scenes: list[Photo]) -> None:
    people, nobody = scenes
    assert len(people.faces) == 1 and len(people.doubtful) == 1 and len(people.mistaken) == 0
    assert nobody.mistaken.tolist() == [[100.0, 60.0, 50.0, 60.0]]
    assert people.decode().shape == (360, 480, 3)


def test_an_unsure_face_is_in_doubt(scenes: list[Photo]) -> None:
    assert len(scenes[1].faces) == 0
    assert [176.0, 72.0, 88.0, 130.0] in scenes[1].doubtful.tolist()


def test_faint_doubts_are_dropped_only_where_nobody_was_seen(scenes_folder: Path) -> None:
    people, nobody = read_scenes(scenes_folder, "train", LEAST_DOUBT)
    assert len(people.doubtful) == 1
    assert not (nobody.doubtful == np.array([20.0, 10.0, 30.0, 40.0])).all(1).any()


def test_a_missing_table_an_empty_split_and_another_table_are_named(scenes_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UnreadableInputError, match=r"scenes\.csv"):
        read_scenes(tmp_path, "train")
    with pytest.raises(UnreadableInputError, match="no scene of split 'other'"):
        read_scenes(scenes_folder, "other")
    (tmp_path / "scenes.csv").write_text("file,split\na.jpg,train\n")
    with pytest.raises(UnreadableInputError, match="not the expected table"):
        read_scenes(tmp_path, "train")
