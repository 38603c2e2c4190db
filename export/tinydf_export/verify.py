"""Model file -> does it still give what it gave when it was exported?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinydf_export.golden import decode_crops
from tinydf_runtime.engine import open_engine
from tinydf_runtime.errors import ModelFileError
from tinydf_runtime.files import sha256_of
from tinydf_runtime.spec import Precision

TOLERANCE: dict[Precision, float] = {"fp32": 1e-4, "fp16": 0.01, "w8": 0.05, "int8": 0.1}
"""Largest difference in probability from the checkpoint on a golden crop, by precision: no export shows more."""


@dataclass(frozen=True, slots=True)
class Verification:
    """What replaying a model's golden crops gave.

    Attributes:
        model: File name.
        sha256: Hash of the file.
        engine: The library that computed.
        device: Where it computed.
        precision: As the model says.
        expected: Fake probability of each crop, from the checkpoint.
        found: The same from the model.
        max_difference: Largest difference between them.
        tolerance: Largest difference allowed.
    """

    model: str
    sha256: str
    engine: str
    device: str
    precision: Precision
    expected: tuple[float, ...]
    found: tuple[float, ...]
    max_difference: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether the model is within tolerance; a result that is no number is not."""
        return self.max_difference <= self.tolerance


def verify_model(path: Path, device: str = "cpu", threads: int | None = None) -> Verification:
    """Replays the golden crops stored with a model.

    Raises:
        ModelFileError: The file is missing, damaged or no TinyDF model, or holds no golden crops.
        UnavailableError: The device is not there.
    """
    engine = open_engine(path, device, threads)
    if engine.golden_text is None or engine.spec.precision not in TOLERANCE:
        raise ModelFileError(
            f"{path.name}: no golden crops for precision {engine.spec.precision} found. Export the model again."
        )
    crops = decode_crops(engine.golden_text, engine.spec, path.name)
    found = engine.score(crops).fake_probability
    difference = np.abs(found - np.array(engine.spec.golden_probability, np.float32))
    return Verification(
        model=path.name,
        sha256=sha256_of(path),
        engine=engine.name,
        device=engine.device,
        precision=engine.spec.precision,
        expected=engine.spec.golden_probability,
        found=tuple(float(value) for value in found),
        max_difference=float(difference.max()),
        tolerance=TOLERANCE[engine.spec.precision],
    )
