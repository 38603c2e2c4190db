"""Shared memory of two processes: the child writes frames into slots, the parent reads them and frees the slots."""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import sys

import numpy as np

from tinydf_runtime.errors import UnreadableInputError
from tinydf_runtime.types import Image

LEAST_AHEAD, MOST_AHEAD = 2, 16
"""Bounds on buffered pictures: enough that neither side stalls; the higher one is reached while networks load."""
AHEAD_BYTES = 24 << 20
"""Memory for them, exceeded only for the least number: 3 frames of 1920 x 1080."""
CAPACITY_BYTES = (1 << 30) if sys.maxsize > 1 << 32 else (1 << 28)
"""Address space; only written pages take memory."""
_HEAD_BYTES = mmap.PAGESIZE
_HEAD = struct.Struct("<q")


def make_memory() -> int:
    """Returns a descriptor of empty memory that cannot be shrunk, so that reading it can never fault."""
    memory = os.memfd_create("tinydf", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(memory, _HEAD_BYTES + CAPACITY_BYTES)
    fcntl.fcntl(memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    return memory


class Ring:
    """Either side's view of the memory: a header with a counter, then slots for pictures, H x W x 3, uint8."""

    def __init__(self, memory: int) -> None:
        """Takes the memory.

        Args:
            memory: Descriptor, of which a copy is kept.
        """
        self._map = mmap.mmap(memory, _HEAD_BYTES + CAPACITY_BYTES)
        self._place_bytes = 0
        self.places: int = 0

    @property
    def progress(self) -> int:
        """Frames decoded so far."""
        (frames,) = _HEAD.unpack_from(self._map)
        return int(frames)

    def note(self, frames: int) -> None:
        """Writes what ``progress`` returns."""
        _HEAD.pack_into(self._map, 0, frames)

    def fits(self, image: Image) -> bool:
        """Returns whether an H x W x 3 uint8 picture fits into a slot."""
        return bool(self.places) and image.nbytes <= self._place_bytes

    def lay_out(self, image: Image) -> None:
        """Lays out slots for pictures as large as this one. No picture may be in use meanwhile.

        Raises:
            UnreadableInputError: Not one fits.
        """
        self._place_bytes = -(-image.nbytes // mmap.PAGESIZE) * mmap.PAGESIZE
        wanted = min(max(AHEAD_BYTES // self._place_bytes, LEAST_AHEAD), MOST_AHEAD)
        self.places = min(wanted, CAPACITY_BYTES // self._place_bytes)
        if not self.places:
            raise UnreadableInputError(f"{image.shape[1]} x {image.shape[0]} pixels are too many. Make it smaller.")

    def write(self, number: int, image: Image) -> int:
        """Copies the picture of this number, H x W x 3, uint8, into its slot; returns the slot's offset in bytes."""
        at = number % self.places * self._place_bytes
        self.view(at, image.shape[0], image.shape[1])[:] = image
        return at

    def view(self, at: int, height: int, width: int) -> Image:
        """Returns the H x W x 3 uint8 picture at an offset in bytes, without copying it.

        Raises:
            ValueError: It would lie outside the memory.
        """
        if at < 0 or min(height, width) < 1 or at + 3 * height * width > CAPACITY_BYTES:
            raise ValueError(f"a picture of {width} x {height} pixels at {at} lies outside the memory")
        return np.frombuffer(self._map, np.uint8, 3 * height * width, _HEAD_BYTES + at).reshape(height, width, 3)
