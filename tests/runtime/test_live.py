"""Live frames: the newest one, bounded memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from tinydf_runtime.errors import UnavailableError
from tinydf_runtime.live import newest_frames
from tinydf_runtime.types import Frame

IMAGE = np.zeros((4, 4, 3), np.uint8)


def test_frames_that_came_meanwhile_are_dropped() -> None:
    first_taken, all_read = threading.Event(), threading.Event()

    def camera() -> Iterator[Frame]:
        yield Frame(0, 0.0, IMAGE)
        first_taken.wait(10)
        for index in range(1, 100):
            yield Frame(index, index / 25, IMAGE)
        all_read.set()

    newest = newest_frames(camera())
    assert next(newest).index == 0
    first_taken.set()
    assert all_read.wait(10)
    assert [frame.index for frame in newest] == [99]


def test_errors_of_the_source_reach_the_caller() -> None:
    def camera() -> Iterator[Frame]:
        yield Frame(0, 0.0, IMAGE)
        raise UnavailableError("0: delivers no pictures.")

    with pytest.raises(UnavailableError):
        list(newest_frames(camera()))


def test_leaving_early_ends_the_reading() -> None:
    def camera() -> Iterator[Frame]:
        index = 0
        while True:
            yield Frame(index, index / 25, IMAGE)
            index += 1

    newest = newest_frames(camera())
    next(newest)
    newest.close()  # type: ignore[attr-defined]
    assert "tinydf-newest-frame" not in [thread.name for thread in threading.enumerate()]
