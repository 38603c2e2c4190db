"""ONNX Runtime: the default engine. The face detector opens its session here too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydf_runtime.engines.engine import check_choice, check_crops
from tinydf_runtime.engines.first_use import check_first_run
from tinydf_runtime.engines.quiet_onnxruntime import onnxruntime
from tinydf_runtime.errors import ModelFileError, UnavailableError, first_line
from tinydf_runtime.models.shipped import check_known
from tinydf_runtime.models.spec import AS_WRITTEN_KEY, GOLDEN_KEY, METADATA_KEY, ModelSpec
from tinydf_runtime.trust.onnx_file import read_onnx
from tinydf_runtime.trust.outputs import checked_scores
from tinydf_runtime.trust.reading import read_model_file
from tinydf_runtime.types import Scores

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}

OUTPUTS = ("fake_probability", "forgery_map")

_LARGEST_BATCH = 16
"""Crops computed at once; more are split, so that memory does not grow with the number of faces."""

_UNFUSED = (AS_WRITTEN_KEY.encode(), b"_scale_half")
"""Marks of graphs made for TensorRT; the second is the name of their float16 scales, in files without the key."""


@dataclass(frozen=True, slots=True)
class OnnxRuntimeEngine:
    """A classifier in an ONNX Runtime session; see ``Engine``."""

    spec: ModelSpec
    device: str
    session: onnxruntime.InferenceSession
    map_shape: tuple[int, int]
    golden_text: str | None = None
    largest_batch: int = _LARGEST_BATCH
    name: str = "onnxruntime"
    source: str = ""

    def score(self, crops: NDArray[np.uint8]) -> Scores:
        """Returns fake probability and forgery map of N x side x side x 3 RGB uint8 crops, in the order given."""
        check_crops(crops, self.spec.crop.side_px)
        probabilities = [np.empty(0, np.float32)]
        maps = [np.empty((0, *self.map_shape), np.float32)]
        for start in range(0, len(crops), self.largest_batch):
            planes = np.ascontiguousarray(crops[start : start + self.largest_batch].transpose(0, 3, 1, 2))
            found = run_session(self.session, OUTPUTS, planes, self.source)
            scores = checked_scores(found, len(planes), self.map_shape, self.source)
            probabilities.append(scores.fake_probability)
            maps.append(scores.forgery_map)
        return Scores(np.concatenate(probabilities), np.concatenate(maps))


def open_model(path: Path, device: str, threads: int | None, sandbox: bool = True) -> OnnxRuntimeEngine:
    """Loads an exported classifier.

    Args:
        path: ONNX file with a ModelSpec in its metadata.
        device: "cpu" or "cuda".
        threads: Threads of one run, None for one a core.
        sandbox: As ``open_session`` takes it.

    Raises:
        UsageError: No such device name.
        UnavailableError: The device is not there.
        ModelFileError: The file is missing, damaged, refers to side files or is no TinyDF classifier.
    """
    check_choice("device", device, PROVIDERS)
    return _open(_read(path, sandbox), path.name, device, threads)


def open_content(content: bytes, name: str, device: str = "cpu", threads: int | None = None) -> OnnxRuntimeEngine:
    """Loads a classifier that this process has made, from memory.

    Args:
        content: Content of an ONNX file.
        name: File name for error messages.
        device: "cpu" or "cuda".
        threads: Threads of one run, None for one a core.

    Raises:
        UsageError: No such device name.
        UnavailableError: The device is not there.
        ModelFileError: The content is damaged, refers to side files or is no TinyDF classifier.
    """
    read_onnx(content, name)
    return _open(content, name, device, threads)


def _open(content: bytes, name: str, device: str, threads: int | None) -> OnnxRuntimeEngine:
    """Loads a classifier whose bytes were checked."""
    session = _start(content, name, device, threads)
    metadata = session.get_modelmeta().custom_metadata_map
    if METADATA_KEY not in metadata:
        raise ModelFileError(f"{name}: no TinyDF metadata found. Make the file with tinydf-export.")
    spec = ModelSpec.from_json(metadata[METADATA_KEY], name)
    side_px = spec.crop.side_px
    inputs = {value.name: (value.type, list(value.shape[1:])) for value in session.get_inputs()}
    if inputs != {"image": ("tensor(uint8)", [3, side_px, side_px])}:
        raise ModelFileError(
            f"{name}: found inputs {inputs}, expected image: uint8 N x 3 x {side_px} x {side_px}. Export it again."
        )
    outputs = {value.name: value.shape for value in session.get_outputs()}
    map_shape = outputs.get("forgery_map", [])[1:]
    if "fake_probability" not in outputs or len(map_shape) != 2 or not all(isinstance(n, int) for n in map_shape):
        raise ModelFileError(
            f"{name}: found outputs {outputs}, expected fake_probability: N and forgery_map: N x h x w. "
            "Export it again."
        )
    # An unfused graph keeps every map in memory.
    batch = 1 if _is_for_tensorrt(content) else _LARGEST_BATCH
    golden = metadata.get(GOLDEN_KEY)
    return OnnxRuntimeEngine(spec, device, session, (map_shape[0], map_shape[1]), golden, batch, source=name)


def open_session(path: Path, device: str, threads: int | None, sandbox: bool = True) -> onnxruntime.InferenceSession:
    """Opens any ONNX file for inference, from its bytes alone.

    Args:
        path: ONNX file.
        device: "cpu" or "cuda".
        threads: Threads of one run, None for one a core.
        sandbox: Loads and runs a network that is not known here in a child process first. False for networks that this
            process made, and for programs that must not start one.

    Raises:
        UsageError: No such device name.
        UnavailableError: The device is not there.
        ModelFileError: The file is missing, damaged, refers to side files, or cannot be loaded and run in bounded time
            and memory.
    """
    check_choice("device", device, PROVIDERS)
    return _start(_read(path, sandbox), path.name, device, threads)


def _read(path: Path, sandbox: bool) -> bytes:
    """Returns the content of a file that is fit to be loaded."""
    content = read_model_file(path)
    if not check_known(content, path):
        read_onnx(content, path.name)
        if sandbox:
            check_first_run([content], "onnxruntime", path.name)
    return content


def _start(content: bytes, name: str, device: str, threads: int | None) -> onnxruntime.InferenceSession:
    """Opens a session; graphs made for TensorRT without optimisations."""
    check_choice("device", device, PROVIDERS)
    if PROVIDERS[device] not in onnxruntime.get_available_providers():
        raise UnavailableError(_missing(device))
    options = session_options(content, threads)
    providers = list(dict.fromkeys([PROVIDERS[device], PROVIDERS["cpu"]]))
    try:
        session = onnxruntime.InferenceSession(content, options, providers=providers)
    # ONNX Runtime's errors share no base below Exception.
    except Exception as error:
        raise ModelFileError(
            f"{name}: cannot be loaded as ONNX ({first_line(error)}). The file may be damaged; copy or export it again."
        ) from error
    if session.get_providers()[0] != PROVIDERS[device]:
        raise UnavailableError(_missing(device))
    return session


def _is_for_tensorrt(content: bytes) -> bool:
    """Returns whether an ONNX file is to show here what TensorRT computes from it."""
    return any(mark in content for mark in _UNFUSED)


def session_options(model: bytes, threads: int | None) -> onnxruntime.SessionOptions:
    """Returns the session options of a model."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads or 0
    # Bytes that only look like ONNX must not be taken for the library's own format, which was not checked.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    # Spinning threads burn the cores that decode the video while they wait.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    if _is_for_tensorrt(model):
        # Fused, a strongly typed graph rounds otherwise than written and than in TensorRT: with float16 pairs by up to
        # 0.04 in probability. Unfused it takes twice the time, so that other float16 files are fused.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    elif lacks_vnni():
        # 8-bit products would saturate at 16 bit there where weights are above 64, as in other makers' files, unless
        # slower kernels are asked for.
        options.add_session_config_entry("session.x64quantprecision", "1")
    return options


def run_session(
    session: onnxruntime.InferenceSession, outputs: Sequence[str], image: NDArray[np.uint8], source: str
) -> list[Any]:
    """Returns what a network gives for one input, an array for each output.

    Args:
        session: The network.
        outputs: Names of what to return.
        image: The input ``image``, uint8, in the shape that the network wants.
        source: The model's file name, for the error message.

    Raises:
        ModelFileError: ONNX Runtime cannot compute it.
    """
    try:
        return list(session.run(list(outputs), {"image": image}))
    # ONNX Runtime's errors share no base below Exception.
    except Exception as error:
        raise ModelFileError(
            f"{source}: cannot be computed by ONNX Runtime ({first_line(error)}). Export it again, or free memory."
        ) from error


def lacks_vnni() -> bool:
    """Returns whether this is an x86 processor known to lack VNNI, the 8-bit dot products."""
    try:
        facts = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return " avx2" in facts and "vnni" not in facts


def _missing(device: str) -> str:
    """Returns what to say when ONNX Runtime cannot use a device."""
    return (
        f"{device}: not available to ONNX Runtime {onnxruntime.__version__} on this machine. "
        "Install its driver and the onnxruntime build for it, or use the CPU."
    )
