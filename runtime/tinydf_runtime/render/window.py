"""Results of a stream -> a window, where the installed OpenCV has one."""

from __future__ import annotations

import os
from types import TracebackType

import cv2

from tinydf_runtime.errors import MissingExtraError
from tinydf_runtime.render.draw import NO_COLOUR, DrawnFace, Sizes, colour_of, draw_face, draw_plate
from tinydf_runtime.results import FrameResult
from tinydf_runtime.types import Image

CLOSING_KEYS = frozenset({27, ord("q")})
"""Escape and q."""


class LiveWindow:
    """Shows frames with faces, forgery maps and running verdicts drawn in. Used from the main thread."""

    def __init__(self, title: str, margin: float) -> None:
        """Opens a window.

        Args:
            title: Its name, ASCII.
            margin: The crop's border, over which forgery maps lie.

        Raises:
            MissingExtraError: This OpenCV, or this machine, has no windows.
        """
        self._title, self._margin = title, margin
        # OpenCV's Qt warns many times of missing fonts that are not used here.
        os.environ.setdefault("QT_LOGGING_RULES", "default.warning=false")
        try:
            cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        # Headless builds lack the function or refuse it.
        except (cv2.error, AttributeError) as error:
            raise MissingExtraError(
                "--show: this OpenCV has no windows, or there is no display. On a machine with a screen, run: "
                "pip uninstall -y opencv-python-headless && pip install opencv-python"
            ) from error
        self._fitted = False

    def __enter__(self) -> LiveWindow:
        """Returns itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the window."""
        cv2.destroyAllWindows()

    def show(self, result: FrameResult) -> bool:
        """Draws the result of one frame. Returns False once the window was closed, or Escape or q pressed."""
        if not self._fitted:
            cv2.resizeWindow(self._title, result.frame.image.shape[1], result.frame.image.shape[0])
            self._fitted = True
        cv2.imshow(self._title, draw_result(result, self._margin))
        pressed = cv2.waitKey(1) & 0xFF
        return pressed not in CLOSING_KEYS and cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) > 0


def draw_result(result: FrameResult, margin: float) -> Image:
    """Returns a copy of a result's frame, H x W x 3, BGR, uint8, with faces, scores and forgery maps drawn in."""
    image = result.frame.image.copy()
    sizes = Sizes.for_picture(*image.shape[:2])
    for scored in result.faces:
        verdict = scored.verdict
        # The running verdict is what to trust; the single frame's score stands in until there is one.
        probability = verdict.fake_probability
        probability = scored.fake_probability if probability is None else probability
        forgery_map = None if verdict.label == "real" else scored.forgery_map
        drawn = DrawnFace(scored.track, scored.face.box_xyxy, probability, verdict.label, forgery_map)
        draw_face(image, drawn, margin)
        colour = colour_of(verdict.label)
        left, _, _, bottom = (round(value) for value in scored.face.box_xyxy)
        draw_plate(image, verdict.label.upper(), (left, bottom + sizes.line_px), colour, sizes)
    if result.latency_s is not None:
        text = f"{1000 * result.latency_s:.0f} ms"
        draw_plate(image, text, (sizes.pad_px, sizes.pad_px), NO_COLOUR, sizes)
    return image
