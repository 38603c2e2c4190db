"""The fuzz scripts find nothing: a share of their corpora, the same each time, and a short search led by coverage."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
NEEDED = {
    "media": ("av", "PIL"),
    "models": ("onnx", "av"),
    "plans": ("onnx", "openvino", "coremltools", "av"),
    "tables": ("torch", "safetensors", "av"),
}
COUNTS = {"media": 30, "models": 12, "plans": 3, "tables": 3}


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="calls are bounded by what Linux alone has")
@pytest.mark.parametrize("kind", COUNTS)
def test_hostile_files_are_met_as_promised(kind: str, tmp_path: Path) -> None:
    for library in NEEDED[kind]:
        pytest.importorskip(library, reason=f"makes the {kind}")
    figures = tmp_path / "figures.json"
    command = [sys.executable, str(SCRIPTS / "fuzz.py"), kind, "--count", str(COUNTS[kind]), "--json", str(figures)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = json.loads(figures.read_text())
    assert (found["files"], found["failed"]) == (COUNTS[kind], 0)


def test_a_search_finds_nothing(tmp_path: Path) -> None:
    pytest.importorskip("atheris", reason="of the extra dev, where it has a wheel: Linux on x86, Python 3.11 to 3.13")
    pytest.importorskip("av", reason="makes the files to start from")
    command = [sys.executable, str(SCRIPTS / "fuzz_parsers.py"), "--runs", "200", "--keep", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not list(tmp_path.iterdir())
