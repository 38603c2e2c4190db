"""The wheel alone, in an empty environment, judges a video without torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CLIP = ROOT / "examples" / "clip.mp4"

pytestmark = pytest.mark.network


def run(*command: object, cwd: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Runs a command that cannot see this checkout."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    assert not check or done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done


@pytest.fixture(scope="session")
def index_reached(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("probe")
    done = run(
        sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder, "hatchling", cwd=folder, check=False
    )
    if done.returncode != 0:
        pytest.skip("pip reaches no package index")


@pytest.fixture(scope="session")
def wheel(index_reached: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, ROOT, cwd=folder)
    (path,) = folder.glob("tinydf-*.whl")
    return path


@pytest.fixture(scope="session")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the programs of an environment that holds the wheel and what it needs."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv", cwd=folder)
    programs = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
    pip = (sys.executable, "-m", "pip", "--python", programs / "python")
    run(*pip, "install", "-q", "--no-compile", "-c", ROOT / "constraints.txt", wheel, cwd=folder)
    return programs


def test_wheel_holds_the_four_packages_their_types_and_the_networks(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for package in ("tinydf", "tinydf_export", "tinydf_runtime", "tinydf_calibration"):
        assert {f"{package}/__init__.py", f"{package}/py.typed"} <= names
    for model in ("tinydf", "facedetector"):
        assert {f"tinydf_runtime/models/weights/{model}.onnx", f"tinydf_runtime/models/weights/{model}.md"} <= names
    assert "tinydf/weights/tinydf.safetensors" in names
    assert {"tinydf_runtime/models/weights/SHA256SUMS", "tinydf/weights/SHA256SUMS"} <= names
    assert {f"tinydf_runtime/scan/{name}" for name in ("schema.sql", "overview.html", "overview.js")} <= names
    assert {f"tinydf/evaluation/{name}" for name in ("page.html.jinja", "evaluation.schema.json")} <= names


def test_wheel_holds_nothing_else(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    tops = {top for top in tops if not top.endswith(".dist-info")}
    assert tops == {"tinydf", "tinydf_export", "tinydf_runtime", "tinydf_calibration"}


def test_runtime_install_has_no_torch(environment: Path, tmp_path: Path) -> None:
    code = "import importlib.util as u; print([n for n in ('torch', 'onnx', 'skimage', 'sklearn') if u.find_spec(n)])"
    assert run(environment / "python", "-c", code, cwd=tmp_path).stdout.strip() == "[]"
    run(sys.executable, "-m", "pip", "--python", environment / "python", "check", cwd=tmp_path)


def test_wheel_alone_judges_the_example_video(environment: Path, tmp_path: Path) -> None:
    run(environment / "tinydf-run", CLIP, "--json", "report.json", cwd=tmp_path)
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    (found,) = report["inputs"]
    assert found["status"] == "ok"
    assert found["verdict"] in ("real", "fake", "inconclusive")
    assert found["tracks"] and found["tracks"][0]["faces_used"] > 0


def test_wheel_alone_verifies_its_network(environment: Path, tmp_path: Path) -> None:
    code = "from tinydf_runtime.models.shipped import DEFAULT_MODEL; print(DEFAULT_MODEL)"
    model = run(environment / "python", "-c", code, cwd=tmp_path).stdout.strip()
    assert json.loads(run(environment / "tinydf-verify", model, "--json", cwd=tmp_path).stdout)["passed"] is True


@pytest.mark.parametrize(
    "command",
    [
        "tinydf-prepare videos --layout folders --out faces",
        "tinydf-train --data faces --out run",
        "tinydf-train-detector --data faces --out run",
        "tinydf-evaluate model.onnx --data faces",
        "tinydf-export --target onnx --out model.onnx",
    ],
)
def test_commands_that_need_torch_say_what_to_install(environment: Path, tmp_path: Path, command: str) -> None:
    name, *arguments = command.split()
    done = run(environment / name, *arguments, cwd=tmp_path, check=False)
    assert done.returncode == 4, done.stderr[-2000:]
    assert done.stderr.count("\n") == 1
    assert "pip install -c constraints.txt '.[" in done.stderr
