"""Options that several commands share, what ``--json`` writes, and the command line as typed."""

from __future__ import annotations

import shlex
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import click
from click.core import ParameterSource

from tinydf_runtime.engines.engine import AUTO
from tinydf_runtime.io.address import mask_credentials
from tinydf_runtime.io.files import write_atomically

STANDARD_OUTPUT = Path("-")

json_option = click.option(
    "--json",
    "json_path",
    type=click.Path(path_type=Path),
    is_flag=False,
    flag_value=STANDARD_OUTPUT,
    metavar="[FILE]",
    help="Write the figures as JSON; without FILE, print them.",
)
"""The option of every command that prints figures; its value goes to ``write_figures``."""

device_option = click.option(
    "--device",
    default=AUTO,
    show_default=True,
    metavar="NAME",
    help="Where networks compute; auto: cuda for a .plan, all that Core ML chooses for an .mlpackage, else the CPU.",
)
"""The option of every command that opens a model file; its value goes to ``open_engine``."""


def write_figures(text: str, path: Path | None) -> None:
    """Writes what ``--json [FILE]`` asks for: to a file, whole or not at all, to standard output for ``-``, or not.

    Raises:
        OutputError: The file cannot be written.
    """
    if path == STANDARD_OUTPUT:
        click.echo(text, nl=False)
    elif path is not None:
        write_atomically(path, text.encode())


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


def print_version(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    """Prints the version and ends the command. Looking it up takes longer than much else of a start."""
    if wanted and not ctx.resilient_parsing:
        from tinydf_runtime import __version__

        click.echo(f"{ctx.command.name}, version {__version__}")
        ctx.exit()


detector_option = click.option(
    "--detector", type=click.Path(path_type=Path), metavar="MODEL", help="Face detector; default: embedded."
)
sample_fps_option = click.option(
    "--sample-fps",
    callback=read_sample_fps,
    default="5",
    show_default=True,
    metavar="N|all",
    help="Frames a second of video in which faces are scored.",
)
fpr_option = click.option(
    "--fpr",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="R",
    help="Takes the threshold that at most this share of real people reached when the model was measured.",
)
version_option = click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=print_version,
    help="Show the version and exit.",
)
"""Options that tinydf-run shares with tinydf-scan."""


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """Options of a live stream.

    Attributes:
        json_lines: Print a line of JSON per frame.
        window: Show a window.
        max_latency_s: Results for older frames are thrown away, None for however late they come.
        give_up_s: How long a stream that broke off is tried again.
    """

    json_lines: bool
    window: bool
    max_latency_s: float | None
    give_up_s: float


def typed_command(context: click.Context) -> str:
    """Returns a command line with the inputs and options that were given, quoted for a POSIX shell."""
    words = [context.command.name or ""]
    for param in context.command.params:
        if param.name is None or context.get_parameter_source(param.name) is not ParameterSource.COMMANDLINE:
            continue
        value = context.params.get(param.name)
        if isinstance(param, click.Argument):
            words += [mask_credentials(str(one)) for one in (value if isinstance(value, tuple) else (value,))]
        elif isinstance(param, click.Option) and param.is_flag:
            words += [param.opts[0]] if value else []
        else:
            # An option whose text was turned into None stands for everything, as in --sample-fps all.
            words += [param.opts[0], "all" if value is None else str(value)]
    return shlex.join(words)
