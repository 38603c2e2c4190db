"""Nothing leaves the machine, and commands write what they were asked for and their own cache, nothing else."""

from __future__ import annotations

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
Watcher = Callable[..., "tuple[subprocess.CompletedProcess[str], list[str] | None]"]

COMMANDS: dict[str, list[list[str]]] = {
    "run": [["tinydf-run", str(CLIP), "--sample-fps", "all", "--json", "out/a.json", "--report", "out/a.html"]],
    "doctor": [["tinydf-doctor"]],
    "verify": [["tinydf-verify", str(DEFAULT_MODEL), "--json", "out/a.json"]],
    "bench": [
        ["tinydf-bench", str(DEFAULT_MODEL), "--threads", "1", "--batch", "1", "--turns", "1", "--plot", "out/a.svg"]
    ],
    "training": [
        ["tinydf-train", "--data", "nowhere", "--out", "out/run"],
        ["tinydf-evaluate", str(DEFAULT_MODEL), "--data", "nowhere"],
        ["tinydf-calibrate", "--data", "nowhere", "--out", "out/a.json"],
    ],
}
"""What is started in one process; tinydf-export is in test_exports.py. Those for training fail once all their libraries
are loaded: work itself would take minutes."""

IMPORTS = (
    "tinydf_runtime.engines.onnxruntime_engine",
    "tinydf_export.targets.openvino.target",
    "tinydf_export.targets.coreml.target",
)


@pytest.fixture
def environment(make_home: Callable[[Path], dict[str, str]], tmp_path: Path) -> dict[str, str]:
    """An environment like a user's, with a home folder of its own."""
    return make_home(tmp_path)


def without_extras(name: str) -> None:
    """Skips where the libraries of a command are not installed."""
    needed = {"bench": "matplotlib", "training": "torch"}
    if name in needed:
        pytest.importorskip(needed[name])


@pytest.mark.parametrize("name", COMMANDS)
def test_no_command_opens_a_socket_or_writes_elsewhere(
    name: str, scripts: dict[str, tuple[str, str]], watch: Watcher, tmp_path: Path
) -> None:
    without_extras(name)
    lines = ["import sys"]
    for program, *arguments in COMMANDS[name]:
        module, function = scripts[program]
        lines += [
            f"from {module} import {function}",
            f"sys.argv = {[program, *arguments]!r}",
            # With arguments, as from Python, tinydf-run leaves the end of the process to its caller.
            f"try: {function}(*{[arguments] if name == 'run' else []!r})",
            f"except SystemExit as ended: print({program!r}, ended.code or 0)",
        ]
    done, strange = watch([sys.executable, "-c", "\n".join(lines)], tmp_path)
    ended = re.findall(r"^(tinydf-\S+) (\d)$", done.stdout, re.M)
    assert ended == [(words[0], "5" if "nowhere" in words else "0") for words in COMMANDS[name]], done.stderr
    if strange is None:
        pytest.skip("strace is not installed, or may not trace here")
    assert strange == []


def test_no_python_code_connects_to_anything(
    command_line: Starter, environment: dict[str, str], tmp_path: Path
) -> None:
    if shutil.which("strace"):
        pytest.skip("strace sees this command")
    program, option, code, *arguments = command_line(COMMANDS["run"][0])
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
