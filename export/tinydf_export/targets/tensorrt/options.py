"""Options of a TensorRT plan, by themselves: a device that builds plans has neither PyTorch nor the calibration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """What to build.

    Attributes:
        max_batch: Crops computed at once at most; the engine splits larger batches. The plan is tuned for one crop.
        dla_core: Deep learning accelerator to build for, None for the GPU. Its plans take ``max_batch`` crops, always.
        version_compatible: Puts a runtime into the plan, so that later versions of TensorRT load it too.
        timing_cache: File that keeps what kernels cost from one build to the next, so that these take seconds and
            choose alike; read where it exists, written anew.
    """

    max_batch: int = 16
    dla_core: int | None = None
    version_compatible: bool = False
    timing_cache: Path | None = None
