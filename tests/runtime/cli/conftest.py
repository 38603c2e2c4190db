"""Pictures for the command: the drawn detector finds red squares, and the drawn classifier takes green for forged."""

from __future__ import annotations

import numpy as np
import pytest

from tinydf_runtime.types import Image


@pytest.fixture
def real_face() -> Image:
    return _draw_face(green=10)


@pytest.fixture
def forged_face() -> Image:
    return _draw_face(green=110)


def _draw_face(green: int) -> Image:
    image = np.full((240, 320, 3), 90, np.uint8)
    # More colours than a palette holds; green, which the classifier reads, stays as it is.
    image[..., 0] = np.arange(320) // 5 + 60
    image[..., 2] = np.arange(240)[:, None] // 4 + 60
    image[60:160, 100:200] = (0, green, 255)
    return image
