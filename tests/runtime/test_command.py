from __future__ import annotations

import click
import pytest
from click.testing import CliRunner, Result

from tinydf_runtime.command import OneLineCommand
from tinydf_runtime.errors import ModelFileError


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
