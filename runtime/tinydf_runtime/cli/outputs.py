"""Output files of a run: checked before the work, written after it."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from tinydf_runtime.analyzer import Analyzer
from tinydf_runtime.errors import OutputError, UsageError
from tinydf_runtime.io.address import mask_credentials
from tinydf_runtime.io.files import exists, real_path, temporary_file
from tinydf_runtime.io.input import Source, parse_input
from tinydf_runtime.render.report import report_json, report_line, write_csv, write_json
from tinydf_runtime.results import InputReport

MOST_STEM_BYTES = 220
"""Of a drawn file's name: systems take 255, and the ending is to fit."""


def check_outputs(outputs: Sequence[Path], sources: Sequence[Source], models: Sequence[Path] = ()) -> None:
    """Refuses, before the work starts, what could not be written after it or would overwrite an input.

    Args:
        outputs: Files to be written.
        sources: What is to be judged.
        models: Files of the networks.

    Raises:
        UsageError: Two outputs are one file, or an output is an input or a network.
        OutputError: The folder of an output is missing or may not be written to.
    """
    parsed = [parse_input(source) for source in sources]
    inputs = {real_path(Path(item.name)) for item in parsed if item.kind != "stream"}
    resolved = [real_path(path) for path in outputs]
    networks = {real_path(path) for path in models}
    for path, real in zip(outputs, resolved, strict=True):
        if real in inputs or _is_same(path, inputs):
            raise UsageError(f"{path}: is an input too, and would be overwritten. Choose another name.")
        if _is_same(path, networks) or any(folder in networks for folder in (real, *real.parents)):
            raise UsageError(f"{path}: is a network's file, and would be overwritten. Choose another name.")
        if resolved.count(real) > 1:
            raise UsageError(f"{path}: named for two outputs. Choose another name for one.")
        try:
            mode = path.stat().st_mode
        except FileNotFoundError:
            mode = stat.S_IFREG
        # A name that is too long, or a folder that may not be looked into.
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise OutputError(f"{path}: cannot be written ({reason}). Choose another name or folder.") from error
        if stat.S_ISDIR(mode):
            raise OutputError(f"{path}: is a folder, expected a file name.")
        # Devices and pipes, such as /dev/stdout, are written straight.
        if stat.S_ISREG(mode):
            check_folder(real.parent)


def _is_same(path: Path, others: Iterable[Path]) -> bool:
    """Returns whether a path names one of some files, under another name (a hard link) too."""
    return any(exists(path) and exists(other) and path.samefile(other) for other in others)


def check_folder(folder: Path) -> None:
    """Makes sure that a file can be made in a folder.

    Raises:
        OutputError: It cannot.
    """
    try:
        with temporary_file(folder / "probe"):
            pass
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be written to ({error.strerror or error}). Make the folder or choose another."
        ) from error


def annotation_targets(annotate: str | None, sources: Sequence[Source], models: Sequence[Path] = ()) -> dict[str, Path]:
    """Returns which drawn file each input gets, by the input's name; makes the folder where one is named.

    Raises:
        UsageError: Several inputs would go to one file, the ending does not fit, or an input is a stream.
        OutputError: The place cannot be written to.
    """
    if annotate is None:
        return {}
    parsed = [parse_input(source) for source in sources]
    for item in parsed:
        if item.kind == "stream":
            raise UsageError(
                f"--annotate: {mask_credentials(item.source)} is a stream, which cannot be read twice. Record it first."
            )
    out = Path(annotate)
    if out.suffix and not os.path.isdir(out) and not annotate.endswith(("/", "\\")):  # noqa: PTH112
        if len(sources) > 1:
            raise UsageError(f"--annotate: {annotate} is one file for {len(sources)} inputs. Name a folder.")
        from tinydf_runtime.render.annotate import PICTURES, check_suffix
        from tinydf_runtime.render.writer import CODECS

        check_suffix(out, PICTURES if parsed[0].kind == "image" else CODECS)
        check_outputs([out], parsed, models)
        return {parsed[0].name: out}
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{out}: cannot be made ({error.strerror or error}). Choose another folder.") from error
    check_folder(out)
    targets: dict[str, Path] = {}
    for item in parsed:
        ending = ".png" if item.kind == "image" else ".mp4"
        stem = Path(item.name).stem
        while len(os.fsencode(stem)) > MOST_STEM_BYTES:
            stem = stem[:-1]
        names = (f"{stem}{number}.annotated{ending}" for number in ("", *(f"-{n}" for n in range(2, len(sources) + 2))))
        targets[item.name] = next(out / name for name in names if out / name not in targets.values())
    check_outputs(list(targets.values()), parsed, models)
    return targets


def write_reports(
    analyzer: Analyzer,
    done: Sequence[InputReport],
    json_file: Path | None,
    csv_file: Path | None,
    json_lines: bool,
    html_file: Path | None,
    command: str,
    timing: bool = True,
    sandbox: bool = True,
) -> None:
    """Writes the files that were asked for, and the report as the last of the JSON lines.

    Args:
        analyzer: What made the reports.
        done: Reports of all inputs.
        json_file: ``-`` prints it.
        csv_file: One row a scored face.
        json_lines: Print the report as one line.
        html_file: The page.
        command: What was typed, for the page.
        timing: Say in the JSON file how long each step took.
        sandbox: Verify Content Credentials in a child process.
    """
    if csv_file is None and json_file is None and html_file is None and not json_lines:
        return
    report = analyzer.report(done)
    if html_file is not None:
        from tinydf_runtime.render.html.page import write_html

        write_html(report, html_file, command, sandbox)
    if csv_file is not None:
        write_csv(report, csv_file)
    if json_lines:
        print_line(report_line(report))
    if json_file is not None and str(json_file) == "-":
        click.echo(report_json(report, timing), nl=False)
    elif json_file is not None:
        write_json(report, json_file, timing)


def print_line(line: str) -> None:
    """Prints a line at once.

    Raises:
        OutputError: The pipe was closed.
    """
    try:
        click.echo(line, nl=False)
    except BrokenPipeError as error:
        # Else Python would complain once more when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise OutputError("standard output: was closed by its reader.") from error
