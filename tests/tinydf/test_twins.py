import math

import torch
from torch import Tensor, nn

from tinydf.data.dataset import Batch
from tinydf.twins import training_mode_aucs, twins_apart, twins_together


def numbered(pairs: int) -> Batch:
    """A batch whose pixels say which pair they are of; forgeries are half a level brighter."""
    numbers = torch.arange(pairs).float()
    images = torch.cat((numbers, numbers + 0.5)).view(-1, 1, 1, 1).expand(-1, 3, 32, 32).clone()
    return images, torch.repeat_interleave(torch.tensor((0.0, 1.0)), pairs), torch.zeros(2 * pairs, 2, 2)


def pair_numbers(half: Batch) -> Tensor:
    return half[0][:, 0, 0, 0].floor()


def test_no_half_holds_a_forgery_and_its_original() -> None:
    halves = twins_apart(numbered(6))
    for half in halves:
        assert len(set(pair_numbers(half).tolist())) == 6
        assert half[1].sum() == 3
    seen = torch.cat([half[0][:, 0, 0, 0] for half in halves])
    assert sorted(seen.tolist()) == sorted(numbered(6)[0][:, 0, 0, 0].tolist())


def test_labels_stay_with_their_images() -> None:
    for split in (twins_apart, twins_together):
        for images, labels, _ in split(numbered(6)):
            assert torch.equal(labels, (images[:, 0, 0, 0] % 1) * 2)


def test_twins_together_are_the_control() -> None:
    for half in twins_together(numbered(6)):
        assert len(set(pair_numbers(half).tolist())) == 3


class Judge(nn.Module):
    """Tells a batch's brighter images; ``norm`` compares them with the batch that they are in."""

    def __init__(self, norm: bool) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3) if norm else nn.Identity()

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.norm(images).mean((1, 2, 3))
        return logits, logits.view(-1, 1, 1)


def leaking_batches() -> list[Batch]:
    """Pairs of very different brightness: two of one person a batch tell which is the forgery, one alone does not."""
    generator = torch.Generator().manual_seed(0)
    batches = []
    for _ in range(40):
        level = torch.rand(1, generator=generator) * 200
        real = level.expand(2) + torch.rand(2, generator=generator)
        # Each half of a batch with twins together is one pair of twins.
        real[1] = torch.rand(1, generator=generator) * 200
        images = torch.cat((real, real + 8)).view(-1, 1, 1, 1).expand(-1, 3, 32, 32).clone()
        batches.append((images, torch.tensor((0.0, 0.0, 1.0, 1.0)), torch.zeros(4, 2, 2)))
    return batches


def test_a_network_that_compares_twins_is_found_out() -> None:
    together, apart = training_mode_aucs(Judge(norm=True), leaking_batches())
    assert together > 0.95
    assert apart < 0.7


def test_a_network_that_judges_each_face_by_itself_shows_no_gap() -> None:
    together, apart = training_mode_aucs(Judge(norm=False), leaking_batches())
    assert together == apart


def test_a_pair_left_alone_in_the_last_batch_is_not_measured() -> None:
    alone = numbered(1)
    assert training_mode_aucs(Judge(norm=True), [*leaking_batches(), alone]) == training_mode_aucs(
        Judge(norm=True), leaking_batches()
    )
    assert all(math.isnan(measured) for measured in training_mode_aucs(Judge(norm=True), [alone]))


def test_measuring_leaves_the_statistics_and_the_mode_alone() -> None:
    judge = Judge(norm=True).eval()
    before = {name: value.clone() for name, value in judge.state_dict().items() if "num_batches" not in name}
    training_mode_aucs(judge, leaking_batches())
    assert not judge.training
    assert all(torch.equal(judge.state_dict()[name], value) for name, value in before.items())
