"""The shipped checkpoint for every target, as the manual exports it, in 8 bit where it does; a changed bit is seen."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")

from onnx import ModelProto  # noqa: E402

from tinydf.checkpoint import Checkpoint  # noqa: E402
from tinydf_export import runner  # noqa: E402
from tinydf_export.cli.export import main as export_main  # noqa: E402
from tinydf_export.graph import float_graph  # noqa: E402
from tinydf_export.parity.verify import check_whole  # noqa: E402
from tinydf_export.targets.table import TARGETS  # noqa: E402
from tinydf_runtime.errors import ModelFileError  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
MANUAL = (ROOT / "docs" / "export.md").read_text(encoding="utf-8")
Runner = Callable[[list[str], Path], "subprocess.CompletedProcess[str]"]


def documented_exports() -> dict[str, list[str]]:
    """Returns the arguments by which the manual exports the shipped checkpoint, by target: in 8 bit where it does."""
    lines = re.findall(r"^tinydf-export (--target (\w+)( --int8)? --out \S+)", MANUAL, re.M)
    return {target: line.split() for line, target, _ in sorted(lines, key=lambda line: bool(line[2]))}


EXPORTS = documented_exports() | {"web": ["--target", "web", "--int8", "--out", "page"]}


@pytest.fixture(scope="module")
def one_trace() -> Iterator[None]:
    """Traces the shipped network once: that is most of what each export takes."""
    kept: list[ModelProto] = []

    def build(checkpoint: Checkpoint) -> ModelProto:
        if not kept:
            kept.append(float_graph.build_float_graph(checkpoint))
        return kept[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "build_float_graph", build)
        yield


@pytest.fixture(scope="module", params=EXPORTS)
def exported(
    request: pytest.FixtureRequest, one_trace: None, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path, int]:
    """Target, folder of its files, and the exit code of the export."""
    folder = tmp_path_factory.mktemp(request.param)
    arguments = EXPORTS[request.param]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        with pytest.raises(SystemExit) as ended:
            export_main.main(arguments)
    return request.param, folder, int(ended.value.code or 0)


def models(folder: Path) -> list[Path]:
    """Returns the models in a folder, those of a page included."""
    found = [*folder.iterdir(), *folder.glob("page/*")]
    return sorted(path for path in found if path.suffix in (".onnx", ".xml", ".plan", ".mlpackage"))


def test_the_manual_exports_to_every_target() -> None:
    assert EXPORTS.keys() == TARGETS.keys()


def test_the_export_is_verified(exported: tuple[str, Path, int], run: Runner) -> None:
    target, folder, code = exported
    # A plan needs a GPU; what it is built from is left without one.
    assert code in ((0, 4) if target == "tensorrt" else (0,))
    assert models(folder)
    for model in models(folder):
        check_whole(model)
        done = run(["tinydf-verify", str(model)], folder)
        # Core ML runs on macOS alone; elsewhere the export itself was checked by an interpreter.
        assert done.returncode in ((0, 4) if target == "coreml" else (0,)), done.stderr


@pytest.mark.parametrize("share", [0.1, 0.5, 0.98])
def test_one_changed_bit_in_any_file_is_seen(
    exported: tuple[str, Path, int], share: float, flip: Callable[[Path, float], None], tmp_path: Path
) -> None:
    folder = exported[1]
    for model in models(folder):
        for part in files_of(model):
            copied = tmp_path / part.relative_to(model.parent).as_posix().replace("/", "-")
            copied.mkdir()
            for path in model.parent.glob(f"{model.stem}.*"):
                (shutil.copytree if path.is_dir() else shutil.copy)(path, copied / path.name)
            flip(copied / part.relative_to(model.parent), share)
            with pytest.raises(ModelFileError):
                check_whole(copied / model.name)


def files_of(model: Path) -> list[Path]:
    """Returns all files of a model."""
    if model.is_dir():
        return sorted(path for path in model.rglob("*") if path.is_file())
    return [model, *([model.with_suffix(".bin")] if model.suffix == ".xml" else [])]
