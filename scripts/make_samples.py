"""Writes the tiny videos in ``tinydf_runtime/io/samples``, one a codec, by which a machine's decoders are tried.

Needs PyAV with libx264, libx265, libvpx and an AV1 encoder. Run: python scripts/make_samples.py
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av

SAMPLES = Path(__file__).parent.parent / "runtime" / "tinydf_runtime" / "io" / "samples"
SIDE_PX = 64
INTERLACED_PX = (80, 48)
"""Unlike the others, so that memory that one of them left behind is not taken for this picture."""
GREY = 180
"""Luma of every sample."""

QUIET = "log-level=error:info=0:bframes=0"
CODECS: dict[str, tuple[str, str, dict[str, str]]] = {
    "h264.mp4": ("libx264", "yuv420p", {}),
    "h264_interlaced.mp4": ("libx264", "yuv420p", {"x264-params": "interlaced=1"}),
    "hevc.mp4": ("libx265", "yuv420p", {"x265-params": QUIET}),
    "vp9.webm": ("libvpx-vp9", "yuv420p", {}),
    "av1.mp4": ("libsvtav1", "yuv420p", {"preset": "12", "svtav1-params": "fast-decode=1"}),
    "mpeg4.mp4": ("mpeg4", "yuv420p", {}),
    "mjpeg.avi": ("mjpeg", "yuvj420p", {"qscale": "20"}),
}


def grey_frame(pixel_format: str, size: tuple[int, int], number: int) -> av.VideoFrame:
    """Returns an even picture of width x height."""
    frame = av.VideoFrame(*size, pixel_format)
    for i, plane in enumerate(frame.planes):
        plane.update(bytes([GREY if i == 0 else 128]) * plane.buffer_size)
    frame.pts, frame.time_base = number, Fraction(1, 25)
    return frame


def write_sample(path: Path, codec: str, pixel_format: str, options: dict[str, str]) -> None:
    """Writes a video of two frames."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        assert isinstance(stream, av.VideoStream)
        size = INTERLACED_PX if path.stem.endswith("_interlaced") else (SIDE_PX, SIDE_PX)
        stream.width, stream.height = size
        stream.pix_fmt = pixel_format
        for number in range(2):
            container.mux(stream.encode(grey_frame(pixel_format, size, number)))
        container.mux(stream.encode(None))


if __name__ == "__main__":
    for name, (codec, pixel_format, options) in CODECS.items():
        write_sample(SAMPLES / name, codec, pixel_format, options)
