from dataclasses import replace

import cv2
import numpy as np
import pytest

from tinydf.data.coding import FilmedScreen, MovingVideo, Palette, draw_palette, draw_screen, draw_video
from tinydf.data.degrade import draw_degradation
from tinydf.data.motion import Motion, draw_motion
from tinydf.data.photometry import as_image
from tinydf.data.video_codec import Codec, VideoCoding, decode, encode, h264_round_trip, to_image, to_video
from tinydf_runtime.types import Image

I_FRAME, P_FRAME, B_FRAME = 1, 2, 3
MOTION = Motion(before=4, after=2, speed=(0.006, 0.003, 0.1, 0.001), acceleration=(0.0,) * 4)
GOOD = VideoCoding("libx264", (("crf", "16"), ("preset", "medium")))


@pytest.fixture(scope="module")
def face(astronaut: Image) -> Image:
    return np.ascontiguousarray(astronaut[41:242, 125:326])


def correlation(a: Image, b: Image) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def test_a_still_moves_away_from_its_target_frame_on_both_sides(face: Image) -> None:
    frames = MOTION.frames(face)
    assert len(frames) == 7
    np.testing.assert_array_equal(frames[4], face)
    distances = [float(cv2.absdiff(frame, face).mean()) for frame in frames]
    assert distances[:5] == sorted(distances[:5], reverse=True)
    assert distances[4:] == sorted(distances[4:])
    assert len(set(distances)) == 7


def test_motions_are_short_smooth_and_mostly_there() -> None:
    drawn = [draw_motion(np.random.default_rng(seed)) for seed in range(300)]
    assert {motion.before + 1 + motion.after for motion in drawn} == set(range(2, 13))
    assert all(motion.after <= motion.before + 1 for motion in drawn)
    assert 0.05 < np.mean([motion.speed == (0.0,) * 4 for motion in drawn]) < 0.3
    assert max(np.hypot(motion.speed[0], motion.speed[1]) for motion in drawn) < 0.02


def test_h264_has_frames_made_of_others(face: Image) -> None:
    packets = encode(to_video(MOTION.frames(face)), GOOD)
    assert [packet.is_keyframe for packet in packets] == [True, *[False] * 6]
    # Frames that lean on later ones come out of order.
    assert [packet.pts for packet in packets] != sorted(packet.pts for packet in packets if packet.pts is not None)
    kinds = [int(frame.pict_type) for frame in decode(packets, "libx264")]
    assert kinds[0] == I_FRAME
    assert {P_FRAME, B_FRAME} == set(kinds[1:])


@pytest.mark.parametrize("seed", range(12))
def test_a_coding_gives_the_same_bits_whatever_lay_in_memory_before(seed: int) -> None:
    video = draw_video(np.random.default_rng(seed))
    side = 150 + 23 * seed
    noise = np.random.default_rng(seed).integers(0, 256, (side // 8 + 1, side // 8 + 1, 3), np.uint8)
    frames = video.motion.frames(as_image(cv2.resize(noise, (side, side), interpolation=cv2.INTER_CUBIC)))
    streams = set()
    for filling in range(6):
        sizes = np.random.default_rng(filling).integers(1, 300_000, 40)
        left_over = [np.full(int(size), 41 * filling, np.uint8) for size in sizes]
        packets = encode(to_video(frames), video.first)
        del left_over
        streams.add(b"".join(bytes(packet) for packet in packets))
    assert len(streams) == 1


@pytest.mark.parametrize(
    ("codec", "options"),
    [
        ("libx264", (("crf", "16"),)),
        ("libx265", (("crf", "16"), ("preset", "ultrafast"), ("x265-params", "log-level=none"))),
        ("libvpx-vp9", (("crf", "16"), ("b", "0"), ("deadline", "realtime"), ("cpu-used", "7"))),
        ("mpeg4", (("qmin", "2"), ("qmax", "2"), ("bf", "2"))),
    ],
)
def test_every_codec_gives_the_target_frame_and_no_other(
    face: Image, codec: Codec, options: tuple[tuple[str, str], ...]
) -> None:
    frames = MOTION.frames(face)
    decoded = [to_image(frame) for frame in decode(encode(to_video(frames), VideoCoding(codec, options)), codec)]
    assert len(decoded) == len(frames)
    target = MovingVideo(MOTION, VideoCoding(codec, options))(face)
    assert target.shape == face.shape
    # 4:2:0 alone takes a little away.
    assert correlation(target, face) > 0.99
    assert max(range(7), key=lambda number: correlation(target, frames[number])) == MOTION.before


def test_a_second_coding_at_another_size_keeps_the_geometry(face: Image) -> None:
    coded = MovingVideo(MOTION, GOOD, factor=0.7, second=GOOD)(face)
    assert coded.shape[1] == pytest.approx(0.7 * face.shape[1], abs=1)
    restored = cv2.resize(coded, face.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    before, after = (
        cv2.cvtColor(np.asarray(image), cv2.COLOR_BGR2GRAY).astype(np.float64) for image in (face, restored)
    )
    x, y = cv2.phaseCorrelate(before, after)[0]
    assert np.hypot(x, y) < 0.5


def test_less_rate_and_a_higher_factor_lose_more(face: Image) -> None:
    def loss(coding: VideoCoding) -> float:
        return float(cv2.absdiff(MovingVideo(MOTION, coding)(face), face).mean())

    poor = VideoCoding("libx264", (("crf", "38"), ("preset", "medium")))
    assert loss(GOOD) < loss(poor)
    by_rate = VideoCoding("libx264", (("preset", "medium"),), bits_per_px=0.3)
    assert loss(by_rate) < loss(replace(by_rate, bits_per_px=0.03))


@pytest.mark.parametrize("side_px", [9, 34, 61])
def test_a_tiny_face_is_coded_too(face: Image, side_px: int) -> None:
    tiny = as_image(cv2.resize(face, (side_px, side_px), interpolation=cv2.INTER_AREA))
    for seed in range(40):
        video = draw_video(np.random.default_rng(seed))
        if video.second is None:
            assert video(tiny).shape == tiny.shape


def test_most_target_frames_are_made_of_others(face: Image) -> None:
    small = np.ascontiguousarray(face[:96, :96])
    kinds = []
    for seed in range(60):
        video = draw_video(np.random.default_rng(seed))
        frames = decode(encode(to_video(video.motion.frames(small)), video.first), video.first.codec)
        kinds.append(int(frames[video.motion.before].pict_type))
    assert kinds.count(I_FRAME) < 0.15 * len(kinds)
    assert kinds.count(P_FRAME) > 0.2 * len(kinds)
    assert kinds.count(B_FRAME) > 0.2 * len(kinds)


def test_a_rate_is_kept(face: Image) -> None:
    coding = VideoCoding("libx264", (("preset", "medium"),), bits_per_px=0.1)
    packets = encode(to_video(Motion(9, 2, MOTION.speed, MOTION.acceleration).frames(face)), coding)
    # Within the buffer of half a second, which a short clip may draw on.
    assert sum(packet.size for packet in packets) * 8 < 0.1 * 202 * 202 * (12 + 12.5)


def test_whatever_is_drawn_does_the_same_to_every_image(face: Image) -> None:
    for seed in range(40):
        for draw in (draw_video, draw_palette, draw_screen):
            if draw is not draw_video and seed >= 4:
                continue
            coding = draw(np.random.default_rng(seed))
            assert coding == draw(np.random.default_rng(seed))
            np.testing.assert_array_equal(coding(face), coding(face.copy()))


def test_a_palette_leaves_few_colours(face: Image) -> None:
    painted = Palette(32, "sierra2_4a")(face)
    assert painted.shape == face.shape
    assert len(np.unique(painted.reshape(-1, 3), axis=0)) <= 32
    assert correlation(painted, face) > 0.95


def test_a_filmed_screen_beats_at_its_own_frequency() -> None:
    grey = np.full((200, 200, 3), 128, np.uint8)
    filmed = FilmedScreen(gamma=1.0, depth=0.2, waves=(10.0, 0.0), phases=(0.0, 0.0, 0.0))(grey)
    spectrum = np.abs(np.fft.rfft(filmed[0, :, 0] - filmed[0, :, 0].mean()))
    assert int(spectrum.argmax()) == 10
    assert filmed.max() == 128


def difference(a: Image, b: Image) -> float:
    return float(cv2.absdiff(a, b).mean())


def test_a_drawn_chain_does_the_same_to_every_image(astronaut: Image) -> None:
    face = astronaut[60:240, 140:300]
    for seed in range(30):
        degrade = draw_degradation(np.random.default_rng(seed))
        np.testing.assert_array_equal(degrade(face), degrade(face.copy()))


def test_chains_keep_the_aspect_and_stay_pictures(astronaut: Image) -> None:
    face = astronaut[60:240, 140:300]
    for seed in range(30):
        degraded = draw_degradation(np.random.default_rng(seed))(face)
        assert degraded.dtype == np.uint8
        assert degraded.shape[0] / degraded.shape[1] == pytest.approx(180 / 160, rel=0.03)


def test_h264_loses_more_at_a_higher_rate_factor(astronaut: Image) -> None:
    face = astronaut[61:240, 141:300]
    good, poor = h264_round_trip(face, 18), h264_round_trip(face, 40)
    assert good.shape == poor.shape == face.shape
    assert 0 < difference(good, face) < difference(poor, face)
    assert difference(good, face) < 6
