"""ModelSpec: what a model file cannot say about itself, carried in its metadata or as JSON beside it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from tinydf_runtime.errors import ModelFileError, UsageError
from tinydf_runtime.faces.crop import CropRecipe
from tinydf_runtime.verdict.real_people import RealScores

SCHEMA = "tinydf.model/1"
METADATA_KEY = "tinydf"
GOLDEN_KEY = "tinydf.golden"
"""Metadata key of the golden crops: a JSON list of base64 WebP files without loss, as ``golden_probability``."""

Precision = Literal["fp32", "fp16", "w8", "int8"]


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """The facts that travel with a network from checkpoint to engine.

    Attributes:
        name: Name of the network, for reports.
        crop: The recipe that its crops were cut with.
        threshold: Probability from which a face counts as fake.
        temperature: The logit was divided by this before the sigmoid inside the graph.
        precision: Number format of the weights that the engine computes with.
        checkpoint_sha256: Hash of the checkpoint file that the model was exported from.
        calibration_sha256: Hash of the calibration table, None without one.
        versions: Library -> version that made the file.
        golden_sha256: Hash over the golden crops' files.
        golden_probability: Fake probability of each golden crop, from the checkpoint.
        proof: How far the exported model was found to be from the checkpoint; empty where nothing was exported.
        fpr_thresholds: Share of real people, rising, that reached a threshold when that was measured, and the
            threshold; empty where nobody measured.
        real_people: Scores of real people in video; None where nobody measured.
        real_pictures: The same in single pictures.
    """

    name: str
    crop: CropRecipe = field(default_factory=CropRecipe)
    threshold: float = 0.5
    temperature: float = 1.0
    precision: Precision = "fp32"
    checkpoint_sha256: str = ""
    calibration_sha256: str | None = None
    versions: dict[str, str] = field(default_factory=dict)
    golden_sha256: str = ""
    golden_probability: tuple[float, ...] = ()
    proof: dict[str, Any] = field(default_factory=dict)
    fpr_thresholds: tuple[tuple[float, float], ...] = ()
    real_people: RealScores | None = None
    real_pictures: RealScores | None = None

    def threshold_at(self, fpr: float) -> float:
        """Returns the threshold with the largest measured share of false positives that is no larger than ``fpr``.

        Raises:
            UsageError: None so small was measured.
        """
        measured = [threshold for share, threshold in self.fpr_thresholds if share <= fpr]
        if measured:
            return measured[-1]
        known = ", ".join(f"{share:g}" for share, _ in self.fpr_thresholds) or "none"
        raise UsageError(
            f"{self.name}: no threshold was measured at a false-positive rate of {fpr:g} or less (known: {known}). "
            "Give a threshold instead."
        )

    def to_json(self) -> str:
        """Returns the spec as one JSON object, keys sorted so that equal specs give equal bytes."""
        values = asdict(self) | {"schema": SCHEMA, "crop_sha256": self.crop.sha256()}
        return json.dumps(values, sort_keys=True)

    @classmethod
    def from_json(cls, text: str, source: str) -> ModelSpec:
        """Reads a spec.

        Args:
            text: What ``to_json`` wrote.
            source: The model's file name, for the error message.

        Raises:
            ModelFileError: The text is no spec, of another schema, or of a crop recipe that this version cuts
                differently.
        """
        try:
            values = json.loads(text)
            schema = values.pop("schema")
            crop_sha256 = values.pop("crop_sha256")
            values["crop"] = CropRecipe(**values["crop"])
            values["golden_probability"] = tuple(values["golden_probability"])
            values["fpr_thresholds"] = tuple((share, value) for share, value in values.get("fpr_thresholds", ()))
            for name in ("real_people", "real_pictures"):
                if (measured := values.get(name)) is not None:
                    ranks = tuple((int(place), float(logit)) for place, logit in measured["ranks"])
                    values[name] = RealScores(int(measured["people"]), ranks)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelFileError(
                f"{source}: its TinyDF metadata cannot be read ({error}). Export the model again."
            ) from error
        if schema != SCHEMA:
            raise ModelFileError(f"{source}: schema {schema}, expected {SCHEMA}. Export it again.")
        current = CropRecipe(side_px=values["crop"].side_px, margin=values["crop"].margin)
        if crop_sha256 != current.sha256():
            raise ModelFileError(
                f"{source}: its faces were cropped by another recipe ({crop_sha256[:12]}) than this version "
                f"cuts ({current.sha256()[:12]}). Export it again, or install the version that made it."
            )
        try:
            return cls(**values)
        except TypeError as error:
            raise ModelFileError(f"{source}: unknown metadata ({error}). Update TinyDF.") from error


AS_WRITTEN_KEY = "tinydf.as_written"
"""Metadata entry of ONNX files that are computed node by node, as they are written: those made for TensorRT."""
