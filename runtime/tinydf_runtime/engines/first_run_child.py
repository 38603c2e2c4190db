"""The child process of ``first_use``: loads a network from its standard input and runs it once, within limits."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

MEMORY_BYTES = 4 << 30
"""Memory limit beyond what the process has once its library is loaded."""
MOST_PIXELS = 1 << 24
_USUAL = (1, 192, 320, 3)
"""Sizes used for dimensions that a network leaves open, in the order of a detector's."""


def main() -> None:
    """Reads the files of a network, runs it, and ends with 0, or with 1 after one line that says why not."""
    message = sys.stdin.buffer.read()
    files = []
    while message:
        length = int.from_bytes(message[:8], "little")
        files.append(message[8 : 8 + length])
        message = message[8 + length :]
    try:
        {"onnxruntime": _run_onnxruntime, "openvino": _run_openvino}[sys.argv[1]](files)
    # Any error of a library is the answer.
    except BaseException as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
        print(lines[0 if sys.argv[1] == "onnxruntime" else -1][:200].encode("ascii", "replace").decode(), flush=True)
        sys.exit(1)


def _run_onnxruntime(files: list[bytes]) -> None:
    from tinydf_runtime.engines.onnxruntime_engine import session_options
    from tinydf_runtime.engines.quiet_onnxruntime import onnxruntime

    _limit()
    session = onnxruntime.InferenceSession(files[0], session_options(files[0], 1), providers=["CPUExecutionProvider"])
    feeds: dict[str, Any] = {}
    for value in session.get_inputs():
        if value.type != "tensor(uint8)" or len(value.shape) != len(_USUAL):
            # The error is reported when it is opened.
            return
        feeds[value.name] = _picture(tuple(value.shape))
    session.run(None, feeds)


def _run_openvino(files: list[bytes]) -> None:
    from tinydf_runtime.engines.quiet_openvino import openvino

    _limit()
    model = openvino.Core().read_model(*files)
    if len(model.inputs) != 1 or len(model.inputs[0].partial_shape) != len(_USUAL):
        return
    sides = [None if side.is_dynamic else side.get_length() for side in model.inputs[0].partial_shape]
    picture = _picture(tuple(sides))
    model.reshape(list(picture.shape))
    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    request = openvino.Core().compile_model(model, "CPU", settings).create_infer_request()
    request.infer([picture])


def _picture(shape: tuple[Any, ...]) -> np.ndarray[Any, Any]:
    """Returns a picture of the shape that a network asks for."""
    sides = [side if isinstance(side, int) else usual for side, usual in zip(shape, _USUAL, strict=True)]
    count = 1
    for side in sides:
        count *= side
    if not 0 < count <= MOST_PIXELS:
        raise ValueError(f"asks for a picture of {' x '.join(map(str, sides))}")
    return np.random.default_rng(0).integers(0, 256, sides, np.uint8)


def _limit() -> None:
    """Bounds memory and computing time, and forbids writing any file, where the system can do that."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = int(used.ru_utime + used.ru_stime) + int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 5))
    if sys.platform == "linux":
        with open("/proc/self/statm") as file:  # noqa: PTH123
            now = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY_BYTES,) * 2)
