"""What installs bring: every command explains itself in the smallest one, and extras suit the machine."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

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


if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def brought(extra: str, machine: str, python: str) -> dict[str, str]:
    """Returns the packages of an extra, with their versions, on a machine with a Python."""
    listed = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["optional-dependencies"][extra]
    environment = {"platform_machine": machine, "python_version": python, "sys_platform": "linux", "extra": ""}
    found = [one for one in map(Requirement, listed) if one.marker is None or one.marker.evaluate(environment)]
    assert len({one.name for one in found}) == len(found)
    return {one.name: str(one.specifier) for one in found}


@pytest.mark.parametrize(("python", "cuda"), [("3.10", "<13,>=12.8"), ("3.12", ">=13")])
def test_no_extra_brings_a_jetson_another_tensorrt(python: str, cuda: str) -> None:
    assert brought("tensorrt", "aarch64", python) == {"cuda-python": cuda}


def test_a_desktop_gets_tensorrt_and_cuda() -> None:
    assert set(brought("tensorrt", "x86_64", "3.12")) == {"tensorrt", "cuda-python"}


def test_no_other_extra_brings_tensorrt() -> None:
    extras = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert not [extra for extra in extras if extra != "tensorrt" and any("tensorrt" in one for one in extras[extra])]
