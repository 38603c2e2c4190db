"""What is shipped: the files of this checkout, and its commands as a user calls them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
Runner = Callable[..., subprocess.CompletedProcess[str]]
Done = subprocess.CompletedProcess[str]
CALLS = "socket,connect,sendto,open,openat,creat,mkdir,mkdirat,rename,renameat,renameat2,link,linkat,symlink"


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
def make_home() -> Callable[[Path], dict[str, str]]:
    """Lays out a user's folders below one, and returns an environment with them, without a sign of automatic tests."""

    def make(folder: Path) -> dict[str, str]:
        quiet = ("CI", "TF_BUILD", "JENKINS_URL", "GITHUB_ACTIONS")
        kept = {
            name: value
            for name, value in os.environ.items()
            if name not in quiet and not re.match("ORT_|HF_|XDG_|MPL|TORCHINDUCTOR_", name)
        }
        for name in ("home", "temporary", "work/out"):
            (folder / name).mkdir(parents=True)
        return kept | {
            "HOME": str(folder / "home"),
            "TMPDIR": str(folder / "temporary"),
            "PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in ("", "export", "runtime", "calibration")),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    return make


@pytest.fixture(scope="session")
def watch(make_home: Callable[[Path], dict[str, str]]) -> Callable[..., tuple[Done, list[str] | None]]:
    """Runs a command as a user would, in ``work`` below a folder.

    Call: ``watch([program, ...], folder, MKL_CBWR="AVX2")`` -> what it printed, and everything that it did beyond its
    machine, its outputs in ``work/out`` and its own cache; None where strace is missing or may not trace.
    """
    tracer = shutil.which("strace")

    def run(command: list[str], folder: Path, **variables: str) -> tuple[Done, list[str] | None]:
        environment = make_home(folder) | variables
        trace = folder / "trace"
        options = ["-f", "--seccomp-bpf", "-qq", "-y", "-o", str(trace), "-e", f"trace={CALLS}"]
        prefixes: list[list[str]] = [[tracer, *options], []] if tracer else [[]]
        for prefix in prefixes:
            done = subprocess.run(
                [*prefix, *command],
                cwd=folder / "work",
                env=environment,
                capture_output=True,
                text=True,
                stdin=subprocess.DEVNULL,
                check=False,
            )
            if prefix and "ptrace" not in done.stderr:
                return done, strange(trace, folder)
        return done, None

    return run


def strange(trace: Path, folder: Path) -> list[str]:
    """Returns the traced calls, and the files in the user's folders, that no command of ours should leave."""
    lines = trace.read_text(encoding="utf-8", errors="replace").splitlines()
    assert any("openat(" in line for line in lines)
    allowed = (folder / "work" / "out", folder / "temporary", folder / "home" / ".cache" / "tinydf")
    kept = {*(folder / "temporary").iterdir(), *(folder / "home").glob("*/*")} - {allowed[-1]}
    return [
        *(line for line in lines if "AF_INET" in line or "AF_NETLINK" in line),
        *(line for line in lines if writes_elsewhere(line, folder / "work", allowed)),
        *map(str, kept),
    ]


def writes_elsewhere(line: str, work: Path, allowed: tuple[Path, ...]) -> bool:
    """Whether a traced call made or changed a file outside the allowed folders."""
    if " = -1 " in line or not re.search(
        r"O_WRONLY|O_RDWR|O_CREAT|\b(creat|mkdir(at)?|rename(at2?)?|(sym)?link(at)?)\(", line
    ):
        return False
    paths = [work / text for text in re.findall(r'"([^"]*)"', line)]
    harmless = ("/dev/", "/proc/")
    return any(
        not str(path).startswith(harmless)
        and not any(path.is_relative_to(folder) or folder.is_relative_to(path) for folder in allowed)
        and "O_TMPFILE" not in line
        for path in paths
    )


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
