"""tinydf-run: judges videos, pictures and streams."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import click
from rich.console import Console

from tinydf_runtime import __version__
from tinydf_runtime.annotate import annotate_image, annotate_video
from tinydf_runtime.bar import task
from tinydf_runtime.command import OneLineCommand
from tinydf_runtime.errors import ExitCode
from tinydf_runtime.inputs import expand_inputs
from tinydf_runtime.interrupt import stopping_on_interrupt
from tinydf_runtime.outputs import annotation_targets, check_outputs, write_reports
from tinydf_runtime.pipeline import Analyzer
from tinydf_runtime.report import EVIDENCE_NOTE
from tinydf_runtime.show import show_input
from tinydf_runtime.types import InputReport
from tinydf_runtime.watch import Limits

NAME = "tinydf-run"


def read_sample_fps(ctx: click.Context, param: click.Parameter, value: str) -> float | None:
    """Returns a number of frames a second above 0, None for ``all``.

    Raises:
        click.BadParameter: The text is neither.
    """
    if value == "all":
        return None
    with suppress(ValueError):
        if 0 < float(value) < float("inf"):
            return float(value)
    raise click.BadParameter(f"found {value}, expected a number above 0, or all.", ctx, param)


@dataclass(slots=True)
class Run:
    """What one run has done so far, so that an interruption keeps it."""

    console: Console
    stop: threading.Event = field(default_factory=threading.Event)
    done: list[InputReport] = field(default_factory=list)


@click.command(
    NAME,
    cls=OneLineCommand,
    epilog="Example: tinydf-run interview.mp4 --json report.json --annotate drawn.mp4",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option("--engine", type=click.Path(path_type=Path), metavar="MODEL", help="Classifier; default: the embedded.")
@click.option("--detector", type=click.Path(path_type=Path), metavar="MODEL", help="Face detector; default: embedded.")
@click.option(
    "--json", "json_file", type=click.Path(path_type=Path), metavar="FILE", help="Write the report; - prints."
)
@click.option("--csv", "csv_file", type=click.Path(path_type=Path), metavar="FILE", help="Write one row a scored face.")
@click.option("--annotate", metavar="OUT", help="Draw the findings; a file, or a folder for several inputs.")
@click.option(
    "--sample-fps",
    callback=read_sample_fps,
    default="5",
    show_default=True,
    metavar="N|all",
    help="Frames a second of video in which faces are scored.",
)
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="P",
    help="Probability from which a face counts as fake; default: the model's.",
)
@click.option("--device", default="cpu", show_default=True, help="Where the classifier computes.")
@click.option("--threads", type=click.IntRange(min=1), help="Threads of each network.")
@click.option("--allow-fallback", is_flag=True, help="Use the CPU where the device is not there.")
@click.option(
    "--max-seconds",
    type=click.FloatRange(min=0, min_open=True),
    help="Wall clock spent on each input; then its verdict is from what was seen.",
)
@click.option("--quiet", is_flag=True, help="Print errors alone.")
@click.version_option(__version__, prog_name=NAME)
def main(
    inputs: tuple[str, ...],
    engine: Path | None,
    detector: Path | None,
    json_file: Path | None,
    csv_file: Path | None,
    annotate: str | None,
    sample_fps: float | None,
    threshold: float | None,
    device: str,
    threads: int | None,
    allow_fallback: bool,
    max_seconds: float | None,
    quiet: bool,
) -> int:
    """Tells for every person in INPUT whether the face looks forged.

    INPUT is a video, picture, folder, pattern, camera number, or an address that starts with rtsp:// or http://.

    Exit status: 0 done, 2 wrong usage, 4 device or library missing, 5 an input could not be read or only in part,
    6 model file damaged, 7 output could not be written, 130 interrupted.
    """
    sources = expand_inputs(inputs)
    check_outputs([path for path in (json_file, csv_file) if path is not None and str(path) != "-"], sources)
    targets = annotation_targets(annotate, sources)
    analyzer = Analyzer(
        engine, detector, device, threads, sample_fps, threshold, allow_fallback, keep_maps=annotate is not None
    )
    analyzer.load()
    if analyzer.device != device and not quiet:
        say_error(f"{device} is not available: using {analyzer.device}.")
    silent = quiet or str(json_file) == "-"
    run = Run(Console(quiet=silent))
    try:
        with stopping_on_interrupt(run.stop):
            judge_all(sources, targets, analyzer, run, max_seconds)
    except KeyboardInterrupt:
        run.stop.set()
    finally:
        write_reports(analyzer, run.done, json_file, csv_file)
    if run.done:
        run.console.print(EVIDENCE_NOTE, style="dim")
    if run.stop.is_set():
        say_error("interrupted; what was done is written.")
        return ExitCode.INTERRUPTED
    partly = any(item.status in ("unreadable", "truncated", "timeout") for item in run.done)
    return ExitCode.INPUT if partly else ExitCode.DONE


def judge_all(
    sources: Sequence[str], targets: dict[str, Path], analyzer: Analyzer, run: Run, max_seconds: float | None
) -> None:
    """Judges, draws and shows one input after the other."""
    limits = Limits(max_seconds, run.stop)
    threshold, margin = analyzer.threshold, analyzer.spec.crop.margin
    for source in sources:
        if run.stop.is_set():
            return
        with task(Path(source).name or source, run.console.quiet) as progress:
            item = analyzer.analyze_input(source, progress, limits)
        run.done.append(item)
        if item.message is not None:
            say_error(item.message)
        else:
            show_input(item, threshold, run.console)
        if source in targets and item.message is None and not run.stop.is_set():
            with task(f"drawing {targets[source].name}", run.console.quiet) as progress:
                if item.kind == "image":
                    annotate_image(item, targets[source], threshold, margin)
                else:
                    annotate_video(item, targets[source], threshold, margin, progress=progress, stop=run.stop)


def say_error(message: str) -> None:
    """Prints one line on stderr."""
    click.echo(f"{NAME}: {' '.join(message.split())}", err=True)
