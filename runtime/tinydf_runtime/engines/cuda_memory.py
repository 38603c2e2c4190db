"""The few calls of the CUDA runtime that an engine without a framework needs; errors become exceptions."""

from __future__ import annotations

import weakref
from typing import Any, cast

import numpy as np
from cuda.bindings import runtime as cudart
from numpy.typing import NDArray

from tinydf_runtime.errors import UnavailableError


class Stream:
    """A queue of work for the first CUDA device."""

    def __init__(self) -> None:
        """Makes it.

        Raises:
            UnavailableError: The system refused.
        """
        self._stream = _call("cudaStreamCreate")
        self.handle: int = int(self._stream)
        """What TensorRT takes for a stream."""
        # CUDA frees nothing by itself, and an engine may be opened many times in one process.
        weakref.finalize(self, cudart.cudaStreamDestroy, self._stream)

    def wait(self) -> None:
        """Returns when everything queued is done.

        Raises:
            UnavailableError: The device failed while it computed.
        """
        _call("cudaStreamSynchronize", self._stream)


class DeviceMemory:
    """Device memory, freed with the object."""

    def __init__(self, size_bytes: int) -> None:
        """Takes it.

        Raises:
            UnavailableError: Not enough memory is free.
        """
        self.address: int = int(_call("cudaMalloc", size_bytes))
        weakref.finalize(self, cudart.cudaFree, self.address)

    def fill(self, array: NDArray[Any], stream: Stream) -> None:
        """Queues a copy of a C-contiguous array to the start of the memory; keep the array until the stream is done."""
        kind = cudart.cudaMemcpyKind.cudaMemcpyHostToDevice
        _call("cudaMemcpyAsync", self.address, array.ctypes.data, array.nbytes, kind, stream.handle)

    def read(self, array: NDArray[Any], stream: Stream) -> None:
        """Queues a copy from the start of the memory into an array."""
        kind = cudart.cudaMemcpyKind.cudaMemcpyDeviceToHost
        _call("cudaMemcpyAsync", array.ctypes.data, self.address, array.nbytes, kind, stream.handle)


def device_name() -> str:
    """Returns what the first CUDA device is called, with its compute capability: ``Orin (sm_87)``.

    Raises:
        UnavailableError: There is no device, or no driver for it.
    """
    if not _call("cudaGetDeviceCount"):
        raise UnavailableError("cuda: no device found. A TensorRT plan needs an NVIDIA GPU.")
    facts = _call("cudaGetDeviceProperties", 0)
    name = cast(bytes, facts.name).split(b"\0")[0].decode(errors="replace")
    return f"{name} (sm_{facts.major}{facts.minor})"


def empty_rows(count: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Returns an uninitialised array of count x shape, float32, that device memory can be read into."""
    return np.empty((count, *shape), np.float32)


def _call(name: str, *arguments: object) -> Any:
    """Calls a function of the CUDA runtime and returns its result.

    Raises:
        UnavailableError: The status is an error; the driver is missing.
    """
    try:
        status, *values = getattr(cudart, name)(*arguments)
    # Bindings of CUDA 12 raise where the driver's library is not installed; those of 13 return a status.
    except RuntimeError as error:
        raise UnavailableError(f"cuda: {error}. A TensorRT plan needs an NVIDIA GPU and its driver.") from error
    if status != cudart.cudaError_t.cudaSuccess:
        reason = cast(bytes, cudart.cudaGetErrorString(status)[1]).decode(errors="replace")
        raise UnavailableError(f"cuda: {name} failed ({reason}). Check the GPU, its driver and its free memory.")
    return values[0] if values else None
