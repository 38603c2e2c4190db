import torch
from torch import nn

from tinydf.flat_minimum import at_the_worst_neighbour


def test_weights_move_uphill_by_the_radius_and_come_back() -> None:
    weights = nn.Parameter(torch.tensor((3.0, 4.0)))
    torch.autograd.backward((weights**2).sum().div(2))
    with at_the_worst_neighbour([weights], radius=0.5):
        torch.testing.assert_close(weights.detach(), torch.tensor((3.3, 4.4)))
        assert weights.grad is None
        torch.autograd.backward((weights**2).sum().div(2))
    torch.testing.assert_close(weights.detach(), torch.tensor((3.0, 4.0)))
    assert weights.grad is not None
    torch.testing.assert_close(weights.grad, torch.tensor((3.3, 4.4)))


def test_weights_without_a_gradient_stay() -> None:
    used, unused = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    torch.autograd.backward(used.sum())
    with at_the_worst_neighbour([used, unused], radius=1.0):
        assert (unused == 1).all()
