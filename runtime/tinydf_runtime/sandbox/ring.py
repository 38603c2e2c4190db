"""Memory that two processes share: one writes pictures into it, the other looks at them and gives their place back."""

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
"""Pictures that wait: enough that neither side stands still; more are those of the time that networks load."""
AHEAD_BYTES = 24 << 20
"""Memory for them, where it is enough for the least: 3 frames of 1920 x 1080."""
CAPACITY_BYTES = (1 << 30) if sys.maxsize > 1 << 32 else (1 << 28)
"""Address space. Memory is taken for what is written alone."""
_HEAD_BYTES = mmap.PAGESIZE
_HEAD = struct.Struct("<q")


def make_memory() -> int:
    """Returns a descriptor of empty memory that nobody can shrink, so that looking at it can never fail."""
    memory = os.memfd_create("tinydf", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(memory, _HEAD_BYTES + CAPACITY_BYTES)
    fcntl.fcntl(memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    return memory


class Ring:
    """Both sides' view of the memory: a head with a number, then places for pictures."""

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
        """Returns whether a picture fits into the places as they are laid out."""
        return bool(self.places) and image.nbytes <= self._place_bytes

    def lay_out(self, image: Image) -> None:
        """Makes places for pictures as large as this one. Nobody may look at one meanwhile.

        Raises:
            UnreadableInputError: Not one fits.
        """
        self._place_bytes = -(-image.nbytes // mmap.PAGESIZE) * mmap.PAGESIZE
        wanted = min(max(AHEAD_BYTES // self._place_bytes, LEAST_AHEAD), MOST_AHEAD)
        self.places = min(wanted, CAPACITY_BYTES // self._place_bytes)
        if not self.places:
            raise UnreadableInputError(f"{image.shape[1]} x {image.shape[0]} pixels are too many. Make it smaller.")

    def write(self, number: int, image: Image) -> int:
        """Copies the picture with this number into its place, and returns where that is."""
        at = number % self.places * self._place_bytes
        self.view(at, image.shape[0], image.shape[1])[:] = image
        return at

    def view(self, at: int, height: int, width: int) -> Image:
        """Returns the picture at a place, without copying it.

        Raises:
            ValueError: It would lie outside the memory.
        """
        if at < 0 or min(height, width) < 1 or at + 3 * height * width > CAPACITY_BYTES:
            raise ValueError(f"a picture of {width} x {height} pixels at {at} lies outside the memory")
        return np.frombuffer(self._map, np.uint8, 3 * height * width, _HEAD_BYTES + at).reshape(height, width, 3)
