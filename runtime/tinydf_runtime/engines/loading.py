"""A model file -> the engine that its ending asks for, loaded, and its golden crops replayed at the first use."""

from __future__ import annotations

import logging
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from tinydf_runtime.engines.engine import AUTO, FileEngine, find_engine, resolve_device
from tinydf_runtime.engines.first_use import check_first_use
from tinydf_runtime.errors import UnavailableError, UsageError, needs
from tinydf_runtime.models.seal import check_seal

_log = logging.getLogger(__name__)


class _OpenModel(Protocol):
    """The one function that an engine's file offers."""

    def __call__(self, path: Path, device: str, threads: int | None, sandbox: bool) -> FileEngine:
        """Loads a model file."""


def open_engine(
    path: Path,
    device: str = AUTO,
    threads: int | None = None,
    *,
    allow_fallback: bool = False,
    sandbox: bool = True,
) -> FileEngine:
    """Loads a model with the engine that its ending asks for. Only that engine's library is imported.

    At the first use of a model on a machine its golden crops are replayed.

    Args:
        path: Model file.
        device: "auto" for what the engine is made for: "cuda" (.plan), "all" (.mlpackage), else "cpu". Or another that
            it offers: "cuda" (.onnx), "gpu" (.xml), "cpu", "gpu" and "npu" (.mlpackage). A device that is not there is
            an error, never a silent change to another.
        threads: Threads of the engine on the CPU, None for its own choice.
        allow_fallback: Uses the CPU where the device is not there, and logs a warning; the engine's ``device`` tells.
        sandbox: Loads and runs a network that is not known here in a child process first, so that one that crashes its
            engine, hangs or takes all memory is refused. False for programs that must not start one.

    Raises:
        UnknownFormatError: No engine reads this ending.
        UsageError: ``device`` or ``threads`` is no such value.
        MissingExtraError: The engine's library is not installed.
        UnavailableError: The device is not there.
        ModelFileError: The file is missing, damaged or no TinyDF model.
        QualityError: At its first use on this machine the device did not give what the checkpoint gives.
    """
    engine = load_engine(path, device, threads, allow_fallback=allow_fallback, sandbox=sandbox)
    check_first_use(engine, Path(path))
    return engine


def load_engine(
    path: Path,
    device: str = AUTO,
    threads: int | None = None,
    *,
    allow_fallback: bool = False,
    sandbox: bool = True,
) -> FileEngine:
    """Loads a model as ``open_engine`` does, for callers that check its golden crops themselves."""
    path = Path(path)
    row, device = find_engine(path), resolve_device(path, device)
    if threads is not None and threads < 1:
        raise UsageError(f"threads: found {threads}, expected 1 or more.")
    check_seal(path)
    with needs(row.extra):
        module = import_module(f"tinydf_runtime.engines.{row.module}")
    open_model = cast(_OpenModel, module.open_model)
    try:
        return open_model(path, device, threads, sandbox)
    except UnavailableError as error:
        if not allow_fallback or device == "cpu":
            raise
        _log.warning("%s Using the CPU.", error)
        try:
            return open_model(path, "cpu", threads, sandbox)
        except UsageError:
            # An engine without a CPU names no device to fall back on.
            raise error from None
