"""Input, own frames or stream -> its report: joins decoding, watching and judging, and keeps the networks."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import ArrayLike

from tinydf_runtime.decode import decode
from tinydf_runtime.engines.engine import AUTO, Engine
from tinydf_runtime.errors import (
    InputTimeoutError,
    MissingExtraError,
    UnavailableError,
    UnknownFormatError,
    UnreadableInputError,
    UsageError,
    is_no_resources,
)
from tinydf_runtime.io.address import STREAM_STARTS, is_foreign_address, mask_credentials
from tinydf_runtime.io.ahead import Task
from tinydf_runtime.io.input import Source, parse_input
from tinydf_runtime.io.own_frames import OwnFrames, checked_image
from tinydf_runtime.live.reader import GIVE_UP_S
from tinydf_runtime.models.shipped import DEFAULT_DETECTOR, DEFAULT_MODEL
from tinydf_runtime.models.spec import ModelSpec
from tinydf_runtime.results import InputReport, Report, Status, ToolInfo
from tinydf_runtime.steps import Detector, FrameStep, score_found
from tinydf_runtime.types import Face, Frame, Image, Reason, Scores
from tinydf_runtime.verdict.summary import summarize, summarize_unreadable
from tinydf_runtime.watch import Limits, Progress, Watch, watch_image, watch_video

if TYPE_CHECKING:
    from tinydf_runtime.live.stream import LiveStream
    from tinydf_runtime.networks import Networks


UNREADABLE_HASHING_S = 60.0
"""Seconds for which a file is hashed after it proved unreadable: it may say that it is as long as a disk."""


class Analyzer:
    """Judges videos, pictures, streams and the user's own frames. Safe to use from several threads.

    Networks are loaded at first use and shared by all analyzers of the process that use the same files on the same
    device; they go with the last analyzer that is closed.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | Engine | None = None,
        *,
        detector: str | os.PathLike[str] | Detector | None = None,
        device: str = AUTO,
        threads: int | None = None,
        sample_fps: float | None = 5.0,
        threshold: float | None = None,
        allow_fallback: bool = False,
        keep_maps: bool = False,
        fpr: float | None = None,
        sandbox: bool = True,
    ) -> None:
        """Takes the settings; loads nothing yet.

        Args:
            model: Exported classifier or an open engine, None for the embedded one.
            detector: Face detector or its file, None for the embedded one.
            device: Where the classifier computes: "auto" for what its engine is made for (a plan: cuda; Core ML: all;
                ONNX and OpenVINO: cpu), or one that the engine offers.
            threads: Threads of each network, None for what leaves cores to decode and find faces.
            sample_fps: Frames a second in which faces are scored, None for all.
            threshold: Probability from which a face counts as fake, None for the model's own.
            allow_fallback: Use the CPU where ``device`` is not there, and say so in the log and the report.
            keep_maps: Keep each face's forgery map (some 200 bytes) in its ``FaceScore``, for drawing.
            fpr: Share of real faces that may count as fake: takes the threshold that the model was measured at, instead
                of ``threshold``. A model that carries no such measurement is refused when it is loaded.
            sandbox: Decode files in a child process, so that one that crashes or hangs a decoder, or makes it grow,
                costs its own result alone; Linux alone has that. Networks that are not known here are tried in one
                first. False for programs that must not start one.

        Raises:
            UsageError: A number is out of its range, or an object is no engine or detector.
        """
        if not (model is None or isinstance(model, str | os.PathLike) or hasattr(model, "score")):
            raise UsageError(f"model: found {type(model).__name__}, expected a path or an open engine.")
        if not (detector is None or isinstance(detector, str | os.PathLike) or hasattr(detector, "detect")):
            raise UsageError(f"detector: found {type(detector).__name__}, expected a path or an object that detects.")
        if sample_fps is not None and not sample_fps > 0:
            raise UsageError(f"sample_fps: found {sample_fps}, expected a number above 0, or None for every frame.")
        if threshold is not None and not 0 < threshold < 1:
            raise UsageError(f"threshold: found {threshold}, expected a probability above 0 and below 1.")
        if fpr is not None and (threshold is not None or not 0 < fpr < 1):
            found = f"{fpr}" if threshold is None else "both it and threshold"
            raise UsageError(f"fpr: found {found}, expected a share above 0 and below 1, and no threshold beside it.")
        self._model = DEFAULT_MODEL if model is None else model
        self._detector = DEFAULT_DETECTOR if detector is None else detector
        self._device = device
        self._threads = threads
        self._sample_fps = sample_fps
        self._threshold = threshold
        self._allow_fallback = allow_fallback
        self._keep_maps = keep_maps
        self._fpr = fpr
        self._sandbox = sandbox
        self._loading = threading.Lock()
        self._loaded: Networks | None = None
        self._closed = False

    def __enter__(self) -> Analyzer:
        self._check_open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Releases the networks. Running calls finish, in other threads too; new calls raise ``UsageError``."""
        with self._loading:
            self._closed = True
            self._loaded = None

    def load(self) -> None:
        """Loads the networks now, so that their errors come before the work.

        Raises:
            ModelFileError: A model file is missing, damaged or foreign.
            UnavailableError: The device is not there.
            MissingExtraError: The engine's library is not installed.
            UsageError: The analyzer is closed. Every method below raises it then.
        """
        self._networks()

    def analyze(self, source: Source) -> Report:
        """Returns the report on one video, picture or stream. What cannot be read is a status, not an exception."""
        return self.report([self.analyze_input(source)])

    def analyze_all(self, sources: Iterable[Source]) -> Report:
        """Returns one report on several videos, pictures or streams; what cannot be read is a status in it."""
        return self.report(self.analyze_many(sources))

    def analyze_many(self, sources: Iterable[Source]) -> Iterator[InputReport]:
        """Yields one report per input as it finishes; unreadable inputs do not stop the rest."""
        return (self.analyze_input(source) for source in sources)

    def analyze_input(
        self, source: Source, progress: Progress | None = None, limits: Limits | None = None
    ) -> InputReport:
        """Returns what is found in one input.

        Args:
            source: Path of a video or picture, index of a camera, or URL of a stream.
            progress: Called after each sampled frame.
            limits: When to stop early.
        """
        message: str | None
        item = parse_input(source)
        kind, path = item.kind, item.name
        started, before = time.perf_counter(), item.state()
        if before is None and is_foreign_address(item.source):
            shown = mask_credentials(path)
            message = (
                f"{shown}: no such file; of addresses, those with {', '.join(STREAM_STARTS)} are read. Get it first."
            )
            return summarize_unreadable(shown, None, kind, message, time.perf_counter() - started)
        with ExitStack() as stack:
            # The file is opened, hashed and decoded while the networks load.
            limits = limits or Limits()
            is_over, hashed_until_s = limits.clock(), math.inf
            hashing = (
                stack.enter_context(
                    Task(lambda: item.sha256(lambda: is_over() or time.monotonic() > hashed_until_s), "tinydf-hash")
                )
                if kind != "stream"
                else None
            )
            frames = decode(item.source, kind, self._sample_fps, self._sandbox, limits.max_pixels)
            stack.enter_context(frames)
            networks = self._networks()
            watch = self._new_watch(networks, tracks=kind != "image")
            message = None
            status: Status = "unreadable"
            reasons: tuple[Reason, ...] = ("unreadable",)
            try:
                if kind == "image":
                    watch_image(frames, watch, limits)
                else:
                    watch_video(frames, watch, progress, limits)
            except (
                UnavailableError,
                UnknownFormatError,
                MissingExtraError,
                OSError,
                cv2.error,
                MemoryError,
            ) as error:
                message = " ".join(str(error).split()) or "out of memory"
                message = f"{path}: {message}" if isinstance(error, MemoryError) else message
                status = "timeout" if isinstance(error, InputTimeoutError) else "unreadable"
                reasons = ("unreadable", "no_resources") if is_no_resources(error) else reasons
                hashed_until_s = time.monotonic() + UNREADABLE_HASHING_S
            sha256 = hashing.result() if hashing else None
        if item.state() != before:
            # It is unknown which content the hash is of.
            sha256, watch.caveats = None, (*watch.caveats, "file_changed")
        if message is not None:
            return summarize_unreadable(path, sha256, kind, message, time.perf_counter() - started, status, reasons)
        return summarize(path, sha256, kind, watch, self._threshold_of(networks), time.perf_counter() - started)

    def analyze_frames(
        self,
        frames: Iterable[Frame | Image],
        fps: float | None = None,
        progress: Progress | None = None,
        limits: Limits | None = None,
        name: str = "frames",
    ) -> InputReport:
        """Returns what is found in the pictures of another decoder, which are taken one by one as they are needed.

        Args:
            frames: Upright pictures, H x W x 3, BGR, uint8; or ``Frame`` objects, whose times rise. A generator will
                do, and may write each picture into the same memory. Its errors are raised here as they are.
            fps: Pictures a second; ``Frame`` objects bring their own times and need none.
            progress: Called after each sampled frame.
            limits: When to stop early.
            name: What the report calls the input.

        Raises:
            UsageError: ``frames`` gives something else, times do not rise, or plain pictures come without ``fps``.
        """
        networks = self._networks()
        watch = self._new_watch(networks)
        started = time.perf_counter()
        try:
            reader = OwnFrames(frames, fps, self._sample_fps)
        except UnreadableInputError as error:
            return summarize_unreadable(name, None, "video", str(error), time.perf_counter() - started)
        watch_video(reader, watch, progress, limits or Limits())
        return summarize(name, None, "video", watch, self._threshold_of(networks), time.perf_counter() - started)

    def stream(
        self,
        source: Source,
        limits: Limits | None = None,
        max_latency_s: float | None = None,
        give_up_s: float = GIVE_UP_S,
    ) -> LiveStream:
        """Yields one result per sampled frame with bounded latency and memory; ``report()`` sums them up.

        A camera or network stream is read in the background and only its newest frame is analysed, so that results
        never lag behind; of a file every sampled frame is. A stream that breaks off is connected to again.

        Args:
            source: Index of a camera, URL of a stream, or path of a video.
            limits: When to end; also while the source hangs.
            max_latency_s: Results whose frame is older than this are dropped and counted; None for none.
            give_up_s: How long after its last frame a stream is tried again before it counts as ended.

        Raises:
            UnreadableInputError: The file cannot be read. This and the next come with the first result.
            UnavailableError: The camera or stream cannot be opened.
        """
        # Files need none of it.
        from tinydf_runtime.live.stream import LiveSettings, LiveStream

        networks = self._networks()
        return LiveStream(
            parse_input(source),
            self._new_watch(networks),
            LiveSettings(self._sample_fps, self._threshold_of(networks), limits or Limits(), max_latency_s, give_up_s),
        )

    def detect_faces(self, frame: Image) -> list[Face]:
        """Returns the faces of a picture.

        Args:
            frame: H x W x 3, BGR, uint8.
        """
        return self._networks().detector.detect(checked_image(frame, "frame"))

    def score_faces(self, frame: Image, boxes: ArrayLike | Sequence[Face]) -> Scores:
        """Returns fake probability and forgery map for each face.

        Args:
            frame: H x W x 3, BGR, uint8.
            boxes: What ``detect_faces`` returned, or N x 4: left, top, right, bottom in pixels. N may be 0. Faces whose
                landmarks show them tilted are turned upright; boxes alone are cut as they stand.

        Raises:
            UsageError: An array has another shape or type.
            OutsideImageError: A box does not touch the picture.
        """
        faces = _as_faces(boxes)
        return score_found(self._networks().engine, checked_image(frame, "frame"), faces)

    def report(self, inputs: Iterable[InputReport]) -> Report:
        """Returns the reports of several inputs as one, with what made them."""
        # Looking the version up takes longer than opening a video.
        from tinydf_runtime import __version__

        networks = self._networks()
        return Report(
            ToolInfo("tinydf", __version__),
            networks.model_info(self._threshold_of(networks), self._fpr),
            networks.detector_info(),
            tuple(inputs),
        )

    @property
    def device(self) -> str:
        """Where the classifier really computes."""
        return self._networks().engine.device

    @property
    def threshold(self) -> float:
        """Probability from which a face counts as fake: the one given, or the model's."""
        return self._threshold_of(self._networks())

    @property
    def spec(self) -> ModelSpec:
        """Metadata of the classifier's file: name, crop config, threshold, measurements."""
        return self._networks().engine.spec

    def _new_watch(self, networks: Networks, tracks: bool = True) -> Watch:
        """Returns what remembers one input; see ``FrameStep`` for ``tracks``."""
        return Watch(FrameStep(networks.engine, networks.detector, tracks), self._keep_maps)

    def _threshold_of(self, networks: Networks) -> float:
        """Returns the threshold given, or measured at the share of false positives given, else the model's."""
        if self._fpr is not None:
            return networks.engine.spec.threshold_at(self._fpr)
        return networks.engine.spec.threshold if self._threshold is None else self._threshold

    def _check_open(self) -> None:
        """Refuses calls on a closed analyzer.

        Raises:
            UsageError: It is closed.
        """
        if self._closed:
            raise UsageError("analyzer: is closed. Make a new one; that is quick while another uses its networks.")

    def _networks(self) -> Networks:
        """Returns the networks, loading them for the first caller while the others wait."""
        with self._loading:
            self._check_open()
            # Imports ONNX Runtime, while the file that came first is decoded already.
            from tinydf_runtime.networks import open_networks

            if self._loaded is None or self._loaded.process != os.getpid():
                self._loaded = open_networks(
                    self._model, self._detector, self._device, self._threads, self._allow_fallback, self._sandbox
                )
                # Refuses a model that was not measured before any work is done with it.
                self._threshold_of(self._loaded)
            return self._loaded


def _as_faces(boxes: ArrayLike | Sequence[Face]) -> Sequence[Face]:
    """Returns faces as they are, and boxes as faces without landmarks.

    Raises:
        UsageError: They are neither.
    """
    if isinstance(boxes, Sequence) and boxes and all(isinstance(one, Face) for one in boxes):
        return [one for one in boxes if isinstance(one, Face)]
    try:
        array = np.asarray(boxes, np.float64)
    except (TypeError, ValueError):
        raise UsageError("boxes: expected N x 4 numbers (left, top, right, bottom) or faces.") from None
    array = array.reshape(0, 4) if array.size == 0 else array
    if array.ndim != 2 or array.shape[1] != 4 or not np.isfinite(array).all():
        raise UsageError(f"boxes: found shape {array.shape}, expected N x 4 numbers: left, top, right, bottom.")
    return [Face((left, top, right, bottom), (), 1.0) for left, top, right, bottom in array.tolist()]
