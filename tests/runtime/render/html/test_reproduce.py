"""What was typed -> the command that is printed in a report."""

from __future__ import annotations

import shlex

import click
from click.testing import CliRunner

from tinydf_runtime.cli.options import typed_command


def command_of(*arguments: str) -> str:
    @click.command("tinydf-run")
    @click.argument("inputs", nargs=-1)
    @click.option(
        "--sample-fps", callback=lambda ctx, param, value: None if value == "all" else float(value), default="5"
    )
    @click.option("--report", "html_file")
    @click.option("--quiet", is_flag=True)
    def tool(**values: object) -> None:
        click.echo(typed_command(click.get_current_context()))

    return CliRunner().invoke(tool, arguments, prog_name="tinydf-run").output.strip()


def test_what_was_not_given_is_not_written() -> None:
    assert command_of("a.mp4") == "tinydf-run a.mp4"


def test_options_come_with_their_values() -> None:
    line = command_of("--quiet", "a.mp4", "--sample-fps", "all", "--report", "out file.html")
    assert line == "tinydf-run a.mp4 --sample-fps all --report 'out file.html' --quiet"


def test_odd_names_survive_a_shell() -> None:
    names = ["it's $HOME.mp4", "a;b", "-"]
    assert shlex.split(command_of(*names)) == ["tinydf-run", *names]


def test_passwords_are_not_handed_on() -> None:
    assert "1234" not in command_of("rtsp://admin:1234@camera/live")
