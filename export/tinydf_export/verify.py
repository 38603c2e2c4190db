"""Model file -> does it still give what it gave when it was exported?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinydf_runtime.engine import AUTO, open_engine
from tinydf_runtime.files import sha256_of
from tinydf_runtime.golden import TOLERANCE as TOLERANCE
from tinydf_runtime.golden import replay_golden
from tinydf_runtime.spec import Precision


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


def verify_model(path: Path, device: str = AUTO, threads: int | None = None) -> Verification:
    """Replays the golden crops stored with a model.

    Raises:
        ModelFileError: The file is missing, damaged or no TinyDF model, or holds no golden crops.
        UnavailableError: The device is not there.
    """
    engine = open_engine(path, device, threads)
    found = replay_golden(engine, path.name)
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
