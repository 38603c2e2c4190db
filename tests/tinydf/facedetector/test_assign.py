from __future__ import annotations

import torch

from tinydf.facedetector.assign import assign, pairwise_iou, suits
from tinydf.facedetector.model import Predictions, cell_strides, decode

CENTRES, STRIDES = cell_strides(64, 64, torch.device("cpu"))
NO_DOUBT = torch.zeros(1, 0, 4)


def predict(images: int = 1) -> Predictions:
    return decode([torch.zeros(images, 16, 64 // stride, 64 // stride) for stride in (8, 16, 32)])


def test_iou_of_known_boxes() -> None:
    boxes = torch.tensor([[[0.0, 0.0, 10.0, 10.0]]])
    others = torch.tensor([[[0.0, 0.0, 10.0, 10.0], [5.0, 0.0, 15.0, 10.0], [20.0, 20.0, 30.0, 30.0]]])
    torch.testing.assert_close(pairwise_iou(boxes, others), torch.tensor([[[1.0, 1 / 3, 0.0]]]))


def test_every_face_gets_a_cell_near_its_centre() -> None:
    boxes = torch.tensor([[[4.0, 4.0, 20.0, 22.0], [30.0, 28.0, 62.0, 62.0]]])
    assignment = assign(predict(), boxes, torch.ones(1, 2, dtype=torch.bool), NO_DOUBT, CENTRES, STRIDES)
    for face in range(2):
        cells = (assignment.face[0] == face).nonzero()[:, 0]
        assert len(cells) >= 1
        middle = (boxes[0, face, :2] + boxes[0, face, 2:]) / 2
        assert ((CENTRES[cells] - middle).abs().amax(1) < 2.5 * STRIDES[cells]).all()


def test_padding_is_assigned_nothing() -> None:
    boxes = torch.tensor([[[4.0, 4.0, 20.0, 22.0], [30.0, 28.0, 62.0, 62.0]]])
    present = torch.tensor([[True, False]])
    assignment = assign(predict(), boxes, present, NO_DOUBT, CENTRES, STRIDES)
    assert set(assignment.face[0].tolist()) == {-1, 0}


def test_a_picture_without_faces_is_all_background() -> None:
    assignment = assign(
        predict(2),
        torch.zeros(2, 0, 4),
        torch.zeros(2, 0, dtype=torch.bool),
        NO_DOUBT.repeat(2, 1, 1),
        CENTRES,
        STRIDES,
    )
    assert (assignment.face == -1).all()
    assert assignment.counted.all()


def test_doubtful_places_are_not_punished_but_faces_in_them_are_learnt() -> None:
    boxes = torch.tensor([[[4.0, 4.0, 20.0, 22.0]]])
    doubtful = torch.tensor([[[0.0, 0.0, 64.0, 64.0]]])
    assignment = assign(predict(), boxes, torch.ones(1, 1, dtype=torch.bool), doubtful, CENTRES, STRIDES)
    assert torch.equal(assignment.counted, assignment.face >= 0)
    assert assignment.counted.any()


def test_batch_equals_single() -> None:
    boxes = torch.tensor(
        [[[4.0, 4.0, 20.0, 22.0], [0.0, 0.0, 0.0, 0.0]], [[8.0, 8.0, 60.0, 62.0], [2.0, 2.0, 30.0, 30.0]]]
    )
    present = torch.tensor([[True, False], [True, True]])
    together = assign(predict(2), boxes, present, NO_DOUBT.repeat(2, 1, 1), CENTRES, STRIDES)
    for index in range(2):
        alone = assign(predict(), boxes[index : index + 1], present[index : index + 1], NO_DOUBT, CENTRES, STRIDES)
        assert torch.equal(together.face[index], alone.face[0])


def test_the_size_of_a_face_decides_which_strides_learn_it() -> None:
    boxes = torch.tensor([[[0.0, 0.0, 12.0, 12.0], [0.0, 0.0, 60.0, 60.0], [0.0, 0.0, 400.0, 400.0]]])
    found = [set(STRIDES[row].tolist()) for row in suits(boxes, STRIDES)[0]]
    assert found == [{8.0}, {8.0, 16.0}, {32.0}]


def test_left_free_any_stride_may_learn_a_face() -> None:
    boxes = torch.tensor([[[4.0, 4.0, 60.0, 62.0]]])
    present = torch.ones(1, 1, dtype=torch.bool)
    bound = assign(predict(), boxes, present, NO_DOUBT, CENTRES, STRIDES)
    free = assign(predict(), boxes, present, NO_DOUBT, CENTRES, STRIDES, bind_levels=False)
    assert 32.0 not in STRIDES[bound.face[0] >= 0]
    assert 32.0 in STRIDES[free.face[0] >= 0]


def test_only_background_apart_from_faces_and_doubts_is_apart() -> None:
    # Untouched, every cell predicts a box of its own stride around its corner.
    boxes = torch.tensor([[[32.0, 32.0, 64.0, 64.0]]])
    doubtful = torch.tensor([[[-4.0, -4.0, 4.0, 4.0]]])
    present = torch.ones(1, 1, dtype=torch.bool)
    assignment = assign(predict(), boxes, present, doubtful, CENTRES, STRIDES)
    assert not (assignment.apart & (assignment.face >= 0)).any()
    # The first cell's box lies on the doubtful one though its centre may not.
    assert not assignment.apart[0, 0] and not assignment.counted[0, 0]
    assert assignment.apart[0, STRIDES == 8][4]
    absent = assign(predict(), boxes, ~present, NO_DOUBT, CENTRES, STRIDES)
    assert absent.apart.all()
