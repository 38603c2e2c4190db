"""ONNX model + crops -> logits, one crop at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from tinydf_runtime.engines.quiet_onnxruntime import onnxruntime
from tinydf_runtime.machine import core_count
from tinydf_runtime.verdict.evidence import log_odds


def open_session(
    model: ModelProto, outputs: Sequence[str] = (), *, fuse: bool = True, profile_prefix: str | None = None
) -> onnxruntime.InferenceSession:
    """Opens a model for measuring.

    Args:
        model: Takes ``image``: N x 3 x side x side, uint8.
        outputs: Tensors to be made available beside the model's own outputs.
        fuse: Lets ONNX Runtime compute in 8 bit what it can; without, every quantize/dequantize pair rounds and the
            operators between them compute in float, as an emulation of other engines.
        profile_prefix: Start of the path of a profile of one thread's run; None for no profile.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    # A count of its own: with the default ONNX Runtime binds its threads to cores that this process may not use.
    options.intra_op_num_threads = 1 if profile_prefix else core_count()
    if not fuse:
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    if profile_prefix:
        options.enable_profiling = True
        options.profile_file_prefix = profile_prefix
    opened = with_outputs(model, outputs) if outputs else model
    return onnxruntime.InferenceSession(opened.SerializeToString(), options, providers=["CPUExecutionProvider"])


def with_outputs(model: ModelProto, names: Sequence[str]) -> ModelProto:
    """Returns a copy of a model that also gives some inner tensors, each as an output of its own."""
    copied = ModelProto()
    copied.CopyFrom(model)
    present = {value.name for value in model.graph.output}
    for name in names:
        if name not in present:
            copied.graph.output.add().name = name
    return copied


def as_inputs(crops: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """Yields N x side x side x 3 crops one by one as the 1 x 3 x side x side that a model takes.

    One by one is fastest: the activations of one crop stay in the processor's cache, those of eight do not.
    """
    for crop in crops:
        yield np.ascontiguousarray(crop.transpose(2, 0, 1)[None])


def score(model: ModelProto, crops: NDArray[np.uint8], *, fuse: bool = True) -> NDArray[np.float64]:
    """Returns the logit of the verdict for each of N crops.

    Args:
        model: Its output ``fake_probability`` is a sigmoid's.
        crops: N x side x side x 3, RGB, uint8.
        fuse: As in ``open_session``.
    """
    name = verdict_logit(model)
    session = open_session(model, [name] if name else [], fuse=fuse)
    found = [session.run([name or "fake_probability"], {"image": planes})[0].ravel() for planes in as_inputs(crops)]
    values = np.concatenate(found).astype(np.float64)
    return values if name else log_odds(values)


def verdict_logit(model: ModelProto) -> str | None:
    """Returns the tensor whose sigmoid is the fake probability; None where that is made in another way."""
    for node in model.graph.node:
        if "fake_probability" in node.output:
            return str(node.input[0]) if node.op_type == "Sigmoid" else None
    return None
