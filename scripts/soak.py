"""Judges hours of video, or thousands of small clips, in one process, and watches whether anything grows.

python scripts/soak.py --hours 1
python scripts/soak.py --clips 10000

Memory, descriptors and threads of this process and of the decoding server are printed along the way and compared at the
end, or at Ctrl-C, with those after the first tenth. Exit status 3: something grew. Linux alone.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import av
import click

from tinydf_runtime import Analyzer
from tinydf_runtime.cli.command import OneLineCommand
from tinydf_runtime.errors import QualityError, UsageError

CLIP = Path(__file__).resolve().parent.parent / "examples" / "clip.mp4"
LINES = 20
WARM_SHARE = 0.1
MEMORY_GROWTH = 1.1
MEMORY_SLACK_MB = 24
"""What is kept of each face of one long video, some 200 bytes, and what allocators keep back."""


@dataclass(frozen=True, slots=True)
class Load:
    """What this process and its children take: MB, and counts."""

    memory_mb: float
    descriptors: int
    threads: int
    children: int
    children_mb: float

    def __str__(self) -> str:
        return (
            f"{self.memory_mb:7.1f} MB {self.descriptors:4d} descriptors {self.threads:3d} threads; "
            f"{self.children} children {self.children_mb:.1f} MB"
        )


def measure() -> Load:
    """Returns the load now."""
    own = Path("/proc/self")
    children = [int(one) for task in own.glob("task/*/children") for one in task.read_text().split()]
    return Load(
        _resident_mb(os.getpid()),
        len(os.listdir(own / "fd")),  # noqa: PTH208
        len(os.listdir(own / "task")),  # noqa: PTH208
        len(children),
        sum(_resident_mb(child) for child in children),
    )


def _resident_mb(process: int) -> float:
    # It may have ended meanwhile.
    with suppress(OSError):
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
    return 0.0


def check_flat(loads: list[Load]) -> None:
    """Compares the end with the time after warming up.

    Raises:
        QualityError: Something grew.
    """
    warm, last = loads[max(1, round(len(loads) * WARM_SHARE))], loads[-1]
    limit_mb = warm.memory_mb * MEMORY_GROWTH + MEMORY_SLACK_MB
    grew = [
        name
        for name, before, after in (
            ("memory", limit_mb, last.memory_mb),
            ("descriptors", warm.descriptors, last.descriptors),
            ("threads", warm.threads, last.threads),
            ("children", warm.children, last.children),
        )
        if after > before
    ]
    click.echo(f"after warming up: {warm}")
    click.echo(f"at the end:       {last}")
    if grew:
        raise QualityError(f"{', '.join(grew)}: grew. See the lines above.")


def small_clip(folder: Path, number: int) -> Path:
    """Writes another second of the example to the same file, so that each is new to all caches."""
    path = folder / "small.mp4"
    with av.open(str(CLIP)) as source, av.open(str(path), "w") as out:
        stream = source.streams.video[0]
        copied = out.add_stream_from_template(stream)
        out.metadata["comment"] = str(number)
        for taken, packet in enumerate(source.demux(stream)):
            if packet.dts is None or taken >= 25:
                break
            packet.stream = copied
            out.mux(packet)
    return path


def long_video(folder: Path, hours: float) -> Path:
    """Writes the example over and over into one file, without coding it again."""
    path = folder / "long.mkv"
    with av.open(str(path), "w") as out:
        copied, shift, seconds = None, 0, 0.0
        while seconds < hours * 3600:
            with av.open(str(CLIP)) as source:
                stream = source.streams.video[0]
                copied = copied or out.add_stream_from_template(stream)
                assert stream.duration is not None and stream.time_base is not None
                for packet in source.demux(stream):
                    if packet.dts is not None and packet.pts is not None:
                        packet.dts, packet.pts = packet.dts + shift, packet.pts + shift
                        packet.stream = copied
                        out.mux(packet)
                shift += stream.duration
                seconds += float(stream.duration * stream.time_base)
    return path


def judge_clips(analyzer: Analyzer, folder: Path, clips: int) -> Iterator[str]:
    """Judges small clips and yields after each how far it is."""
    for number in range(clips):
        item = analyzer.analyze_input(small_clip(folder, number))
        assert item.status == "ok", item.message
        yield f"clip {number + 1}"


@click.command("soak", cls=OneLineCommand, epilog="Example: python scripts/soak.py --hours 1")
@click.option("--hours", type=click.FloatRange(0, min_open=True), help="Length of one video.")
@click.option("--clips", type=click.IntRange(1), help="Number of small clips.")
def main(hours: float | None, clips: int | None) -> None:
    """Judges for a long time and watches what grows."""
    if (hours is None) == (clips is None):
        raise UsageError("soak: found both or none of --hours and --clips, expected one.")
    began_s = time.monotonic()
    loads: list[Load] = []

    def note(where: str, shown: bool) -> None:
        loads.append(measure())
        if shown:
            click.echo(f"{time.monotonic() - began_s:7.0f} s  {where:<12} {loads[-1]}")

    with suppress(KeyboardInterrupt), tempfile.TemporaryDirectory() as name, Analyzer(threads=1) as analyzer:
        folder = Path(name)
        if clips is not None:
            for number, where in enumerate(judge_clips(analyzer, folder, clips), 1):
                note(where, shown=number == clips or number % max(1, clips // LINES) == 0)
        else:
            assert hours is not None
            path, next_s, step_s = long_video(folder, hours), 0.0, max(1.0, hours * 3600 / LINES)

            def watch(done_s: float, of_s: float | None) -> None:
                nonlocal next_s
                if done_s >= next_s:
                    note(f"{done_s:.0f} s", shown=True)
                    next_s = done_s + step_s

            item = analyzer.analyze_input(path, watch)
            click.echo(f"{item.status}, {item.frames_scored} frames scored, {len(item.tracks)} tracks: {item.verdict}")
    check_flat(loads)


if __name__ == "__main__":
    main()
