"""targets/web.py: a folder that holds all the page asks for, whole or not at all."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tinydf.checkpoint import Checkpoint
from tinydf_export import ExportRequest, runner
from tinydf_export.parity.verify import verify_model
from tinydf_export.targets import web as to_web
from tinydf_runtime.errors import OutputError
from tinydf_runtime.faces.detector import FaceDetector
from tinydf_runtime.io.files import write_atomically
from tinydf_runtime.models.shipped import DEFAULT_DETECTOR
from tinydf_runtime.types import FaceScore
from tinydf_runtime.verdict.aggregate import judge_tracks
from tinydf_runtime.verdict.evidence import to_probability
from tinydf_runtime.verdict.rules import DecisionRule, RealScores

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")


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
    assert about["classifier"]["crop"] == {"side_px": 224, "margin": checkpoint.spec.crop.margin, "version": 1}


@needs_node
@pytest.mark.parametrize("measured", [True, False])
def test_the_page_gives_the_runtimes_verdicts_on_pictures(
    checkpoint: Checkpoint, measured: bool, tmp_path: Path
) -> None:
    rng = np.random.default_rng(5)
    people = RealScores.of_logits(rng.normal(-1, 1.5, 300).tolist()) if measured else None
    spec = replace(checkpoint.spec, threshold=0.6, real_pictures=people)
    about = json.loads(to_web._describe(spec, b"", b""))
    certain = about["detector"]["certain_score"]
    rule = DecisionRule(0.6, 0.6, people, certain, minimum_faces=1)
    pictures = [
        [
            (side, float(rng.choice([certain, 0.999, certain - 0.01], p=[0.45, 0.45, 0.1])), float(logit))
            for side, logit in zip(rng.uniform(30, 250, count), rng.normal(0.4, 2.5, count), strict=True)
        ]
        for count in [*([1] * 60), *([2] * 40), *([5] * 30), *([25] * 10)]
    ]
    given = [
        [{"box": [0, 0, side, side], "score": score, "probability": to_probability(x)} for side, score, x in faces]
        for faces in pictures
    ]
    code = f"""
        import {{readFileSync}} from "node:fs";
        import {{verdictsOn}} from {json.dumps((to_web._HOMES[1] / "face.js").as_uri())};
        const [about, pictures] = JSON.parse(readFileSync(process.argv[2]));
        console.log(JSON.stringify(pictures.map((faces) => verdictsOn(faces, about))));
    """
    (tmp_path / "script.mjs").write_text(code, encoding="utf-8")
    (tmp_path / "given.json").write_text(json.dumps([about, given]), encoding="utf-8")
    command = ["node", str(tmp_path / "script.mjs"), str(tmp_path / "given.json")]
    told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout)
    words = {"uncertain_face": "doubtful", "side_person": "small", "faces_too_small": "small"}
    seen: set[str] = set()
    for faces, verdicts in zip(pictures, told, strict=True):
        tracks = {
            place: [FaceScore(0.0, 0, (0.0, 0.0, side, side), score, to_probability(x))]
            for place, (side, score, x) in enumerate(faces)
        }
        expected = [
            verdict.label if verdict.fake_probability is not None else words[verdict.reasons[0]]
            for verdict, _ in judge_tracks(tracks, rule)
        ]
        assert verdicts == expected, faces
        seen |= set(verdicts)
    assert seen == {"real", "inconclusive", "fake", "doubtful", "small"}


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
