"""Checkpoint -> a folder that a web server only has to serve: a page, both networks and what it must know of them."""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path

from tinydf.checkpoint import Checkpoint
from tinydf_calibration.sampler import LabelledCrops
from tinydf_calibration.table import CalibrationTable
from tinydf_export.proof.prove import MAX_AUC_DROP
from tinydf_export.targets import onnx as to_onnx
from tinydf_export.targets.table import ExportedModel
from tinydf_runtime.errors import OutputError
from tinydf_runtime.faces.detector import DEFAULT_DETECTOR, FaceDetector
from tinydf_runtime.io.files import write_atomically
from tinydf_runtime.models.spec import ModelSpec, Precision

SCHEMA = "tinydf.web/1"
CLASSIFIER, DETECTOR, ABOUT = "model.onnx", "facedetector.onnx", "model.json"
PAGE = ("index.html", "style.css", "app.js", "face.js", "package.json", "README.md")

# A wheel holds the page in this package; a source tree, beside the runtime that it mirrors.
_HOMES = (Path(__file__).parents[1] / "web", Path(__file__).parents[3] / "runtime" / "web")


def export(
    checkpoint: Checkpoint,
    out: Path,
    *,
    precision: Precision = "fp32",
    table: CalibrationTable | None = None,
    crops: LabelledCrops | None = None,
    max_auc_drop: float = MAX_AUC_DROP,
) -> ExportedModel:
    """Exports a network as ONNX with the page that runs it in a browser.

    The same checkpoint, table and versions give the same bytes. In a folder that is there already the page's files are
    replaced and others stay, so that onnxruntime-web need not be fetched again.

    Args:
        checkpoint: The network.
        out: Folder to write.
        precision: Number format to compute in.
        table: Calibration table, which INT8 needs.
        crops: To measure the exported model on, beside the golden crops.
        max_auc_drop: Largest loss of AUC on these.

    Raises:
        UsageError: INT8 without a table.
        StaleTableError: The table was made for another checkpoint, graph or crop recipe.
        QualityError: The exported model differs from the checkpoint; nothing is written.
        OutputError: The folder cannot be written.
    """
    home = next(folder for folder in _HOMES if folder.is_dir())
    with tempfile.TemporaryDirectory() as folder:
        model = to_onnx.export(
            checkpoint,
            Path(folder) / CLASSIFIER,
            precision=precision,
            table=table,
            crops=crops,
            max_auc_drop=max_auc_drop,
        )
        files = {name: (home / name).read_bytes() for name in PAGE}
        files[CLASSIFIER] = model.path.read_bytes()
    files[DETECTOR] = DEFAULT_DETECTOR.read_bytes()
    # Last: a page that finds it finds what it speaks of.
    files[ABOUT] = _describe(model.spec, files[CLASSIFIER], files[DETECTOR])
    write_folder(files, out)
    return ExportedModel(out, model.spec, model.proof, sum(len(content) for content in files.values()))


def write_folder(files: dict[str, bytes], out: Path) -> None:
    """Writes a new folder whole or not at all; in one that is there, each file whole, in order.

    Raises:
        OutputError: The system refused, for example because the disk is full.
    """
    target = out.resolve()
    if target.is_dir():
        for name, content in files.items():
            write_atomically(target / name, content)
        return
    temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        temporary.mkdir()
        for name, content in files.items():
            write_atomically(temporary / name, content)
        temporary.rename(target)
    except OutputError as error:
        raise OutputError(f"{out}: {error}") from error
    except OSError as error:
        raise OutputError(
            f"{out}: could not be written ({error.strerror or error}). Check folder, permissions and free space."
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _describe(spec: ModelSpec, classifier: bytes, detector: bytes) -> bytes:
    """Returns what the page must know: files with their hashes, crop recipe and thresholds."""
    faces = FaceDetector(DEFAULT_DETECTOR, threads=1)
    about = {
        "schema": SCHEMA,
        "classifier": {
            "file": CLASSIFIER,
            "sha256": hashlib.sha256(classifier).hexdigest(),
            "name": spec.name,
            "precision": spec.precision,
            "threshold": spec.threshold,
            "crop": asdict(spec.crop),
        },
        "detector": {
            "file": DETECTOR,
            "sha256": hashlib.sha256(detector).hexdigest(),
            "name": faces.name,
            "score_threshold": faces.score_threshold,
            "nms_iou": faces.nms_iou,
        },
    }
    return (json.dumps(about, indent=2, sort_keys=True) + "\n").encode()
