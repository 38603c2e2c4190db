"""A Python function, ``my.py:score`` -> a scorer, so that any detector is measured on the same crops.

The function takes crops, N x side x side x 3, RGB, uint8, as TinyDF's own networks get them, and returns N fake
probabilities, 0..1: an array, a tensor on the CPU or a list.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinydf_runtime.errors import UnreadableInputError, UsageError
from tinydf_runtime.faces.crop import CropConfig
from tinydf_runtime.io.files import sha256_of
from tinydf_runtime.models.spec import ModelSpec
from tinydf_runtime.verdict.evidence import log_odds


@dataclass(frozen=True, slots=True)
class FunctionScorer:
    """A user's function; see ``Scorer``. Its path names the function too, its hash is that of the file."""

    path: Path
    sha256: str
    spec: ModelSpec
    function: Callable[[NDArray[np.uint8]], Any]
    engine: str = "python"
    device: str = "its own device"

    def logits(self, crops: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Returns N logits of N x side x side x 3 RGB uint8 crops.

        Raises:
            UsageError: The function failed, or returned something else than N probabilities.
        """
        try:
            found = np.asarray(self.function(crops), np.float64)
        # A foreign function may raise anything.
        except Exception as error:
            raise UsageError(
                f"{self.path}: raised {type(error).__name__}: {error}, for {len(crops)} crops, {crops.shape} "
                f"{crops.dtype}. It must return their fake probabilities."
            ) from error
        if found.shape != (len(crops),):
            raise UsageError(
                f"{self.path}: returned the shape {found.shape} for {len(crops)} crops, expected ({len(crops)},): one "
                "fake probability a crop."
            )
        if not np.all((found >= 0) & (found <= 1)):
            raise UsageError(
                f"{self.path}: returned {found[~((found >= 0) & (found <= 1))][0]:g}, expected probabilities from 0 "
                "to 1. Put its logits through a sigmoid."
            )
        return log_odds(found)


def open_function(address: str, crop_config: CropConfig) -> FunctionScorer:
    """Imports a function and gives it the threshold .5.

    Args:
        address: ``FILE.py:FUNCTION``. The file may import others of its folder.
        crop_config: How its crops are cut.

    Raises:
        UsageError: The address is none, the file cannot be imported, or there is no such function in it.
        UnreadableInputError: There is no such file.
    """
    text, _, name = address.rpartition(":")
    path = Path(text)
    if path.suffix != ".py" or not name.isidentifier():
        raise UsageError(f"--scorer: found {address}, expected FILE.py:FUNCTION, such as my.py:score.")
    if not path.is_file():
        raise UnreadableInputError(f"{path}: no such file. Expected Python code with a function {name}.")
    function = getattr(_import(path), name, None)
    if not callable(function):
        raise UsageError(f"{path}: has no function {name}. Name one that takes crops and returns probabilities.")
    return FunctionScorer(
        path.with_name(f"{path.name}:{name}"), sha256_of(path), ModelSpec(name, crop_config), function
    )


def _import(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"tinydf_scorer_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses and pickles of the file look their module up.
    sys.modules[spec.name] = module
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UsageError(f"{path}: cannot be imported ({type(error).__name__}: {error}).") from error
    return module
