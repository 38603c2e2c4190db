"""Model files or the user's own objects -> the two networks of an analyzer, shared within the process."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, TypeVar, cast
from weakref import WeakValueDictionary

from tinydf_runtime.engines.engine import Engine, resolve_device
from tinydf_runtime.engines.loading import open_engine
from tinydf_runtime.faces.detector import FaceDetector
from tinydf_runtime.io.ahead import Task
from tinydf_runtime.io.files import sha256_of
from tinydf_runtime.machine import core_count
from tinydf_runtime.models.shipped import is_known
from tinydf_runtime.results import DetectorInfo, ModelInfo
from tinydf_runtime.steps import Detector

Network = TypeVar("Network")


class CachedNetwork:
    """A network that is loaded once and stays loaded as long as this object is referenced."""

    def __init__(self) -> None:
        """Starts empty."""
        self._loading = threading.Lock()
        self._loaded: list[object] = []

    def get(self, load: Callable[[], Network]) -> Network:
        """Returns the network, loaded by the first caller while the others wait; a failed load can be tried again."""
        with self._loading:
            if not self._loaded:
                self._loaded.append(load())
            # The key that leads here names the network's type.
            return cast(Network, self._loaded[0])


_in_use: WeakValueDictionary[tuple[object, ...], CachedNetwork] = WeakValueDictionary()
_looking_up = threading.Lock()
_inherited: list[CachedNetwork] = []
"""Networks of the parent process. Their threads exist in the parent only, and freeing them would wait for those for
ever."""


def borrow(network: str, path: Path, *settings: object) -> CachedNetwork:
    """Returns the one object of this process for a model file that is opened in this way.

    Args:
        network: Its role, such as "classifier".
        path: Model file or folder. Once its content is replaced it counts as another.
        settings: Further settings that it is loaded with.
    """
    key = (network, os.path.realpath(path), _stamps(path), *settings)
    with _looking_up:
        cached = _in_use.get(key)
        if cached is None:
            cached = _in_use[key] = CachedNetwork()
        return cached


def _stamps(path: Path) -> tuple[tuple[str, int, int, int], ...]:
    """Returns inode, time and size of a model's files, which change with its content.

    That is of all files in its folder, where it is one, else of the file and of those beside it that belong to it, such
    as the .bin of an .xml.
    """
    try:
        near = path.rglob("*") if path.is_dir() else path.parent.iterdir()
        files = [file for file in near if path.is_dir() or file.name.startswith(f"{path.stem}.")]
        facts = [(file.relative_to(path.parent).as_posix(), file.stat()) for file in files if file.is_file()]
    except OSError:
        # Whoever opens the file says what is wrong with it.
        return ()
    # Relative to the model, so that other names for the same folder give the same key.
    return tuple(sorted((name, fact.st_ino, fact.st_mtime_ns, fact.st_size) for name, fact in facts))


def _start_child() -> None:
    """Keeps a forked child from using or freeing its parent's networks."""
    _inherited.extend(_in_use.values())
    _in_use.clear()
    _looking_up.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_looking_up.acquire, after_in_parent=_looking_up.release, after_in_child=_start_child)


ModelPath: TypeAlias = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class Networks:
    """Two loaded networks.

    Attributes:
        engine: The classifier.
        detector: The face detector.
        model_sha256: Hash of the classifier's file, None for an engine that the user opened.
        process: Id of the process that loaded them; a child that it forks cannot use their threads.
        held: Keeps the networks shared with other analyzers for as long as this one needs them.
    """

    engine: Engine
    detector: Detector
    model_sha256: str | None
    process: int
    held: tuple[CachedNetwork, ...]

    def detector_info(self) -> DetectorInfo:
        """Returns what a report says about the face detector."""
        return DetectorInfo(self.detector.name, self.detector.sha256, is_known(self.detector.sha256))

    def model_info(self, threshold: float, fpr: float | None) -> ModelInfo:
        """Returns what a report says about the classifier.

        Args:
            threshold: The one that was used.
            fpr: Share of real faces by which it was chosen, None where it was not.
        """
        spec = self.engine.spec
        return ModelInfo(
            spec.name,
            self.model_sha256,
            spec.precision,
            self.engine.name,
            self.engine.device,
            threshold,
            spec.temperature,
            spec.checkpoint_sha256 or None,
            fpr,
            is_known(self.model_sha256),
        )


def open_networks(
    model: ModelPath | Engine,
    detector: ModelPath | Detector,
    device: str,
    threads: int | None,
    allow_fallback: bool,
    sandbox: bool = True,
) -> Networks:
    """Loads what is given as a file, or borrows it where this process has it loaded in the same way. Both at once.

    Args:
        model: Classifier.
        detector: Face detector.
        device: Where the classifier computes, as ``open_engine`` takes it.
        threads: Threads of each network, None for as many as the cores that are left beside decoding.
        allow_fallback: Use the CPU where ``device`` is not there.
        sandbox: Try networks that are not known here in a child process first.

    Raises:
        ModelFileError: A model file is missing, damaged or foreign.
        UnavailableError: The device is not there.
        MissingExtraError: The engine's library is not installed.
    """
    with Task(lambda: _open_detector(detector, threads, sandbox), "tinydf-load") as finding:
        engine, model_sha256, held = _open_classifier(model, device, threads, allow_fallback, sandbox)
        found, found_held = finding.result()
    return Networks(engine, found, model_sha256, os.getpid(), held + found_held)


def _open_classifier(
    model: ModelPath | Engine, device: str, threads: int | None, allow_fallback: bool, sandbox: bool
) -> tuple[Engine, str | None, tuple[CachedNetwork, ...]]:
    """Returns the classifier, the hash of its file and what keeps it."""
    if not isinstance(model, str | os.PathLike):
        return model, None, ()
    path = Path(model)
    device = resolve_device(path, device)
    if threads is None and path.suffix.lower() == ".onnx":
        threads = _threads_beside_decoding()
    # A network on a fallback device is shared only with callers that allow fallback.
    held = borrow("classifier", path, device, threads, allow_fallback)
    engine, sha256 = held.get(
        lambda: (open_engine(path, device, threads, allow_fallback=allow_fallback, sandbox=sandbox), sha256_of(path))
    )
    return engine, sha256, (held,)


def _threads_beside_decoding() -> int:
    """Returns how many threads score faces: two cores decode and find faces meanwhile, or score in between.

    Threads that wait for each other use a quarter more CPU time than one alone, which matters when every core is busy.
    """
    return max(1, core_count() - 2)


def _open_detector(
    detector: ModelPath | Detector, threads: int | None, sandbox: bool
) -> tuple[Detector, tuple[CachedNetwork, ...]]:
    """Returns the face detector and what keeps it."""
    if not isinstance(detector, str | os.PathLike):
        return detector, ()
    path = Path(detector)
    # Its runs of two milliseconds gain little from more threads, and faces are scored meanwhile.
    threads = threads or 1
    held = borrow("detector", path, threads)
    return held.get(lambda: FaceDetector(path, threads, sandbox=sandbox)), (held,)
