"""Predictions + assignment -> the loss that the detector is trained with."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from tinydf.facedetector.assign import assign
from tinydf.facedetector.model import Predictions

BOX_WEIGHT = 5.0
LANDMARK_WEIGHT = 5.0
# Where the landmark loss turns from square to linear, as a share of the face's size.
LANDMARK_KNEE = 0.05
# Background that scores so much counts this many times more, and its class is taught too: the second gate of a score.
MISTAKEN_SCORE = 0.1
MISTAKEN_WEIGHT = 2.0


class Losses(NamedTuple):
    """The parts of the loss, each a scalar averaged over the assigned cells, weights applied."""

    classification: Tensor
    objectness: Tensor
    box: Tensor
    landmarks: Tensor

    @property
    def total(self) -> Tensor:
        """The sum that is minimised."""
        return self.classification + self.objectness + self.box + self.landmarks


def eiou_loss(boxes: Tensor, wanted: Tensor) -> Tensor:
    """Returns the EIoU loss (Zhang et al., 2021) of paired boxes, A for twice A x 4 (xyxy)."""
    low = torch.maximum(boxes[:, :2], wanted[:, :2])
    high = torch.minimum(boxes[:, 2:], wanted[:, 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    size, wanted_size = boxes[:, 2:] - boxes[:, :2], wanted[:, 2:] - wanted[:, :2]
    iou = shared / (size.prod(-1) + wanted_size.prod(-1) - shared).clamp(min=1e-6)
    hull = (torch.maximum(boxes[:, 2:], wanted[:, 2:]) - torch.minimum(boxes[:, :2], wanted[:, :2])).clamp(min=1e-6)
    apart = (boxes[:, :2] + boxes[:, 2:] - wanted[:, :2] - wanted[:, 2:]) / 2
    centre_term = apart.square().sum(-1) / hull.square().sum(-1)
    size_term = ((size - wanted_size).square() / hull.square()).sum(-1)
    return 1 - iou + centre_term + size_term


def detection_losses(
    predictions: Predictions,
    boxes_xyxy: Tensor,
    landmarks: Tensor,
    present: Tensor,
    doubtful_xyxy: Tensor,
    centres: Tensor,
    strides: Tensor,
    bind_levels: bool = True,
) -> Losses:
    """Returns the losses of a batch.

    Args:
        predictions: Decoded, for N images and P cells.
        boxes_xyxy: N x G x 4, pixels.
        landmarks: N x G x 5 x 2, pixels.
        present: N x G, bool: which of the G places hold a face.
        doubtful_xyxy: N x D x 4, pixels.
        centres: P x 2, pixels.
        strides: P, pixels.
        bind_levels: See ``assign``.
    """
    assignment = assign(predictions, boxes_xyxy, present, doubtful_xyxy, centres, strides, bind_levels=bind_levels)
    positive = assignment.face >= 0
    image, cell = positive.nonzero(as_tuple=True)
    face = assignment.face[image, cell]
    count = max(len(image), len(positive))
    mistaken = assignment.apart & (predictions.scores.detach() > MISTAKEN_SCORE)
    objectness = functional.binary_cross_entropy_with_logits(
        predictions.objectness_logits,
        positive.float(),
        weight=assignment.counted + (MISTAKEN_WEIGHT - 1) * mistaken,
        reduction="sum",
    )
    refused = MISTAKEN_WEIGHT * functional.softplus(predictions.class_logits[mistaken]).sum()
    if not len(image):
        # Keep every output in the graph, so that data-parallel training sees the same parameters each step.
        nothing = sum((part.sum() * 0.0 for part in predictions), start=objectness.new_zeros(()))
        return Losses(nothing + refused / count, objectness / count, nothing, nothing)
    classification = functional.binary_cross_entropy_with_logits(
        predictions.class_logits[image, cell], assignment.iou[image, cell], reduction="sum"
    )
    wanted = boxes_xyxy[image, face]
    box = eiou_loss(predictions.boxes_xyxy[image, cell], wanted).sum()
    size = (wanted[:, 2:] - wanted[:, :2]).prod(-1).clamp(min=1.0).sqrt()
    error = (predictions.landmarks[image, cell] - landmarks[image, face]) / size[:, None, None]
    points = functional.smooth_l1_loss(error, torch.zeros_like(error), beta=LANDMARK_KNEE, reduction="none")
    return Losses(
        (classification + refused) / count,
        objectness / count,
        BOX_WEIGHT * box / count,
        LANDMARK_WEIGHT * points.mean((1, 2)).sum() / count,
    )
