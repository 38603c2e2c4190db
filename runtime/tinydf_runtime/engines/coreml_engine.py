"""Core ML: Apple's engine, on macOS. Phones and tablets read the same ``.mlpackage`` through Apple's own library."""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tinydf_runtime.engines.coreml_package import check_signature, coremltools, read_description
from tinydf_runtime.engines.engine import Engine, check_choice, check_crops
from tinydf_runtime.errors import ModelFileError, UnavailableError, UsageError, first_line
from tinydf_runtime.trust.coreml_file import check_coreml
from tinydf_runtime.trust.outputs import checked_scores
from tinydf_runtime.types import Scores

DEVICES = {"all": "ALL", "cpu": "CPU_ONLY", "gpu": "CPU_AND_GPU", "npu": "CPU_AND_NE"}
"""Name of a device here -> Core ML's choice, which is its own for "all". It leaves to the CPU what others cannot do."""

FIRST_MACOS = {7: 13, 8: 14}
"""Number of a model's format -> first macOS that runs it: iOS 16's and iOS 17's."""

_LARGEST_BATCH = 16


@dataclass(frozen=True, slots=True)
class CoreMLEngine:
    """A classifier loaded by Core ML; see ``Engine``."""

    spec: Any
    device: str
    model: Any
    map_shape: tuple[int, int]
    golden_text: str | None
    name: str = "coreml"
    source: str = ""
    _running: threading.Lock = field(default_factory=threading.Lock)

    def score(self, crops: NDArray[np.uint8]) -> Scores:
        """Returns fake probability and forgery map of N x side x side x 3 RGB uint8 crops, in the order given."""
        check_crops(crops, self.spec.crop.side_px)
        probability = np.empty(len(crops), np.float32)
        forgery_map = np.empty((len(crops), *self.map_shape), np.float32)
        for start in range(0, len(crops), _LARGEST_BATCH):
            pictures = [{"image": Image.fromarray(crop)} for crop in crops[start : start + _LARGEST_BATCH]]
            # Apple allows one thread at a time for a loaded model.
            with self._running:
                found = _predict(self.model, pictures, self.source)
            for place, values in enumerate(found, start=start):
                # How many sides of length one its arrays have is Core ML's choice.
                outputs = np.ravel(values["fake_probability"]), np.squeeze(values["forgery_map"])[None]
                one = checked_scores(outputs, 1, self.map_shape, self.source)
                probability[place], forgery_map[place] = one.fake_probability[0], one.forgery_map[0]
        return Scores(probability, forgery_map)


def open_model(path: Path, device: str, threads: int | None, sandbox: bool = True) -> Engine:
    """Loads an exported classifier.

    Args:
        path: An ``.mlpackage`` folder with a ModelSpec in its user-defined metadata.
        device: "all", for Core ML to choose, or "cpu", "gpu" or "npu", the Neural Engine.
        threads: Must be None: Core ML has no such setting.
        sandbox: Of no use: a package is loaded by a service of the system.

    Raises:
        UsageError: No such device name, or a number of threads.
        UnavailableError: This is no Mac, or its macOS is too old.
        ModelFileError: The folder is missing, damaged or no TinyDF classifier, or what a classifier must not be.
    """
    check_choice("device", device, DEVICES, " for Core ML")
    if threads is not None:
        raise UsageError(f"threads: found {threads}, but Core ML chooses their number. Leave it out.")
    description = read_description(path)
    check_coreml(description, path)
    spec, golden_text, map_shape = check_signature(description, path.name)
    first = FIRST_MACOS.get(description.specificationVersion, 13)
    if sys.platform != "darwin":
        raise UnavailableError(
            f"{path.name}: Core ML runs on macOS {first} or newer, found {sys.platform}. Run it on a Mac, or export "
            "the checkpoint with --target onnx."
        )
    try:
        model = coremltools.models.MLModel(str(path), compute_units=coremltools.ComputeUnit[DEVICES[device]])
    # Core ML's errors share no base below Exception.
    except Exception as error:
        reason = first_line(error)
        raise ModelFileError(
            f"{path.name}: cannot be loaded by Core ML ({reason}). It needs macOS {first} or newer; the files may be "
            "damaged, copy or export them again."
        ) from error
    return CoreMLEngine(spec, device, model, map_shape, golden_text, source=path.name)


def _predict(model: Any, pictures: list[dict[str, Image.Image]], source: str) -> list[dict[str, Any]]:
    """Returns what Core ML gives for each picture.

    Raises:
        ModelFileError: It cannot compute the model.
    """
    try:
        found = model.predict(pictures)
        if len(found) == len(pictures) and all({"fake_probability", "forgery_map"} <= one.keys() for one in found):
            return list(found)
        reason = "outputs are missing"
    # Core ML's errors share no base below Exception.
    except Exception as error:
        reason = first_line(error)
        raise ModelFileError(f"{source}: cannot be computed by Core ML ({reason}). Export it again.") from error
    raise ModelFileError(f"{source}: cannot be computed by Core ML ({reason}). Export it again.")
