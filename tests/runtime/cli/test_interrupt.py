"""How a command's process ends."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from tinydf_runtime.cli.command import PromptCommand

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
