"""The live window, over a drawn OpenCV: CI has no screen."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from tinydf_runtime.errors import MissingExtraError
from tinydf_runtime.render.window import LiveWindow, draw_result
from tinydf_runtime.results import FrameResult, ScoredFace, Verdict
from tinydf_runtime.types import Face, Frame, Image

FACE = Face((60.0, 60.0, 180.0, 180.0), ((100.0, 100.0),) * 5, 0.9)


def moment(verdict: Verdict | None = None) -> FrameResult:
    verdict = verdict or Verdict(1, "fake", 0.9, (), 9)
    frame = Frame(0, 0.0, np.full((240, 320, 3), 90, np.uint8))
    return FrameResult(frame, (ScoredFace(1, FACE, 0.2, np.zeros((14, 14), np.float32), verdict),), 0.05)


class Screen:
    """Stands for the part of OpenCV that has windows."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open: set[str] = set()
        self.shown: list[Image] = []
        self.key = -1
        for name in ("namedWindow", "resizeWindow", "imshow", "waitKey", "getWindowProperty", "destroyAllWindows"):
            monkeypatch.setattr(cv2, name, getattr(self, name), raising=False)

    def namedWindow(self, title: str, flags: int) -> None:  # noqa: N802
        self.open.add(title)

    def resizeWindow(self, title: str, width: int, height: int) -> None:  # noqa: N802
        assert (width, height) == (320, 240)

    def imshow(self, title: str, image: Image) -> None:
        assert title in self.open
        self.shown.append(image)

    def waitKey(self, delay_ms: int) -> int:  # noqa: N802
        return self.key

    def getWindowProperty(self, title: str, number: int) -> float:  # noqa: N802
        return float(title in self.open)

    def destroyAllWindows(self) -> None:  # noqa: N802
        self.open.clear()


def test_moments_are_drawn_into_a_window_that_closes_with_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen(monkeypatch)
    with LiveWindow("camera", 0.3) as window:
        assert window.show(moment())
        assert window.show(moment())
    assert len(screen.shown) == 2
    assert not screen.open


@pytest.mark.parametrize("key", [27, ord("q")])
def test_a_key_ends_it(monkeypatch: pytest.MonkeyPatch, key: int) -> None:
    screen = Screen(monkeypatch)
    with LiveWindow("camera", 0.3) as window:
        screen.key = key
        assert not window.show(moment())


def test_closing_the_window_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen(monkeypatch)
    with LiveWindow("camera", 0.3) as window:
        screen.open.clear()
        monkeypatch.setattr(cv2, "imshow", lambda *_: None, raising=False)
        assert not window.show(moment())


def test_an_opencv_without_windows_is_told_with_the_line_that_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise cv2.error("The function is not implemented")

    monkeypatch.setattr(cv2, "namedWindow", refuse, raising=False)
    with pytest.raises(MissingExtraError, match="pip install opencv-python"):
        LiveWindow("camera", 0.3)
    monkeypatch.delattr(cv2, "namedWindow")
    with pytest.raises(MissingExtraError, match="pip install opencv-python"):
        LiveWindow("camera", 0.3)


def test_drawing_leaves_the_frame_alone_and_shows_the_running_verdict() -> None:
    fake, real = moment(), moment(Verdict(1, "real", 0.1, (), 9))
    drawn = draw_result(fake, 0.3)
    assert (fake.frame.image == 90).all()
    assert drawn.shape == fake.frame.image.shape and drawn.dtype == np.uint8
    assert (drawn != 90).any()
    assert (drawn != draw_result(real, 0.3)).any()
    assert (draw_result(replace(fake, faces=(), latency_s=None), 0.3) == 90).all()
