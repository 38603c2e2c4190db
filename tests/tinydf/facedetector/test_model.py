from __future__ import annotations

import pytest
import torch

from tinydf.facedetector.model import FaceDetectorNet, cell_strides, decode


@pytest.fixture(scope="module")
def network() -> FaceDetectorNet:
    torch.manual_seed(0)
    return FaceDetectorNet().eval().requires_grad_(False)


def test_parameters_fit_the_size_bound(network: FaceDetectorNet) -> None:
    assert sum(parameter.numel() for parameter in network.parameters()) * 4 <= 300_000


def test_every_cell_of_three_grids_is_predicted(network: FaceDetectorNet) -> None:
    predictions = network(torch.zeros(2, 3, 96, 160))
    cells = 12 * 20 + 6 * 10 + 3 * 5
    assert predictions.scores.shape == (2, cells)
    assert predictions.boxes_xyxy.shape == (2, cells, 4)
    assert predictions.landmarks.shape == (2, cells, 5, 2)
    centres, strides = cell_strides(96, 160, torch.device("cpu"))
    assert centres.shape == (cells, 2)
    assert set(strides.tolist()) == {8.0, 16.0, 32.0}


def test_batch_equals_single(network: FaceDetectorNet) -> None:
    images = torch.rand(3, 3, 64, 96, generator=torch.Generator().manual_seed(1)) * 255
    together = network(images)
    for index in range(3):
        alone = network(images[index : index + 1])
        torch.testing.assert_close(together.scores[index], alone.scores[0])
        torch.testing.assert_close(together.boxes_xyxy[index], alone.boxes_xyxy[0], rtol=1e-4, atol=1e-3)


def test_raw_zeros_decode_to_a_box_of_one_stride_at_the_corner_of_the_cell() -> None:
    levels = [torch.zeros(1, 16, 64 // stride, 64 // stride) for stride in (8, 16, 32)]
    predictions = decode(levels)
    # The second cell of the second row of stride 8.
    assert predictions.boxes_xyxy[0, 9].tolist() == [4.0, 4.0, 12.0, 12.0]
    assert predictions.landmarks[0, 9].tolist() == [[8.0, 8.0]] * 5
    assert predictions.boxes_xyxy[0, -1].tolist() == [16.0, 16.0, 48.0, 48.0]
    assert predictions.scores[0, 0].item() == pytest.approx(0.5)


def test_a_fresh_network_sees_almost_no_faces(network: FaceDetectorNet) -> None:
    assert network(torch.full((1, 3, 64, 64), 100.0)).scores.mean().item() < 0.1
