import math

import pytest
import torch

from tinydf.train_step import distillation_loss, forgery_loss

LABELS = torch.tensor((0.0, 0, 1, 1))


def test_loss_is_that_of_guessing_when_nothing_is_known() -> None:
    loss = forgery_loss(torch.zeros(4), torch.zeros(4, 2, 2), LABELS, torch.rand(4, 2, 2), 1.0)
    assert loss.item() == pytest.approx(2 * math.log(2))


def test_cells_that_nobody_knows_do_not_count() -> None:
    maps = torch.zeros(4, 2, 2)
    maps[2:] = math.nan
    map_logits = torch.zeros(4, 2, 2, requires_grad=True)
    loss = forgery_loss(torch.zeros(4), map_logits, LABELS, maps, 1.0)
    torch.autograd.backward(loss)
    assert loss.item() == pytest.approx(2 * math.log(2))
    assert map_logits.grad is not None
    assert map_logits.grad[2:].abs().sum() == 0
    assert (map_logits.grad[:2] > 0).all()


def test_a_batch_without_any_map_has_the_verdicts_loss() -> None:
    loss = forgery_loss(torch.zeros(4), torch.zeros(4, 2, 2), LABELS, torch.full((4, 2, 2), math.nan), 1.0)
    assert loss.item() == pytest.approx(math.log(2))


def test_agreement_is_best_with_the_teachers_own_logits() -> None:
    logits, maps = torch.tensor((-1.0, 2.0)), torch.randn(2, 3, 3)
    best = distillation_loss(logits, maps, logits, maps)
    assert best < distillation_loss(logits + 0.5, maps, logits, maps)
    assert best < distillation_loss(logits, -maps, logits, maps)
