import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from tinydf.data.find_faces import CROP_CONFIG, Found, find_in_photo, find_in_sequence, find_in_video
from tinydf.data.layouts.listing import Clip, ClipKind
from tinydf_runtime.errors import UnreadableInputError
from tinydf_runtime.faces.crop import crop_face
from tinydf_runtime.faces.detector import FaceDetector
from tinydf_runtime.io.files import sha256_of
from tinydf_runtime.io.image import read_image
from tinydf_runtime.io.video import VideoReader
from tinydf_runtime.types import Image


def clip(path: Path, kind: ClipKind = "video", inside: str = "") -> Clip:
    return Clip(path, kind, "real", "real", "", "train", path.name, ("a",), ("a",), inside)


@pytest.fixture(scope="module")
def detector() -> FaceDetector:
    return FaceDetector(threads=1)


def windows_in(out: Path) -> set[str]:
    return {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}


def test_windows_give_the_crops_of_the_frames_that_deployment_sees(
    face_video: Path, detector: FaceDetector, tmp_path: Path
) -> None:
    found = find_in_video(clip(face_video), detector, tmp_path, "w", 4)
    frames = {frame.index: frame.image for frame in VideoReader(face_video)}
    assert (found.status, found.reason, len(found.faces)) == ("ok", "", 4)
    assert windows_in(tmp_path) == {face.file for face in found.faces}
    for face in found.faces:
        (deployed,) = detector.detect(frames[face.frame])
        left, top, right, bottom = face.box_xyxy
        crop = crop_face(read_image(tmp_path / face.file), (left, top, right, bottom), CROP_CONFIG)
        assert np.array_equal(crop, crop_face(frames[face.frame], deployed.box_xyxy, CROP_CONFIG))
        assert face.time_s == pytest.approx(face.frame / 25)
        assert face.sha256 == sha256_of(face_video)
        assert face.sharpness > 0


def test_faces_are_spread_from_the_first_to_the_last_frame(
    face_video: Path, detector: FaceDetector, tmp_path: Path
) -> None:
    frames = [face.frame for face in find_in_video(clip(face_video), detector, tmp_path, "w", 3).faces]
    assert frames[0] == 0 and frames[-1] >= 15
    assert max(np.diff(frames)) - min(np.diff(frames)) <= 4


def test_a_short_video_gives_all_it_has(face_video: Path, detector: FaceDetector, tmp_path: Path) -> None:
    found = find_in_video(clip(face_video), detector, tmp_path, "w", 32)
    assert [face.frame for face in found.faces] == list(range(20))


def test_two_people_share_the_windows_and_keep_their_numbers(
    face_frames: list[Image], detector: FaceDetector, tmp_path: Path, write_video: Callable[..., Path]
) -> None:
    video = write_video([np.hstack([frame, frame[:, ::-1]]) for frame in face_frames[:12]])
    found = find_in_video(clip(video), detector, tmp_path, "w", 6)
    tracks = [face.track for face in found.faces]
    assert sorted(tracks) == tracks and [tracks.count(number) for number in sorted(set(tracks))] == [3, 3]


def test_only_people_whom_the_masks_mark_are_taken(
    face_frames: list[Image], detector: FaceDetector, tmp_path: Path, make_clip: Callable[..., Path]
) -> None:
    frames = [np.hstack([frame, frame[:, ::-1]]) for frame in face_frames[:12]]
    video = make_clip(tmp_path / "video.mp4", frames)
    everybody = find_in_video(clip(video), detector, tmp_path / "all", "w", 6)
    people = []
    for name, half in (("left", np.s_[:, :128]), ("right", np.s_[:, 128:])):
        # At half the size of the video.
        mask = np.zeros((128, 256, 3), np.uint8)
        mask[half] = 255
        forged = replace(clip(video), mask=make_clip(tmp_path / f"{name}.mp4", [mask] * 12))
        found = find_in_video(forged, detector, tmp_path / name, "w", 6)
        assert len(found.faces) == 6 and windows_in(tmp_path / name) == {face.file for face in found.faces}
        people.append({face.track for face in found.faces})
    assert [len(tracks) for tracks in people] == [1, 1]
    assert people[0] | people[1] == {face.track for face in everybody.faces} and people[0] != people[1]


def test_masks_that_mark_nobody_or_end_give_no_faces_and_say_so(
    face_video: Path, detector: FaceDetector, tmp_path: Path, make_clip: Callable[..., Path]
) -> None:
    black = np.zeros((256, 256, 3), np.uint8)
    for name, masks in (("black", [black] * 20), ("short", [black + 255] * 2)):
        forged = replace(clip(face_video), mask=make_clip(tmp_path / f"{name}.mp4", masks))
        found = find_in_video(forged, detector, tmp_path / name, "w", 4)
        assert found.status == "no_face" and "nobody whom the masks mark" in found.reason
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    with pytest.raises(UnreadableInputError, match=r"broken\.mp4"):
        find_in_video(replace(clip(face_video), mask=tmp_path / "broken.mp4"), detector, tmp_path, "w", 4)


def test_a_video_without_faces_leaves_no_window(empty_video: Path, detector: FaceDetector, tmp_path: Path) -> None:
    found = find_in_video(clip(empty_video), detector, tmp_path, "w", 4)
    assert found == Found("no_face", "no face: nothing was detected", ())
    assert not windows_in(tmp_path)


def test_a_video_that_is_cut_off_gives_what_can_be_read_and_says_so(
    face_frames: list[Image], detector: FaceDetector, tmp_path: Path, cut_video: Callable[..., Path]
) -> None:
    found = find_in_video(clip(cut_video(face_frames * 3, keep=0.6)), detector, tmp_path / "out", "w", 4)
    assert found.status == "truncated" and len(found.faces) == 4
    assert "of 60" in found.reason


def test_a_photo_gives_its_largest_face(astronaut: Image, detector: FaceDetector, tmp_path: Path) -> None:
    small = cv2.resize(astronaut, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    canvas = np.zeros((512, 512 + small.shape[1], 3), np.uint8)
    canvas[: small.shape[0], : small.shape[1]] = small
    canvas[:, small.shape[1] :] = astronaut
    path = tmp_path / "two.png"
    cv2.imwrite(str(path), canvas)
    (face,) = find_in_photo(clip(path, "photo"), detector, tmp_path, "w/two.png").faces
    (alone,) = detector.detect(astronaut)
    _, top, _, bottom = face.box_xyxy
    expected = alone.box_xyxy
    assert bottom - top == pytest.approx(expected[3] - expected[1], rel=0.15)
    assert (face.file, face.frame, face.track, face.sha256) == ("w/two.png.png", 0, 0, sha256_of(path))


def write_sequence(folder: Path, astronaut: Image, count: int) -> None:
    """Writes tight 224 px faces, as WildDeepfake has them."""
    folder.mkdir(parents=True)
    face = cv2.resize(astronaut[50:190, 155:295], (224, 224), interpolation=cv2.INTER_AREA)
    for index in range(count):
        cv2.imwrite(str(folder / f"{index}.png"), np.roll(face, index % 3, axis=1))


def test_an_archive_gives_the_faces_of_the_folder_in_it(
    astronaut: Image, detector: FaceDetector, tmp_path: Path
) -> None:
    write_sequence(tmp_path / "1" / "real" / "7", astronaut, 12)
    with tarfile.open(tmp_path / "1.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "1", arcname="./1")
    plain = find_in_sequence(clip(tmp_path / "1" / "real" / "7", "sequence"), detector, tmp_path / "a", "w", 4)
    packed = find_in_sequence(
        clip(tmp_path / "1.tar.gz", "sequence", inside="1/real/7"), detector, tmp_path / "b", "w", 4
    )
    assert packed == plain and plain.status == "ok"
    assert [face.frame for face in plain.faces] == [0, 4, 7, 11]
    assert windows_in(tmp_path / "b") == {face.file for face in packed.faces}
    for file in windows_in(tmp_path / "a"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_a_face_cut_too_tightly_to_be_seen_is_found_through_a_border(
    astronaut: Image, detector: FaceDetector, tmp_path: Path
) -> None:
    (tmp_path / "s").mkdir()
    tight = np.asarray(cv2.resize(astronaut[100:150, 200:250], (224, 224)), np.uint8)
    assert not detector.detect(tight)
    cv2.imwrite(str(tmp_path / "s" / "0.png"), tight)
    (face,) = find_in_sequence(clip(tmp_path / "s", "sequence"), detector, tmp_path, "w", 1).faces
    # The window is the whole picture, so these are pixels of it; the eyes lie in its upper half.
    assert np.array_equal(read_image(tmp_path / face.file), tight)
    assert all(0 < x < 224 and 0 < y < 112 for x, y in (face.landmarks[0:2], face.landmarks[2:4]))


def test_unreadable_pictures_of_a_sequence_are_said_and_the_others_kept(
    astronaut: Image, detector: FaceDetector, tmp_path: Path
) -> None:
    write_sequence(tmp_path / "s", astronaut, 3)
    (tmp_path / "s" / "1.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    found = find_in_sequence(clip(tmp_path / "s", "sequence"), detector, tmp_path / "out", "w", 8)
    assert (found.status, len(found.faces)) == ("truncated", 2)
    assert "1 of 3 pictures cannot be read, such as 1.png" in found.reason


def test_a_sequence_without_a_readable_picture_is_an_error(detector: FaceDetector, tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "0.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(UnreadableInputError, match="no picture of s can be read"):
        find_in_sequence(clip(tmp_path / "s", "sequence"), detector, tmp_path / "out", "w", 8)
