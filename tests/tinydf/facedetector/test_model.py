from __future__ import annotations

import pytest
import torch

from tinydf.facedetector.loss import detection_losses, eiou_loss
from tinydf.facedetector.model import FaceDetectorNet, cell_strides, decode


@pytest.fixture(scope="module")
def network() -> FaceDetectorNet:
    torch.manual_seed(0)
    return FaceDetectorNet().eval().requires_grad_(False)


def test_parameters_fit_the_size_bound(network: FaceDetectorNet) -> None:
    # As float16, in which large weights are exported.
    assert sum(parameter.numel() for parameter in network.parameters()) * 2 <= 300_000


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


def test_eiou_of_equal_boxes_is_zero_and_grows_as_they_part() -> None:
    wanted = torch.tensor([[10.0, 10.0, 30.0, 40.0]])
    near, far = wanted + 3.0, wanted + 100.0
    assert eiou_loss(wanted, wanted).item() == pytest.approx(0.0, abs=1e-6)
    assert 0 < eiou_loss(near, wanted).item() < eiou_loss(far, wanted).item()


def test_a_few_steps_on_one_picture_lower_every_part_of_the_loss() -> None:
    torch.manual_seed(0)
    network = FaceDetectorNet()
    image = torch.rand(1, 3, 64, 64) * 255
    boxes = torch.tensor([[[12.0, 10.0, 44.0, 52.0]]])
    points = torch.tensor([[[[20.0, 24.0], [36.0, 24.0], [28.0, 32.0], [22.0, 42.0], [34.0, 42.0]]]])
    rest = (torch.ones(1, 1, dtype=torch.bool), torch.zeros(1, 0, 4), *cell_strides(64, 64, torch.device("cpu")))
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    seen = []
    for _ in range(20):
        losses = detection_losses(network(image), boxes, points, *rest)
        seen.append([float(part.detach()) for part in losses])
        optimizer.zero_grad()
        losses.total.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert sum(seen[-1]) < 0.7 * sum(seen[0])
    assert all(last < first for first, last in zip(seen[0][1:], seen[-1][1:], strict=True))


def test_a_picture_without_faces_gives_a_finite_loss_and_gradients_everywhere() -> None:
    network = FaceDetectorNet()
    rest = (torch.zeros(1, 0, dtype=torch.bool), torch.zeros(1, 0, 4), *cell_strides(64, 64, torch.device("cpu")))
    predictions = network(torch.zeros(1, 3, 64, 64))
    losses = detection_losses(predictions, torch.zeros(1, 0, 4), torch.zeros(1, 0, 5, 2), *rest)
    losses.total.backward()  # type: ignore[no-untyped-call]
    assert torch.isfinite(losses.total)
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_what_is_mistaken_for_a_face_unlearns_both_parts_of_its_score() -> None:
    logits = torch.full((1, 84), 3.0, requires_grad=True), torch.full((1, 84), 3.0, requires_grad=True)
    blank = FaceDetectorNet()(torch.zeros(1, 3, 64, 64))
    predictions = blank._replace(class_logits=logits[0], objectness_logits=logits[1])
    rest = (torch.zeros(1, 0, dtype=torch.bool), torch.zeros(1, 0, 4), *cell_strides(64, 64, torch.device("cpu")))
    losses = detection_losses(predictions, torch.zeros(1, 0, 4), torch.zeros(1, 0, 5, 2), *rest)
    losses.total.backward()  # type: ignore[no-untyped-call]
    assert all((part.grad > 0).all() for part in logits if part.grad is not None)
    assert all(part.grad is not None for part in logits)
