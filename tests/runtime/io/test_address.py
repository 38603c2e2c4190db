"""What counts as a stream, and that nobody's password is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from tinydf_runtime.io.address import mask_credentials, stream_address


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("rtsp://admin:1234@camera/live", "rtsp://***@camera/live"),
        ("rtsps://admin:p@ss:w0rd@10.0.0.9:322/1", "rtsps://***@10.0.0.9:322/1"),
        ("https://token@host/a.m3u8", "https://***@host/a.m3u8"),
        ("http://host/video?user=bob&pwd=x%20y&channel=2", "http://host/video?user=***&pwd=***&channel=***"),
        ("http://host/video?Password=x;q=1#top", "http://host/video?Password=***;q=***#***"),
        (
            "https://host:8443/v?access_token=a&api_key=b&sig=c&X-Amz-Signature=d&jwt=e.f.g",
            "https://host:8443/v?access_token=***&api_key=***&sig=***&X-Amz-Signature=***&jwt=***",
        ),
        ("http://host/v?%74oken=abc", "http://host/v?%74oken=***"),
        ("http://host/v?abcdef", "http://host/v?***"),
        ("http://host/v?a&b=c=d?e&&f=", "http://host/v?***&b=***&&f="),
        ("https://host/a;jsessionid=12/b?x=1", "https://host/a;jsessionid=***/b?x=***"),
        ("rtsp://user:p/ss@camera/live", "rtsp://***@camera/live"),
        ("rtsp://user:12/34@camera/live", "rtsp://***@camera/live"),
        ("rtsp://user:p/s@s@camera:554/live?x=a@b", "rtsp://***@camera:554/live?x=***"),
        ("rtsp://user:p?s=s@camera/live", "rtsp://***@camera/live"),
        ("rtsp://user:p/s=s@camera/live", "rtsp://***@camera/live"),
        ("rtsp://user:p#ss@camera/live", "rtsp://***@camera/live"),
        ("rtsp://user:p%2Fss@camera/live", "rtsp://***@camera/live"),
        ("http://user:p@[::1]:80/x?k=v", "http://***@[::1]:80/x?k=***"),
        ("rtmp://user:p@host/x?k=v", "rtmp://***@host/x?k=***"),
        ("https://host:443/@user/video?mail=a@b.org", "https://host:443/@user/video?mail=***"),
        ("rtsp://host/a@b", "rtsp://host/a@b"),
        ("rtsp://host:554/live", "rtsp://host:554/live"),
        ("clip@home.mp4", "clip@home.mp4"),
        (0, "0"),
        (Path("a.mp4"), "a.mp4"),
    ],
)
def test_an_address_is_shown_without_its_password(given: str | int | Path, shown: str) -> None:
    assert mask_credentials(given) == shown


def test_cameras_and_addresses_are_streams_and_files_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert stream_address(2) == 2
    assert stream_address("2") == 2
    assert stream_address("rtsp://host/1") == "rtsp://host/1"
    assert stream_address("http://host/1") == "http://host/1"
    assert stream_address("clip.mp4") is None
    assert stream_address(Path("clip.mp4")) is None
    Path("2").touch()
    assert stream_address("2") is None
