"""The networks that come with TinyDF."""

from __future__ import annotations

from pathlib import Path

DEFAULT_MODEL = Path(__file__).with_name("tinydf.onnx")
DEFAULT_DETECTOR = Path(__file__).with_name("facedetector.onnx")
