"""The TinyDF runtime: video in, verdict with evidence out.

Importing this package loads neither OpenCV nor an engine: each public name fetches its file at first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tinydf_runtime.annotate import annotate_image, annotate_video
    from tinydf_runtime.crop import CropRecipe, crop_face
    from tinydf_runtime.detect import FaceDetector
    from tinydf_runtime.engine import Engine, open_engine
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
    from tinydf_runtime.findings import Gap, InputReport, Report, TrackReport
    from tinydf_runtime.page.page import write_html
    from tinydf_runtime.pipeline import Analyzer
    from tinydf_runtime.reading.picture import read_image
    from tinydf_runtime.report import write_csv, write_json
    from tinydf_runtime.spec import ModelSpec
    from tinydf_runtime.streams.live import LiveStream
    from tinydf_runtime.track import FaceTracker
    from tinydf_runtime.types import (
        Face,
        FacePicture,
        FaceScore,
        Frame,
        Image,
        Moment,
        ScoredFace,
        Scores,
        Segment,
        Verdict,
    )
    from tinydf_runtime.video import VideoReader
    from tinydf_runtime.watch import Detector, Limits, Progress

    __version__: str

_HOMES = {
    "Analyzer": "pipeline",
    "CropRecipe": "crop",
    "Detector": "watch",
    "Engine": "engine",
    "Face": "types",
    "FaceDetector": "detect",
    "FacePicture": "types",
    "FaceScore": "types",
    "FaceTracker": "track",
    "Frame": "types",
    "Gap": "findings",
    "Image": "types",
    "InputReport": "findings",
    "Limits": "watch",
    "LiveStream": "streams.live",
    "MissingExtraError": "errors",
    "ModelFileError": "errors",
    "ModelSpec": "spec",
    "Moment": "types",
    "OutputError": "errors",
    "OutsideImageError": "errors",
    "Progress": "watch",
    "Report": "findings",
    "ScoredFace": "types",
    "Scores": "types",
    "Segment": "types",
    "TinyDFError": "errors",
    "TrackReport": "findings",
    "UnavailableError": "errors",
    "UnreadableInputError": "errors",
    "UsageError": "errors",
    "Verdict": "types",
    "VideoReader": "video",
    "annotate_image": "annotate",
    "annotate_video": "annotate",
    "crop_face": "crop",
    "open_engine": "engine",
    "read_image": "reading.picture",
    "write_csv": "report",
    "write_html": "page.page",
    "write_json": "report",
}
"""Public name -> the file that it lives in."""

__all__ = [
    "Analyzer",
    "CropRecipe",
    "Detector",
    "Engine",
    "Face",
    "FaceDetector",
    "FacePicture",
    "FaceScore",
    "FaceTracker",
    "Frame",
    "Gap",
    "Image",
    "InputReport",
    "Limits",
    "LiveStream",
    "MissingExtraError",
    "ModelFileError",
    "ModelSpec",
    "Moment",
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
