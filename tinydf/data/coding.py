"""Random codings of a picture (video, palette, filmed screen), the same for both images of a pair."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.filter import Graph
from numpy.random import Generator

from tinydf.data.motion import Motion, draw_motion
from tinydf.data.photometry import as_image
from tinydf.data.video_codec import FRAME_RATE, LOOKAHEAD, VideoCoding, decode, encode, resize, to_image, to_video
from tinydf_runtime.types import Image

CODEC_SHARES = {"h264": 0.78, "h264 at a rate": 0.08, "hevc": 0.05, "vp9": 0.05, "mpeg4": 0.04}
"""How often each codec is drawn: most shared video is H.264; phones write HEVC, web sites VP9, old cameras MPEG-4."""
PRESET_SHARES = {"medium": 0.6, "fast": 0.12, "faster": 0.06, "veryfast": 0.14, "superfast": 0.04, "ultrafast": 0.04}
"""How often each preset is drawn: FFmpeg's default most often; live encoders and phones use fast ones."""
SECOND_ENCODE_SHARE = 0.1
DITHERS = ("bayer:bayer_scale=2", "bayer:bayer_scale=4", "floyd_steinberg", "sierra2_4a", "none")


@dataclass(frozen=True, slots=True)
class MovingVideo:
    """A still that moves, encoded, perhaps once more at another size, and one frame of it decoded.

    Attributes:
        motion: How it moves.
        first: The coding.
        factor: Size of the second coding as a share of the first's.
        second: What a site where it was uploaded made of it, if it was.
    """

    motion: Motion
    first: VideoCoding
    factor: float = 1.0
    second: VideoCoding | None = None

    def __call__(self, image: Image) -> Image:
        """Returns the target frame: the image's own geometry, BGR, uint8, smaller where ``factor`` says so."""
        height, width = image.shape[:2]
        source = to_video(self.motion.frames(image))
        frames = decode(encode(source, self.first), self.first.codec)
        if self.second is not None:
            frames = decode(encode(resize(frames, self.factor), self.second), self.second.codec)
        coded = to_image(frames[self.motion.before])
        # An odd side was made even.
        scale = coded.shape[1] / source[0].width
        return coded[: round(height * scale), : round(width * scale)]


@dataclass(frozen=True, slots=True)
class Palette:
    """A picture in few colours, as a GIF has them.

    Attributes:
        colours: How many, 256 at most.
        dither: FFmpeg's name of the pattern that stands for what is between them.
    """

    colours: int
    dither: str

    def __call__(self, image: Image) -> Image:
        """Returns the picture with colours of its own palette: H x W x 3, BGR, uint8."""
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="bgr24")
        frame.pts = 0
        graph = Graph()
        source = graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, FRAME_RATE)
        )
        split, sink = graph.add("split"), graph.add("buffersink")
        palette = graph.add("palettegen", f"max_colors={self.colours}:stats_mode=single")
        paint = graph.add("paletteuse", f"dither={self.dither}:new=1")
        source.link_to(split)
        split.link_to(palette, 0, 0)
        split.link_to(paint, 1, 0)
        palette.link_to(paint, 0, 1)
        paint.link_to(sink)
        graph.configure()
        graph.push(frame)
        graph.push(None)
        painted = graph.pull()
        assert isinstance(painted, av.VideoFrame)
        return to_image(painted)


@dataclass(frozen=True, slots=True)
class FilmedScreen:
    """A screen that was filmed: the light of its pixels beats with the camera's.

    Attributes:
        gamma: Exponent of the levels.
        depth: Of the beat, as a share of a level.
        waves: Periods of the beat over the image's width, in x and in y.
        phases: One for each colour's stripe, in periods.
    """

    gamma: float
    depth: float
    waves: tuple[float, float]
    phases: tuple[float, float, float]

    def __call__(self, image: Image) -> Image:
        """Returns the picture with moire: H x W x 3, BGR, uint8."""
        height, width = image.shape[:2]
        y, x = np.mgrid[:height, :width].astype(np.float32) / np.float32(width)
        periods = (x * self.waves[0] + y * self.waves[1])[..., None] + np.array(self.phases, np.float32)
        beat = 1 - self.depth * (0.5 + 0.5 * np.cos(2 * np.pi * periods))
        return as_image(np.clip((image / np.float32(255)) ** self.gamma * beat * 255, 0, 255))


def draw_video(rng: Generator) -> MovingVideo:
    """Draws a moving clip and how it is coded."""
    motion = draw_motion(rng)
    if rng.random() >= SECOND_ENCODE_SHARE:
        return MovingVideo(motion, draw_coding(rng))
    return MovingVideo(motion, draw_coding(rng), rng.uniform(0.5, 1.0), draw_h264(rng))


def draw_coding(rng: Generator) -> VideoCoding:
    """Draws a codec and its settings."""
    kind = rng.choice(list(CODEC_SHARES), p=list(CODEC_SHARES.values()))
    if kind == "hevc":
        # Its other presets take several times as long for nearly the same picture.
        quiet = "pools=none:frame-threads=1:log-level=none"
        return VideoCoding(
            "libx265", (("crf", f"{rng.integers(20, 36)}"), ("preset", "ultrafast"), ("x265-params", quiet))
        )
    if kind == "vp9":
        quality = (("crf", f"{rng.integers(20, 52)}"), ("b", "0"), ("deadline", "realtime"), ("cpu-used", "7"))
        return VideoCoding("libvpx-vp9", (*quality, ("lag-in-frames", "0")))
    if kind == "mpeg4":
        step = f"{rng.integers(2, 13)}"
        return VideoCoding("mpeg4", (("qmin", step), ("qmax", step), ("bf", f"{rng.integers(0, 3)}")))
    return draw_h264(rng, limited=kind == "h264 at a rate")


def draw_h264(rng: Generator, limited: bool = False) -> VideoCoding:
    """Draws settings of x264: of constant quality, or of a limited rate."""
    preset = rng.choice(list(PRESET_SHARES), p=list(PRESET_SHARES.values()))
    options = [("preset", str(preset)), ("rc-lookahead", str(LOOKAHEAD))]
    if rng.random() < 0.2:
        # A short group of pictures: the target may be near, or be, the one that stands alone.
        options.append(("g", str(rng.integers(1, 7))))
    if rng.random() < 0.25:
        options.append(("bf", str(rng.integers(0, 3))))
    if limited:
        return VideoCoding("libx264", tuple(options), float(np.exp(rng.uniform(*np.log((0.03, 0.3))))))
    return VideoCoding("libx264", (("crf", str(draw_crf(rng))), *options))


def draw_crf(rng: Generator) -> int:
    """Draws a rate factor: most video is near 23, a fifth is as poor as the low-quality halves of the public sets."""
    share = rng.random()
    if share < 0.1:
        return int(rng.integers(16, 18))
    return int(rng.integers(18, 31)) if share < 0.8 else int(rng.integers(30, 41))


def draw_palette(rng: Generator) -> Palette:
    """Draws how many colours a picture keeps, and their dither."""
    return Palette(int(rng.choice((32, 64, 128, 256))), DITHERS[rng.integers(len(DITHERS))])


def draw_screen(rng: Generator) -> FilmedScreen:
    """Draws how a filmed screen looks."""
    angle, waves = rng.uniform(0, 2 * np.pi), np.exp(rng.uniform(*np.log((3, 60))))
    # The stripes of a pixel lie side by side, a third of its width apart, so that the beats of the colours do too.
    apart = rng.choice((0.0, 1 / 3))
    start = rng.uniform()
    return FilmedScreen(
        gamma=float(rng.uniform(0.75, 1.3)),
        depth=float(rng.uniform(0.02, 0.15)),
        waves=(float(waves * np.cos(angle)), float(waves * np.sin(angle))),
        phases=(float(start), float(start + apart), float(start + 2 * apart)),
    )
