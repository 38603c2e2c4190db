"""Checkpoint -> the float32 ONNX graph, uint8 crops in, that calibration and every exporter start from."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tinydf.checkpoint import Checkpoint
from tinydf_calibration.prepare import prepare_graph
from tinydf_export.graph.compact import compact_weights
from tinydf_export.graph.rewrites import REWRITE_VERSION, rewrite
from tinydf_runtime.models.spec import ModelSpec

OPSET = 18
IR_VERSION = 8
"""The format of opset 18's time: the file uses nothing newer, and old engines read it."""


def build_float_graph(checkpoint: Checkpoint) -> onnx.ModelProto:
    """Returns the network as an ONNX model with whole float32 weights, static shapes but for the batch, no metadata.

    The same checkpoint and versions give the same bytes, on every processor. Calibration tables are keyed by its
    structure.
    """
    return prepare_graph(build_model(checkpoint))


def build_model(checkpoint: Checkpoint, *, compact: bool = False) -> onnx.ModelProto:
    """Returns the network as it was traced, before ``prepare_graph``."""
    model = trace(Traceable(rewrite(checkpoint.build()).network, checkpoint.spec.temperature), checkpoint.spec)
    return compact_graph(model, checkpoint) if compact else model


def compact_graph(model: onnx.ModelProto, checkpoint: Checkpoint) -> onnx.ModelProto:
    """Stores float weights that float16 holds exactly in half the space; they are computed with in float32."""
    scales = rewrite(checkpoint.build()).scales
    factors: dict[str, tuple[NDArray[np.float32], NDArray[np.float32] | None]] = {}
    for name, trained in checkpoint.state.items():
        scale = scales.get(name)
        factors[f"network.{name}"] = (trained.numpy(), None if scale is None else scale.numpy())
    return compact_weights(model, factors)


def trace(network: nn.Module, spec: ModelSpec) -> onnx.ModelProto:
    """Traces a network that takes N x 3 x side x side uint8.

    Args:
        network: As ``Traceable``.
        spec: Tells the side.

    Returns:
        A model without anything that differs from one export to the next: dates, paths, traces of the stack.
    """
    crops = torch.zeros(2, 3, spec.crop.side_px, spec.crop.side_px, dtype=torch.uint8)
    with _silence():
        program = torch.onnx.export(
            network.eval(),
            (crops,),
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            input_names=["image"],
            output_names=["fake_probability", "forgery_map"],
            dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
        )
    assert program is not None
    traced = program.model_proto
    graph = onnx.helper.make_graph(
        [_without_traces(node) for node in traced.graph.node],
        "tinydf",
        traced.graph.input,
        traced.graph.output,
        traced.graph.initializer,
    )
    for value in (*graph.input, *graph.output, *graph.initializer):
        del value.metadata_props[:]
    opset = onnx.helper.make_opsetid("", OPSET)
    return onnx.helper.make_model(
        graph,
        opset_imports=[opset],
        ir_version=IR_VERSION,
        producer_name="tinydf",
        model_version=REWRITE_VERSION,
    )


def _without_traces(node: onnx.NodeProto) -> onnx.NodeProto:
    plain = onnx.NodeProto()
    plain.CopyFrom(node)
    plain.ClearField("metadata_props")
    plain.ClearField("doc_string")
    return plain


@contextmanager
def _silence() -> Iterator[None]:
    """Mutes the exporter's remarks about its internals, on which a user cannot act."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


class Traceable(nn.Module):
    """The network with conversion from uint8, temperature and sigmoids inside."""

    def __init__(self, network: nn.Module, temperature: float = 1.0) -> None:
        """Wraps a network.

        Args:
            network: N x 3 x H x W float RGB in 0..255 -> logits N and N x h x w, as ``TinyDF``.
            temperature: Divides the verdict's logit.
        """
        super().__init__()
        self.network = network
        self.temperature = temperature

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Scores crops.

        Args:
            image: N x 3 x S x S, RGB, uint8.

        Returns:
            fake_probability, N, and forgery_map, N x h x w, both float32 in 0..1.
        """
        logit, map_logit = self.network(image.float())
        if self.temperature != 1.0:
            logit = logit / self.temperature
        return torch.sigmoid(logit), torch.sigmoid(map_logit)
