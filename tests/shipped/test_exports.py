"""The shipped checkpoint for every target, as the manual exports it, in 8 bit where it does, without a socket.

One changed bit in any file is seen.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")

from onnx import ModelProto  # noqa: E402

from tinydf.checkpoint import Checkpoint, load_default  # noqa: E402
from tinydf_export.cli.verify import main as verify_main  # noqa: E402
from tinydf_export.parity.verify import check_whole  # noqa: E402
from tinydf_export.targets.table import TARGETS  # noqa: E402
from tinydf_runtime.errors import ModelFileError  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
MANUAL = (ROOT / "docs" / "export.md").read_text(encoding="utf-8")
Watcher = Callable[..., "tuple[subprocess.CompletedProcess[str], list[str] | None]"]


def documented_exports() -> dict[str, list[str]]:
    """Returns the arguments by which the manual exports the shipped checkpoint, by target: in 8 bit where it does."""
    lines = re.findall(r"^tinydf-export (--target (\w+)( --int8)? --out \S+)", MANUAL, re.M)
    return {target: line.split() for line, target, _ in sorted(lines, key=lambda line: bool(line[2]))}


EXPORTS = documented_exports() | {"web": ["--target", "web", "--int8", "--out", "page"]}


PROGRAM = """
import hashlib, json, os, sys
from pathlib import Path
from tinydf_export.cli.export import main
from tinydf_export import runner

build, kept, codes = runner.build_float_graph, [], {}

def build_once(checkpoint):
    if not kept:
        kept.append(build(checkpoint))
    return kept[0]

runner.build_float_graph = build_once
out = Path("out").resolve()
for target, arguments in json.loads(sys.argv[1]).items():
    (out / target).mkdir()
    os.chdir(out / target)
    try:
        main(arguments)
    except SystemExit as ended:
        codes[target] = int(ended.code or 0)
content = hashlib.sha256(kept[0].SerializeToString(deterministic=True)).hexdigest()
(out / "done.json").write_text(json.dumps({"codes": codes, "graph": content}))
"""
"""Runs the exports in one process, since most of what each takes is to load PyTorch and to trace the network."""


class Exports(NamedTuple):
    """What came of exporting to every target."""

    folder: Path
    codes: dict[str, int]
    """Exit code of each target's export."""
    graph_sha256: str
    """Of the float graph that all started from."""
    strange: list[str] | None
    """As ``watch`` returns it."""


@pytest.fixture(scope="module")
def exports(watch: Watcher, tmp_path_factory: pytest.TempPathFactory) -> Exports:
    """Every target, exported as on another processor: MKL takes another way to the same products than here."""
    for library in ("openvino", "coremltools"):
        pytest.importorskip(library)
    folder = tmp_path_factory.mktemp("exports")
    command = [sys.executable, "-c", PROGRAM, json.dumps(EXPORTS)]
    done, strange = watch(command, folder, MKL_CBWR="COMPATIBLE", OMP_NUM_THREADS="1")
    assert done.returncode == 0, done.stderr
    found = json.loads((folder / "work" / "out" / "done.json").read_text())
    return Exports(folder / "work" / "out", found["codes"], found["graph"], strange)


@pytest.fixture(params=EXPORTS)
def exported(request: pytest.FixtureRequest, exports: Exports) -> tuple[str, Path, int]:
    """Target, folder of its files, and the exit code of the export."""
    return request.param, exports.folder / request.param, exports.codes[request.param]


def models(folder: Path) -> list[Path]:
    """Returns the models in a folder, those of a page included."""
    found = [*folder.iterdir(), *folder.glob("page/*")]
    return sorted(path for path in found if path.suffix in (".onnx", ".xml", ".plan", ".mlpackage"))


def test_the_manual_exports_to_every_target() -> None:
    assert EXPORTS.keys() == TARGETS.keys()


def test_no_export_opens_a_socket_or_writes_elsewhere(exports: Exports) -> None:
    if exports.strange is None:
        pytest.skip("strace is not installed, or may not trace here")
    assert exports.strange == []


def test_the_graph_is_the_one_of_this_processor(
    exports: Exports, trace_once: Callable[[Checkpoint], ModelProto]
) -> None:
    content = trace_once(load_default()).SerializeToString(deterministic=True)
    assert exports.graph_sha256 == hashlib.sha256(content).hexdigest()


def test_the_export_is_verified(exported: tuple[str, Path, int]) -> None:
    target, folder, code = exported
    # A plan needs a GPU; what it is built from is left without one.
    assert code in ((0, 4) if target == "tensorrt" else (0,))
    assert models(folder)
    for model in models(folder):
        check_whole(model)
        done = CliRunner().invoke(verify_main, [str(model)])
        # Core ML runs on macOS alone; elsewhere the export itself was checked by an interpreter.
        assert done.exit_code in ((0, 4) if target == "coreml" else (0,)), done.stderr


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
