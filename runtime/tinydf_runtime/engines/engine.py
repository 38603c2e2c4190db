"""The Engine protocol, the table of engines, and what all engines check alike."""

from __future__ import annotations

from collections.abc import Callable, Collection
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from tinydf_runtime.errors import OutOfMemoryError, UnknownFormatError, UsageError, is_out_of_memory
from tinydf_runtime.models.spec import ModelSpec
from tinydf_runtime.types import Scores

AUTO = "auto"
"""Stands for the device that a model's engine is made for."""


class EngineRow(NamedTuple):
    """One row of the table of engines.

    Attributes:
        module: In ``engines``.
        extra: Installs its library.
        device: What ``AUTO`` stands for.
        takes_threads: Whether a number of threads means anything to it.
    """

    module: str
    extra: str
    device: str
    takes_threads: bool = True


ENGINES: dict[str, EngineRow] = {
    ".onnx": EngineRow("onnxruntime_engine", "runtime", "cpu"),
    ".xml": EngineRow("openvino_engine", "openvino", "cpu"),
    ".mlpackage": EngineRow("coreml_engine", "coreml", "all", takes_threads=False),
    ".plan": EngineRow("tensorrt_engine", "tensorrt", "cuda", takes_threads=False),
}
"""Ending of a model file -> its engine."""


class Engine(Protocol):
    """A loaded network. Engines are safe to use from several threads."""

    @property
    def spec(self) -> ModelSpec:
        """Metadata of the model file."""

    @property
    def name(self) -> str:
        """The library that computes, for reports."""

    @property
    def device(self) -> str:
        """Device that computes, as ``open_engine`` takes it: "cpu", "cuda" ..."""

    def score(self, crops: NDArray[np.uint8]) -> Scores:
        """Returns fake probability and forgery map of each crop, in the order given.

        Args:
            crops: N x side x side x 3, RGB, uint8; N may be 0.

        Raises:
            UsageError: The array has another shape or type.
        """


class FileEngine(Engine, Protocol):
    """An engine that was loaded from a model file."""

    @property
    def golden_text(self) -> str | None:
        """The golden crops stored with the model, as under ``GOLDEN_KEY``; None without any."""


def find_engine(path: Path) -> EngineRow:
    """Returns the engine that a model file's ending asks for.

    Raises:
        UnknownFormatError: There is none.
    """
    if path.suffix.lower() not in ENGINES:
        raise UnknownFormatError(
            f"{path.name}: expected one of {', '.join(ENGINES)}. Export the model to one of these."
        )
    return ENGINES[path.suffix.lower()]


def resolve_device(path: Path, device: str) -> str:
    """Returns the device itself, or what ``AUTO`` stands for with this model file.

    Raises:
        UnknownFormatError: No engine reads it.
    """
    return find_engine(path).device if device == AUTO else device


def check_crops(crops: NDArray[np.uint8], side_px: int) -> None:
    """Accepts a batch that an engine can score.

    Args:
        crops: Expected to be N x side_px x side_px x 3, uint8.
        side_px: Side that the model was trained with.

    Raises:
        UsageError: It is anything else.
    """
    if not isinstance(crops, np.ndarray) or crops.dtype != np.uint8:
        found = crops.dtype if isinstance(crops, np.ndarray) else type(crops).__name__
        raise UsageError(f"crops: found {found}, expected a NumPy array of uint8.")
    if crops.ndim != 4 or crops.shape[1:] != (side_px, side_px, 3):
        raise UsageError(f"crops: found shape {crops.shape}, expected (N, {side_px}, {side_px}, 3) in RGB.")


def score_in_halves(score: Callable[[NDArray[np.uint8]], Scores], crops: NDArray[np.uint8]) -> Scores:
    """Returns the scores of a batch, split in halves, again and again, when memory runs out.

    Args:
        score: Scores N crops at once, N above 0.
        crops: N x side x side x 3.

    Raises:
        OutOfMemoryError: There is not enough for one crop.
    """
    try:
        return score(crops)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        if len(crops) <= 1:
            raise OutOfMemoryError(
                "out of memory: one face cannot be scored. Close other programs, or use fewer --threads or a smaller "
                "model."
            ) from error
    # Outside the handler, which would keep the larger batch's memory alive.
    middle = len(crops) // 2
    first, second = score_in_halves(score, crops[:middle]), score_in_halves(score, crops[middle:])
    return Scores(
        np.concatenate([first.fake_probability, second.fake_probability]),
        np.concatenate([first.forgery_map, second.forgery_map]),
    )


_ALSO_CALLED = {"gpu": "cuda", "ane": "npu", "trt": "tensorrt"}
"""Common alias -> name here. By spelling alone gpu would be taken for cpu."""


def check_choice(what: str, found: str, names: Collection[str], reason: str = "") -> None:
    """Accepts a name that is in a list.

    Args:
        what: Name of the choice, for the message.
        found: The given name.
        names: Valid names.
        reason: Why there are no others.

    Raises:
        UsageError: It is not; the message lists the names and the nearest of them.
    """
    if found in names:
        return
    expected = f"one of {', '.join(names)}" if len(names) > 1 else ", ".join(names)
    raise UsageError(f"{what}: found {found}, expected {expected}{reason}.{_meant(found.lower(), names)}")


def _meant(found: str, names: Collection[str]) -> str:
    other = _ALSO_CALLED.get(found)
    near = [other] if other in names else get_close_matches(found, names, n=1)
    return f" Did you mean {near[0]}?" if near else ""
