"""targets/web.py: a folder that holds all the page asks for, whole or not at all."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tinydf.checkpoint import Checkpoint
from tinydf_export import ExportRequest, runner
from tinydf_export.parity.verify import verify_model
from tinydf_export.targets import web as to_web
from tinydf_runtime.errors import OutputError
from tinydf_runtime.faces.detector import FaceDetector
from tinydf_runtime.io.files import write_atomically
from tinydf_runtime.models.shipped import DEFAULT_DETECTOR


def test_the_folder_holds_the_page_and_proven_networks(
    checkpoint: Checkpoint, traced_once: None, tmp_path: Path
) -> None:
    exported = runner.run(ExportRequest(checkpoint, "web", tmp_path / "page"))
    assert [path.name for path in tmp_path.iterdir()] == ["page"]
    names = {path.name for path in exported.path.iterdir()}
    assert names == {*to_web.PAGE, to_web.CLASSIFIER, to_web.DETECTOR, to_web.ABOUT}
    assert exported.size_bytes == sum(path.stat().st_size for path in exported.path.iterdir())
    assert verify_model(exported.path / to_web.CLASSIFIER).passed
    about = json.loads((exported.path / to_web.ABOUT).read_text(encoding="utf-8"))
    for entry in (about["classifier"], about["detector"]):
        assert hashlib.sha256((exported.path / entry["file"]).read_bytes()).hexdigest() == entry["sha256"]
    assert (exported.path / to_web.DETECTOR).read_bytes() == DEFAULT_DETECTOR.read_bytes()
    assert about["detector"]["certain_score"] == FaceDetector(DEFAULT_DETECTOR).certain_score
    known = about["classifier"]["fake_thresholds"]
    assert (len(known), about["classifier"]["threshold"]) == (30, checkpoint.spec.threshold)
    assert checkpoint.spec.threshold < known[0] < known[-1] < 1
    assert about["classifier"]["crop"] == {"side_px": 224, "margin": checkpoint.spec.crop.margin, "version": 1}


def test_files_of_others_stay_in_a_folder_that_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "page"
    (folder / "ort").mkdir(parents=True)
    (folder / "ort" / "engine.wasm").write_bytes(b"engine")
    (folder / "a").write_bytes(b"old")
    to_web.write_folder({"a": b"new", "b": b"other"}, folder)
    assert (folder / "a").read_bytes() == b"new" and (folder / "b").read_bytes() == b"other"
    assert (folder / "ort" / "engine.wasm").read_bytes() == b"engine"


def test_a_folder_that_cannot_be_written_is_not_left_in_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = write_atomically

    def fill_the_disk(path: Path, content: bytes) -> None:
        if path.name == "b":
            raise OutputError("b: no space left")
        written(path, content)

    monkeypatch.setattr(to_web, "write_atomically", fill_the_disk)
    with pytest.raises(OutputError, match="no space left"):
        to_web.write_folder({"a": b"1", "b": b"2"}, tmp_path / "page")
    assert not list(tmp_path.iterdir())
