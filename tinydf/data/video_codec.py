"""Frames through a video encoder and back, in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, TypeAlias

import av
import cv2
from av.video.reformatter import VideoReformatter

from tinydf.data.photometry import as_image
from tinydf_runtime.types import Image

Packet: TypeAlias = "av.Packet[av.VideoStream]"
Codec: TypeAlias = Literal["libx264", "libx265", "libvpx-vp9", "mpeg4"]
DECODERS: dict[Codec, str] = {"libx264": "h264", "libx265": "hevc", "libvpx-vp9": "vp9", "mpeg4": "mpeg4"}
FRAME_RATE = 25
LEAST_PX = 96
"""Smaller frames are filled up to it: x264 refuses some rates for them, and x265 4.1 writes beyond its memory."""
X264_EVERYWHERE = {"x264-params": "cpu-independent=1"}
"""Options with which x264 writes the same bits on every processor. Without them its AVX-512 code reads memory that
nobody wrote, at many widths, so that even one machine codes the same frames in several ways."""
LOOKAHEAD = 12
"""Frames that the encoder looks ahead: as many as the longest clip has."""


@dataclass(frozen=True, slots=True)
class VideoCoding:
    """A codec and its settings: the same for both images of a pair.

    Attributes:
        codec: FFmpeg's name of the encoder.
        options: FFmpeg's names and values, such as ``("crf", "23")``.
        bits_per_px: Mean bits for a pixel of a frame, where the rate is limited; else the options give the quality.
    """

    codec: Codec
    options: tuple[tuple[str, str], ...]
    bits_per_px: float | None = None

    def options_for(self, width: int, height: int) -> dict[str, str]:
        """Returns the encoder's options for frames of a size."""
        options = dict(self.options) | (X264_EVERYWHERE if self.codec == "libx264" else {})
        if self.bits_per_px is None:
            return options
        rate = round(self.bits_per_px * width * height * FRAME_RATE)
        # The buffer holds half a second, so that no frame can take it all.
        return options | {"b": str(rate), "maxrate": str(rate), "bufsize": str(rate // 2)}


def to_video(images: Sequence[Image]) -> list[av.VideoFrame]:
    """Returns images, H x W x 3 BGR uint8, as 4:2:0 frames, each in its frame's upper left corner.

    Where a side must grow to be even, or large enough, the image's edge is repeated.
    """
    height, width = images[0].shape[:2]
    below, right = (max(side + side % 2, LEAST_PX) - side for side in (height, width))
    reformatter = VideoReformatter()
    frames = []
    for image in images:
        padded = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE)
        frame = av.VideoFrame.from_ndarray(as_image(padded), format="bgr24")
        frames.append(reformatter.reformat(frame, format="yuv420p"))
    return frames


def encode(frames: Sequence[av.VideoFrame], coding: VideoCoding, frame_rate: int = FRAME_RATE) -> list[Packet]:
    """Returns the frames' packets in the order of decoding; a packet's ``pts`` is its frame's number.

    Args:
        frames: All of one size.
        coding: How to code them.
        frame_rate: Frames a second, by which encoders weigh how long each is seen.
    """
    encoder = av.CodecContext.create(coding.codec, "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height = frames[0].width, frames[0].height
    encoder.pix_fmt = "yuv420p"
    encoder.time_base = Fraction(1, frame_rate)
    # One thread gives the same bits everywhere, and a worker process is one core.
    encoder.thread_count = 1
    encoder.options = coding.options_for(encoder.width, encoder.height)
    packets: list[Packet] = []
    for number, frame in enumerate(frames):
        frame.pts, frame.time_base = number, encoder.time_base
        # A frame that was decoded carries its old type, which an encoder would take for an order.
        frame.pict_type = 0
        packets += encoder.encode(frame)
    return packets + encoder.encode(None)


def decode(packets: Sequence[Packet], codec: Codec) -> list[av.VideoFrame]:
    """Returns the frames of a stream in the order of showing."""
    decoder = av.CodecContext.create(DECODERS[codec], "r")
    assert isinstance(decoder, av.VideoCodecContext)
    decoder.thread_count = 1
    frames = [frame for packet in packets for frame in decoder.decode(packet)] + decoder.decode(None)
    return sorted(frames, key=lambda frame: frame.pts or 0)


def resize(frames: Sequence[av.VideoFrame], factor: float) -> list[av.VideoFrame]:
    """Returns frames of another size, bicubic, their sides even."""
    width, height = (2 * round(side * factor / 2) for side in (frames[0].width, frames[0].height))
    reformatter = VideoReformatter()
    return [reformatter.reformat(frame, width=width, height=height, interpolation="BICUBIC") for frame in frames]


def to_image(frame: av.VideoFrame) -> Image:
    """Returns a frame as H x W x 3, BGR, uint8."""
    return as_image(frame.to_ndarray(format="bgr24"))


def h264_round_trip(image: Image, crf: int) -> Image:
    """Encodes an image as a one-frame H.264 stream and decodes it.

    Args:
        image: H x W x 3, BGR, uint8.
        crf: x264's constant rate factor: 23 is the usual "high quality", 40 the usual "low quality" of forgery sets.

    Returns:
        H x W x 3, BGR, uint8.
    """
    height, width = image.shape[:2]
    coding = VideoCoding("libx264", (("crf", str(crf)), ("preset", "veryfast"), ("tune", "zerolatency")))
    return to_image(decode(encode(to_video([image]), coding), coding.codec)[0])[:height, :width]
