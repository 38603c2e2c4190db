"""OpenVINO with its telemetry off. All of TinyDF imports it from here, before any other part of it.

Its import alone sends an event over the network and writes an id below the user's home folder, by a package of its own.
Where that package is missing OpenVINO takes a stub that does nothing.
"""

from __future__ import annotations

import sys

_TELEMETRY = "openvino_telemetry"
_loaded = sys.modules.get(_TELEMETRY)
# This is how Python is told that a module cannot be imported.
sys.modules[_TELEMETRY] = None  # type: ignore[assignment]
try:
    import openvino
finally:
    del sys.modules[_TELEMETRY]
    if _loaded is not None:
        sys.modules[_TELEMETRY] = _loaded

__all__ = ["openvino"]
