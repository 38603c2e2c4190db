"""ONNX Runtime with its telemetry off. All of TinyDF imports it from here.

From 1.29 on its builds for Linux report use over the network unless this variable is set before the import; the builds
for Windows write events, which ``disable_telemetry_events`` ends.
"""

from __future__ import annotations

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime

onnxruntime.disable_telemetry_events()

__all__ = ["onnxruntime"]
