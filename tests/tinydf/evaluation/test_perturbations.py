import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tinydf.data.photometry import jpeg
from tinydf.data.video_codec import h264_round_trip
from tinydf.evaluation.deletion import delete_cells, restore_cells
from tinydf.evaluation.perturbations import KINDS, LADDER, UNCHANGED, Perturbation
from tinydf_runtime.types import Image


@pytest.fixture(scope="module")
def face(astronaut: Image) -> Image:
    return astronaut[40:260, 140:300]


def apply(kind: str, level: int, image: Image) -> Image:
    return Perturbation(kind, level, KINDS[kind].levels[level - 1]).apply(image, np.random.default_rng(0))


def spread(image: Image) -> float:
    return float(np.abs(np.diff(image.astype(float), axis=1)).mean())


def test_ladder_has_the_published_levels_and_two_real_codecs() -> None:
    assert len(LADDER) == 45
    assert [name for name, kind in KINDS.items() if not kind.published] == ["JPEG", "H.264"]
    assert {rung.level for rung in LADDER} == {1, 2, 3, 4, 5}


@pytest.mark.parametrize("rung", [*LADDER[::5], *LADDER[4::5]], ids=lambda rung: f"{rung.kind} {rung.level}")
def test_every_kind_keeps_shape_and_type_and_leaves_its_input_alone(rung: Perturbation, face: Image) -> None:
    before = face.copy()
    changed = rung.apply(face, np.random.default_rng(0))
    assert changed.shape == face.shape
    assert changed.dtype == np.uint8
    assert not np.array_equal(changed, face)
    assert np.array_equal(face, before)


@pytest.mark.parametrize("kind", KINDS)
def test_the_last_level_is_further_from_the_picture_than_the_first(kind: str, face: Image) -> None:
    mild, strong = (np.abs(apply(kind, level, face).astype(float) - face).mean() for level in (1, 5))
    assert strong > 1.2 * mild


def test_no_perturbation_returns_the_very_picture(face: Image) -> None:
    assert UNCHANGED.apply(face, np.random.default_rng(0)) is face


def test_saturation_ends_in_grey(face: Image) -> None:
    grey = apply("saturation", 5, face)
    assert np.ptp(grey, axis=2).max() == 0


def test_contrast_scales_every_level() -> None:
    assert (apply("contrast", 5, np.full((8, 8, 3), 200, np.uint8)) == 70).all()


def test_grey_blocks_follow_the_size_of_the_picture() -> None:
    for side_px, blocks in ((200, 16), (520, 32)):
        covered = apply("grey blocks", 1, np.zeros((side_px, side_px, 3), np.uint8))
        # Blocks may overlap, and cover no more than 8 x 8 each.
        assert 0.7 * blocks * 64 < (covered[..., 0] == 128).sum() <= blocks * 64


def test_grey_blocks_fit_a_picture_smaller_than_one() -> None:
    assert apply("grey blocks", 1, np.zeros((5, 5, 3), np.uint8)).shape == (5, 5, 3)


def test_noise_has_the_stated_variance_in_luma() -> None:
    noisy = apply("colour noise", 2, np.full((200, 200, 3), 128, np.uint8)).astype(float) / 255
    luma = noisy @ (0.114, 0.587, 0.299)
    assert luma.var() == pytest.approx(0.002, rel=0.1)


def test_blur_and_pixelation_take_detail_away(face: Image) -> None:
    for kind in ("blur", "pixelation"):
        assert spread(apply(kind, 5, face)) < spread(apply(kind, 1, face)) < spread(face)


def test_codecs_are_the_real_ones(face: Image) -> None:
    assert np.array_equal(apply("JPEG", 4, face), jpeg(face, 30))
    assert np.array_equal(apply("H.264", 2, face), h264_round_trip(face, 23))
    assert np.array_equal(apply("video compression", 5, face), h264_round_trip(face, 40))


def test_randomness_comes_from_the_given_source_alone(face: Image) -> None:
    once, again = (apply("colour noise", 3, face) for _ in range(2))
    assert np.array_equal(once, again)


class Texture(nn.Module):
    """Judges a crop by how rough it is, and says where, or says the opposite."""

    def __init__(self, honest: bool) -> None:
        super().__init__()
        self.sign = 1 if honest else -1

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        luma = images.mean(1, keepdim=True)
        rough = functional.avg_pool2d((luma - functional.avg_pool2d(luma, 3, 1, 1)).abs(), 16).squeeze(1)
        return rough.mean((1, 2)), self.sign * rough


def rough_in_one_place(count: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    images = torch.full((count, 3, 224, 224), 128.0)
    for place in range(count):
        x = 16 * (place % 8)
        images[place, :, x : x + 64, 40:104] += 40 * torch.randn(3, 64, 64, generator=generator)
    return images


def test_an_honest_map_beats_chance() -> None:
    found = delete_cells(Texture(honest=True).eval(), rough_in_one_place(12))
    assert found.share_better() == 1
    assert found.by_map.mean() > 3 * found.by_chance.mean()


def test_a_map_that_points_elsewhere_does_not() -> None:
    found = delete_cells(Texture(honest=False).eval(), rough_in_one_place(12))
    assert found.share_better() < 0.2


def test_a_map_that_shows_what_was_changed_beats_chance_when_it_is_changed_back() -> None:
    forged = rough_in_one_place(12)
    originals = torch.full_like(forged, 128.0)
    honest = restore_cells(Texture(honest=True).eval(), forged, originals)
    assert honest.share_better() == 1
    dishonest = restore_cells(Texture(honest=False).eval(), forged, originals)
    assert dishonest.share_better() < 0.2


def test_an_original_that_is_the_forgery_changes_nothing() -> None:
    forged = rough_in_one_place(4)
    found = restore_cells(Texture(honest=True).eval(), forged, forged)
    assert found.by_map.tolist() == found.by_chance.tolist() == [0.0] * 4
