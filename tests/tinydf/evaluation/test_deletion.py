import torch
from torch import Tensor, nn
from torch.nn import functional

from tinydf.evaluation.deletion import delete_cells, restore_cells


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
