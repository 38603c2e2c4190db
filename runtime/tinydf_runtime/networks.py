"""Model files or the user's own objects -> the two networks that an analyzer works with."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from tinydf_runtime.detect import FaceDetector
from tinydf_runtime.engine import Engine, open_engine
from tinydf_runtime.engine_cache import Loaned, borrow
from tinydf_runtime.files import sha256_of
from tinydf_runtime.watch import Detector

ModelPath: TypeAlias = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class Networks:
    """Two loaded networks.

    Attributes:
        engine: The classifier.
        detector: The face detector.
        model_sha256: Hash of the classifier's file, None for an engine that the user opened.
        process: Id of the process that loaded them; a child that it forks cannot use their threads.
        held: Keeps the networks shared with other analyzers for as long as this one needs them.
    """

    engine: Engine
    detector: Detector
    model_sha256: str | None
    process: int
    held: tuple[Loaned, ...]


def open_networks(
    model: ModelPath | Engine, detector: ModelPath | Detector, device: str, threads: int | None, allow_fallback: bool
) -> Networks:
    """Loads what is given as a file, or borrows it where this process has it loaded in the same way.

    Raises:
        ModelFileError: A model file is missing, damaged or foreign.
        UnavailableError: The device is not there.
        MissingExtraError: The engine's library is not installed.
    """
    held: list[Loaned] = []
    model_sha256 = None
    if isinstance(model, str | os.PathLike):
        path = Path(model)
        # A device that was fallen back from is shared only with those that allow that.
        held.append(borrow("classifier", path, device, threads, allow_fallback))
        model, model_sha256 = held[-1].get(
            lambda: (open_engine(path, device, threads, allow_fallback=allow_fallback), sha256_of(path))
        )
    if isinstance(detector, str | os.PathLike):
        detector_path = Path(detector)
        held.append(borrow("detector", detector_path, threads))
        detector = held[-1].get(lambda: FaceDetector(detector_path, threads))
    return Networks(model, detector, model_sha256, os.getpid(), tuple(held))
