"""OpenVINO with its telemetry off, and its one Core. All of TinyDF imports it from here, before any other part of it.

Its import alone sends an event over the network and writes an id below the user's home folder, by a package of its own.
Where that package is missing OpenVINO takes a stub that does nothing.
"""

from __future__ import annotations

import sys
from functools import cache

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

__all__ = ["core", "openvino"]


@cache
def core() -> openvino.Core:
    """Returns the process's Core, which is never released.

    The CPU plugin gives the thread that loads it a signal stack of its own. Releasing the last Core unloads the plugin
    and unmaps that stack; done by another thread, the next signal, such as Ctrl-C, ends the process (2026.4).
    """
    return openvino.Core()
