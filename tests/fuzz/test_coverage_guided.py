"""A short search for bytes that a parser stumbles over, led by the lines that they reach."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


def test_a_search_finds_nothing(tmp_path: Path) -> None:
    pytest.importorskip("atheris", reason="of the extra dev, where it has a wheel: Linux on x86, Python 3.11 to 3.13")
    pytest.importorskip("av", reason="makes the files to start from")
    command = [sys.executable, str(SCRIPTS / "fuzz_parsers.py"), "--runs", "200", "--keep", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not list(tmp_path.iterdir())
