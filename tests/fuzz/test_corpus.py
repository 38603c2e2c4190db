"""A share of the fuzz script's corpora, the same each time: the commands keep their promises on hostile files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "fuzz.py"
NEEDED = {
    "media": ("av", "PIL"),
    "models": ("onnx", "av"),
    "plans": ("onnx", "openvino", "coremltools", "av"),
    "tables": ("torch", "safetensors", "av"),
}
COUNTS = {"media": 30, "models": 12, "plans": 3, "tables": 3}

pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="calls are bounded by what Linux alone has")


@pytest.mark.parametrize("kind", COUNTS)
def test_hostile_files_are_met_as_promised(kind: str, tmp_path: Path) -> None:
    for library in NEEDED[kind]:
        pytest.importorskip(library, reason=f"makes the {kind}")
    figures = tmp_path / "figures.json"
    command = [sys.executable, str(SCRIPT), kind, "--count", str(COUNTS[kind]), "--json", str(figures)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = json.loads(figures.read_text())
    assert (found["files"], found["failed"]) == (COUNTS[kind], 0)
