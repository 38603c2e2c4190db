"""Servers that hold the reader up, fill its memory or lead it elsewhere."""

from __future__ import annotations

import os
import resource
import socket
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tinydf_runtime.errors import UnavailableError
from tinydf_runtime.io import capture, redirects
from tinydf_runtime.io.video import VideoReader
from tinydf_runtime.live.reader import StreamReader
from tinydf_runtime.types import Image
from tinydf_runtime.watch import Limits

Serve = Callable[..., Any]


def grey(frame: int) -> Image:
    return np.full((48, 64, 3), 128, np.uint8)


@pytest.fixture
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = list(capture.STREAM_SETTINGS)
    settings[1], settings[3] = 1500, 1500
    monkeypatch.setattr(capture, "STREAM_SETTINGS", settings)
    monkeypatch.setattr(redirects, "LONGEST_S", 2.0)


@pytest.mark.usefixtures("little_patience")
@pytest.mark.parametrize("how", ["slow head", "endless head", "endless part", "slow body"])
def test_a_server_that_never_gets_to_the_point_is_left(serve: Serve, how: str) -> None:
    server = serve("HostileServer", how)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began_s = time.monotonic()
    with pytest.raises(UnavailableError, match=r"^http://127\.0\.0\.1:\d+/camera\.mjpg: [^\n]*$"):
        next(iter(VideoReader(server.url(), None)))
    assert time.monotonic() - began_s < 60
    assert server.sent > 0
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10


@pytest.mark.usefixtures("little_patience")
def test_waiting_for_such_a_server_ends_with_the_time_given(serve: Serve) -> None:
    server = serve("HostileServer", "slow head")
    with pytest.raises(UnavailableError):
        StreamReader(server.url(), None, Limits(0.3))


def test_a_redirect_into_a_private_network_is_not_followed(serve: Serve) -> None:
    secret = serve("MjpegServer", grey)
    for target in (
        f"http://localhost:{secret.port}/camera.mjpg",
        f"http://[::ffff:127.0.0.1]:{secret.port}/camera.mjpg",
        f"http://127.0.0.2:{secret.port}/camera.mjpg",
        "http://169.254.169.254/latest/meta-data",
        "http://10.0.0.1/",
    ):
        server = serve("HostileServer", "redirect", target)
        with pytest.raises(UnavailableError, match="private network"):
            VideoReader(server.url())
    for target in ("file:///etc/passwd", "ftp://example.org/", "http://[::bad", "http://127.0.0.1:99999999/"):
        server = serve("HostileServer", "redirect", target)
        with pytest.raises(UnavailableError, match=r"no web address|cannot be opened"):
            VideoReader(server.url())
    assert secret.connections == 0


def test_a_redirect_on_the_same_machine_is_followed(serve: Serve) -> None:
    camera = serve("MjpegServer", grey)
    server = serve("HostileServer", "redirect", camera.url())
    with VideoReader(server.url()) as reader:
        assert next(iter(reader)).image.shape == (48, 64, 3)


def test_redirects_in_a_circle_end(serve: Serve) -> None:
    server = serve("HostileServer", "redirect", "/again.mjpg")
    with pytest.raises(UnavailableError, match="more than 5 times"):
        VideoReader(server.url())
    assert server.connections <= redirects.MOST_REDIRECTS + 2


def test_what_the_user_told_ffmpeg_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(redirects._OPTIONS, "rtsp_transport;udp")
    redirects.follow_none()
    redirects.follow_none()
    assert os.environ[redirects._OPTIONS] == "rtsp_transport;udp|max_redirects;0"


def test_a_server_that_does_not_answer_in_time_leads_nowhere() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        began_s = time.monotonic()
        assert redirects.redirected(address, began_s - redirects.LONGEST_S + 0.3) is None
        assert redirects.redirected(address, began_s - redirects.LONGEST_S) is None
        assert redirects.redirected("rtsp://127.0.0.1/", began_s) is None
        assert redirects.redirected("http://[::1", began_s) is None
    assert redirects.redirected(address, time.monotonic()) is None
