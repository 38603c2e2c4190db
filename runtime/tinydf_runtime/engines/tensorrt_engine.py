"""TensorRT 10 and 11: plans, which are built on the device that runs them."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tensorrt
from numpy.typing import NDArray

from tinydf_runtime.engines.cuda_memory import DeviceMemory, Stream, device_name, empty_rows
from tinydf_runtime.engines.engine import Engine, check_choice, check_crops
from tinydf_runtime.errors import ModelFileError, UnavailableError
from tinydf_runtime.models.plan import PlanFacts, check_fits, check_trusted, read_plan, rebuild_line
from tinydf_runtime.models.spec import ModelSpec
from tinydf_runtime.trust.outputs import checked_scores
from tinydf_runtime.types import Scores


class TensorRTLog(tensorrt.ILogger):  # type: ignore[misc]  # TensorRT has no types of its own
    """Logger that keeps errors for the exception that follows and drops warnings and notes."""

    def __init__(self) -> None:
        """Starts without errors."""
        super().__init__()
        self.errors: list[str] = []

    def log(self, severity: tensorrt.ILogger.Severity, msg: str) -> None:
        """Takes one message from the library, from any of its threads."""
        if severity in (tensorrt.ILogger.Severity.ERROR, tensorrt.ILogger.Severity.INTERNAL_ERROR):
            self.errors.append(msg)

    def reason(self) -> str:
        """Returns the first error as one line; later ones only follow from it."""
        if not self.errors:
            return "TensorRT gave no reason"
        return " ".join(self.errors[0].split())[:300]


INPUT = "image"
OUTPUTS = ("fake_probability", "forgery_map")


@dataclass(frozen=True, slots=True)
class Batches:
    """Numbers of crops that a plan takes at once."""

    smallest: int
    largest: int


@dataclass(frozen=True, slots=True)
class TensorRTEngine:
    """A classifier in a TensorRT execution context; see ``Engine``."""

    spec: ModelSpec
    device: str
    context: tensorrt.IExecutionContext
    stream: Stream
    memory: dict[str, DeviceMemory]
    batches: Batches
    map_shape: tuple[int, int]
    golden_text: str
    kept: tuple[object, ...]
    """The library's objects that the context needs as long as it lives."""
    source: str = ""
    name: str = "tensorrt"
    # One context computes one batch at a time, and its buffers hold one.
    lock: threading.Lock = field(default_factory=threading.Lock)

    def score(self, crops: NDArray[np.uint8]) -> Scores:
        """Returns fake probability and forgery map of N x side x side x 3 RGB uint8 crops, in the order given."""
        check_crops(crops, self.spec.crop.side_px)
        probability, forgery_map = empty_rows(len(crops), ()), empty_rows(len(crops), self.map_shape)
        for start in range(0, len(crops), self.batches.largest):
            part = slice(start, start + self.batches.largest)
            scores = self._run(crops[part])
            probability[part], forgery_map[part] = scores.fake_probability, scores.forgery_map
        return Scores(probability, forgery_map)

    def _run(self, crops: NDArray[np.uint8]) -> Scores:
        """Scores one batch. A plan for a fixed number of crops gets black ones for those that are missing."""
        count = max(len(crops), self.batches.smallest)
        side_px = self.spec.crop.side_px
        planes = np.zeros((count, 3, side_px, side_px), np.uint8)
        planes[: len(crops)] = crops.transpose(0, 3, 1, 2)
        results = {"fake_probability": empty_rows(count, ()), "forgery_map": empty_rows(count, self.map_shape)}
        with self.lock:
            self.memory[INPUT].fill(planes, self.stream)
            if not self.context.set_input_shape(INPUT, planes.shape):
                raise UnavailableError(f"tensorrt: refused a batch of {count}. Build the plan again.")
            if not self.context.execute_async_v3(self.stream.handle):
                raise UnavailableError("tensorrt: could not run the plan. Check the GPU's free memory.")
            for name, result in results.items():
                self.memory[name].read(result, self.stream)
            self.stream.wait()
        found = [results[name][: len(crops)] for name in OUTPUTS]
        return checked_scores(found, len(crops), self.map_shape, self.source)


def open_model(path: Path, device: str, threads: int | None, sandbox: bool = True) -> Engine:
    """Loads a plan.

    Args:
        path: Plan with its JSON file beside it.
        device: "cuda"; a plan runs nowhere else.
        threads: Of no use to a GPU.
        sandbox: Of no use: a plan is trusted or not loaded.

    Raises:
        UsageError: Another device is asked for.
        UnavailableError: There is no GPU, or too little of its memory is free.
        ModelFileError: The plan or its JSON file is missing or damaged, was built by another version of TensorRT or for
            another GPU, or is not trusted on this machine.
    """
    check_choice("device", device, ("cuda",), ": nothing else runs a TensorRT plan")
    content, facts = read_plan(path)
    here = device_name()
    check_fits(path, facts, tensorrt.__version__, here)
    host_code = check_trusted(content, path, facts)
    log = TensorRTLog()
    runtime = tensorrt.Runtime(log)
    if host_code:
        # A plan for several versions carries the runtime of its own as code.
        runtime.engine_host_code_allowed = True
    if facts.dla_core is not None:
        runtime.DLA_core = facts.dla_core
    engine = runtime.deserialize_cuda_engine(content)
    if engine is None:
        raise ModelFileError(
            f"{path.name}: TensorRT {tensorrt.__version__} on {here} cannot load it ({log.reason()}). It was built by "
            f"TensorRT {facts.tensorrt} on {facts.device}. Build it again here: {rebuild_line(path, facts)}"
        )
    batches, map_shape = _shapes(engine, facts, path.name)
    context = engine.create_execution_context()
    if context is None:
        raise UnavailableError(f"{path.name}: TensorRT cannot start it ({log.reason()}). Check the GPU's free memory.")
    side_px = facts.spec.crop.side_px
    memory = {
        INPUT: DeviceMemory(batches.largest * 3 * side_px * side_px),
        "fake_probability": DeviceMemory(batches.largest * 4),
        "forgery_map": DeviceMemory(batches.largest * map_shape[0] * map_shape[1] * 4),
    }
    for name, buffer in memory.items():
        context.set_tensor_address(name, buffer.address)
    return TensorRTEngine(
        facts.spec, device, context, Stream(), memory, batches, map_shape, facts.golden, (log, runtime, engine),
        path.name,
    )  # fmt: skip


def _shapes(engine: tensorrt.ICudaEngine, facts: PlanFacts, source: str) -> tuple[Batches, tuple[int, int]]:
    """Returns the batches that a plan takes and the shape of its map.

    Raises:
        ModelFileError: Its inputs and outputs are not those of a TinyDF classifier.
    """
    tensors = {}
    for index in range(engine.num_io_tensors):
        name = engine.get_tensor_name(index)
        tensors[name] = (engine.get_tensor_dtype(name), tuple(engine.get_tensor_shape(name))[1:])
    side_px = facts.spec.crop.side_px
    map_shape = tensors.get("forgery_map", (None, ()))[1]
    expected = {
        INPUT: (tensorrt.DataType.UINT8, (3, side_px, side_px)),
        "fake_probability": (tensorrt.DataType.FLOAT, ()),
        "forgery_map": (tensorrt.DataType.FLOAT, map_shape),
    }
    if tensors != expected or len(map_shape) != 2:
        raise ModelFileError(
            f"{source}: found {sorted(tensors)}, expected {INPUT}: uint8 N x 3 x {side_px} x {side_px}, "
            "fake_probability: float32 N and forgery_map: float32 N x h x w. Build it again."
        )
    smallest, _, largest = engine.get_tensor_profile_shape(INPUT, 0)
    return Batches(int(smallest[0]), int(largest[0])), (int(map_shape[0]), int(map_shape[1]))
