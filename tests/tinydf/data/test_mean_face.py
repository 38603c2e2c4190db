import numpy as np
import pytest

from tinydf.data.mean_face import FIVE_POINTS, GROUPS, MEAN_POINTS, MODES, place_mean_face

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
