"""Checkpoint -> ONNX file, float32, that needs nothing beside it."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import onnx
import torch
from torch import nn

from tinydf.checkpoint import Checkpoint
from tinydf_export import parity
from tinydf_export.compact import compact_weights
from tinydf_export.golden import draw_golden_crops, encode_crops
from tinydf_export.rewrites import rewrite
from tinydf_export.targets import ExportedModel
from tinydf_export.traceable import Traceable
from tinydf_runtime import __version__
from tinydf_runtime.engine import open_engine
from tinydf_runtime.files import write_atomically
from tinydf_runtime.spec import GOLDEN_KEY, METADATA_KEY, ModelSpec

TOOLS = ("onnx", "onnxscript", "torch")
OPSET = 18
IR_VERSION = 8
"""The format of opset 18's time: the file uses nothing newer, and old engines read it."""


def export(checkpoint: Checkpoint, out: Path, *, compact: bool = True) -> ExportedModel:
    """Exports a network, and leaves a file only if that file gives what the network gives.

    The same checkpoint and versions give the same bytes.

    Args:
        checkpoint: The network.
        out: File to write.
        compact: Stores weights that float16 holds exactly in half the space; they are computed with in float32.

    Raises:
        QualityError: The exported model differs from the checkpoint; nothing is written.
        OutputError: The file cannot be written.
    """
    crops = draw_golden_crops(checkpoint.spec.crop)
    eager = parity.score_eagerly(checkpoint, crops)
    golden, golden_sha256 = encode_crops(crops)
    spec = replace(
        checkpoint.spec,
        precision="fp32",
        versions={"tinydf": __version__, **{name: version(name) for name in TOOLS}, "opset": str(OPSET)},
        golden_sha256=golden_sha256,
        golden_probability=tuple(float(value) for value in eager.fake_probability),
    )
    model = build_model(checkpoint, compact=compact)
    onnx.helper.set_model_props(model, {METADATA_KEY: spec.to_json(), GOLDEN_KEY: golden})
    onnx.checker.check_model(model, full_check=True)
    content = model.SerializeToString(deterministic=True)
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder) / "trial.onnx"
        trial.write_bytes(content)
        found = parity.compare(open_engine(trial), eager, crops)
    parity.require(found)
    write_atomically(out, content)
    return ExportedModel(out, spec, found, len(content))


def build_model(checkpoint: Checkpoint, *, compact: bool = True) -> onnx.ModelProto:
    """Returns the network as an ONNX model without metadata; see ``export``."""
    rewritten = rewrite(checkpoint.build())
    model = trace(Traceable(rewritten.network, checkpoint.spec.temperature), checkpoint.spec)
    if not compact:
        return model
    factors = {}
    for name, trained in checkpoint.state.items():
        scale = rewritten.scales.get(name)
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
    return onnx.helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION, producer_name="tinydf")


def _without_traces(node: onnx.NodeProto) -> onnx.NodeProto:
    plain = onnx.NodeProto()
    plain.CopyFrom(node)
    plain.ClearField("metadata_props")
    plain.ClearField("doc_string")
    return plain


@contextmanager
def _silence() -> Iterator[None]:
    """Mutes what the exporter says about its own insides; a user can do nothing about it."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
