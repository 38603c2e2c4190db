"""OpenVINO: the fastest engine on x86 processors. A model is a pair of files, ``.xml`` and ``.bin``."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tinydf_runtime.engines.engine import Engine, check_choice, check_crops
from tinydf_runtime.engines.first_use import check_first_run
from tinydf_runtime.engines.quiet_openvino import core, openvino
from tinydf_runtime.errors import ModelFileError, UnavailableError, UsageError
from tinydf_runtime.models.spec import GOLDEN_KEY, METADATA_KEY, ModelSpec
from tinydf_runtime.trust.openvino_file import check_openvino
from tinydf_runtime.trust.outputs import checked_scores
from tinydf_runtime.trust.reading import read_model_file
from tinydf_runtime.types import Scores

DEVICES = {"cpu": "CPU", "gpu": "GPU"}
"""Name of a device here -> its name in OpenVINO."""

WEIGHTS_KEY = "tinydf.weights"
"""Key of ``rt_info`` that holds the SHA-256 of the ``.bin`` file."""

_BATCHES = (4, 1)
"""Crops computed at once. OpenVINO is a quarter faster with a fixed batch, and faster by the face with 4 than with 1;
more gain nothing."""


@dataclass(slots=True)
class _Requests:
    """A network compiled for one batch size, and its requests that nobody uses now; one is made where none is left."""

    compiled: openvino.CompiledModel
    idle: list[openvino.InferRequest] = field(default_factory=list)

    @contextmanager
    def one(self) -> Iterator[openvino.InferRequest]:
        """Lends an idle request to the calling thread."""
        try:
            request = self.idle.pop()
        except IndexError:
            request = self.compiled.create_infer_request()
        yield request
        self.idle.append(request)


@dataclass(frozen=True, slots=True)
class OpenVinoEngine:
    """A classifier compiled by OpenVINO; see ``Engine``. Each thread that scores has a request of its own."""

    spec: ModelSpec
    device: str
    model: openvino.Model
    settings: dict[str, str | int | bool]
    map_shape: tuple[int, int]
    golden_text: str | None = None
    name: str = "openvino"
    source: str = ""
    _compiled: dict[int, _Requests] = field(default_factory=dict)
    _compiling: threading.Lock = field(default_factory=threading.Lock)

    def score(self, crops: NDArray[np.uint8]) -> Scores:
        """Returns fake probability and forgery map of N x side x side x 3 RGB uint8 crops, in the order given."""
        check_crops(crops, self.spec.crop.side_px)
        probability = np.empty(len(crops), np.float32)
        forgery_map = np.empty((len(crops), *self.map_shape), np.float32)
        start = 0
        while start < len(crops):
            batch = next(size for size in _BATCHES if size <= len(crops) - start)
            part = slice(start, start + batch)
            with self.requests(batch).one() as request:
                # Into the request's own memory: one that shares an array outlives the call that lent it.
                request.get_tensor("image").data[...] = crops[part].transpose(0, 3, 1, 2)
                _compute(request, self.source)
                found = [request.get_tensor(name).data for name in ("fake_probability", "forgery_map")]
                scores = checked_scores(found, batch, self.map_shape, self.source)
                probability[part], forgery_map[part] = scores.fake_probability, scores.forgery_map
            start += batch
        return Scores(probability, forgery_map)

    def requests(self, batch: int) -> _Requests:
        """Returns the network compiled for a batch size, compiling it for the first caller while the others wait."""
        with self._compiling:
            if batch not in self._compiled:
                side_px = self.spec.crop.side_px
                fixed = self.model.clone()
                fixed.reshape({"image": [batch, 3, side_px, side_px]})
                compiled = core().compile_model(fixed, DEVICES[self.device], self.settings)
                self._compiled[batch] = _Requests(compiled)
            return self._compiled[batch]


def open_model(path: Path, device: str, threads: int | None, sandbox: bool = True) -> Engine:
    """Loads an exported classifier.

    Args:
        path: The ``.xml`` file, with a ModelSpec and the hash of the ``.bin`` beside it in ``rt_info``.
        device: "cpu" or "gpu", Intel's; float layers compute in float32 on both.
        threads: Threads of one run on the CPU, None for OpenVINO's choice.
        sandbox: Loads and runs the network in a child process first. False for networks that this process made, and
            for programs that must not start one.

    Raises:
        UsageError: No such device name.
        UnavailableError: The device is not there.
        ModelFileError: A file is missing, damaged or no TinyDF classifier, or the ``.bin`` is another model's.
    """
    if device == "cpu:bf16":
        raise UsageError(
            "device: found cpu:bf16, which is no longer offered: bfloat16 takes from the log energies of the noise "
            "residuals what tells a forgery, and probabilities were off by up to .45. Use cpu, which is exact."
        )
    check_choice("device", device, DEVICES)
    model = read_model(path, sandbox)
    metadata = read_metadata(model)
    spec = ModelSpec.from_json(metadata[METADATA_KEY], path.name)
    map_shape = _check_signature(model, spec, path.name)
    _check_device(device)
    # By default OpenVINO computes in bfloat16 where the processor has it.
    settings: dict[str, str | int | bool] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    if device == "cpu":
        # Every process would pin its threads to the same first cores, which also decode the video.
        settings["ENABLE_CPU_PINNING"] = False
        if threads is not None:
            settings["INFERENCE_NUM_THREADS"] = threads
    engine = OpenVinoEngine(spec, device, model, settings, map_shape, metadata.get(GOLDEN_KEY), source=path.name)
    try:
        engine.requests(1)
    except RuntimeError as error:
        raise ModelFileError(
            f"{path.name}: cannot be compiled by OpenVINO {openvino.__version__} ({_reason(error)}). "
            "Export it again with this version."
        ) from error
    return engine


def read_model(path: Path, sandbox: bool = False) -> openvino.Model:
    """Reads the pair of files of a TinyDF model and holds the ``.bin`` against its hash.

    Args:
        path: The ``.xml`` file.
        sandbox: As ``open_model`` takes it.

    Raises:
        ModelFileError: A file is missing, damaged or no TinyDF model, or the ``.bin`` is another model's.
    """
    weights_path = path.with_suffix(".bin")
    advice = f"Keep {path.name} and {weights_path.name} in one folder."
    graph, weights = read_model_file(path, advice=advice), read_model_file(weights_path, advice=advice)
    both = f"{path.name} with {weights_path.name}"
    check_openvino(graph, weights, both)
    if sandbox:
        check_first_run([graph, weights], "openvino", both)
    try:
        model = core().read_model(graph, weights)
    except RuntimeError as error:
        raise ModelFileError(
            f"{path.name}: cannot be loaded as OpenVINO IR together with {weights_path.name} ({_reason(error)}). "
            "A file may be damaged; copy or export both again."
        ) from error
    metadata = read_metadata(model)
    if METADATA_KEY not in metadata:
        raise ModelFileError(f"{path.name}: no TinyDF metadata found. Make the file with tinydf-export.")
    if metadata.get(WEIGHTS_KEY) != hashlib.sha256(weights).hexdigest():
        raise ModelFileError(
            f"{weights_path.name}: not the weights that {path.name} was exported with. Copy or export both again."
        )
    return model


def read_metadata(model: openvino.Model) -> dict[str, str]:
    """Returns the texts that ``rt_info`` holds under TinyDF's keys."""
    keys = [key for key in model.get_rt_info() if key == METADATA_KEY or key.startswith(f"{METADATA_KEY}.")]
    return {key: str(model.get_rt_info([key]).value) for key in keys}


def _check_signature(model: openvino.Model, spec: ModelSpec, source: str) -> tuple[int, int]:
    """Accepts the inputs and outputs of a classifier and returns the size of its map."""
    side_px = spec.crop.side_px
    inputs = {
        value.get_any_name(): f"{value.get_element_type().get_type_name()} {value.partial_shape}"
        for value in model.inputs
    }
    if inputs != {"image": f"u8 [?,3,{side_px},{side_px}]"}:
        raise ModelFileError(
            f"{source}: found inputs {inputs}, expected image: uint8 N x 3 x {side_px} x {side_px}. Export it again."
        )
    outputs = {name: value.partial_shape for value in model.outputs for name in value.names}
    shape = outputs.get("forgery_map", openvino.PartialShape([]))
    if "fake_probability" not in outputs or len(shape) != 3 or shape[1].is_dynamic or shape[2].is_dynamic:
        raise ModelFileError(
            f"{source}: found outputs {list(outputs)}, expected fake_probability: N and forgery_map: N x h x w. "
            "Export it again."
        )
    return shape[1].get_length(), shape[2].get_length()


def _compute(request: openvino.InferRequest, source: str) -> None:
    """Runs a request.

    Raises:
        ModelFileError: OpenVINO cannot compute it.
    """
    try:
        request.infer()
    except RuntimeError as error:
        raise ModelFileError(
            f"{source}: cannot be computed by OpenVINO {openvino.__version__} ({_reason(error)}). Export it again, or "
            "free memory."
        ) from error


def _check_device(device: str) -> None:
    """Accepts a device that OpenVINO has here.

    Raises:
        UnavailableError: It is not.
    """
    if not any(found.split(".")[0] == DEVICES[device] for found in core().available_devices):
        raise UnavailableError(
            f"{device}: not available to OpenVINO {openvino.__version__} on this machine. Install its driver, or use "
            "the CPU."
        )


def _reason(error: Exception) -> str:
    """Returns the line of a library's message that tells the reason: its last."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[-1][:200]
