"""tinydf-run: judges videos, pictures and streams."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import click

from tinydf_runtime.analyzer import Analyzer
from tinydf_runtime.cli.command import PromptCommand, stopping_on_interrupt
from tinydf_runtime.cli.options import (
    LiveOptions,
    detector_option,
    device_option,
    fpr_option,
    sample_fps_option,
    typed_command,
    version_option,
)
from tinydf_runtime.cli.outputs import annotation_targets, check_outputs, write_reports
from tinydf_runtime.cli.progress import ProgressBar
from tinydf_runtime.engines.engine import AUTO
from tinydf_runtime.errors import ExitCode, NoResourcesError, UnreadableInputError, UsageError
from tinydf_runtime.io.ahead import Task
from tinydf_runtime.io.input import Input, expand_inputs, parse_input
from tinydf_runtime.live.reader import GIVE_UP_S
from tinydf_runtime.models.shipped import DEFAULT_DETECTOR, DEFAULT_MODEL
from tinydf_runtime.render.words import EVIDENCE_NOTE, printable, stranger_words
from tinydf_runtime.results import InputReport
from tinydf_runtime.sandbox.client import start_early
from tinydf_runtime.service.service import Service, ServiceOptions, service_options
from tinydf_runtime.types import Reason
from tinydf_runtime.watch import Limits

NAME = "tinydf-run"
PARTLY_READ: frozenset[Reason] = frozenset({"decoding_failed", "damaged_part", "file_changed"})
"""Reasons that mean that part of an input could not be read."""


@dataclass(slots=True)
class Run:
    """What one run has done so far, so that an interruption keeps it."""

    silent: bool
    stop: threading.Event = field(default_factory=threading.Event)
    done: list[InputReport] = field(default_factory=list)
    undrawn: int = 0
    service: Service = field(default_factory=lambda: Service(ServiceOptions(), say_error))


@click.command(
    NAME,
    cls=PromptCommand,
    epilog="Example: tinydf-run interview.mp4 --json report.json --annotate drawn.mp4",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option(
    "--model",
    "--engine",
    "engine",
    type=click.Path(path_type=Path),
    metavar="MODEL",
    help="Classifier; default: the embedded.",
)
@detector_option
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the report as JSON; - prints it.",
)
@click.option(
    "--csv", "csv_file", type=click.Path(path_type=Path), metavar="FILE", help="Write one row per scored face."
)
@click.option(
    "--html",
    "--report",
    "html_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write a page with all evidence.",
)
@click.option("--annotate", metavar="OUT", help="Draw the findings; a file, or a folder for several inputs.")
@sample_fps_option
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="P",
    help="Probability below which a person is real; fake is said well above it. Default: the model's.",
)
@fpr_option
@device_option
@click.option("--threads", type=click.IntRange(min=1), help="Threads of each network.")
@click.option("--allow-fallback", is_flag=True, help="Use the CPU if the device is missing.")
@click.option(
    "--max-seconds",
    type=click.FloatRange(min=0, min_open=True),
    help="Wall-clock limit per input; the verdict then rests on what was seen. Drawing it may take as long again.",
)
@click.option(
    "--json-lines",
    is_flag=True,
    help="Print a line of JSON for each analysed frame of a stream, and the report as the last line.",
)
@click.option("--show", "window", is_flag=True, help="Show streams in a window; q or Escape closes it.")
@click.option(
    "--max-latency-ms",
    type=click.FloatRange(min=0, min_open=True),
    help="Drop results for frames of a stream that are older than this; default: none.",
)
@click.option(
    "--reconnect-seconds",
    type=click.FloatRange(min=0),
    default=GIVE_UP_S,
    show_default=True,
    help="How long to retry a stream that broke off; 0: not at all.",
)
@click.option("--sandbox/--no-sandbox", default=True, help="Decode files in a child process (on), or in this one.")
@click.option(
    "--timing/--no-timing", default=True, help="Report timings; without them the same input gives the same bytes."
)
@service_options
@click.option("--quiet", is_flag=True, help="Print only errors.")
@version_option
def main(
    inputs: tuple[str, ...],
    engine: Path | None,
    detector: Path | None,
    json_file: Path | None,
    csv_file: Path | None,
    html_file: Path | None,
    annotate: str | None,
    sample_fps: float | None,
    threshold: float | None,
    fpr: float | None,
    device: str,
    threads: int | None,
    allow_fallback: bool,
    max_seconds: float | None,
    json_lines: bool,
    window: bool,
    max_latency_ms: float | None,
    reconnect_seconds: float,
    sandbox: bool,
    timing: bool,
    log_json: Path | None,
    metrics: str | None,
    drift: Path | None,
    quiet: bool,
) -> int:
    """Tells for every person in INPUT whether the face looks forged.

    INPUT is a video, picture, folder, pattern, camera number, or an address that starts with rtsp:// or http://.

    Exit status: 0 done, 2 wrong usage, 4 device or library missing, 5 an input could not be read or only in part,
    6 model file damaged, 7 output could not be written, 130 interrupted.
    """
    sources = [parse_input(name) for name in expand_inputs(inputs)]
    if sandbox and any(source.kind != "stream" for source in sources):
        start_early()
    if window and not any(source.kind == "stream" for source in sources):
        raise UsageError("--show: shows cameras and streams, and there is none among the inputs. Use --annotate.")
    if json_lines and str(json_file) == "-":
        raise UsageError("--json-lines: ends with the report, which --json - would print again. Leave one out.")
    max_latency_s = None if max_latency_ms is None else max_latency_ms / 1000
    options = LiveOptions(json_lines, window, max_latency_s, reconnect_seconds)
    if threshold is not None and fpr is not None:
        raise UsageError("--fpr: chooses a threshold, and --threshold gives one. Leave one out.")
    service = ServiceOptions(log_json, metrics, drift)
    outputs = (json_file, csv_file, html_file, *service.files)
    models = [*network_files(engine, detector)]
    check_outputs([path for path in outputs if path is not None and str(path) != "-"], sources, models)
    targets = annotation_targets(annotate, sources, models)
    analyzer = Analyzer(
        engine,
        detector=detector,
        device=device,
        threads=threads,
        sample_fps=sample_fps,
        threshold=threshold,
        allow_fallback=allow_fallback,
        keep_maps=annotate is not None,
        fpr=fpr,
        sandbox=sandbox,
    )
    # Otherwise the networks load while the first input is opened.
    if device not in (AUTO, "cpu") and analyzer.device != device and not quiet:
        say_error(f"{device} is not available: using {analyzer.device}.")
    run = Run(quiet or json_lines or str(json_file) == "-")
    try:
        with (
            stopping_on_interrupt(run.stop),
            Service(service, say_error) as run.service,
            Task(partial(import_display, run.silent), "tinydf-import"),
        ):
            judge_all(sources, targets, analyzer, run, max_seconds, options, sandbox)
    except KeyboardInterrupt:
        run.stop.set()
    finally:
        # Networks that failed to load are not tried again.
        if run.done or run.stop.is_set():
            command = typed_command(click.get_current_context())
            write_reports(analyzer, run.done, json_file, csv_file, json_lines, html_file, command, timing, sandbox)
    if len(run.done) > 1 and not run.silent:
        from rich.console import Console

        from tinydf_runtime.cli.terminal import show_counts

        show_counts(run.done, Console())
    if run.done and not run.silent:
        show_strangers(analyzer)
    if any(item.verdict not in ("error", "no_face") for item in run.done) and not run.silent:
        click.secho(EVIDENCE_NOTE, dim=True)
    if run.stop.is_set():
        say_error("interrupted; what was done is written.")
        return ExitCode.INTERRUPTED
    return ExitCode.INPUT if run.undrawn or any(is_partly_read(item) for item in run.done) else ExitCode.DONE


def is_partly_read(item: InputReport) -> bool:
    """Returns whether an input could not be read, or only in part."""
    return item.status in ("unreadable", "truncated", "timeout") or not PARTLY_READ.isdisjoint(item.reasons)


def network_files(engine: Path | None, detector: Path | None) -> list[Path]:
    """Returns the files of the networks, what lies beside them and belongs to them included."""
    model = engine or DEFAULT_MODEL
    return [model, model.with_suffix(".bin"), model.with_name(f"{model.name}.json"), detector or DEFAULT_DETECTOR]


def judge_all(
    sources: Sequence[Input],
    targets: dict[str, Path],
    analyzer: Analyzer,
    run: Run,
    max_seconds: float | None,
    options: LiveOptions,
    sandbox: bool,
) -> None:
    """Judges, draws and shows one input after the other."""
    limits = Limits(max_seconds, run.stop)
    for source in sources:
        if run.stop.is_set():
            return
        if source.kind == "stream":
            from tinydf_runtime.cli.follow import follow_stream

            item = follow_stream(source.name, analyzer, limits, options, run.silent)
        else:
            with ProgressBar(Path(source.name).name or source.name, unit="s", quiet=run.silent) as progress:
                item = analyzer.analyze_input(source, progress.advance, limits)
        run.done.append(item)
        run.service.note(item)
        if item.message is not None:
            say_error(item.message)
        elif not run.silent:
            from rich.console import Console

            from tinydf_runtime.cli.terminal import show_input

            show_input(item, analyzer.threshold, Console())
        elif item.status in _PARTLY:
            # The exit status says that something is missing; without results on screen, a line says what.
            say_error(f"{item.path}: {_PARTLY[item.status]}; its findings are of the rest.")
        target = targets.get(source.name)
        if target is not None and item.message is None and not run.stop.is_set():
            try:
                draw_input(item, target, analyzer, run, sandbox, max_seconds)
            except (UnreadableInputError, NoResourcesError) as error:
                # It was judged. That it cannot be read once more costs its drawing alone.
                run.undrawn += 1
                say_error(str(error))


def draw_input(
    item: InputReport, target: Path, analyzer: Analyzer, run: Run, sandbox: bool, max_seconds: float | None
) -> None:
    """Writes an input with what was found in it.

    Raises:
        UnreadableInputError: It is gone, or cannot be drawn in that time.
        NoResourcesError: There is nothing to decode it with now.
        OutputError: The file cannot be written.
    """
    from tinydf_runtime.render.annotate import annotate_image, annotate_video

    threshold, margin = analyzer.threshold, analyzer.spec.crop.margin
    note: str | None = None
    with ProgressBar(f"drawing {target.name}", unit="s", quiet=run.silent) as progress:
        if item.kind == "image":
            annotate_image(item, target, threshold, margin, sandbox, max_seconds)
        else:
            note = annotate_video(item, target, threshold, margin, progress.advance, run.stop, sandbox, max_seconds)
    if note is not None and not run.silent:
        say_error(f"{target}: {note}")


_PARTLY = {"truncated": "the file ends too early", "timeout": "not read to its end in the time given"}
"""Status of an input that was read in part -> what happened."""


def import_display(silent: bool) -> None:
    """Imports what shows a result while there is none yet, since it takes as long as opening a video."""
    if not silent:
        import tinydf_runtime.cli.terminal  # noqa: F401


def show_strangers(analyzer: Analyzer) -> None:
    """Names each network that does not come with TinyDF, with its hash: a verdict is only as good as its network."""
    made_by = analyzer.report(())
    for words in filter(None, (stranger_words(made_by.model), stranger_words(made_by.detector))):
        click.secho(printable(words), dim=True)


def say_error(message: str) -> None:
    """Prints one line on stderr."""
    click.echo(f"{NAME}: {printable(' '.join(message.split()))}", err=True)
