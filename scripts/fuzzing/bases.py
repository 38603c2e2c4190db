"""Whole media to be damaged: a second of the example clip in many containers and codecs, and pictures of it."""

from __future__ import annotations

import io
import os
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from PIL import Image

CLIP = Path(__file__).parents[2] / "examples" / "clip.mp4"
FRAMES, FPS = 12, 25
WIDTH, HEIGHT = 320, 240

VIDEOS = {
    "h264.mp4": ("mp4", "libx264", "yuv420p"),
    "h264.mov": ("mov", "libx264", "yuv420p"),
    "h264.mkv": ("matroska", "libx264", "yuv420p"),
    "h264.ts": ("mpegts", "libx264", "yuv420p"),
    "h264.flv": ("flv", "libx264", "yuv420p"),
    "h264.avi": ("avi", "libx264", "yuv420p"),
    "h264.h264": ("h264", "libx264", "yuv420p"),
    "hevc.mp4": ("mp4", "libx265", "yuv420p"),
    "vp8.webm": ("webm", "libvpx", "yuv420p"),
    "vp9.webm": ("webm", "libvpx-vp9", "yuv420p"),
    "vp9.ivf": ("ivf", "libvpx-vp9", "yuv420p"),
    "av1.mp4": ("mp4", "libsvtav1", "yuv420p"),
    "mpeg4.mp4": ("mp4", "mpeg4", "yuv420p"),
    "mpeg4.3gp": ("3gp", "mpeg4", "yuv420p"),
    "mpeg2.mpg": ("mpeg", "mpeg2video", "yuv420p"),
    "mpeg2.vob": ("vob", "mpeg2video", "yuv420p"),
    "mpeg1.mpg": ("mpeg", "mpeg1video", "yuv420p"),
    "mjpeg.avi": ("avi", "mjpeg", "yuvj420p"),
    "mjpeg.mjpeg": ("mjpeg", "mjpeg", "yuvj420p"),
    "ffv1.mkv": ("matroska", "ffv1", "yuv420p"),
    "ffv1.nut": ("nut", "ffv1", "yuv420p"),
    "huffyuv.avi": ("avi", "huffyuv", "yuv422p"),
    "raw.avi": ("avi", "rawvideo", "yuv420p"),
    "raw.y4m": ("yuv4mpegpipe", "wrapped_avframe", "yuv420p"),
    "prores.mov": ("mov", "prores_ks", "yuv422p10le"),
    "wmv2.wmv": ("asf", "wmv2", "yuv420p"),
    "flv1.flv": ("flv", "flv", "yuv420p"),
    "snow.mkv": ("matroska", "snow", "yuv420p"),
    "msvideo1.avi": ("avi", "msvideo1", "rgb555le"),
    "qtrle.mov": ("mov", "qtrle", "rgb24"),
    "vp8.ogv": ("ogg", "libvpx", "yuv420p"),
    "gif.gif": ("gif", "gif", "rgb8"),
    "apng.png": ("apng", "apng", "rgb24"),
    "webp.webp": ("webp", "libwebp_anim", "yuv420p"),
}
"""Name -> container, encoder and pixel format, as FFmpeg calls them."""
_OPTIONS = {
    "libsvtav1": {"svtav1-params": "lp=1:preset=12"},
    "libx265": {"x265-params": "log-level=none:pools=none", "preset": "ultrafast"},
    "libvpx-vp9": {"cpu-used": "5"},
    "libvpx": {"cpu-used": "5"},
}

PILLOW: dict[str, tuple[str, dict[str, Any]]] = {
    "photo.jpg": ("JPEG", {"quality": 85}),
    "progressive.jpg": ("JPEG", {"quality": 85, "progressive": True}),
    "photo.png": ("PNG", {}),
    "photo.bmp": ("BMP", {}),
    "photo.webp": ("WEBP", {"quality": 80}),
    "lossless.webp": ("WEBP", {"lossless": True}),
    "photo.tif": ("TIFF", {}),
    "packed.tif": ("TIFF", {"compression": "tiff_lzw"}),
    "deflated.tif": ("TIFF", {"compression": "tiff_adobe_deflate"}),
    "photo.jp2": ("JPEG2000", {}),
    "photo.avif": ("AVIF", {}),
    "photo.ppm": ("PPM", {}),
    "photo.tga": ("TGA", {}),
    "photo.pcx": ("PCX", {}),
    "photo.dds": ("DDS", {}),
    "photo.qoi": ("QOI", {}),
    "photo.gif": ("GIF", {}),
    "photo.ico": ("ICO", {}),
}
OPENCV = ("photo.hdr", "photo.ras", "photo.pgm", "photo.pfm")
FFMPEG = {"photo.exr": ("exr", "gbrpf32le"), "photo.dpx": ("dpx", "rgb24"), "photo.sgi": ("sgi", "rgb24")}


@cache
def frames() -> tuple[np.ndarray, ...]:
    """Returns pictures of the example clip: 240 x 320 x 3, RGB, uint8, with one face."""
    with av.open(str(CLIP)) as source:
        step = 300 // FRAMES
        found = [frame for index, frame in enumerate(source.decode(video=0)) if index % step == 0]
        return tuple(frame.to_ndarray(format="rgb24", width=WIDTH, height=HEIGHT) for frame in found[:FRAMES])


@cache
def video(name: str) -> bytes:
    """Returns one of ``VIDEOS``."""
    container, codec, pixels = VIDEOS[name]
    return encode(list(frames()), container, codec, pixels)


def encode(pictures: list[np.ndarray], container: str, codec: str, pixels: str) -> bytes:
    """Returns a video of RGB pictures of one size, the same bytes each time."""
    target = io.BytesIO()
    with av.open(target, "w", format=container, options={"fflags": "+bitexact"}) as out:
        stream = out.add_stream(codec, rate=Fraction(FPS))
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = pictures[0].shape[1], pictures[0].shape[0]
        stream.pix_fmt = pixels
        stream.thread_count = 1
        stream.codec_context.options = _OPTIONS.get(codec, {})
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24").reformat(format=pixels)
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    if codec == "libsvtav1" and os.geteuid() == 0:
        # SVT-AV1 gives a process of root real-time priority, and leaves it so.
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    return target.getvalue()


@cache
def picture(name: str) -> bytes:
    """Returns one of ``PILLOW``, ``OPENCV`` or ``FFMPEG``."""
    if name in FFMPEG:
        return encode([frames()[0]], "image2pipe", *FFMPEG[name])
    if name in PILLOW:
        form, options = PILLOW[name]
        target = io.BytesIO()
        Image.fromarray(frames()[0]).save(target, form, **options)
        return target.getvalue()
    image = frames()[0][..., ::-1]
    if name.endswith((".hdr", ".pfm")):
        image = image.astype(np.float32) / 255
    if name.endswith((".pgm", ".pfm")):
        image = image[..., 1]
    found, content = cv2.imencode(Path(name).suffix, np.ascontiguousarray(image))
    assert found, name
    return content.tobytes()


def whole(name: str) -> bytes:
    """Returns any of the above."""
    return video(name) if name in VIDEOS else picture(name)


def names() -> list[str]:
    """Returns the names of all."""
    return [*VIDEOS, *PILLOW, *OPENCV, *FFMPEG]
