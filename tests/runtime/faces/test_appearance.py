"""appearance.py on the astronaut photo."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tinydf_runtime.faces.appearance import embed_face, similarities
from tinydf_runtime.types import Face, Image

ASTRONAUT = Face((165, 75, 275, 220), ((198, 125), (245, 123), (222, 150), (203, 178), (243, 177)), 0.95)


def changed(image: Image, zoom: float, turn_deg: float, gain: float) -> tuple[Image, Face]:
    matrix = cv2.getRotationMatrix2D((220, 150), turn_deg, zoom)
    warped = cv2.warpAffine(image, matrix, (512, 512), borderMode=cv2.BORDER_REFLECT)
    points = np.column_stack([np.array(ASTRONAUT.landmarks), np.ones(5)]) @ matrix.T
    left, top = points.min(axis=0) - 35 * zoom
    right, bottom = points.max(axis=0) + 35 * zoom
    face = Face((left, top, right, bottom), tuple((float(x), float(y)) for x, y in points), 0.9)
    return np.asarray((warped * gain).clip(0, 255), np.uint8), face


@pytest.mark.parametrize(
    ("zoom", "turn_deg", "gain"), [(1, 0, 1), (0.5, 0, 1), (1.4, 0, 1), (1, 15, 1), (1, 0, 0.7), (0.6, -10, 1.1)]
)
def test_size_tilt_and_light_leave_the_look_alike(astronaut: Image, zoom: float, turn_deg: float, gain: float) -> None:
    image, face = changed(astronaut, zoom, turn_deg, gain)
    assert float(similarities([embed_face(astronaut, ASTRONAUT)], [embed_face(image, face)])[0, 0]) > 1.2


def test_other_clothes_or_another_face_are_unlike(astronaut: Image) -> None:
    known = embed_face(astronaut, ASTRONAUT)
    dressed, other = astronaut.copy(), astronaut.copy()
    dressed[200:] = (200, 120, 20)
    other[75:220, 165:275] = other[75:220, 165:275][::-1]
    for image in (dressed, other):
        assert float(similarities([known], [embed_face(image, ASTRONAUT)])[0, 0]) < 1.3


def test_a_face_outside_the_picture_has_no_look_and_is_alike_to_nobody(astronaut: Image) -> None:
    outside = embed_face(astronaut, Face((-90, 0, -10, 90), ((0, 0),) * 5, 0.9))
    assert outside is None
    assert np.isnan(similarities([outside, embed_face(astronaut, ASTRONAUT)], [outside])).all()


@pytest.mark.parametrize("points", [((0.0, 0.0),) * 5, (), ((float("nan"), 0.0),) * 5])
def test_without_landmarks_the_box_tells_where_to_look(
    astronaut: Image, points: tuple[tuple[float, float], ...]
) -> None:
    found = embed_face(astronaut, Face(ASTRONAUT.box_xyxy, points, 0.9))
    assert float(similarities([embed_face(astronaut, ASTRONAUT)], [found])[0, 0]) > 0


@pytest.mark.parametrize("side", [1, 8])
def test_tiny_pictures_and_boxes_at_the_border_are_looked_at(side: int) -> None:
    flat = np.full((side, side, 3), 90, np.uint8)
    embedding = embed_face(flat, Face((-3, -3, side + 3, side + 3), ((0, 0),) * 5, 0.9))
    assert embedding is not None and embedding.is_plain


def test_plain_pictures_are_alike_only_in_the_same_tone() -> None:
    embeddings = []
    for background, tone in ((90, 200), (90, 200), (90, 50)):
        image = np.full((200, 200, 3), background, np.uint8)
        image[70:130, 70:130] = tone
        embeddings.append(embed_face(image, Face((70, 70, 130, 130), ((100, 100),) * 5, 0.9)))
    found = similarities(embeddings[:1], embeddings)[0]
    assert found[1] == pytest.approx(2, abs=1e-4)
    assert found[2] < found[1] - 0.3
