"""This installation -> what works, what is missing, and the line that installs it."""

from __future__ import annotations

import platform
import re
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tinydf_runtime import __version__
from tinydf_runtime.doctor.codecs import Codec, try_pictures, try_videos
from tinydf_runtime.engines.golden import TOLERANCE, replay_golden
from tinydf_runtime.engines.loading import load_engine
from tinydf_runtime.errors import TinyDFError, first_line, install_line
from tinydf_runtime.faces.detector import FaceDetector
from tinydf_runtime.io.opencv import quiet
from tinydf_runtime.machine import Machine, read_machine
from tinydf_runtime.models.shipped import DEFAULT_DETECTOR, DEFAULT_MODEL

DOCTOR_SCHEMA = "tinydf.doctor/1"


@dataclass(frozen=True, slots=True)
class EngineState:
    """A library that computes networks.

    Attributes:
        name: The library.
        version: None where it is not installed.
        devices: Where it can compute here.
        problem: Why it cannot be used, None where it can.
        install: Line that installs it, None where it is there or cannot be had on this system.
    """

    name: str
    version: str | None
    devices: tuple[str, ...]
    problem: str | None
    install: str | None


@dataclass(frozen=True, slots=True)
class NetworkState:
    """An embedded network.

    Attributes:
        name: What it is for.
        works: It loads and computes what it computed when it was made.
        detail: How far it is off, or what is wrong.
    """

    name: str
    works: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Examination:
    """Everything that ``tinydf-doctor`` found.

    Attributes:
        opencv: Version.
        live_window: Whether OpenCV can open windows.
        camera_backends: What OpenCV reads cameras with.
        cameras: Devices, as far as the system lists them.
        pyav: Version, None where not installed.
        ffmpeg: Path of the command, None where there is none.
        missing: Thing that does not work here -> line that helps.
        works: Whether the base works: the networks, H.264 video, and JPEG and PNG pictures.
    """

    tinydf: str
    python: str
    machine: Machine
    engines: tuple[EngineState, ...]
    networks: tuple[NetworkState, ...]
    opencv: str
    live_window: bool
    camera_backends: tuple[str, ...]
    cameras: tuple[str, ...]
    pyav: str | None
    ffmpeg: str | None
    videos: tuple[Codec, ...]
    pictures: tuple[Codec, ...]
    missing: dict[str, str]
    works: bool

    def to_dict(self) -> dict[str, Any]:
        """Returns the findings as lists, dicts, strings and numbers."""
        return {"schema": DOCTOR_SCHEMA, **asdict(self)}


def examine() -> Examination:
    """Returns what works in this installation; opens no camera, no window and no network connection."""
    machine = read_machine()
    engines = (
        _engine("onnxruntime", onnxruntime_devices, "pip install onnxruntime"),
        _engine("openvino", _openvino_devices, install_line("openvino")),
        _engine("tensorrt", _cuda_devices, install_line("tensorrt") if _has_nvidia() else None),
        _engine("coremltools", _coreml_devices, install_line("coreml") if _is_mac() else None),
    )
    networks = (_try_classifier(), _try_detector())
    videos, pictures = try_videos(), try_pictures()
    read = {codec.name for codec in (*videos, *pictures) if codec.reads}
    live_window = "NONE" not in _build_fact("GUI")
    return Examination(
        tinydf=__version__,
        python=platform.python_version(),
        machine=machine,
        engines=engines,
        networks=networks,
        opencv=cv2.__version__,
        live_window=live_window,
        camera_backends=_camera_backends(),
        cameras=tuple(sorted(str(path) for path in Path("/dev").glob("video*"))),
        pyav=_version("av") if find_spec("av") else None,
        ffmpeg=_ffmpeg(),
        videos=videos,
        pictures=pictures,
        missing=_missing(engines, read, live_window),
        works=all(network.works for network in networks) and {"H.264", "JPEG", "PNG"} <= read,
    )


def _engine(name: str, devices: Callable[[], tuple[str, ...]], install: str | None) -> EngineState:
    """Returns the state of one library."""
    if find_spec(name) is None:
        return EngineState(name, None, (), None, install)
    try:
        return EngineState(name, _version(name), devices(), None, None)
    # Whatever a broken installation raises must not keep the rest from being shown.
    except Exception as error:
        return EngineState(name, _version(name), (), first_line(error), install)


def onnxruntime_devices() -> tuple[str, ...]:
    """Returns the devices on which the installed ONNX Runtime computes."""
    from tinydf_runtime.engines.onnxruntime_engine import PROVIDERS
    from tinydf_runtime.engines.quiet_onnxruntime import onnxruntime

    there = onnxruntime.get_available_providers()
    return tuple(device for device, provider in PROVIDERS.items() if provider in there)


def _openvino_devices() -> tuple[str, ...]:
    from tinydf_runtime.engines.quiet_openvino import core

    return tuple(device.lower() for device in core().available_devices)


def _cuda_devices() -> tuple[str, ...]:
    from cuda.bindings import runtime

    code, count = runtime.cudaGetDeviceCount()
    return tuple(f"cuda:{number}" for number in range(count)) if int(code) == 0 else ()


def _coreml_devices() -> tuple[str, ...]:
    # Elsewhere the library converts models but cannot run them.
    return ("cpu", "gpu", "npu") if _is_mac() else ()


def _try_classifier() -> NetworkState:
    """Replays the golden crops of the embedded classifier."""
    try:
        engine = load_engine(DEFAULT_MODEL, threads=1)
        found = replay_golden(engine, DEFAULT_MODEL.name)
    except (TinyDFError, ImportError) as error:
        return NetworkState("classifier", works=False, detail=first_line(error))
    expected = np.array(engine.spec.golden_probability, np.float32)
    difference = float(np.abs(found - expected).max())
    detail = f"{len(found)} golden crops within {difference:.1g} of the checkpoint"
    return NetworkState("classifier", difference <= TOLERANCE[engine.spec.precision], detail)


def _try_detector() -> NetworkState:
    """Lets the embedded face detector look at an even picture."""
    try:
        faces = FaceDetector(DEFAULT_DETECTOR, threads=1).detect(np.full((240, 320, 3), 128, np.uint8))
    except (TinyDFError, ImportError) as error:
        return NetworkState("face detector", works=False, detail=first_line(error))
    detail = "finds no face in an even picture" if not faces else "finds a face in an even picture"
    return NetworkState("face detector", not faces, detail)


def _camera_backends() -> tuple[str, ...]:
    """Returns the names of what OpenCV can read cameras with."""
    registry = cv2.videoio_registry
    with quiet():
        there = [backend for backend in registry.getCameraBackends() if registry.hasBackend(backend)]
    return tuple(dict.fromkeys(registry.getBackendName(backend) for backend in there))


def _missing(engines: tuple[EngineState, ...], read: set[str], live_window: bool) -> dict[str, str]:
    """Returns what does not work here and the line that helps."""
    video = install_line("video")
    found = {f"{engine.name} engine": engine.install for engine in engines if engine.install}
    if find_spec("av") is None:
        found["sound in drawn videos without the ffmpeg command; HDR without a delay"] = video
    if unread := sorted(name for name in ("AV1", "interlaced H.264") if name not in read):
        found[f"{' and '.join(unread)} video"] = video
    if "HEIC" not in read:
        found["HEIC photos"] = install_line("heic")
    if "AVIF" not in read:
        found["AVIF pictures"] = "pip install -U opencv-python-headless"
    if not live_window:
        found["a live window"] = "pip uninstall -y opencv-python-headless && pip install opencv-python"
    onnxruntime = engines[0]
    if _has_nvidia() and onnxruntime.version and "cuda" not in onnxruntime.devices:
        found["the graphics card, in ONNX Runtime"] = "pip uninstall -y onnxruntime && pip install onnxruntime-gpu"
    return found


def _build_fact(name: str) -> str:
    """Returns a line of OpenCV's build information."""
    found = re.search(rf"^\s*{name}:[ \t]*(.*)$", cv2.getBuildInformation(), re.MULTILINE)
    return found[1].strip() if found else ""


def _ffmpeg() -> str | None:
    """Returns where the ffmpeg command is."""
    return shutil.which("ffmpeg")


def _version(package: str) -> str | None:
    """Returns the version of an installed package; ONNX Runtime for graphics cards has another name."""
    for name in (package, f"{package}-gpu"):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return None


def _has_nvidia() -> bool:
    return Path("/dev/nvidiactl").exists() or shutil.which("nvidia-smi") is not None


def _is_mac() -> bool:
    return platform.system() == "Darwin"
