"""Predictions + labelled faces -> which cell learns which face, for a batch (SimOTA, Ge et al.: "YOLOX", 2021)."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from tinydf.facedetector.model import STRIDES, Predictions

# Added to the cost of cells that are not both inside the box and near its centre: they are taken last.
FAR_COST = 1e5
NEVER_COST = 1e9
IOU_WEIGHT = 3.0
# Background whose box overlaps faces and doubtful places by less than this is certainly none.
APART_IOU = 0.3
CANDIDATES = 10
SMALLEST_IN_STRIDES, LARGEST_IN_STRIDES = 2.5, 10.0


class Assignment(NamedTuple):
    """What each of the P cells learns.

    Attributes:
        face: N x P, int64: index of the face, -1 for background.
        iou: N x P: IoU of the cell's predicted box with its face, 0 for background.
        counted: N x P, bool: whether the cell's objectness enters the loss (background inside a doubtful box, or whose
            box overlaps one, does not).
        apart: N x P, bool: background whose predicted box lies on no face and no doubtful box.
    """

    face: Tensor
    iou: Tensor
    counted: Tensor
    apart: Tensor


def pairwise_iou(boxes: Tensor, others: Tensor) -> Tensor:
    """Returns the IoU of every box with every other, N x A x B for N x A x 4 and N x B x 4 (xyxy)."""
    low = torch.maximum(boxes[:, :, None, :2], others[:, None, :, :2])
    high = torch.minimum(boxes[:, :, None, 2:], others[:, None, :, 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    areas = (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(-1)
    other_areas = (others[..., 2:] - others[..., :2]).clamp(min=0).prod(-1)
    return shared / (areas[:, :, None] + other_areas[:, None, :] - shared).clamp(min=1e-6)


def inside(points: Tensor, boxes: Tensor) -> Tensor:
    """Returns which of P points (P x 2) lie in which boxes (N x G x 4, xyxy), N x G x P, bool."""
    x, y = points[:, 0], points[:, 1]
    left, top, right, bottom = boxes[..., None].unbind(-2)
    return (x > left) & (x < right) & (y > top) & (y < bottom)


def suits(boxes_xyxy: Tensor, strides: Tensor) -> Tensor:
    """Returns which cells' strides (P) suit the sizes of which boxes (N x G x 4), N x G x P, bool.

    Neighbouring strides overlap by an octave; the finest takes all smaller faces, the coarsest all larger ones.
    """
    size = (boxes_xyxy[..., 2:] - boxes_xyxy[..., :2]).clamp(min=0).prod(-1).sqrt()[..., None]
    large_enough = (size >= SMALLEST_IN_STRIDES * strides) | (strides == STRIDES[0])
    small_enough = (size <= LARGEST_IN_STRIDES * strides) | (strides == STRIDES[-1])
    return large_enough & small_enough


@torch.no_grad()
def assign(
    predictions: Predictions,
    boxes_xyxy: Tensor,
    present: Tensor,
    doubtful_xyxy: Tensor,
    centres: Tensor,
    strides: Tensor,
    radius: float = 2.5,
    bind_levels: bool = True,
) -> Assignment:
    """Returns the assignment of a batch.

    Args:
        predictions: Decoded, for N images and P cells.
        boxes_xyxy: N x G x 4, pixels, padded with anything where no face is.
        present: N x G, bool: which of the G places hold a face.
        doubtful_xyxy: N x D x 4, pixels, padded with zeros: places that are not to be punished as background.
        centres: P x 2, pixels.
        strides: P, pixels.
        radius: How far from the centre of a face a cell may be to be preferred, in strides.
        bind_levels: Whether a face is taught only to the strides that suit its size. Without that, the finest stride,
            which has most of the cells, learns faces of every size and takes parts of large ones for small ones.
    """
    on_doubt = pairwise_iou(doubtful_xyxy, predictions.boxes_xyxy.detach()) >= APART_IOU
    in_doubt = (inside(centres, doubtful_xyxy) | on_doubt).any(1)
    n, g, _ = boxes_xyxy.shape
    cells = centres.shape[0]
    if g == 0:
        nobody = torch.full((n, cells), -1, dtype=torch.int64, device=centres.device)
        return Assignment(nobody, torch.zeros((n, cells), device=centres.device), ~in_doubt, ~in_doubt)
    in_box = inside(centres, boxes_xyxy)
    middle = (boxes_xyxy[..., :2] + boxes_xyxy[..., 2:]) / 2
    offset = (centres - middle[:, :, None, :]).abs().amax(-1)
    near = offset < radius * strides
    possible = (in_box | near) & present[:, :, None]
    if bind_levels:
        possible &= suits(boxes_xyxy, strides)
    iou = pairwise_iou(boxes_xyxy, predictions.boxes_xyxy.detach())
    score = (
        functional.logsigmoid(predictions.class_logits.detach())
        + functional.logsigmoid(predictions.objectness_logits.detach())
    ) / 2
    cost = -score[:, None, :] - IOU_WEIGHT * (iou + 1e-8).log() + FAR_COST * (~(in_box & near))
    cost = torch.where(possible, cost, NEVER_COST)
    # A face is taught to as many cells as its best candidates overlap it in sum, at least one.
    best = torch.where(possible, iou, 0.0).topk(min(CANDIDATES, cells), dim=-1).values
    wanted = best.sum(-1).int().clamp(min=1)
    cheapest = cost.topk(min(CANDIDATES, cells), dim=-1, largest=False)
    rank = torch.arange(cheapest.indices.shape[-1], device=cost.device)
    taken = (rank < wanted[..., None]) & (cheapest.values < NEVER_COST)
    chosen = torch.zeros_like(possible).scatter_(-1, cheapest.indices, taken)
    # A cell that several faces want learns the cheapest.
    lowest, face = torch.where(chosen, cost, NEVER_COST).min(1)
    positive = lowest < NEVER_COST
    own_iou = iou.gather(1, face[:, None, :])[:, 0]
    on_face = ((iou >= APART_IOU) & present[:, :, None]).any(1)
    return Assignment(
        torch.where(positive, face, -1),
        torch.where(positive, own_iou, 0.0),
        positive | ~in_doubt,
        ~(positive | on_face | in_doubt),
    )
