"""Model file -> whether it still scores its golden crops as its checkpoint did."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinydf_runtime.engines.engine import AUTO
from tinydf_runtime.engines.golden import TOLERANCE as TOLERANCE
from tinydf_runtime.engines.golden import replay_golden
from tinydf_runtime.engines.loading import load_engine
from tinydf_runtime.errors import ModelFileError
from tinydf_runtime.faces.detector import METADATA_KEY as DETECTOR_KEY
from tinydf_runtime.faces.detector import FaceDetector
from tinydf_runtime.io.files import sha256_of
from tinydf_runtime.models.seal import check_seal
from tinydf_runtime.models.shipped import check_recorded
from tinydf_runtime.models.spec import Precision
from tinydf_runtime.trust.reading import read_model_file


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
        ModelFileError: The file is missing, damaged, changed or no TinyDF model, or holds no seal or golden crops.
        UnavailableError: The device is not there.
    """
    sha256 = check_whole(path)
    engine = load_engine(path, device, threads)
    found = replay_golden(engine, path.name)
    difference = np.abs(found - np.array(engine.spec.golden_probability, np.float32))
    return Verification(
        model=path.name,
        sha256=sha256,
        engine=engine.name,
        device=engine.device,
        precision=engine.spec.precision,
        expected=engine.spec.golden_probability,
        found=tuple(float(value) for value in found),
        max_difference=float(difference.max()),
        tolerance=TOLERANCE[engine.spec.precision],
    )


@dataclass(frozen=True, slots=True)
class DetectorVerification:
    """A face detector's file whose hash is right. It holds no golden crops.

    Attributes:
        model: File name.
        sha256: Hash of the file.
        name: Name of the network.
    """

    model: str
    sha256: str
    name: str


def is_detector(path: Path) -> bool:
    """Returns whether a file says that it is a face detector; False for one that cannot be read."""
    try:
        return path.suffix.lower() == ".onnx" and DETECTOR_KEY.encode() in read_model_file(path)
    except ModelFileError:
        return False


def verify_detector(path: Path) -> DetectorVerification:
    """Accepts a face detector whose file is as it was exported.

    Raises:
        ModelFileError: The file was changed, is no face detector or holds no seal.
    """
    sha256 = check_whole(path)
    return DetectorVerification(path.name, sha256, FaceDetector(path, threads=1).name)


def check_whole(path: Path) -> str:
    """Accepts a model whose bytes are those of its export, and returns its hash.

    Raises:
        ModelFileError: The file is missing or was changed, or nothing tells whether it was.
    """
    if not path.exists():
        raise ModelFileError(f"{path}: No such file or directory. Check the path of the model.")
    check_recorded(path)
    if not check_seal(path):
        raise ModelFileError(
            f"{path.name}: no seal found, so that nothing tells whether it is whole: it is damaged, or no model that "
            "tinydf-export of this version wrote. Copy or export it again."
        )
    return sha256_of(path)
