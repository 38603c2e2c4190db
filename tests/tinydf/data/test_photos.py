import csv
import json
from pathlib import Path

import numpy as np
import pytest

from tinydf.data.face_mesh import MESH_NAME, REFUSED
from tinydf.data.photos import CSV_NAME, read_photos
from tinydf_runtime.errors import UnreadableInputError

FACE = json.dumps([[10, 20, 30, 40, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0.9]])


def write_manifest(folder: Path, rows: list[dict[str, str]]) -> Path:
    with (folder / CSV_NAME).open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder


def row(identity: str, split: str, faces: str = FACE) -> dict[str, str]:
    return {"file": f"{identity}.jpg", "source": "set", "identity": identity, "split": split, "faces": faces}


def test_boxes_become_corners_and_points_become_pairs(tmp_path: Path) -> None:
    (photo,) = read_photos(write_manifest(tmp_path, [row("a", "train")]), "train")
    assert photo.faces[0].box_xyxy == (10, 20, 40, 60)
    assert photo.faces[0].landmarks == ((1, 2), (3, 4), (5, 6), (7, 8), (9, 10))
    assert photo.faces[0].score == 0.9


def test_other_splits_and_photos_without_a_face_are_left_out(tmp_path: Path) -> None:
    rows = [row("a", "train"), row("b", "val"), row("c", "train", faces="[]")]
    assert [photo.identities for photo in read_photos(write_manifest(tmp_path, rows), "train")] == [("a",)]


def test_an_identity_in_two_splits_is_refused(tmp_path: Path) -> None:
    folder = write_manifest(tmp_path, [row("a", "train"), row("a", "test")])
    with pytest.raises(UnreadableInputError, match="identity a is in train and in test"):
        read_photos(folder, "train")


def test_an_unknown_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInputError, match="'dev', expected one of"):
        read_photos(write_manifest(tmp_path, [row("a", "dev")]), "train")


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInputError, match="no column identity"):
        read_photos(write_manifest(tmp_path, [{"file": "a", "source": "s", "split": "val", "faces": "[]"}]), "train")


def test_a_missing_folder_names_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInputError, match=r"faces\.csv"):
        read_photos(tmp_path / "nowhere", "train")


def test_damaged_faces_name_the_photo(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInputError, match=r"a\.jpg"):
        read_photos(write_manifest(tmp_path, [row("a", "train", faces="[[1, 2]]")]), "train")


def test_meshes_beside_the_table_are_in_pixels_of_their_photo(tmp_path: Path) -> None:
    write_manifest(tmp_path, [row("a", "train"), row("b", "train"), row("c", "train")])
    points = np.zeros((3, 478, 3), np.int16)
    points[0, :, 0], points[1] = 96, REFUSED
    np.savez(tmp_path / MESH_NAME, name=np.array(["a.jpg", "b.jpg", "gone.jpg"]), points=points)
    first, second, third = read_photos(tmp_path, "train")
    assert first.mesh is not None and first.geometry().mesh is first.mesh
    np.testing.assert_array_equal(first.mesh[:, 0], 1.5)
    assert second.mesh is None and third.mesh is None


@pytest.mark.parametrize("content", [b"no archive", b""])
def test_damaged_meshes_name_their_file(tmp_path: Path, content: bytes) -> None:
    folder = write_manifest(tmp_path, [row("a", "train")])
    (folder / MESH_NAME).write_bytes(content)
    with pytest.raises(UnreadableInputError, match=r"mesh478\.npz: cannot be read"):
        read_photos(folder, "train")


def test_meshes_of_another_topology_are_refused(tmp_path: Path) -> None:
    folder = write_manifest(tmp_path, [row("a", "train")])
    np.savez(folder / MESH_NAME, name=np.array(["a.jpg"]), points=np.zeros((1, 68, 3), np.int16))
    with pytest.raises(UnreadableInputError, match=r"expected int16 \(1, 478, 3\)"):
        read_photos(folder, "train")
