"""Face detector checkpoint -> ONNX file that the runtime reads: uint8 picture in; scores, boxes and points out."""

from __future__ import annotations

import io
import json
import platform
import warnings
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from tinydf.facedetector.model import FaceDetectorNet
from tinydf.facedetector.weights import DetectorCheckpoint
from tinydf_export.graph.compact import compact_weights
from tinydf_runtime.faces.detector import METADATA_KEY, SCHEMA
from tinydf_runtime.io.files import write_atomically
from tinydf_runtime.models.seal import BLANK_SEAL, SEAL_KEY, seal

OPSET = 18
INPUT = "image"
OUTPUTS = ("scores", "boxes_xyxy", "landmarks")
LARGE = 512
"""Values from which a weight is stored as float16; from about 150 on that saves more than its node takes."""


def fold_norms(network: FaceDetectorNet) -> FaceDetectorNet:
    """Returns an equal network whose batch norms are part of the convolutions before them.

    Args:
        network: In evaluation mode; left as it is.
    """
    folded = FaceDetectorNet(**network.widths)
    folded.load_state_dict(network.state_dict())
    folded.eval().requires_grad_(False)
    for module in list(folded.modules()):
        if isinstance(module, nn.Sequential):
            _fold_sequence(module)
    return folded


def _fold_sequence(sequence: nn.Sequential) -> None:
    for index in range(1, len(sequence)):
        before, norm = sequence[index - 1], sequence[index]
        if isinstance(before, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            sequence[index - 1] = fuse_conv_bn_eval(before, norm)
            sequence[index] = nn.Identity()


def round_weights(network: nn.Module) -> None:
    """Rounds the large weights of a network to what float16 holds, in place: half the file for an error of 2^-11."""
    for weight in _large_weights(network).values():
        weight.copy_(weight.half())


def _large_weights(network: nn.Module) -> dict[str, Tensor]:
    return {name: weight for name, weight in network.state_dict().items() if weight.numel() >= LARGE}


class TraceableDetector(nn.Module):
    """The module to trace: the network with input scaling and decoding, for sides of whole cells of 32 px."""

    def __init__(self, network: FaceDetectorNet) -> None:
        super().__init__()
        self.network = fold_norms(network)
        round_weights(self.network)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns scores (N x P), boxes (N x P x 4, xyxy) and points (N x P x 5 x 2) in pixels.

        Args:
            image: N x H x W x 3, BGR, uint8; H and W multiples of 32.
        """
        predictions = self.network(image.permute(0, 3, 1, 2).float())
        return predictions.scores, predictions.boxes_xyxy, predictions.landmarks


def export_detector(checkpoint: DetectorCheckpoint, out: Path) -> Path:
    """Writes a checkpoint as ONNX, large weights as float16, and returns the path.

    Args:
        checkpoint: Its facts give name, score threshold and suppression overlap.
        out: File to write.

    Raises:
        OutputError: The file could not be written.
    """
    buffer = io.BytesIO()
    # Two pictures and unequal sides, so that no dimension is taken for a constant.
    example = torch.zeros(2, 96, 128, 3, dtype=torch.uint8)
    traceable = TraceableDetector(checkpoint.network).eval()
    with warnings.catch_warnings():
        # The tracing exporter announces its successor; the successor bakes the picture's size into the grid.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            traceable,
            (example,),
            buffer,  # type: ignore[arg-type]  # a stream is taken too
            input_names=[INPUT],
            output_names=list(OUTPUTS),
            dynamic_axes={INPUT: {0: "n", 1: "height", 2: "width"}} | {name: {0: "n", 1: "cells"} for name in OUTPUTS},
            opset_version=OPSET,
            dynamo=False,
        )
    factors = {name: (weight.numpy(), None) for name, weight in _large_weights(traceable).items()}
    model = compact_weights(onnx.load_from_string(buffer.getvalue()), factors, LARGE)
    model.producer_name = "tinydf"
    facts = json.dumps(_facts(checkpoint), sort_keys=True)
    onnx.helper.set_model_props(model, {METADATA_KEY: facts, SEAL_KEY: BLANK_SEAL})
    onnx.checker.check_model(model, full_check=True)
    write_atomically(out, seal(model.SerializeToString(deterministic=True)))
    return out


def _facts(checkpoint: DetectorCheckpoint) -> dict[str, object]:
    return {
        "schema": SCHEMA,
        "name": checkpoint.facts["name"],
        "score_threshold": checkpoint.facts["score_threshold"],
        "nms_iou": checkpoint.facts["nms_iou"],
        "scores": checkpoint.facts.get("scores", {}),
        "checkpoint_sha256": checkpoint.sha256,
        "versions": {"onnx": onnx.__version__, "python": platform.python_version(), "torch": torch.__version__},
    }
