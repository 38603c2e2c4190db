from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from tinydf.data.drawn_faces import draw_face
from tinydf.data.face_mesh import MOUTH_CORNERS
from tinydf.data.forgery_types.blending import MOST_TINT, blend_gradients
from tinydf.data.forgery_types.mesh_reenact import LOWER_INNER_LIP, UPPER_INNER_LIP, bend_to_expression
from tinydf.data.forgery_types.mesh_swap import MeshSwap, fade
from tinydf.data.forgery_types.table import TYPES, Mixture
from tinydf.data.geometry import FaceGeometry, lay_mean_mesh, measure_pose
from tinydf.data.mean_face import FIVE_POINTS
from tinydf.data.mesh_donors import PosedDonors
from tinydf.data.photometry import blur
from tinydf.data.photos import Photo
from tinydf_runtime.io.image import read_image

MESH = lay_mean_mesh(FIVE_POINTS * 120 + (60, 60))
CANVAS = np.full((256, 256, 3), 128, np.uint8)


def disc(side_px: int, radius_px: int) -> np.ndarray:
    y, x = np.mgrid[:side_px, :side_px] - side_px / 2
    return np.asarray(np.hypot(x, y) < radius_px, dtype=np.float32)


def test_gradients_of_a_picture_blended_into_itself_change_nothing() -> None:
    picture = blur(np.random.default_rng(0).integers(0, 255, (120, 130, 3)).astype(np.uint8), 2)
    mask = np.zeros((120, 130), np.float32)
    mask[21:80, 30:101] = 0.8
    blended = blend_gradients(picture, picture, mask)
    assert blended is not None
    assert np.abs(blended[0].astype(int) - picture).max() <= 3
    assert set(np.unique(blended[1])) == {0, 1}


def test_gradients_take_the_surround_s_colour_and_the_source_s_detail() -> None:
    target = np.full((100, 100, 3), 120, np.uint8)
    source = np.full((100, 100, 3), 110, np.uint8)
    source[45:55, 45:55] = 150
    blended = blend_gradients(source, target, disc(100, 30))
    assert blended is not None
    assert abs(int(blended[0][30, 50, 0]) - 120) <= 3
    assert 30 <= int(blended[0][50, 50, 0]) - int(blended[0][35, 50, 0]) <= 45
    assert (blended[0][:15] == 120).all()


def test_gradients_refuse_a_mask_at_the_border_a_tiny_one_and_a_tinted_face() -> None:
    target, source = (np.full((100, 100, 3), level, np.uint8) for level in (120, 110))
    assert blend_gradients(source, target, np.ones((100, 100), np.float32)) is None
    assert blend_gradients(source, target, disc(100, 3)) is None
    # The seam lies on hair that is darker than the face: all of the face would become dark.
    haired = target.copy()
    haired[disc(100, 34) - disc(100, 20) > 0] = 120 - 3 * int(MOST_TINT)
    assert blend_gradients(source, haired, disc(100, 30)) is None


def test_an_edge_fades_linearly() -> None:
    covered = np.zeros((120, 120), np.float32)
    covered[10:110, 10:110] = 1
    row = fade(covered, 0.2)[60]
    np.testing.assert_allclose(np.diff(row[10:28]), 1 / 20, atol=1e-3)
    assert row[9] == 0 and row[40] == 1
    assert fade(np.ones((50, 50), np.float32), 0.2)[25, 0] < 0.2


def test_a_swap_shows_the_donor_s_face(drawn_photos: list[Photo]) -> None:
    image, face = draw_face(np.random.default_rng(4))
    geometry = FaceGeometry(np.array(face.landmarks), lay_mean_mesh(np.array(face.landmarks)))
    made = [
        MeshSwap(PosedDonors([photo]))(image, geometry, np.random.default_rng(0), 0.0)[0] for photo in drawn_photos[:2]
    ]
    assert np.abs(made[0].astype(int) - made[1]).mean() > 1


def looking(yaw: float) -> np.ndarray:
    turn = np.array(((np.cos(yaw), 0, -np.sin(yaw)), (0, 1, 0), (np.sin(yaw), 0, np.cos(yaw))), np.float32)
    return np.asarray((MESH - MESH.mean(axis=0)) @ turn + MESH.mean(axis=0))


def test_donors_look_where_the_face_looks(drawn_photos: list[Photo]) -> None:
    yaws = np.linspace(0, 1, 20)
    photos = [replace(photo, mesh=looking(yaw)) for photo, yaw in zip(drawn_photos, yaws, strict=False)]
    donors = PosedDonors(photos)
    widths = [np.ptp(donors.draw(CANVAS, looking(0.95), np.random.default_rng(seed))[1][:, 0]) for seed in range(20)]
    assert max(widths) < np.mean([np.ptp(looking(yaw)[:, 0]) for yaw in (0.5, 0.7)])


def test_who_looks_the_other_way_is_mirrored(drawn_photos: list[Photo]) -> None:
    photos = [replace(photo, mesh=looking(0.55)) for photo in drawn_photos[:12]]
    donors = PosedDonors(photos)
    pictures = [read_image(photo.path) for photo in photos]
    for seed in range(6):
        picture, mesh = donors.draw(CANVAS, looking(-0.6), np.random.default_rng(seed))
        assert measure_pose(mesh).yaw_pitch()[0] == pytest.approx(measure_pose(looking(-0.55)).yaw_pitch()[0], abs=0.01)
        assert any((picture[:, ::-1] == original).all() for original in pictures)


def test_of_two_donors_the_one_of_like_skin_is_taken(drawn_photos: list[Photo], tmp_path: Path) -> None:
    photos = []
    for number, level in enumerate((60, 190)):
        path = tmp_path / f"{level}.png"
        cv2.imwrite(str(path), np.full((256, 256, 3), level, np.uint8))
        photos.append(replace(drawn_photos[number], path=path))
    donors = PosedDonors(photos)
    # Each person may be drawn twice, as they are and mirrored: most of the time both are compared.
    drawn = [int(donors.draw(CANVAS, MESH, np.random.default_rng(seed))[0].mean()) for seed in range(20)]
    assert drawn.count(190) > 14 and MESH.max() < 256


def test_an_expression_opens_the_mouth_and_leaves_the_rest() -> None:
    opened = MESH.copy()
    opened[LOWER_INNER_LIP, 1] += 12
    bent = bend_to_expression(MESH, opened, 1.0)
    gap = (bent - MESH)[LOWER_INNER_LIP, 1] - (bent - MESH)[UPPER_INNER_LIP, 1]
    assert gap == pytest.approx(12, abs=1.5)
    assert np.abs((bent - MESH)[[10, 6, 234, 454], :2]).max() < 1.5
    np.testing.assert_allclose(bend_to_expression(MESH, MESH, 1.0), MESH, atol=0.01)


def test_a_wider_mouth_of_another_person_moves_no_other_feature() -> None:
    wide = MESH.copy()
    wide[list(MOUTH_CORNERS), 0] += (-6, 6)
    moved = np.abs(bend_to_expression(MESH, wide, 1.0) - MESH)[:, :2].max(axis=1)
    assert moved[list(MOUTH_CORNERS)].min() > 2
    assert moved[[10, 33, 263, 6]].max() < 1


def test_faces_without_a_mesh_are_not_drawn_on(drawn_photos: list[Photo]) -> None:
    image, face = draw_face(np.random.default_rng(1))
    bare = FaceGeometry(np.array(face.landmarks))
    meshed = FaceGeometry(bare.landmarks, lay_mean_mesh(bare.landmarks))
    on_meshes = [name for name, row in TYPES.items() if row.needs_mesh]
    others = [name for name in TYPES if name not in (*on_meshes, "colour-grain")]
    mixture, plain = Mixture(drawn_photos, others), Mixture(drawn_photos, [*others, *on_meshes])

    def made(forge: Mixture, geometry: FaceGeometry, seed: int) -> np.ndarray:
        return forge(image, geometry, np.random.default_rng(seed), 0.0)[1]

    for seed in range(6):
        np.testing.assert_array_equal(made(mixture, bare, seed), made(plain, bare, seed))
    assert any((made(mixture, meshed, seed) != made(plain, meshed, seed)).any() for seed in range(6))
