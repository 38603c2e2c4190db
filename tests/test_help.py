"""Every command explains itself in the smallest install, where none of the extras' libraries is there."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = dict(re.findall(r'^(tinydf-[\w-]+) = "([\w.]+:\w+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE))
IMPORTED_AS = {
    "cuda-python": "cuda",
    "opencv-python-headless": "cv2",
    "pi-heif": "pi_heif",
    "scikit-image": "skimage",
    "scikit-learn": "sklearn",
    "pillow": "PIL",
    "c2pa-python": "c2pa",
    "lightning-fabric": "lightning_fabric",
    "huggingface-hub": "huggingface_hub",
}

PROGRAM = """
import importlib, sys
module, function, command, *absent = sys.argv[1:]
for name in absent:
    sys.modules[name] = None
sys.argv = [command, "--help"]
getattr(importlib.import_module(module), function)()
"""


def optional_libraries() -> set[str]:
    """Names to import of what the extras install and the base does not."""
    names = {re.split(r"[^\w.-]", line)[0]: "extra ==" in line for line in requires("tinydf") or []}
    return {IMPORTED_AS.get(name, name.replace("-", "_")) for name, extra in names.items() if extra} - {"tinydf"}


def test_the_list_of_optional_libraries_is_not_empty() -> None:
    assert {"torch", "onnx", "pyarrow", "skimage", "openvino", "PIL"} <= optional_libraries()
    assert not {"numpy", "cv2", "click", "rich", "onnxruntime"} & optional_libraries()


@pytest.mark.parametrize("command", sorted(SCRIPTS))
def test_help_works_in_the_smallest_install(command: str) -> None:
    module, function = SCRIPTS[command].split(":")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, module, function, command, *sorted(optional_libraries())],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Usage: {command}" in done.stdout and "Example: " in done.stdout and "--quiet" in done.stdout
