"""The first use of a model on a machine: does this engine, on this device, compute what the checkpoint did?

Libraries and drivers have faults that show on some processors alone. The golden crops are replayed once for each model,
engine, version of its library, device and machine; what was found right is remembered in the user's cache.
"""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import numpy as np

from tinydf_runtime.doctor.machine import read_machine
from tinydf_runtime.engines.engine import FileEngine
from tinydf_runtime.errors import QualityError
from tinydf_runtime.io.files import sha256_of
from tinydf_runtime.io.user_folders import is_remembered, remember
from tinydf_runtime.models.golden import TOLERANCE, replay_golden

SCHEMA = "tinydf.first-use/1"
_DRIVER = Path("/proc/driver/nvidia/version")


def check_first_use(engine: FileEngine, path: Path) -> None:
    """Accepts an engine that gives its golden crops' probabilities, now or when this machine first used it so.

    A model without golden crops cannot be checked and is accepted. Where the cache cannot be written, the crops are
    replayed each time.

    Args:
        engine: The loaded model.
        path: Its file.

    Raises:
        QualityError: It computes something else.
        ModelFileError: The golden crops are damaged.
    """
    if engine.golden_text is None or not engine.spec.golden_probability:
        return
    facts = _describe(engine, path)
    if is_remembered("first-use", facts):
        return
    expected = np.array(engine.spec.golden_probability, np.float32)
    difference = float(np.abs(replay_golden(engine, path.name) - expected).max())
    allowed = TOLERANCE[engine.spec.precision]
    # Written so that NaN is refused too.
    if not difference <= allowed:
        raise QualityError(
            f"{path.name}: {facts['engine']} computes wrongly on {engine.device} of this machine: golden crops differ "
            f"from the checkpoint by {difference:.2g}, expected at most {allowed:g}. Use another device or engine, or "
            "another version of its library."
        )
    remember("first-use", facts)


def _describe(engine: FileEngine, path: Path) -> dict[str, str]:
    """Returns all that decides what an engine computes."""
    library = sys.modules.get({"coreml": "coremltools"}.get(engine.name, engine.name))
    machine = read_machine()
    features = ", ".join(name for name, there in machine.features.items() if there)
    return {
        "schema": SCHEMA,
        "model_sha256": sha256_of(path),
        "engine": f"{engine.name} {getattr(library, '__version__', '')}".strip(),
        "device": engine.device,
        "machine": f"{platform.node()}, {machine.system}, {machine.processor} ({features})",
        "driver": _driver() if engine.device.startswith("cuda") else "",
    }


def _driver() -> str:
    """Returns what NVIDIA's driver says about itself on Linux, else nothing."""
    try:
        return _DRIVER.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
