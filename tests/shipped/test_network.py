"""Nothing leaves the machine, and commands write what they were asked for and their own cache, nothing else."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tinydf_runtime.models.shipped import DEFAULT_MODEL

ROOT = Path(__file__).resolve().parents[2]
CLIP = ROOT / "examples" / "clip.mp4"
Starter = Callable[[list[str]], list[str]]

COMMANDS: dict[str, list[str]] = {
    "run": ["tinydf-run", str(CLIP), "--sample-fps", "all", "--json", "out/a.json", "--report", "out/a.html"],
    "doctor": ["tinydf-doctor"],
    "verify": ["tinydf-verify", str(DEFAULT_MODEL), "--json", "out/a.json"],
    "bench": ["tinydf-bench", str(DEFAULT_MODEL), "--threads", "1", "--batch", "1", "--plot", "out/a.svg"],
    "openvino": ["tinydf-export", "--target", "openvino", "--out", "out/a.xml"],
    "coreml": ["tinydf-export", "--target", "coreml", "--out", "out/a.mlpackage"],
    "calibrate": ["tinydf-calibrate", "--data", "nowhere", "--out", "out/a.json"],
    "evaluate": ["tinydf-evaluate", str(DEFAULT_MODEL), "--data", "nowhere"],
    "train": ["tinydf-train", "--data", "nowhere", "--out", "out/run"],
}
"""What is started. The last three fail once all their libraries are loaded: work itself would take minutes."""

IMPORTS = (
    "tinydf_runtime.engines.onnxruntime_engine",
    "tinydf_export.targets.openvino.target",
    "tinydf_export.targets.coreml.target",
)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment like a user's: a home folder of its own, no sign of automatic tests."""
    quiet = ("CI", "TF_BUILD", "JENKINS_URL", "GITHUB_ACTIONS")
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in quiet and not re.match("ORT_|HF_|XDG_|MPL|TORCHINDUCTOR_", name)
    }
    for name in ("home", "temporary", "work/out"):
        (tmp_path / name).mkdir(parents=True)
    places = [str(ROOT / part) for part in ("", "export", "runtime", "calibration")]
    return kept | {
        "HOME": str(tmp_path / "home"),
        "TMPDIR": str(tmp_path / "temporary"),
        "PYTHONPATH": os.pathsep.join(places),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def without_extras(name: str) -> None:
    """Skips where the libraries of a command are not installed."""
    needed = {"openvino": ("torch", "openvino"), "coreml": ("torch", "coremltools"), "bench": ("matplotlib",)}
    for library in needed.get(name, ("torch",) if name in ("train", "evaluate", "calibrate") else ()):
        pytest.importorskip(library)


@pytest.mark.parametrize("name", COMMANDS)
def test_no_command_opens_a_socket_or_writes_elsewhere(
    name: str, command_line: Starter, environment: dict[str, str], tmp_path: Path
) -> None:
    tracer = shutil.which("strace")
    if tracer is None:
        pytest.skip("strace is not installed")
    without_extras(name)
    trace = tmp_path / "trace"
    calls = "socket,connect,sendto,open,openat,creat,mkdir,mkdirat,rename,renameat,renameat2,link,linkat,symlink"
    done = subprocess.run(
        [
            tracer,
            "-f",
            "--seccomp-bpf",
            "-qq",
            "-y",
            "-o",
            str(trace),
            "-e",
            f"trace={calls}",
            *command_line(COMMANDS[name]),
        ],
        cwd=tmp_path / "work",
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if "ptrace" in done.stderr:
        pytest.skip("strace may not trace here")
    lines = trace.read_text(encoding="utf-8", errors="replace").splitlines()
    assert any("openat(" in line for line in lines)
    assert not [line for line in lines if "AF_INET" in line or "AF_NETLINK" in line]
    allowed = (tmp_path / "work" / "out", tmp_path / "temporary", tmp_path / "home" / ".cache" / "tinydf")
    assert not [line for line in lines if writes_elsewhere(line, tmp_path / "work", allowed)]
    kept = {path.relative_to(tmp_path / "home").as_posix() for path in (tmp_path / "home").glob("*/*")}
    assert kept <= {".cache/tinydf"}
    assert not [*(tmp_path / "temporary").iterdir()]


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


@pytest.mark.parametrize("name", ["run", "openvino"])
def test_no_python_code_connects_to_anything(
    name: str, command_line: Starter, environment: dict[str, str], tmp_path: Path
) -> None:
    without_extras(name)
    if name != "run" and shutil.which("strace"):
        pytest.skip("strace sees this command, and takes as long as the export itself")
    program, option, code, *arguments = command_line(COMMANDS[name])
    watch = (
        "import sys\n"
        "def refuse(event, arguments):\n"
        "    if event in ('socket.connect', 'socket.getaddrinfo', 'socket.gethostbyname', 'socket.sendto'):\n"
        "        print('connected:', event, arguments, file=sys.stderr, flush=True)\n"
        "sys.addaudithook(refuse)\n"
    )
    done = subprocess.run(
        [program, option, watch + code, *arguments],
        cwd=tmp_path / "work",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "connected:" not in done.stderr


def test_pytorch_keeps_what_an_export_caches_in_our_folder(environment: dict[str, str], tmp_path: Path) -> None:
    pytest.importorskip("torch")
    code = (
        "from tinydf_runtime.io.user_folders import keep_caches_together; keep_caches_together()\n"
        "from torch._inductor.runtime.cache_dir_utils import cache_dir; cache_dir()"
    )
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert not [*(tmp_path / "temporary").iterdir()]
    assert (tmp_path / "home" / ".cache" / "tinydf" / "torch").is_dir()


@pytest.mark.parametrize("module", IMPORTS)
def test_telemetry_is_off_whichever_part_comes_first(module: str, environment: dict[str, str]) -> None:
    code = (
        f"import sys, os, {module}\n"
        "assert 'openvino_telemetry' not in sys.modules\n"
        "assert 'onnxruntime' not in sys.modules or os.environ['ORT_DISABLE_TELEMETRY'] == '1'"
    )
    for library in ("torch", "openvino", "coremltools"):
        pytest.importorskip(library)
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True)


def test_both_libraries_are_imported_in_one_place() -> None:
    homes = {"onnxruntime": "quiet_onnxruntime.py", "openvino": "quiet_openvino.py"}
    found = []
    for part in ("runtime", "export", "calibration", "tinydf", "scripts", "examples"):
        for path in sorted((ROOT / part).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            for library, home in homes.items():
                # A submodule may be imported within a function, after the library itself.
                if re.search(rf"^(?:\s*import|from) {library}\b", text, re.M) and path.name != home:
                    found.append(f"{path}: {library}")
    assert not found
