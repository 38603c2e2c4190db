from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tinydf.facedetector.mine import mistakes, mistakes_kept, with_mistakes
from tinydf.facedetector.model import FaceDetectorNet
from tinydf.facedetector.photos import Photo, add_second_look, read_photos
from tinydf.facedetector.scenes import LEAST_DOUBT, read_scenes
from tinydf.facedetector.weights import load_detector
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


def fires_everywhere() -> FaceDetectorNet:
    """A network that takes every cell for a face of 64 px."""
    network = FaceDetectorNet()
    with torch.no_grad():
        for stride, head in zip((8, 16, 32), network.heads, strict=True):
            parts = [part for part in head.modules() if isinstance(part, nn.Conv2d)]
            for part in parts[-2:]:
                assert part.bias is not None
                part.weight.zero_()
                part.bias.zero_()
            last = parts[-1].bias
            assert last is not None
            last[:2] = 5.0
            last[4:6] = float(np.log(64 / stride))
    return network


def test_what_lies_on_faces_and_doubts_is_no_mistake(scenes: list[Photo]) -> None:
    found = mistakes(fires_everywhere(), scenes)
    for scene in scenes:
        boxes = np.array(found[scene.name])
        known = np.concatenate((scene.faces[:, :4], scene.doubtful))
        assert len(boxes) > 5
        for x, y, width, height in known.tolist():
            low = np.maximum(boxes[:, :2], (x, y))
            high = np.minimum(boxes[:, :2] + boxes[:, 2:], (x + width, y + height))
            shared = (high - low).clip(0).prod(1)
            assert (shared / (boxes[:, 2:].prod(1) + width * height - shared) < 0.31).all()


def test_the_shipped_detector_mistakes_no_known_face(scenes: list[Photo]) -> None:
    found = mistakes(load_detector().network, scenes[:1])
    x, y, width, height = scenes[0].faces[0, :4].tolist()
    middle = (x + width / 2, y + height / 2)
    assert not [b for b in found.get(scenes[0].name, []) if np.hypot(b[0] + b[2] / 2 - middle[0], b[1] - y) < 20]


def test_mistakes_are_kept_and_added(scenes: list[Photo], tmp_path: Path) -> None:
    kept = tmp_path / "mistakes.json"
    first = mistakes_kept(fires_everywhere(), scenes, kept)
    # The file answers, not another network.
    assert mistakes_kept(load_detector().network, scenes, kept) == first
    added = with_mistakes(scenes, {scenes[1].name: first[scenes[1].name]})
    assert len(added[0].mistaken) == 0
    assert len(added[1].mistaken) == 1 + len(first[scenes[1].name])
