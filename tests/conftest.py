"""Fixtures for every part: a real face, drawn videos, and two networks small enough to be written by hand.

The networks compute something a test can foretell, so that no test needs a trained file.
"""

from __future__ import annotations

import contextlib
import gc
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from tinydf_runtime.models.spec import ModelSpec
from tinydf_runtime.types import BoxXYXY, Image, Landmarks

if TYPE_CHECKING:
    from onnx import ModelProto

    from tinydf.checkpoint import Checkpoint
    from tinydf.facedetector.model import FaceDetectorNet


def load(name: str) -> ModuleType:
    """Returns the module of a file beside this one."""
    spec = spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    # Dataclasses look their own module up.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


# Beside each other, processes of as many threads as cores would take turns.
os.environ.setdefault("OMP_NUM_THREADS", "1")

tiny_networks = load("tiny_networks")
VideoWriter = Callable[..., Path]
ImageDrawer = Callable[..., Image]


def pytest_collection_finish() -> None:
    """Spares the garbage collector what all test modules imported: PyTorch alone brings a million objects."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder that stands for the user's cache, in this process and in those that tests start.

    Another stands for the user's settings, which hold the trust record.
    """
    cache = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(cache))
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("settings")))
        yield cache


@pytest.fixture(autouse=True)
def usual_priority() -> Iterator[None]:
    """Takes back the real-time priority that the encoder SVT-AV1 gives a process of root; it starves other tests."""
    yield
    if hasattr(os, "sched_getscheduler") and os.sched_getscheduler(0) != os.SCHED_OTHER:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


@pytest.fixture(scope="session")
def trace_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Checkpoint], ModelProto]:
    """Makes a checkpoint's float graph, once for all processes of a run of tests: that takes most of a minute."""
    filelock = pytest.importorskip("filelock")
    onnx = pytest.importorskip("onnx")
    float_graph = pytest.importorskip("tinydf_export.graph.float_graph")
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent

    def trace(checkpoint: Checkpoint) -> ModelProto:
        path = folder / f"{checkpoint.spec.checkpoint_sha256}.onnx"
        with filelock.FileLock(path.with_suffix(".lock")):
            if not path.exists():
                path.write_bytes(float_graph.build_float_graph(checkpoint).SerializeToString(deterministic=True))
            model: ModelProto = onnx.load(path)
        return model

    return trace


@pytest.fixture(scope="session")
def astronaut() -> Image:
    """A photo with one face, roughly x 165..275, y 70..225: 512 x 512 x 3, BGR, uint8."""
    data = pytest.importorskip("skimage.data")
    return np.ascontiguousarray(data.astronaut()[:, :, ::-1])


@pytest.fixture(scope="session")
def draw_squares() -> ImageDrawer:
    """Draws what ``tiny_detector`` takes for faces: at most one red and one blue square.

    Call: ``draw_squares(red_xyxy=None, blue_xyxy=None, width=320, height=240, background=(90, 90, 90))`` -> BGR.
    """

    def draw(
        red_xyxy: tuple[int, int, int, int] | None = None,
        blue_xyxy: tuple[int, int, int, int] | None = None,
        width: int = 320,
        height: int = 240,
        background: tuple[int, int, int] = (90, 90, 90),
    ) -> Image:
        image = np.full((height, width, 3), background, np.uint8)
        # More colours than a palette holds, as a camera gives; green, which the classifier reads, stays as it is.
        shade = [np.linspace(-30, 30, side).round().astype(np.int16) for side in (width, height)]
        image[..., 0] = np.clip(image[..., 0] + shade[0][None], 0, 255)
        image[..., 2] = np.clip(image[..., 2] + shade[1][:, None], 0, 255)
        for box, colour in ((red_xyxy, (0, 0, 255)), (blue_xyxy, (255, 0, 0))):
            if box is not None:
                left, top, right, bottom = box
                image[top:bottom, left:right] = colour
        return image

    return draw


@pytest.fixture
def write_video(tmp_path: Path) -> VideoWriter:
    """Writes BGR frames of one size to a video in ``tmp_path``.

    Call: ``write_video(frames, name="clip.mp4", fps=25.0)``; endings mp4, mov, mkv (MPEG-4), avi (MJPEG), webm (VP8).
    """

    def write(frames: Iterable[Image], name: str = "clip.mp4", fps: float = 25.0) -> Path:
        path = tmp_path / name
        code = {".avi": "MJPG", ".webm": "VP80"}.get(path.suffix, "mp4v")
        writer: cv2.VideoWriter | None = None
        for frame in frames:
            if writer is None:
                height, width = frame.shape[:2]
                writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*code), fps, (width, height))
                assert writer.isOpened()
            writer.write(frame)
        assert writer is not None, "a video needs a frame"
        writer.release()
        return path

    return write


@pytest.fixture
def cut_video(write_video: VideoWriter, tmp_path: Path) -> Callable[..., Path]:
    """Writes a video and cuts its file off: ``cut_video(frames, name="cut.mp4", keep=0.5)``.

    An mp4 gets its index moved to the front first, as a download in progress has it; else nothing would be readable.
    """

    def cut(frames: Iterable[Image], name: str = "cut.mp4", keep: float = 0.5) -> Path:
        whole = write_video(frames, f"whole_{name}")
        content = whole.read_bytes()
        if whole.suffix in (".mp4", ".mov"):
            content = _index_first(content)
        path = tmp_path / name
        path.write_bytes(content[: int(len(content) * keep)])
        return path

    return cut


@pytest.fixture(scope="session")
def make_classifier(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Writes a classifier whose fake probability is a crop's mean green value / 255.

    Its forgery map is the mean of the colours over 16 x 16 pixels / 255. Call: ``make_classifier(spec=ModelSpec(...))``
    or with ``metadata={...}`` in place of the spec's. Returns the path of the ONNX file.
    """

    def make(spec: ModelSpec | None = None, metadata: dict[str, str] | None = None) -> Path:
        path = tmp_path_factory.mktemp("classifier") / "tiny.onnx"
        tiny_networks.write_classifier(path, spec, metadata)
        return path

    return make


@pytest.fixture(scope="session")
def tiny_classifier(make_classifier: Callable[..., Path]) -> Path:
    """The ONNX file of ``make_classifier`` with the default spec."""
    return make_classifier()


@pytest.fixture(scope="session")
def make_detector(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Writes a detector that finds one pure red and one pure blue square; each side must be 8 px or more.

    The box of a square filled with the colour is exact; landmarks are its centre, five times; the score is 0.9 for red
    and 0.8 for blue. Call: ``make_detector(metadata={...})``. Returns the path of the ONNX file.
    """

    def make(metadata: dict[str, str] | None = None) -> Path:
        path = tmp_path_factory.mktemp("detector") / "squares.onnx"
        tiny_networks.write_detector(path, metadata)
        return path

    return make


@pytest.fixture
def constant_detector(tmp_path: Path) -> Callable[..., Path]:
    """Writes a detector that gives one answer for every picture: ``constant_detector(scores, boxes_xyxy=None)``.

    Scores are P floats and boxes P x 4; without boxes the one box is all that the network sees.
    """

    def make(scores: np.ndarray, boxes_xyxy: np.ndarray | None = None) -> Path:
        path: Path = tiny_networks.write_answer(tmp_path / "answer.onnx", scores, boxes_xyxy)
        return path

    return make


@pytest.fixture(scope="session")
def tiny_detector(make_detector: Callable[..., Path]) -> Path:
    """The ONNX file of ``make_detector``."""
    return make_detector()


def _index_first(content: bytes) -> bytes:
    """Moves an mp4's index (moov) in front of its pictures (mdat) and corrects the offsets that it holds (stco)."""
    boxes: list[bytes] = []
    at = 0
    while at < len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        boxes.append(content[at : at + size])
        at += size
    index = bytearray(next(box for box in boxes if box[4:8] == b"moov"))
    shift = len(index)
    at = index.find(b"stco")
    while at != -1:
        for entry in range(int.from_bytes(index[at + 8 : at + 12], "big")):
            place = slice(at + 12 + 4 * entry, at + 16 + 4 * entry)
            index[place] = (int.from_bytes(index[place], "big") + shift).to_bytes(4, "big")
        at = index.find(b"stco", at + 4)
    others = [box for box in boxes if box[4:8] != b"moov"]
    return others[0] + bytes(index) + b"".join(others[1:])


@pytest.fixture(params=["8.6.1", "10.3.0", "11.4.0.106"])
def tensorrt_machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A machine whose TensorRT and CUDA are the doubles of ``tensorrt_double.py``, in each version recorded there."""
    double = load("tensorrt_double")
    machine = double.Machine(request.param)
    bindings = ModuleType("cuda.bindings")
    bindings.runtime = double.make_cudart(machine)  # type: ignore[attr-defined]
    fakes = {
        "tensorrt": double.make_tensorrt(machine),
        "cuda": ModuleType("cuda"),
        "cuda.bindings": bindings,
        "cuda.bindings.runtime": bindings.runtime,
    }
    ours = ("engines.tensorrt_engine", "engines.cuda_memory", "tensorrt.builder")
    loaded = [name for name in sys.modules if name.endswith(ours)]
    for name in loaded:
        monkeypatch.delitem(sys.modules, name)
    for name, module in fakes.items():
        monkeypatch.setitem(sys.modules, name, module)
    yield machine
    for name in [name for name in sys.modules if name.endswith(ours)]:
        del sys.modules[name]


@pytest.fixture(scope="session")
def run_on_terminal() -> Callable[..., tuple[int, str, str]]:
    """Runs Python with a terminal of 120 columns for stderr.

    Call: ``run_on_terminal("-c", program)`` -> exit code, stdout and what was drawn on the terminal.
    """
    pty = pytest.importorskip("pty", reason="no terminals to be had on this system")

    def run(*arguments: str) -> tuple[int, str, str]:
        ours, theirs = pty.openpty()
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
        command = [sys.executable, *arguments]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, env=environment) as process:
            os.close(theirs)
            drawn = b""
            # The terminal's end is an error, not an empty read.
            with contextlib.suppress(OSError):
                while part := os.read(ours, 65536):
                    drawn += part
            os.close(ours)
            out = process.communicate()[0]
        return process.returncode, out.decode(), drawn.decode()

    return run


@pytest.fixture(scope="session")
def make_face_network() -> Callable[..., FaceDetectorNet]:
    """Makes detectors of given widths whose norms differ from channel to channel, as those of a trained one do."""
    import torch

    from tinydf.facedetector.model import FaceDetectorNet

    def make(*widths: int) -> FaceDetectorNet:
        torch.manual_seed(0)
        network = FaceDetectorNet(*widths)
        with torch.no_grad():
            for _ in range(3):
                network(torch.rand(2, 3, 64, 64) * 255)
            for module in network.modules():
                if isinstance(module, torch.nn.BatchNorm2d):
                    module.weight.uniform_(0.5, 1.5)
                    module.bias.uniform_(-0.3, 0.3)
        return network.eval().requires_grad_(False)

    return make


@pytest.fixture(scope="session")
def tilted_points() -> Callable[[BoxXYXY, float], Landmarks]:
    """Gives five landmarks in a box, tilted clockwise by so many degrees."""

    def points(box: BoxXYXY, tilt_deg: float) -> Landmarks:
        left, top, right, bottom = box
        turn = np.exp(1j * np.radians(tilt_deg)) * max(right - left, bottom - top)
        upright = np.array([-0.15 - 0.2j, 0.15 - 0.2j, 0.05j, -0.12 + 0.2j, 0.12 + 0.2j])
        found = complex(left + right, top + bottom) / 2 + turn * upright
        return tuple((float(point.real), float(point.imag)) for point in found)

    return points
