"""An image through H.264 and back, in memory."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np

from tinydf.data.photometry import as_image
from tinydf_runtime.types import Image

PRESET = "veryfast"


def h264_round_trip(image: Image, crf: int) -> Image:
    """Encodes an image as a one-frame H.264 stream and decodes it.

    Args:
        image: H x W x 3, BGR, uint8.
        crf: x264's constant rate factor: 23 is the usual "high quality", 40 the usual "low quality" of forgery sets.

    Returns:
        H x W x 3, BGR, uint8.
    """
    height, width = image.shape[:2]
    # 4:2:0 wants even sides.
    padded = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height = padded.shape[1], padded.shape[0]
    encoder.pix_fmt = "yuv420p"
    encoder.time_base = Fraction(1, 25)
    encoder.thread_count = 1
    encoder.options = {"crf": str(crf), "preset": PRESET, "tune": "zerolatency"}
    packets = [*encoder.encode(av.VideoFrame.from_ndarray(padded, format="bgr24")), *encoder.encode(None)]
    decoder = av.CodecContext.create("h264", "r")
    decoder.thread_count = 1
    frames = [frame for packet in packets for frame in decoder.decode(packet)] + decoder.decode(None)
    return as_image(frames[0].to_ndarray(format="bgr24"))[:height, :width]
