"""tinydf-scan: judges every video and picture of an archive, and remembers in a ledger what is done."""

from __future__ import annotations

import threading
from pathlib import Path

import click

from tinydf_runtime.cli.command import OneLineCommand, stopping_on_interrupt
from tinydf_runtime.cli.options import (
    detector_option,
    device_option,
    fpr_option,
    json_option,
    sample_fps_option,
    version_option,
    write_figures,
)
from tinydf_runtime.cli.outputs import check_folder, check_outputs
from tinydf_runtime.cli.progress import ProgressBar
from tinydf_runtime.cli.run import network_files
from tinydf_runtime.errors import ExitCode, OutputError, UsageError
from tinydf_runtime.io.files import exists
from tinydf_runtime.io.input import MEDIA_SUFFIXES
from tinydf_runtime.render.words import EVIDENCE_NOTE, printable
from tinydf_runtime.scan.listing import check_folder_exists, is_address
from tinydf_runtime.scan.parquet import check_parquet
from tinydf_runtime.scan.work import Settings

NAME = "tinydf-scan"


@click.command(
    NAME,
    cls=OneLineCommand,
    epilog="Example: tinydf-scan archive/ --out results.sqlite --html overview.html",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.argument("folders", nargs=-1, metavar="FOLDER...")
@click.option("--out", required=True, type=click.Path(path_type=Path), metavar="LEDGER", help="SQLite file of results.")
@click.option("--html", type=click.Path(path_type=Path), metavar="FILE", help="Write an overview page.")
@click.option(
    "--parquet", type=click.Path(path_type=Path), metavar="FILE", help="Write one row per file; needs pyarrow."
)
@click.option(
    "--pages", type=click.Path(path_type=Path), metavar="FOLDER", help="Write each file's page with all evidence."
)
@click.option("--workers", type=click.IntRange(min=1), help="Processes, one core each. Default: as many as cores.")
@click.option("--scheduler", metavar="ADDRESS", help="Use a Dask cluster's workers instead: tcp://host:8786.")
@click.option(
    "--retries",
    type=click.IntRange(min=0),
    default=2,
    show_default=True,
    help="Retries for a file whose worker died or store did not answer.",
)
@click.option("--again", is_flag=True, help="Retry files that could not be read, or only in part.")
@click.option(
    "--model", "--engine", type=click.Path(path_type=Path), metavar="MODEL", help="Classifier; default: the embedded."
)
@detector_option
@sample_fps_option
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="P",
    help="Probability below which a person is real. Default: the model's.",
)
@fpr_option
@device_option
@click.option("--allow-fallback", is_flag=True, help="Use the CPU if the device is missing.")
@click.option("--max-seconds", type=click.FloatRange(min=0, min_open=True), help="Wall-clock limit per file.")
@click.option("--sandbox/--no-sandbox", default=True, help="Decode files in a child process (on), or in the worker.")
@json_option
@click.option("--quiet", is_flag=True, help="Print only errors.")
@version_option
def main(
    folders: tuple[str, ...],
    out: Path,
    html: Path | None,
    parquet: Path | None,
    pages: Path | None,
    workers: int | None,
    scheduler: str | None,
    retries: int,
    again: bool,
    model: Path | None,
    detector: Path | None,
    sample_fps: float | None,
    threshold: float | None,
    fpr: float | None,
    device: str,
    allow_fallback: bool,
    max_seconds: float | None,
    sandbox: bool,
    json_path: Path | None,
    quiet: bool,
) -> int:
    """Judges every video and picture in and below each FOLDER; the same content once, however many files hold it.

    FOLDER may also be a file, or an address such as s3://bucket/folder. What is done stands in the ledger: the same
    command goes on where an earlier one ended, however it ended; without FOLDER it does what is left. Query the
    ledger's views with any SQLite tool: results, errors, verdicts, duplicates, people_of_files, forged_segments.

    Exit status: 0 done, 2 wrong usage, 4 device, library, store or scheduler missing, 5 some file could not be read or
    only in part, 6 model file damaged, 7 output could not be written, 130 interrupted.
    """
    if threshold is not None and fpr is not None:
        raise UsageError("--fpr: chooses a threshold, and --threshold gives one. Leave one out.")
    if scheduler is not None and workers is not None:
        raise UsageError(
            "--workers: counts processes of this machine, and --scheduler takes a cluster's. Leave one out."
        )
    if not folders and not exists(out):
        raise UsageError(f"{out}: is not there, and no FOLDER is named. Name what is to be scanned.")
    _check_files([path for path in (out, html, parquet) if path is not None], folders, network_files(model, detector))
    for folder in folders:
        check_folder_exists(folder)
    if parquet is not None:
        check_parquet()
    settings = Settings(
        None if model is None else str(model.resolve()),
        None if detector is None else str(detector.resolve()),
        device,
        sample_fps,
        threshold,
        fpr,
        allow_fallback,
        sandbox,
        max_seconds,
        pages is not None,
    )
    pages = None if pages is None else _make_folder(pages)
    # What they import is not needed by --help.
    from tinydf_runtime.scan.ledger import Counts
    from tinydf_runtime.scan.run import Request, run_scan, summary_json, summary_lines

    request = Request(folders, out, settings, workers, scheduler, retries, again, pages, html, parquet)
    stop = threading.Event()
    silent = quiet or str(json_path) == "-"
    with stopping_on_interrupt(stop), ProgressBar("scan", unit="files", quiet=silent) as progress:

        def tell(counts: Counts, all_known: bool) -> None:
            progress.advance(counts.settled, counts.files if all_known else None, errors=counts.failed)

        summary = run_scan(request, stop, tell)
    write_figures(summary_json(summary), json_path)
    if not silent:
        for line in summary_lines(summary):
            click.echo(printable(line))
        click.secho(EVIDENCE_NOTE, dim=True)
    if stop.is_set():
        click.echo(f"{NAME}: interrupted; what was done is kept. Run the same command again to go on.", err=True)
        return ExitCode.INTERRUPTED
    return ExitCode.INPUT if summary["files_not_or_partly_read"] else ExitCode.DONE


def _check_files(outputs: list[Path], folders: tuple[str, ...], models: list[Path]) -> None:
    """Refuses, before the work, files that could not be written or would overwrite something.

    Raises:
        UsageError: Two are one, or one is an input or a network.
        OutputError: A folder is missing or may not be written to.
    """
    for path in outputs:
        if path.suffix.lower() in MEDIA_SUFFIXES:
            raise UsageError(f"{path}: has the ending of a video or picture. Choose another name.")
    check_outputs(outputs, [folder for folder in folders if not is_address(folder)], models)


def _make_folder(folder: Path) -> Path:
    """Makes the folder for pages, and returns its full name.

    Raises:
        OutputError: It cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error.strerror or error}). Choose another folder.") from error
    check_folder(folder)
    return folder.resolve()
