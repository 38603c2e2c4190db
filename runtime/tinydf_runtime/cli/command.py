"""What every ``tinydf-`` command does alike: errors become one line and an exit code, figures go to a file or out."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import click

from tinydf_runtime.engines.engine import AUTO
from tinydf_runtime.errors import ExitCode, TinyDFError
from tinydf_runtime.io.files import write_atomically
from tinydf_runtime.io.user_cache import keep_caches_together
from tinydf_runtime.render.plain_text import printable

STANDARD_OUTPUT = Path("-")

json_option = click.option(
    "--json",
    "json_path",
    type=click.Path(path_type=Path),
    is_flag=False,
    flag_value=STANDARD_OUTPUT,
    metavar="[FILE]",
    help="Write the figures as JSON; print them where no file is named.",
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


class OneLineCommand(click.Command):
    """A command that shows no stack, no usage table and no half line when something is wrong."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the command and ends the process."""
        for stream in (sys.stdout, sys.stderr):
            # A file name may hold what the terminal's encoding does not; that must not end the run.
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")
        kwargs["standalone_mode"] = False
        keep_caches_together()
        try:
            code = super().main(*args, **kwargs)
        except TinyDFError as error:
            self._say(str(error))
            code = error.exit_code
        except click.ClickException as error:
            self._say(f"{error.format_message()} Try '{self.name} --help'.")
            code = error.exit_code
        except (click.Abort, KeyboardInterrupt):
            self._say("interrupted.")
            code = ExitCode.INTERRUPTED
        sys.exit(int(code or 0))

    def _say(self, message: str) -> None:
        click.echo(f"{self.name}: {printable(' '.join(message.split()))}", err=True)


def write_figures(text: str, path: Path | None) -> None:
    """Writes what ``--json [FILE]`` asks for: to a file, whole or not at all, to standard output for ``-``, or not.

    Raises:
        OutputError: The file cannot be written.
    """
    if path == STANDARD_OUTPUT:
        click.echo(text, nl=False)
    elif path is not None:
        write_atomically(path, text.encode())
