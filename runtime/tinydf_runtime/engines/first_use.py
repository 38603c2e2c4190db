"""The first use of a model on a machine: does this engine, on this device, compute what the checkpoint did?

Libraries and drivers have faults that show on some processors alone. The golden crops are replayed once for each model,
engine, version of its library, device and machine; what was found right is remembered in the user's cache.
"""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np

from tinydf_runtime.doctor.machine import read_machine
from tinydf_runtime.engines.engine import FileEngine
from tinydf_runtime.errors import OutputError, QualityError
from tinydf_runtime.io.files import sha256_of, write_atomically
from tinydf_runtime.io.user_cache import user_cache
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
    remembered = _remembered(facts)
    if remembered is not None and _read(remembered) == facts:
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
    if remembered is not None:
        with suppress(OSError, OutputError):
            remembered.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(remembered, json.dumps(facts, indent=1, sort_keys=True).encode())


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


def _remembered(facts: dict[str, str]) -> Path | None:
    """Returns the file that is there once these facts were found to give what they should; None without a cache."""
    cache = user_cache()
    name = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return None if cache is None else cache / "first-use" / f"{name}.json"


def _read(path: Path) -> object:
    """Returns what a file of the cache holds, None where it cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _driver() -> str:
    """Returns what NVIDIA's driver says about itself on Linux, else nothing."""
    try:
        return _DRIVER.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
