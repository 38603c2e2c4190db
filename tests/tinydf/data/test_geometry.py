import numpy as np
import pytest

from tinydf.data.face_mesh import INNER_LIPS, LEFT_BROW, LEFT_EYE, RIGHT_BROW, RIGHT_EYE, canonical_mesh, five_of
from tinydf.data.geometry import FaceGeometry, lay_mean_mesh, measure_pose
from tinydf.data.mean_face import FIVE_POINTS


def turned(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """Turns the canonical face, 100 px between the irises, to its left, down and over."""
    aside = np.array(((np.cos(yaw), 0, -np.sin(yaw)), (0, 1, 0), (np.sin(yaw), 0, np.cos(yaw))))
    down = np.array(((1, 0, 0), (0, np.cos(pitch), np.sin(pitch)), (0, -np.sin(pitch), np.cos(pitch))))
    over = np.array(((np.cos(roll), np.sin(roll), 0), (-np.sin(roll), np.cos(roll), 0), (0, 0, 1)))
    points = canonical_mesh().points @ aside @ down @ over * 100 + (200, 180, 0)
    return np.asarray(points, dtype=np.float32)


def test_the_mirror_pairs_points_and_swaps_left_and_right() -> None:
    mirror = canonical_mesh().mirror
    np.testing.assert_array_equal(mirror[mirror], np.arange(478))
    assert {int(mirror[point]) for point in RIGHT_EYE} == set(LEFT_EYE)
    assert {int(mirror[point]) for point in RIGHT_BROW} == set(LEFT_BROW)
    assert {int(mirror[point]) for point in INNER_LIPS} == set(INNER_LIPS)
    assert set(mirror[canonical_mesh().oval].tolist()) == set(canonical_mesh().oval.tolist())


def test_mirroring_keeps_right_the_persons_and_twice_is_nothing() -> None:
    mesh = turned(0.3, 0.1, 0.05)
    geometry = FaceGeometry(five_of(mesh)[:, :2], mesh)
    mirrored = geometry.mirrored(400)
    assert mirrored.mesh is not None
    np.testing.assert_allclose(five_of(mirrored.mesh)[:, :2], mirrored.landmarks, atol=1e-3)
    assert mirrored.landmarks[0, 0] < mirrored.landmarks[1, 0]
    again = mirrored.mirrored(400)
    assert again.mesh is not None
    np.testing.assert_allclose(again.mesh, mesh, atol=1e-3)
    before, after = measure_pose(mesh).yaw_pitch(), measure_pose(mirrored.mesh).yaw_pitch()
    np.testing.assert_allclose(after, before * (-1, 1), atol=1e-4)


def test_landmarks_and_mesh_move_together() -> None:
    mesh = turned(0.2, 0, 0)
    moved = FaceGeometry(five_of(mesh)[:, :2], mesh).moved((30.5, 20.0), 0.5)
    assert moved.mesh is not None
    np.testing.assert_allclose(five_of(moved.mesh)[:, :2], moved.landmarks, atol=1e-3)
    np.testing.assert_allclose(np.ptp(moved.mesh, axis=0), np.ptp(mesh, axis=0) / 2, rtol=1e-5)


@pytest.mark.parametrize(("yaw", "pitch", "roll"), [(0, 0, 0), (0.5, 0, 0), (-0.4, 0.3, 0.2), (0.1, -0.3, -0.6)])
def test_pose_is_measured_whatever_the_roll(yaw: float, pitch: float, roll: float) -> None:
    mesh = turned(yaw, pitch, roll)
    pose = measure_pose(mesh)
    straight = measure_pose(turned(yaw, pitch, 0)).yaw_pitch()
    assert abs(abs(straight[0]) - abs(yaw)) < 0.06
    assert np.hypot(*pose.yaw_pitch()) == pytest.approx(np.hypot(*straight), abs=1e-3)
    frontal = pose.turned_to_camera(mesh)
    np.testing.assert_allclose(frontal, canonical_mesh().points, atol=1e-4)
    np.testing.assert_allclose(pose.turned_back(frontal), mesh, atol=1e-2)


def test_the_mean_face_meets_the_landmarks_that_it_is_laid_over() -> None:
    landmarks = FIVE_POINTS * 150 + (20, 30) + np.random.default_rng(1).normal(0, 4, (5, 2))
    mesh = lay_mean_mesh(landmarks)
    assert np.abs(five_of(mesh)[:, :2] - landmarks).max() < 4
    assert FaceGeometry(landmarks).nearest_mesh().shape == (478, 3)
