"""How a command fails and ends, and the command line that a report prints."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from tinydf_runtime.cli.command import OneLineCommand, PromptCommand
from tinydf_runtime.cli.options import typed_command, write_figures
from tinydf_runtime.errors import ModelFileError, OutputError


def run(error: BaseException | None, *arguments: str) -> Result:
    @click.command("tinydf-any", cls=OneLineCommand)
    @click.option("--number", type=int)
    def command(number: int | None) -> None:
        if error is not None:
            raise error

    return CliRunner().invoke(command, arguments)


def test_success_exits_0_and_says_nothing() -> None:
    result = run(None)
    assert (result.exit_code, result.output) == (0, "")


@pytest.mark.parametrize(
    ("error", "arguments", "code"),
    [
        (ModelFileError("m.onnx: damaged.\nCopy it again."), (), 6),
        (KeyboardInterrupt(), (), 130),
        (None, ("--number", "many"), 2),
        (None, ("--unknown",), 2),
    ],
)
def test_errors_are_one_line_with_the_commands_name(
    error: BaseException | None, arguments: tuple[str, ...], code: int
) -> None:
    result = run(error, *arguments)
    assert result.exit_code == code
    assert result.stdout == ""
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("tinydf-any: ")


def test_our_own_mistakes_are_not_hidden() -> None:
    result = run(ZeroDivisionError())
    assert isinstance(result.exception, ZeroDivisionError)


def test_figures_go_to_a_file_to_standard_output_or_nowhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_figures("{}\n", tmp_path / "figures.json")
    assert (tmp_path / "figures.json").read_text() == "{}\n"
    write_figures("{}\n", None)
    assert capsys.readouterr().out == ""
    write_figures("[]\n", Path("-"))
    assert capsys.readouterr().out == "[]\n"


def test_figures_that_cannot_be_written_say_so(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="figures"):
        write_figures("{}\n", tmp_path / "missing" / "figures.json")


# The end of its process


PROGRAM = """
import threading, click
from tinydf_runtime.cli.command import PromptCommand

@click.command("probe", cls=PromptCommand)
def probe() -> int:
    threading.Thread(target=threading.Event().wait).start()
    click.echo("x" * 70_000)
    click.echo("said", err=True)
    return 5

probe()
"""


def test_the_process_ends_with_its_code_and_all_output_though_a_thread_hangs() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, len(done.stdout.strip()), done.stderr.strip()) == (5, 70_000, "said")


def test_called_with_arguments_it_leaves_the_process_alone() -> None:
    command = PromptCommand("probe", callback=lambda: 3)
    with pytest.raises(SystemExit) as end:
        command([])
    assert end.value.code == 3 and isinstance(command, click.Command)


# The command line that a report prints


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
