import cv2
import numpy as np
import pytest

from tinydf.data.drawn_faces import draw_face
from tinydf.data.forgery_types.table import SHARES, Mixture, forgers_by_type
from tinydf.data.geometry import FaceGeometry
from tinydf.data.photos import Photo
from tinydf_runtime.errors import UsageError


@pytest.mark.parametrize("name", SHARES)
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


@pytest.mark.parametrize("name", SHARES)
def test_a_seed_gives_one_forgery(name: str, drawn_photos: list[Photo]) -> None:
    forge = forgers_by_type(drawn_photos)[name]
    image, face = draw_face(np.random.default_rng(1))
    first, again = (
        forge(image, FaceGeometry(np.array(face.landmarks)), np.random.default_rng(2), 0.0)[0] for _ in range(2)
    )
    np.testing.assert_array_equal(first, again)


def test_a_type_that_is_left_out_is_never_drawn(drawn_photos: list[Photo]) -> None:
    others = [name for name in SHARES if name != "face-warp"]
    image, face = draw_face(np.random.default_rng(1))
    only, single = Mixture(drawn_photos, others), forgers_by_type(drawn_photos)["face-warp"]
    geometry, rng, same = FaceGeometry(np.array(face.landmarks)), np.random.default_rng(3), np.random.default_rng(3)
    # One number is spent on the choice of the only type.
    same.choice(1, p=(1.0,))
    np.testing.assert_array_equal(only(image, geometry, rng)[0], single(image, geometry, same, 0.0)[0])


def test_unknown_types_and_none_at_all_are_refused(drawn_photos: list[Photo]) -> None:
    with pytest.raises(UsageError, match="voodoo: no such forgery type"):
        Mixture(drawn_photos, ["voodoo"])
    with pytest.raises(UsageError, match="nothing remains"):
        Mixture(drawn_photos, list(SHARES))
