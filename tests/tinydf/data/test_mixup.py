import torch

from tinydf.data.dataset import Batch
from tinydf.data.mixup import WEAKEST, mix_twins


def batch_of(pairs: int) -> Batch:
    images = torch.cat((torch.full((pairs, 3, 8, 8), 40), torch.full((pairs, 3, 8, 8), 240))).to(torch.uint8)
    labels = torch.repeat_interleave(torch.tensor((0.0, 1.0)), pairs)
    return images, labels, labels.view(-1, 1, 1).expand(-1, 2, 2).contiguous()


def test_label_and_map_say_how_much_of_the_forgery_is_left() -> None:
    images, labels, maps = mix_twins(batch_of(64), 1.0, torch.Generator().manual_seed(1))
    left = (images[64:].float() - 40).mean((1, 2, 3)) / 200
    torch.testing.assert_close(labels[64:], left, atol=0.005, rtol=0)
    torch.testing.assert_close(maps[64:, 0, 0], labels[64:])
    assert WEAKEST <= labels[64:].min() < WEAKEST + 0.1
    assert labels[64:].max() > 0.9
    assert images.dtype == torch.uint8


def test_originals_and_what_is_not_mixed_stay() -> None:
    given = batch_of(64)
    images, labels, maps = mix_twins(given, 0.5, torch.Generator().manual_seed(1))
    assert 15 < (labels[64:] == 1).sum() < 50
    for made, before in ((images, given[0]), (labels, given[1]), (maps, given[2])):
        assert torch.equal(made[:64], before[:64])
        assert torch.equal(made[64:][labels[64:] == 1], before[64:][labels[64:] == 1])
    for made, before in zip(mix_twins(given, 0.0, torch.Generator().manual_seed(1)), given, strict=True):
        assert torch.equal(made, before)
