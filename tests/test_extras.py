"""What the extras of ``pyproject.toml`` bring to which machine."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

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
