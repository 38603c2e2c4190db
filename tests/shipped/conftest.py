"""What is shipped: the files of this checkout, and its commands as a user calls them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
Runner = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def scripts() -> dict[str, tuple[str, str]]:
    """Name of a command -> module and function that it starts."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    return {
        name: (module, function) for name, module, function in re.findall(r'^(tinydf-\S+) = "(.+):(.+)"$', text, re.M)
    }


@pytest.fixture(scope="session")
def command_line(scripts: dict[str, tuple[str, str]]) -> Callable[[list[str]], list[str]]:
    """Turns the words of a documented command into those that start this checkout's code."""

    def start(words: list[str]) -> list[str]:
        program, *arguments = words
        if program == "python":
            return [sys.executable, str(ROOT / arguments[0]), *arguments[1:]]
        module, function = scripts[program]
        # As the installed command does, so that messages name it.
        code = f"import sys; sys.argv[0] = {program!r}; from {module} import {function}; {function}()"
        return [sys.executable, "-c", code, *arguments]

    return start


@pytest.fixture(scope="session")
def run(command_line: Callable[[list[str]], list[str]]) -> Runner:
    """Runs a command: ``run(["tinydf-run", "clip.mp4"], cwd=tmp_path)`` -> what it printed, and its exit code."""

    def call(words: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
        places = [str(ROOT / part) for part in ("", "export", "runtime", "calibration")]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(places)}
        return subprocess.run(
            command_line(words),
            cwd=cwd,
            env=environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )

    return call


@pytest.fixture(scope="session")
def recorder() -> ModuleType:
    """The script that records what is shipped."""
    spec = spec_from_file_location("record_shipped", ROOT / "scripts" / "record_shipped.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def flip() -> Callable[[Path, float], None]:
    """Changes one bit of a file, at a share of its length."""

    def change(path: Path, share: float) -> None:
        content = bytearray(path.read_bytes())
        content[int(share * (len(content) - 1))] ^= 1
        path.write_bytes(content)

    return change
