import numpy as np
import pytest

from tinydf.data.face_mesh import canonical_mesh
from tinydf.data.geometry import lay_mean_mesh
from tinydf.data.mean_face import FIVE_POINTS, GROUPS, MEAN_POINTS, MODES, place_mean_face
from tinydf.data.mesh_render import render
from tinydf_runtime.types import Image

MESH = lay_mean_mesh(FIVE_POINTS * 120 + (60, 60))


def slopes(height: int, width: int) -> Image:
    """Blue rises to the right, green downwards, one level a pixel."""
    y, x = np.mgrid[:height, :width]
    return np.stack((x, y, np.full_like(x, 99)), axis=-1).astype(np.uint8)


def test_a_face_drawn_in_its_own_shape_stays_as_it_is() -> None:
    picture = slopes(250, 250)
    drawn, covered = render(picture, MESH, MESH, canonical_mesh().triangles, np.zeros_like(picture))
    assert np.abs(drawn.astype(int) - picture)[covered > 0].max() <= 1
    assert (drawn[covered == 0] == 0).all()


def test_a_moved_and_scaled_face_takes_its_texture_along() -> None:
    target = MESH * np.float32(0.5) + np.array((20, 10, 0), np.float32)
    onto = np.full((150, 150, 3), 7, np.uint8)
    drawn, covered = render(slopes(250, 250), MESH, target, canonical_mesh().triangles, onto)
    y, x = np.nonzero(covered)
    assert np.abs(drawn[y, x, 0] - (x - 20) * 2.0).max() <= 1.5
    assert np.abs(drawn[y, x, 1] - (y - 10) * 2.0).max() <= 1.5
    assert (drawn[covered == 0] == 7).all()
    assert (onto == 7).all()


def test_the_face_is_covered_without_a_hole() -> None:
    canvas = np.zeros((250, 250, 3), np.uint8)
    _, covered = render(canvas, MESH, MESH, canonical_mesh().triangles, canvas)
    for row in covered[covered.any(axis=1)]:
        assert (np.diff(np.flatnonzero(row)) == 1).all()


def test_what_lies_outside_the_picture_is_not_drawn() -> None:
    far = MESH + np.array((1000, 0, 0), np.float32)
    canvas = slopes(100, 100)
    drawn, covered = render(canvas, MESH, far, canonical_mesh().triangles, canvas)
    np.testing.assert_array_equal(drawn, canvas)
    assert covered.max() == 0


UNBENT = np.zeros(len(MODES))


def test_canonical_landmarks_leave_the_mean_face_where_it_is() -> None:
    np.testing.assert_allclose(place_mean_face(FIVE_POINTS, UNBENT), MEAN_POINTS, atol=1e-9)


@pytest.mark.parametrize(("angle", "scale"), [(0.0, 100.0), (0.5, 40.0), (-1.2, 250.0)])
def test_points_turn_scale_and_move_with_the_landmarks(angle: float, scale: float) -> None:
    rotation = scale * np.array(((np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))))
    placed = place_mean_face(FIVE_POINTS @ rotation.T + (70, 90), UNBENT)
    np.testing.assert_allclose(placed, MEAN_POINTS @ rotation.T + (70, 90), atol=1e-6)


def test_modes_bend_the_jaw() -> None:
    straight = place_mean_face(FIVE_POINTS * 200, UNBENT)[GROUPS["jaw"]]
    bent = place_mean_face(FIVE_POINTS * 200, np.array((2.0, 0, 0, 0)))[GROUPS["jaw"]]
    assert np.abs(bent - straight).max() > 2


def test_brows_are_above_eyes_and_jaw_below_mouth() -> None:
    assert MEAN_POINTS[GROUPS["right_brow"], 1].max() < FIVE_POINTS[0, 1]
    assert MEAN_POINTS[GROUPS["jaw"], 1].max() > FIVE_POINTS[3:, 1].max()
