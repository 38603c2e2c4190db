from pathlib import Path

import cv2
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tinydf.data.dataset import FixedPairs
from tinydf.data.drawn_faces import draw_face, write_drawn_faces
from tinydf.data.forgery_types.blending import blend
from tinydf.data.forgery_types.self_blend import MIN_DIFFERENCE, self_blend
from tinydf.data.forgery_types.table import TYPES, ForgeryType, Mixture, forgers_by_type, shares_without
from tinydf.data.geometry import FaceGeometry
from tinydf.data.masks import Mask, draw_mask
from tinydf.data.photos import Photo, read_photos
from tinydf.evaluation.faces import open_faces
from tinydf.evaluation.perturbations import UNCHANGED
from tinydf.metrics import auc
from tinydf_runtime.errors import UsageError
from tinydf_runtime.faces.crop import CropConfig
from tinydf_runtime.types import Image

NEAR_CHANCE = 0.65


def test_blend_keeps_the_target_outside_and_the_source_inside_the_mask() -> None:
    source, target = np.full((8, 8, 3), 200, np.uint8), np.full((8, 8, 3), 40, np.uint8)
    mask = np.zeros((8, 8), np.float32)
    mask[2:6, 2:6] = 1
    mask[7] = 0.5
    blended = blend(source, target, mask)
    assert (blended[2:6, 2:6] == 200).all()
    assert (blended[0] == 40).all()
    assert np.abs(blended[7].astype(int) - 120).max() <= 1


def test_a_forgery_differs_inside_its_mask() -> None:
    for seed in range(12):
        image, face = draw_face(np.random.default_rng(seed))
        forged, mask = self_blend(image, FaceGeometry(np.array(face.landmarks)), np.random.default_rng(seed))
        assert forged.shape == image.shape
        assert forged.dtype == np.uint8
        difference = cv2.absdiff(forged, image).mean(axis=2)
        assert (difference * mask).sum() > 0.5 * MIN_DIFFERENCE * mask.sum()


def test_a_seed_gives_one_forgery(astronaut: Image) -> None:
    geometry = FaceGeometry(np.array(((201.0, 111), (241, 108), (225, 131), (207, 152), (240, 150))))
    first, again = (self_blend(astronaut, geometry, np.random.default_rng(3))[0] for _ in range(2))
    np.testing.assert_array_equal(first, again)


def file_statistics(crop: Image) -> list[float]:
    """Sharpness, 8 x 8 blockiness, mean and spread of each channel: what a file gives away without its content."""
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32)
    steps = np.abs(np.diff(grey, axis=1)).mean(axis=0)
    sharpness = float(np.log1p(cv2.Laplacian(grey, cv2.CV_32F).var()))
    return [sharpness, float(steps[7::8].mean() / steps.mean()), *crop.mean((0, 1)), *crop.std((0, 1))]


def test_file_statistics_do_not_give_the_label_away(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("statistics")
    write_drawn_faces(folder, 320, seed=1)
    pairs = FixedPairs(read_photos(folder, "train"), seed=0)
    statistics = np.array(
        [[file_statistics(pair.real), file_statistics(pair.forged)] for pair in (pairs[i] for i in range(len(pairs)))]
    )
    half = len(statistics) // 2
    labels = np.tile((0, 1), half)
    classifier = make_pipeline(StandardScaler(), LogisticRegression())
    classifier.fit(statistics[:half].reshape(2 * half, -1), labels)
    scores = classifier.decision_function(statistics[half:].reshape(-1, statistics.shape[2])).reshape(-1, 2)
    assert auc(scores[:, 0], scores[:, 1]) < NEAR_CHANCE


@pytest.mark.parametrize("name", TYPES)
def test_a_type_changes_the_inside_of_its_mask_alone(name: str, drawn_photos: list[Photo]) -> None:
    forge = forgers_by_type(drawn_photos)[name]
    for seed in range(4):
        image, face = draw_face(np.random.default_rng(seed))
        forged, mask = forge(image, FaceGeometry(np.array(face.landmarks)), np.random.default_rng(seed), 0.0)
        assert forged.shape == image.shape
        assert forged.dtype == np.uint8
        assert mask.shape == image.shape[:2]
        assert mask.dtype == np.float32
        difference = cv2.absdiff(forged, image).max(axis=2)
        assert difference[mask > 0.5 * mask.max()].mean() > 0.2
        if name not in ("self-blend", "region-blend"):
            # Self-blends may change the surround instead of the face.
            assert difference[mask == 0].max(initial=0) <= 1


@pytest.mark.parametrize("name", TYPES)
def test_a_seed_gives_one_forgery_of_every_type(name: str, drawn_photos: list[Photo]) -> None:
    forge = forgers_by_type(drawn_photos)[name]
    image, face = draw_face(np.random.default_rng(1))
    first, again = (
        forge(image, FaceGeometry(np.array(face.landmarks)), np.random.default_rng(2), 0.0)[0] for _ in range(2)
    )
    np.testing.assert_array_equal(first, again)


def test_a_type_that_is_left_out_is_never_drawn(drawn_photos: list[Photo]) -> None:
    others = [name for name in TYPES if name != "face-warp"]
    image, face = draw_face(np.random.default_rng(1))
    only, single = Mixture(drawn_photos, others), forgers_by_type(drawn_photos)["face-warp"]
    geometry, rng, same = FaceGeometry(np.array(face.landmarks)), np.random.default_rng(3), np.random.default_rng(3)
    # One number is spent on the choice of the only type.
    same.choice(1, p=(1.0,))
    np.testing.assert_array_equal(only(image, geometry, rng)[0], single(image, geometry, same, 0.0)[0])


def test_a_new_type_is_a_function_and_a_row(
    drawn_photos: list[Photo], drawn_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def paint_green(
        image: Image, geometry: FaceGeometry, rng: np.random.Generator, coarseness: float
    ) -> tuple[Image, Mask]:
        height, width = image.shape[:2]
        mask = draw_mask(geometry, height, width, rng)
        return blend(np.full_like(image, (0, 255, 0)), image, mask), mask

    monkeypatch.setitem(TYPES, "green", ForgeryType(0.5, lambda _: paint_green))
    total = sum(row.share for row in TYPES.values())
    assert shares_without(()) == pytest.approx({name: row.share / total for name, row in TYPES.items()})
    image, face = draw_face(np.random.default_rng(1))
    drawn, mask = Mixture(drawn_photos, TYPES.keys() - {"green"})(
        image, FaceGeometry(np.array(face.landmarks)), np.random.default_rng(0)
    )
    assert (drawn[mask == 1] == (0, 255, 0)).all()
    evaluated = open_faces(drawn_folder, "train", CropConfig(), limit=1)
    assert evaluated.forgery_types == tuple(TYPES) and len(evaluated.entries) == len(TYPES)
    for crop in evaluated.entries.cut(len(TYPES) - 1, (UNCHANGED,)).crops[1]:
        assert (crop[..., 1] > 2 * crop[..., 0].astype(int)).mean() > 0.1


def test_unknown_types_and_none_at_all_are_refused(drawn_photos: list[Photo]) -> None:
    with pytest.raises(UsageError, match="voodoo: no such forgery type"):
        Mixture(drawn_photos, ["voodoo"])
    with pytest.raises(UsageError, match="nothing remains"):
        Mixture(drawn_photos, list(TYPES))
