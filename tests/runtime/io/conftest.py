"""A picture that shows how it was turned, and what tells."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tinydf_runtime.types import Image

WIDTH, HEIGHT = 160, 120


@pytest.fixture
def quadrant() -> Image:
    """A picture whose top left is red."""
    image = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
    image[: HEIGHT // 2, : WIDTH // 2] = (0, 0, 255)
    return image


@pytest.fixture
def red_corner() -> Callable[[Image], tuple[str, str]]:
    """Tells where the red of a picture is: top or bottom, left or right."""

    def find(image: Image) -> tuple[str, str]:
        height, width = image.shape[:2]
        red = image[..., 2].astype(int) - image[..., 0]
        rows, columns = np.nonzero(red > 100)
        return ("top" if rows.mean() < height / 2 else "bottom", "left" if columns.mean() < width / 2 else "right")

    return find
