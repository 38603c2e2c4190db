from __future__ import annotations

import numpy as np
import pytest

from tinydf.facedetector.graphics import draw_graphics
from tinydf.facedetector.mosaic import Canvas, Composer, Urn
from tinydf.facedetector.photos import Photo
from tinydf.facedetector.video_frames import HEIGHT_PX, WIDTH_PX, halved, video_frames
from tinydf.facedetector.world import WorldComposer
from tinydf_runtime.types import Image


@pytest.mark.parametrize("shape", [(40, 33, 3), (192, 320, 3)])
def test_graphics_change_the_picture_in_place_and_equal_seeds_draw_the_same(shape: tuple[int, int, int]) -> None:
    changed = 0
    for seed in range(60):
        first, second = np.full(shape, 90, np.uint8), np.full(shape, 90, np.uint8)
        draw_graphics(first, np.random.default_rng(seed))
        draw_graphics(second, np.random.default_rng(seed))
        assert np.array_equal(first, second)
        changed += bool((first != 90).any())
    # A graphic may fall outside a small picture.
    assert changed > 50


def test_what_is_drawn_over_a_face_hides_it(photos: list[Photo]) -> None:
    whole = np.array([[1, 0, 0], [0, 1, 0]], np.float32)
    canvas = Canvas(np.zeros((300, 300, 3), np.uint8))
    canvas.paste(photos[0], whole, 0.0, False, np.array([0, 0, 300, 300], np.float32), head_only=False)
    assert len(canvas.finish(canvas.image).boxes_xyxy) == 1
    canvas.draw_over(lambda image: image.__setitem__(slice(0, 10), 7))
    assert len(canvas.finish(canvas.image).boxes_xyxy) == 1

    def paint(image: Image) -> None:
        image[:] = 255 - image

    canvas.draw_over(paint)
    sample = canvas.finish(canvas.image)
    assert len(sample.boxes_xyxy) == 0 and len(sample.doubtful_xyxy) == 0


def test_pictures_of_the_world_repeat_and_hold_labels_inside(scenes: list[Photo], photos: list[Photo]) -> None:
    world = WorldComposer(scenes, Composer(photos))
    faces = 0
    for seed in range(40):
        sample, again = (world.compose(128, np.random.default_rng(seed)) for _ in range(2))
        assert np.array_equal(sample.image, again.image)
        assert sample.image.shape == (128, 128, 3) and sample.image.dtype == np.uint8
        assert (sample.boxes_xyxy >= 0).all() and (sample.boxes_xyxy <= 128).all()
        faces += len(sample.boxes_xyxy)
    assert faces > 10


def test_faces_of_scenes_are_shown_small_and_large(
    scenes: list[Photo], photos: list[Photo], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Composer, "lay_head", lambda *ignored: None)
    world = WorldComposer(scenes[:1], Composer(photos))
    widths = np.concatenate(
        [np.ptp(world.compose(320, np.random.default_rng(seed)).boxes_xyxy[:, ::2], axis=1) for seed in range(80)]
    )
    assert (widths < 20).sum() > 15 and (widths > 60).sum() > 15


def test_scenes_without_mistakes_can_be_learnt_from(scenes: list[Photo], photos: list[Photo]) -> None:
    world = WorldComposer(scenes[:1], Composer(photos))
    assert world.compose(96, np.random.default_rng(1)).image.shape == (96, 96, 3)


def test_a_source_of_low_weight_is_drawn_less_often(photos: list[Photo]) -> None:
    rng = np.random.default_rng(0)
    urn = Urn(photos, {"odd": 0.1})
    drawn = [urn.draw(rng).source for _ in range(400)]
    assert 10 < drawn.count("odd") < 80


def test_frames_of_video_are_coded_and_labelled(scenes: list[Photo], photos: list[Photo]) -> None:
    frames = list(video_frames(scenes, photos, 6, seed=2))
    again = list(video_frames(scenes, photos, 6, seed=2))
    assert all(np.array_equal(a.image, b.image) for a, b in zip(frames, again, strict=True))
    assert all(frame.image.shape == (HEIGHT_PX, WIDTH_PX, 3) for frame in frames)
    assert sum(len(frame.boxes_xyxy) for frame in frames) >= 3
    small = halved(frames[0])
    assert small.image.shape == (HEIGHT_PX // 2, WIDTH_PX // 2, 3)
    np.testing.assert_allclose(small.boxes_xyxy * 2, frames[0].boxes_xyxy)
