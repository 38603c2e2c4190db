"""tinydf-doctor: shows what works in this installation, and what to install for the rest."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tinydf_runtime import __version__
from tinydf_runtime.cli.command import OneLineCommand
from tinydf_runtime.cli.options import STANDARD_OUTPUT, json_option, write_figures
from tinydf_runtime.doctor.examination import Examination, examine
from tinydf_runtime.doctor.licences import LICENCES_SCHEMA, Package, used_packages
from tinydf_runtime.errors import ExitCode

NAME = "tinydf-doctor"
YES, NO, BROKEN = Text("ok", style="green"), Text("-", style="dim"), Text("broken", style="bold red")
_TITLES = {
    "onnxruntime": "ONNX Runtime",
    "openvino": "OpenVINO",
    "tensorrt": "TensorRT",
    "coremltools": "Core ML",
}


@click.command(
    NAME,
    cls=OneLineCommand,
    epilog="Example: tinydf-doctor --json doctor.json",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@json_option
@click.option("--licences", is_flag=True, help="List the packages in use, their licences and the libraries inside.")
@click.option("--quiet", is_flag=True, help="Print nothing; the exit status says whether the base works.")
@click.version_option(__version__, prog_name=NAME)
def main(json_path: Path | None, licences: bool, quiet: bool) -> int:
    """Tells which engines, codecs and cameras work here, and the line that installs what is missing.

    Exit status: 0 the base works, 2 wrong usage, 4 the base is broken, 7 the file could not be written.
    """
    if licences:
        packages = used_packages()
        if not quiet and json_path != STANDARD_OUTPUT:
            show_licences(packages, Console(highlight=False))
        values = {"schema": LICENCES_SCHEMA, "packages": [asdict(package) for package in packages]}
        write_figures(json.dumps(values, indent=2) + "\n" if json_path is not None else "", json_path)
        return ExitCode.DONE
    found = examine()
    if not quiet and json_path != STANDARD_OUTPUT:
        show(found, Console(highlight=False))
    write_figures(json.dumps(found.to_dict(), indent=2) + "\n" if json_path is not None else "", json_path)
    return ExitCode.DONE if found.works else ExitCode.MISSING


def show_licences(packages: Sequence[Package], console: Console) -> None:
    """Prints one line a package; ASCII alone, but for what its makers wrote."""
    rows = Table.grid(padding=(0, 2))
    for package in packages:
        inside = f"holds {', '.join(package.libraries)}" if package.libraries else ""
        rows.add_row(package.name, package.version, Text(package.licence), Text(inside, style="dim"))
    console.print(rows)


def show(found: Examination, console: Console) -> None:
    """Prints the findings; ASCII alone, for every terminal."""
    machine = found.machine
    memory = f", {machine.memory_mb / 1024:.1f} GB" if machine.memory_mb else ""
    console.print(Text(f"TinyDF {found.tinydf}, Python {found.python}", style="bold"))
    console.print(Text(f"{machine.system}: {machine.processor or 'processor not known'}"))
    console.print(Text(f"{machine.cores} core{'s' if machine.cores != 1 else ''}{memory}"))
    if machine.features:
        there = Table.grid(padding=(0, 2))
        there.add_row(*(_mark(name, is_there) for name, is_there in machine.features.items()))
        console.print(Padding(there, (0, 0, 0, 2)))
    _section(console, "Networks")
    rows = Table.grid(padding=(0, 2))
    for network in found.networks:
        rows.add_row(YES if network.works else BROKEN, network.name, Text(network.detail, style="dim"))
    _show(rows, console)
    _section(console, "Engines")
    rows = Table.grid(padding=(0, 2))
    for engine in found.engines:
        state = BROKEN if engine.problem else YES if engine.devices else NO
        detail = engine.problem or ", ".join(engine.devices) or ("no device here" if engine.version else "")
        rows.add_row(state, _TITLES[engine.name], engine.version or "not installed", Text(detail, style="dim"))
    _show(rows, console)
    _section(console, f"Video (OpenCV {found.opencv}, PyAV {found.pyav or 'not installed'})")
    rows = Table.grid(padding=(0, 2))
    for codec in found.videos:
        how = ", ".join({"opencv": "OpenCV", "pyav": "PyAV"}[reader] for reader in codec.reads)
        writes = Text("writes", style="green") if codec.writes else Text("")
        rows.add_row(YES if codec.reads else NO, codec.name, Text(how or "cannot be read", style="dim"), writes)
    _show(rows, console)
    _section(console, "Pictures")
    line = Table.grid(padding=(0, 2))
    line.add_row(*(_mark(codec.name, bool(codec.reads)) for codec in found.pictures))
    _show(line, console)
    _section(console, "Cameras, window, sound")
    rows = Table.grid(padding=(0, 2))
    cameras = f"{', '.join(found.camera_backends)}: {', '.join(found.cameras) or 'no camera listed'}"
    rows.add_row(YES if found.camera_backends else NO, "cameras", Text(cameras, style="dim"))
    rows.add_row(YES if found.live_window else NO, "live window")
    rows.add_row(YES if found.ffmpeg else NO, "ffmpeg", Text(found.ffmpeg or "", style="dim"))
    _show(rows, console)
    if found.missing:
        _section(console, "To add, in the clone of TinyDF")
        for what, line_to_type in found.missing.items():
            console.print(Text(f"  {what}"))
            console.print(Text(f"      {line_to_type}", style="cyan"), soft_wrap=True)
    console.print()
    console.print(_conclusion(found))


def _conclusion(found: Examination) -> Text:
    """Returns the last line."""
    if found.works:
        return Text("The base works: videos and pictures can be judged.", style="bold green")
    return Text(
        "The base is broken: see above. Install it anew, in the clone of TinyDF: pip install --force-reinstall "
        "-c constraints.txt .",
        style="bold red",
    )


def _section(console: Console, title: str) -> None:
    console.print()
    console.print(Text(title, style="bold"))


def _show(rows: Table, console: Console) -> None:
    console.print(Padding(rows, (0, 0, 0, 2)))


def _mark(name: str, is_there: bool) -> Text:
    """Returns a name marked as present or missing, readable without colours."""
    return Text(f"{name} yes", style="green") if is_there else Text(f"{name} no", style="dim")
