"""Pictures with times -> video with the sound of its source."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinydf_runtime.errors import OutputError, UnreadableInputError
from tinydf_runtime.io.video import VideoReader
from tinydf_runtime.render import sound as render_sound
from tinydf_runtime.render import writer as video_writer
from tinydf_runtime.render.annotate import annotate_video
from tinydf_runtime.render.sound import keep_sound
from tinydf_runtime.render.writer import open_writer
from tinydf_runtime.results import InputReport, Timing
from tinydf_runtime.sandbox import call, start
from tinydf_runtime.types import Image

av: Any = pytest.importorskip("av")

RATE = 16000
SIZE = (96, 64)


def grey(level: int) -> Image:
    return np.full((SIZE[1], SIZE[0], 3), level, np.uint8)


def write_film(path: Path, times_ms: list[int], sound: str = "aac", sound_starts_s: float = 0.0) -> Path:
    """A film whose pictures are shown at ``times_ms``, with a second of sound."""
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("mpeg4", rate=25)
        pictures.width, pictures.height, pictures.pix_fmt = *SIZE, "yuv420p"
        pictures.codec_context.time_base = Fraction(1, 1000)
        track = container.add_stream(sound, rate=RATE)
        track.layout = "mono"
        for number in range(RATE // 1000):
            wave = (8000 * np.sin(np.arange(1000) / 10)).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(wave[None], format="s16", layout="mono")
            frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
            frame.pts = 1000 * number + round(sound_starts_s * RATE)
            container.mux(track.encode(frame))
        container.mux(track.encode(None))
        for time_ms in times_ms:
            frame = av.VideoFrame.from_ndarray(grey(time_ms % 200), format="bgr24")
            frame.pts, frame.time_base = time_ms, Fraction(1, 1000)
            container.mux(pictures.encode(frame))
        container.mux(pictures.encode(None))
    return path


def rewrite(source: Path, out: Path, sandbox: bool = True) -> str | None:
    with VideoReader(source) as reader:
        writer = open_writer(out, reader.info.fps, SIZE)
        try:
            for frame in reader:
                writer.write(frame.time_s, frame.image)
            writer.finish()
        finally:
            writer.close()
    return keep_sound(out, source, sandbox)


def streams_of(path: Path) -> dict[str, str]:
    with av.open(str(path)) as container:
        return {stream.type: stream.codec_context.name for stream in container.streams}


def sounding_s(path: Path) -> tuple[float, float]:
    """When the sound starts, seen from the first picture, and how long it is."""
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
        start_s = frames[0].pts * frames[0].time_base
        length = sum(frame.samples for frame in frames) / frames[0].sample_rate
    with av.open(str(path)) as container:
        picture = next(container.decode(video=0))
        return float(start_s - picture.pts * picture.time_base), length


@pytest.mark.parametrize(("ending", "sandbox"), [(".mp4", True), (".mp4", False), (".mov", True), (".mkv", True)])
def test_sound_is_copied_and_pictures_are_h264(tmp_path: Path, ending: str, sandbox: bool) -> None:
    source = write_film(tmp_path / "source.mp4", list(range(0, 1000, 40)))
    out = tmp_path / f"out{ending}"
    assert rewrite(source, out, sandbox) is None
    assert streams_of(out) == {"video": "h264", "audio": "aac"}
    assert sounding_s(out)[1] == pytest.approx(1.0, abs=0.15)


def test_sound_that_the_file_cannot_hold_is_encoded(tmp_path: Path) -> None:
    source = write_film(tmp_path / "source.mkv", list(range(0, 1000, 40)), "pcm_s16le")
    out = tmp_path / "out.mp4"
    assert rewrite(source, out) is None
    assert streams_of(out) == {"video": "h264", "audio": "aac"}
    assert sounding_s(out)[1] == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize("starts_s", [0.0, 0.5])
def test_sound_and_pictures_stay_in_step(tmp_path: Path, starts_s: float) -> None:
    source = write_film(tmp_path / "source.mkv", list(range(0, 2000, 40)), "pcm_s16le", starts_s)
    rewrite(source, tmp_path / "out.mkv")
    assert sounding_s(tmp_path / "out.mkv")[0] == pytest.approx(sounding_s(source)[0], abs=0.05)
    # Pictures that start after the sound stay late.
    late = write_film(tmp_path / "late.mkv", list(range(400, 1000, 40)), "pcm_s16le")
    rewrite(late, tmp_path / "late_out.mkv")
    assert sounding_s(tmp_path / "late_out.mkv")[0] == pytest.approx(-0.4, abs=0.05)


@pytest.mark.skipif(not start.AVAILABLE, reason="this system has no sandbox")
@pytest.mark.parametrize(
    ("reader", "said"),
    [("os.kill(os.getpid(), 11)", "crashed"), ("bytearray(8 << 30)", "MemoryError"), ("time.sleep(100)", "too long")],
)
def test_a_reader_of_sound_that_fails_costs_the_sound_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: str, said: str
) -> None:
    """A stand-in for PyAV does in the child what hostile sound might make the real one do."""
    source = write_film(tmp_path / "source.mp4", list(range(0, 1000, 40)))
    (tmp_path / "av.py").write_text(f"import os, time\n{reader}\n")
    start.stop()
    monkeypatch.syspath_prepend(str(tmp_path))
    if reader.startswith("time"):
        monkeypatch.setattr(call, "LONGEST_S", 0.5)
    try:
        note = rewrite(source, tmp_path / "out.mp4")
    finally:
        start.stop()
    assert note is not None and note.startswith("the sound of source.mp4 is left out") and said in note
    assert streams_of(tmp_path / "out.mp4") == {"video": "h264"}
    assert {path.name for path in tmp_path.iterdir()} >= {"source.mp4", "out.mp4"}
    assert not list(tmp_path.glob(".*"))


def test_sound_longer_than_its_file_allows_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render_sound, "MORE_BYTES", -20_000)
    source = write_film(tmp_path / "source.mp4", list(range(0, 1000, 40)))
    note = rewrite(source, tmp_path / "out.mp4")
    assert note is not None and "takes more room" in note
    assert streams_of(tmp_path / "out.mp4") == {"video": "h264"}


def test_varying_times_stay(tmp_path: Path) -> None:
    times_ms = [0, 20, 40, 160, 280, 300, 900, 920]
    out = tmp_path / "out.mp4"
    rewrite(write_film(tmp_path / "source.mp4", times_ms), out)
    with VideoReader(out) as reader:
        np.testing.assert_allclose([frame.time_s for frame in reader], np.array(times_ms) / 1000, atol=2e-3)


def test_without_pyav_and_ffmpeg_times_stay_nearly_and_the_note_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (video_writer, render_sound):
        monkeypatch.setattr(module, "find_spec", lambda name: None)
    monkeypatch.setattr("shutil.which", lambda name: None)
    times_ms = [0, 40, 80, 400, 440, 480, 520, 920, 960]
    source = write_film(tmp_path / "source.mp4", times_ms)
    note = rewrite(source, tmp_path / "out.mp4")
    assert note is not None and "no sound" in note and ".[video]" in note
    with VideoReader(tmp_path / "out.mp4") as reader:
        shown = {round(frame.time_s, 2): round(float(frame.image.mean())) for frame in reader}
    # At each time the picture is the one that the source shows then.
    for time_s, level in shown.items():
        past = [t for t in times_ms if t <= 1000 * time_s + 60]
        assert any(abs(level - t % 200) <= 6 for t in past[-2:]), (time_s, level)
    assert max(shown) == pytest.approx(0.96, abs=0.1)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs the ffmpeg command")
def test_an_ffmpeg_command_adds_the_sound_where_pyav_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (video_writer, render_sound):
        monkeypatch.setattr(module, "find_spec", lambda name: None)
    source = write_film(tmp_path / "-odd name%d.mkv", list(range(0, 1000, 40)), "pcm_s16le")
    assert rewrite(source, tmp_path / "out.mp4") is None
    assert streams_of(tmp_path / "out.mp4")["audio"] == "aac"
    assert sounding_s(tmp_path / "out.mp4")[1] == pytest.approx(1.0, abs=0.15)
    assert len(list(tmp_path.iterdir())) == 2


def test_an_avi_is_written_and_the_note_names_a_better_ending(write_video: Callable[..., Path], tmp_path: Path) -> None:
    source = write_video([grey(i) for i in range(0, 200, 20)], "source.mp4")
    note = rewrite(source, tmp_path / "out.avi")
    assert note is not None and ".mp4" in note
    with VideoReader(tmp_path / "out.avi") as reader:
        assert len(list(reader)) == 10


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    source = write_film(tmp_path / "source.mp4", [0, 40])
    for ending in (".mp4", ".avi"):
        with pytest.raises(OutputError, match="none"):
            rewrite(source, tmp_path / "none" / f"out{ending}")


@pytest.mark.parametrize(
    ("times_ms", "max_seconds", "said"),
    [([0, 40, 5_000_000, 5_000_040], None, "too long to be drawn"), ([0, 40, 80], 1e-6, "in the time given")],
)
def test_what_cannot_be_drawn_in_time_costs_its_drawing(
    tmp_path: Path, times_ms: list[int], max_seconds: float | None, said: str
) -> None:
    source = write_film(tmp_path / "source.mkv", times_ms)
    item = InputReport(
        str(source), None, "video", "ok", 96, 64, 25.0, None, 0, 4, 4, 4, "no_face", None, (), None, (), (), Timing()
    )
    with pytest.raises(UnreadableInputError, match=said):
        annotate_video(item, tmp_path / "out.avi", max_seconds=max_seconds)
    assert [file.name for file in tmp_path.iterdir()] == ["source.mkv"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".avi"])
def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path: Path, ending: str) -> None:
    write_film(tmp_path / "source.mp4", list(range(0, 4000, 40)))
    code = """
import resource, sys
from pathlib import Path
import numpy as np
from tinydf_runtime.render.annotate import annotate_video
from tinydf_runtime.errors import OutputError
from tinydf_runtime.results import InputReport, Timing
source, out = map(Path, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
item = InputReport(str(source), None, "video", "ok", 96, 64, 25.0, 4.0, 0, 100, 100, 20, "no_face", None, (), None,
                   (), (), Timing())
try:
    annotate_video(item, out, sandbox=False)
except OutputError as error:
    print(error.exit_code.value, error)
"""
    out = tmp_path / f"out{ending}"
    run = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "source.mp4"), str(out)], capture_output=True, text=True, check=True
    )
    assert run.stdout.startswith(f"7 {out}: "), run
    assert [file.name for file in tmp_path.iterdir()] == ["source.mp4"]
