import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tinydf.forgery.head import GRID_INTERVALS, GRID_RANGE, ORDER, KANHead, KANLayer, cubic_spline_bases


def cox_de_boor(x: NDArray[np.float64], knots: NDArray[np.float64], order: int) -> NDArray[np.float64]:
    """The recursion of the textbook: N x (number of knots - order - 1)."""
    bases = ((x[:, None] >= knots[:-1]) & (x[:, None] < knots[1:])).astype(float)
    for k in range(1, order + 1):
        left = (x[:, None] - knots[: -k - 1]) / (knots[k:-1] - knots[: -k - 1])
        right = (knots[k + 1 :] - x[:, None]) / (knots[k + 1 :] - knots[1:-k])
        bases = left * bases[:, :-1] + right * bases[:, 1:]
    return bases


@pytest.mark.parametrize("reach", [1.0, 3.0])
def test_closed_form_equals_the_recursion(reach: float) -> None:
    layer = KANLayer(1, 1)
    low, high = GRID_RANGE
    spacing = (high - low) / GRID_INTERVALS
    knots = low + spacing * np.arange(-ORDER, GRID_INTERVALS + ORDER + 1, dtype=np.float64)
    x = np.linspace(-reach, reach, 4001).astype(np.float64)
    closed = cubic_spline_bases(torch.tensor(x, dtype=torch.float32), layer.centres, layer.spacing).numpy()
    np.testing.assert_allclose(closed, cox_de_boor(x, knots, ORDER), atol=1e-6)


def test_bases_sum_to_one_inside_the_grid() -> None:
    layer = KANLayer(1, 1)
    bases = cubic_spline_bases(torch.linspace(*GRID_RANGE, 501), layer.centres, layer.spacing)
    torch.testing.assert_close(bases.sum(-1), torch.ones(501))


def test_gradient_reaches_features_of_any_scale() -> None:
    head = KANHead(8)
    for scale in (1e-3, 1.0, 1e3):
        features = (torch.randn(16, 8, 2, 2) * scale).requires_grad_()
        head(features).square().sum().backward()
        assert features.grad is not None
        assert features.grad.abs().sum() > 0


def test_each_face_has_one_logit_whatever_its_company() -> None:
    head = KANHead(8).eval()
    features = torch.randn(5, 8, 3, 3)
    together = head(features)
    assert together.shape == (5,)
    torch.testing.assert_close(together, torch.cat([head(one[None]) for one in features]))
