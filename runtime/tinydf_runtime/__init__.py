"""The TinyDF runtime: video in, verdict with evidence out.

Importing this package loads neither OpenCV nor an engine: each public name fetches its file at first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tinydf_runtime.analyzer import Analyzer
    from tinydf_runtime.engines.engine import Engine
    from tinydf_runtime.engines.loading import open_engine
    from tinydf_runtime.errors import (
        MissingExtraError,
        ModelFileError,
        OutputError,
        OutsideImageError,
        TinyDFError,
        UnavailableError,
        UnreadableInputError,
        UsageError,
    )
    from tinydf_runtime.faces.crop import CropConfig, crop_face
    from tinydf_runtime.faces.detector import FaceDetector
    from tinydf_runtime.faces.tracker import FaceTracker
    from tinydf_runtime.io.image import read_image
    from tinydf_runtime.io.video import VideoReader
    from tinydf_runtime.live.stream import LiveStream
    from tinydf_runtime.models.spec import ModelSpec
    from tinydf_runtime.render.annotate import annotate_image, annotate_video
    from tinydf_runtime.render.html.page import write_html
    from tinydf_runtime.render.report import write_csv, write_json
    from tinydf_runtime.results import (
        FacePicture,
        FrameResult,
        Gap,
        InputReport,
        Report,
        ScoredFace,
        Segment,
        TrackReport,
        Verdict,
    )
    from tinydf_runtime.steps import Detector
    from tinydf_runtime.types import Face, FaceScore, Frame, Image, Scores
    from tinydf_runtime.watch import Limits, Progress

    __version__: str

_HOMES = {
    "Analyzer": "analyzer",
    "CropConfig": "faces.crop",
    "Detector": "steps",
    "Engine": "engines.engine",
    "Face": "types",
    "FaceDetector": "faces.detector",
    "FacePicture": "results",
    "FaceScore": "types",
    "FaceTracker": "faces.tracker",
    "Frame": "types",
    "FrameResult": "results",
    "Gap": "results",
    "Image": "types",
    "InputReport": "results",
    "Limits": "watch",
    "LiveStream": "live.stream",
    "MissingExtraError": "errors",
    "ModelFileError": "errors",
    "ModelSpec": "models.spec",
    "OutputError": "errors",
    "OutsideImageError": "errors",
    "Progress": "watch",
    "Report": "results",
    "ScoredFace": "results",
    "Scores": "types",
    "Segment": "results",
    "TinyDFError": "errors",
    "TrackReport": "results",
    "UnavailableError": "errors",
    "UnreadableInputError": "errors",
    "UsageError": "errors",
    "Verdict": "results",
    "VideoReader": "io.video",
    "annotate_image": "render.annotate",
    "annotate_video": "render.annotate",
    "crop_face": "faces.crop",
    "open_engine": "engines.loading",
    "read_image": "io.image",
    "write_csv": "render.report",
    "write_html": "render.html.page",
    "write_json": "render.report",
}
"""Public name -> the file that it lives in."""

__all__ = [
    "Analyzer",
    "CropConfig",
    "Detector",
    "Engine",
    "Face",
    "FaceDetector",
    "FacePicture",
    "FaceScore",
    "FaceTracker",
    "Frame",
    "FrameResult",
    "Gap",
    "Image",
    "InputReport",
    "Limits",
    "LiveStream",
    "MissingExtraError",
    "ModelFileError",
    "ModelSpec",
    "OutputError",
    "OutsideImageError",
    "Progress",
    "Report",
    "ScoredFace",
    "Scores",
    "Segment",
    "TinyDFError",
    "TrackReport",
    "UnavailableError",
    "UnreadableInputError",
    "UsageError",
    "Verdict",
    "VideoReader",
    "__version__",
    "annotate_image",
    "annotate_video",
    "crop_face",
    "open_engine",
    "read_image",
    "write_csv",
    "write_html",
    "write_json",
]


def __getattr__(name: str) -> object:
    """Fetches a public name from its file, once."""
    if name == "__version__":
        value: object = _read_version()
    elif name in _HOMES:
        value = getattr(import_module(f"tinydf_runtime.{_HOMES[name]}"), name)
    else:
        raise AttributeError(f"module 'tinydf_runtime' has no attribute '{name}'")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Lists the public names, fetched or not."""
    return sorted({*globals(), *__all__})


def _read_version() -> str:
    """Returns the installed version; a source tree on the path has none, and says so in every report."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("tinydf")
    except PackageNotFoundError:
        return "0+source"
