"""Times tinydf-run on whole videos against decoding alone, itself without its decoding child, and the usual pipeline.

Run: python scripts/bench_run.py CLIP... (--yunet FILE: the detector of the usual pipeline; with PyTorch alone is there
one at all). Each run is a process of its own, from its start to its end; all kinds take turns, so that what else the
machine does meets all alike. Writes docs/speed.md.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import click

from tinydf_runtime.io.files import write_atomically
from tinydf_runtime.io.video import VideoReader

RUN = "import sys; from tinydf_runtime.cli.run import main; sys.exit(main())"
DECODE = """
import sys, cv2
capture = cv2.VideoCapture(sys.argv[1])
while capture.read()[0]:
    pass
"""
USUAL = Path(__file__).with_name("usual_pipeline.py")
IMPORTS = ("import numpy", "import tinydf_runtime, numpy")


@dataclass(frozen=True, slots=True)
class Spent:
    """What a process took."""

    wall_s: float
    cpu_s: float
    peak_mb: float


@click.command()
@click.argument("clips", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--turns", default=5, show_default=True, type=click.IntRange(1), help="Times each is run.")
@click.option("--engine", type=click.Path(path_type=Path), help="Classifier; default: the embedded.")
@click.option("--yunet", type=click.Path(path_type=Path), help="YuNet's ONNX file; default: TinyDF's detector at 640.")
@click.option("--usual/--no-usual", default=True, show_default=True, help="Time the usual pipeline, where torch is.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("docs/speed.md"), show_default=True)
def main(clips: tuple[Path, ...], turns: int, engine: Path | None, yunet: Path | None, usual: bool, out: Path) -> None:
    given = ["--engine", str(engine)] if engine else []
    rows = []
    for clip in clips:
        commands = {
            "decode": [sys.executable, "-c", DECODE, str(clip)],
            "run": [sys.executable, "-c", RUN, str(clip), *given],
            "run_open": [sys.executable, "-c", RUN, str(clip), "--no-sandbox", *given],
            "all": [sys.executable, "-c", RUN, str(clip), "--sample-fps", "all", *given],
            "all_open": [sys.executable, "-c", RUN, str(clip), "--sample-fps", "all", "--no-sandbox", *given],
        }
        if usual and find_spec("torch"):
            commands["usual"] = [sys.executable, str(USUAL), str(clip), *([str(yunet)] if yunet else [])]
        rows.append(row_of(clip, take_turns(commands, turns)))
        click.echo(rows[-1])
    write_atomically(out, page_of(rows, import_ms(turns), turns).encode())
    click.echo(out.read_text())


def take_turns(commands: dict[str, list[str]], turns: int) -> dict[str, list[Spent]]:
    """Returns what each command took in each turn; every second turn goes backwards, so that none is always first."""
    spent: dict[str, list[Spent]] = {name: [] for name in commands}
    for turn in range(turns):
        for name in list(commands)[:: -1 if turn % 2 else 1]:
            spent[name].append(time_process(commands[name]))
    return spent


def time_process(command: list[str]) -> Spent:
    """Runs a command to its end.

    Raises:
        click.ClickException: It failed.
    """
    # pip compiles what it installs; a checkout whose modules are compiled anew in each run would look slower than that.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise click.ClickException(f"{command[:3]}: ended with {process.returncode}.")
    # Linux counts in KiB, macOS in bytes.
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return Spent(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit / 1e6)


def import_ms(turns: int) -> float:
    """Returns how much longer importing the runtime takes than importing NumPy alone: the least of some turns."""
    spent = take_turns({name: [sys.executable, "-c", name] for name in IMPORTS}, max(turns, 5))
    alone_s, both_s = (min(one.wall_s for one in spent[name]) for name in IMPORTS)
    return (both_s - alone_s) * 1e3


def row_of(clip: Path, spent: dict[str, list[Spent]]) -> str:
    """Returns a clip's row: medians over the turns."""
    with VideoReader(clip) as reader:
        info = reader.info
    wall_s = {name: statistics.median(one.wall_s for one in some) for name, some in spent.items()}
    length_s = info.duration_s or 0.0
    cells = [
        f"{info.width} x {info.height}, {length_s:.0f} s",
        f"{wall_s['decode']:.2f}",
        f"{wall_s['run']:.2f}",
        f"{wall_s['run'] / wall_s['decode']:.2f}",
        f"{length_s / wall_s['all']:.1f}",
        f"{max(one.peak_mb for one in spent['run']):.0f}",
        f"{wall_s['run'] / wall_s['run_open'] - 1:+.1%}",
        f"{wall_s['all'] / wall_s['all_open'] - 1:+.1%}",
    ]
    if "usual" in wall_s:
        cells += [f"{wall_s['usual']:.1f}", f"{wall_s['usual'] / wall_s['run']:.1f}"]
    return f"| {' | '.join(cells)} |"


def page_of(rows: list[str], import_cost_ms: float, turns: int) -> str:
    """Returns the page."""
    heads = ["clip", "decoding alone, s", "tinydf-run, s", "times decoding", "every frame, times real time", "peak, MB"]
    heads += ["its decoding child costs", "with every frame"]
    if rows[0].count("|") > len(heads) + 1:
        heads += ["usual pipeline, s", "times tinydf-run"]
    return "\n".join(
        [
            "# Speed of tinydf-run",
            "",
            f"`scripts/bench_run.py` on {cpu_name()}, {len(os.sched_getaffinity(0))} cores; medians of {turns} turns. "
            f"OpenCV {version('opencv-python-headless')}, ONNX Runtime {version('onnxruntime')}.",
            "",
            "Each figure is a whole process, from the start of Python to the finished report. Decoding alone is "
            "`while capture.read()` with OpenCV. The usual pipeline is OpenCV, a detector like YuNet at 640 pixels, "
            "and a network as large as EfficientNet-B4 in PyTorch, for 5 frames a second. What the child costs is the "
            "time of `tinydf-run` over that of `tinydf-run --no-sandbox`.",
            "",
            f"| {' | '.join(heads)} |",
            f"| {' | '.join(['---'] * len(heads))} |",
            *rows,
            "",
            f"`import tinydf_runtime` takes {max(import_cost_ms, 0):.0f} ms more than `import numpy`.",
            "",
        ]
    )


def cpu_name() -> str:
    """Returns the processor's name."""
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text(encoding="utf-8").splitlines() if facts.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
