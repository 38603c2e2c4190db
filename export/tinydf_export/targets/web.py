"""Static web page: a folder with the page, both networks and a description of them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from onnx import ModelProto

from tinydf_export.job import ExportJob
from tinydf_export.targets import onnx
from tinydf_export.targets.protocol import Trial
from tinydf_runtime.errors import OutputError
from tinydf_runtime.faces.detector import FaceDetector
from tinydf_runtime.io.files import temporary_folder, write_atomically
from tinydf_runtime.models.shipped import DEFAULT_DETECTOR
from tinydf_runtime.models.spec import ModelSpec
from tinydf_runtime.types import FaceScore
from tinydf_runtime.verdict.aggregate import SIDE_SHARE, SMALL_FACE_LOGITS, judge_track
from tinydf_runtime.verdict.evidence import FULL_SIDE_PX, HIGHEST_LOGIT, MINIMUM_SIDE_PX, to_probability
from tinydf_runtime.verdict.rules import DecisionRule

SCHEMA = "tinydf.web/2"
MOST_PEOPLE = 30
"""People in a picture up to whom the page knows what it takes to call one fake; for more it takes the last."""
CLASSIFIER, DETECTOR, ABOUT = "model.onnx", "facedetector.onnx", "model.json"
PAGE = ("index.html", "style.css", "app.js", "face.js", "package.json", "README.md")
LOGIT_STEP = 1e-6

# A wheel holds the page in this package; a source tree, beside the runtime that it mirrors.
_HOMES = (Path(__file__).parents[1] / "web", Path(__file__).parents[3] / "runtime" / "web")


quantise = onnx.quantise


def write(graph: ModelProto, job: ExportJob) -> WebDraft:
    """Returns the page and its networks."""
    return WebDraft(onnx.write(graph, job))


@dataclass(frozen=True, slots=True)
class WebDraft:
    """The page around a classifier; see ``Draft``."""

    classifier: onnx.OnnxDraft

    def open(self, spec: ModelSpec, folder: Path) -> Trial:
        """Opens the classifier in ONNX Runtime on the CPU; browsers run the same file."""
        return self.classifier.open(spec, folder)

    def publish(self, spec: ModelSpec, out: Path) -> int:
        """Writes the folder and returns the size of what was written in bytes.

        In a folder that exists the page's files are replaced and others stay, so that onnxruntime-web need not be
        downloaded again.
        """
        home = next(folder for folder in _HOMES if folder.is_dir())
        files = {name: (home / name).read_bytes() for name in PAGE}
        files[CLASSIFIER] = self.classifier.pack(spec)
        files[DETECTOR] = DEFAULT_DETECTOR.read_bytes()
        # Last: once it is there, so is everything that it names.
        files[ABOUT] = _describe(spec, files[CLASSIFIER], files[DETECTOR])
        write_folder(files, out)
        return sum(len(content) for content in files.values())


def write_folder(files: dict[str, bytes], out: Path) -> None:
    """Writes a new folder whole or not at all; in an existing one, each file whole, in order.

    Raises:
        OutputError: The system refused, for example because the disk is full.
    """
    target = out.resolve()
    if target.is_dir():
        for name, content in files.items():
            write_atomically(target / name, content)
        return
    try:
        with temporary_folder(target) as temporary:
            for name, content in files.items():
                write_atomically(temporary / name, content)
            temporary.rename(target)
    except OutputError as error:
        raise OutputError(f"{out}: {error}") from error
    except OSError as error:
        raise OutputError(
            f"{out}: could not be written ({error.strerror or error}). Check folder, permissions and free space."
        ) from error


def _describe(spec: ModelSpec, classifier: bytes, detector: bytes) -> bytes:
    """Returns what the page must know: files with their hashes, crop config and thresholds."""
    faces = FaceDetector(DEFAULT_DETECTOR, threads=1)
    rule = DecisionRule(spec.threshold, spec.threshold, spec.real_pictures, faces.certain_score, minimum_faces=1)
    counts = range(1, MOST_PEOPLE + 1)
    about = {
        "schema": SCHEMA,
        "classifier": {
            "file": CLASSIFIER,
            "sha256": hashlib.sha256(classifier).hexdigest(),
            "name": spec.name,
            "precision": spec.precision,
            "threshold": spec.threshold,
            "real_thresholds": [_lowest_not(("real",), rule, people) for people in counts],
            "fake_thresholds": [_lowest_not(("real", "inconclusive"), rule, people) for people in counts],
            "sizes": {
                "full_px": FULL_SIDE_PX,
                "least_px": MINIMUM_SIDE_PX,
                "least_share": SIDE_SHARE,
                "logits_to_clear": SMALL_FACE_LOGITS,
            },
            "crop": asdict(spec.crop),
        },
        "detector": {
            "file": DETECTOR,
            "sha256": hashlib.sha256(detector).hexdigest(),
            "name": faces.name,
            "score_threshold": faces.score_threshold,
            "certain_score": faces.certain_score,
            "nms_iou": faces.nms_iou,
        },
    }
    return (json.dumps(about, indent=2, sort_keys=True) + "\n").encode()


def _lowest_not(labels: tuple[str, ...], rule: DecisionRule, people: int) -> float:
    """Returns the lowest probability at which the runtime calls one large face among so many none of ``labels``."""
    low, high = -HIGHEST_LOGIT, HIGHEST_LOGIT
    while high - low > LOGIT_STEP:
        middle = (low + high) / 2
        face = FaceScore(0.0, 0, (0.0, 0.0, FULL_SIDE_PX, FULL_SIDE_PX), 1.0, to_probability(middle))
        verdict, _ = judge_track(1, [face], rule, people)
        low, high = (middle, high) if verdict.label in labels else (low, middle)
    return to_probability(high)
