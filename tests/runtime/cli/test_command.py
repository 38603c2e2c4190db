from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from tinydf_runtime.cli.command import OneLineCommand, write_figures
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
