"""ModelSpec: crop config, threshold, precision, hashes and measurements that travel with a model file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any, Literal, cast, get_args

from tinydf_runtime.errors import ModelFileError, UsageError
from tinydf_runtime.faces.crop import CropConfig
from tinydf_runtime.trust import strict
from tinydf_runtime.verdict.rules import RealScores

SCHEMA = "tinydf.model/1"
METADATA_KEY = "tinydf"
GOLDEN_KEY = "tinydf.golden"
"""Metadata key of the golden crops: a JSON list of base64 WebP files without loss, as ``golden_probability``."""

AS_WRITTEN_KEY = "tinydf.as_written"
"""Metadata entry of ONNX files that are computed node by node, as they are written: those made for TensorRT."""
MOST_LETTERS = 1 << 20
"""Of a spec; the shipped one's has three thousand."""
MOST_GOLDEN = 256
_THRESHOLDS = (1e-6, 1 - 1e-6)
"""0 and 1 have no logit."""

Precision = Literal["fp32", "fp16", "w8", "int8"]


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """The facts that travel with a network from checkpoint to engine.

    Attributes:
        name: Name of the network, for reports.
        crop: How its crops were cut.
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
            threshold; empty if not measured.
        real_people: Scores of real people in video; None if not measured.
        real_pictures: The same in single pictures.
    """

    name: str
    crop: CropConfig = field(default_factory=CropConfig)
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
            ModelFileError: The text is no spec, of another schema, or of a crop config that this version cuts
                differently.
        """
        try:
            fields = strict.Fields(strict.parse(text, MOST_LETTERS))
            schema = fields.take("schema", strict.text)
            if schema != SCHEMA:
                raise ModelFileError(f"{source}: schema {schema}, expected {SCHEMA}. Export it again.")
            crop, crop_sha256 = fields.take("crop", _crop), fields.take("crop_sha256", strict.sha256)
            current = CropConfig(side_px=crop.side_px, margin=crop.margin)
            if crop != current or crop_sha256 != current.sha256():
                raise ModelFileError(
                    f"{source}: its faces were cropped by another crop config ({crop_sha256[:12]}) than this version "
                    f"cuts ({current.sha256()[:12]}). Export it again, or install the version that made it."
                )
            return _read(fields, crop)
        except strict.StrictError as error:
            raise ModelFileError(
                f"{source}: its TinyDF metadata cannot be read ({error}). Export the model again, or update TinyDF."
            ) from error


def _read(fields: strict.Fields, crop: CropConfig) -> ModelSpec:
    """Returns a spec from what stands beside its schema and crop config."""
    spec = ModelSpec(
        name=fields.take("name", strict.text),
        crop=crop,
        threshold=fields.take("threshold", strict.finite, *_THRESHOLDS),
        temperature=fields.take("temperature", strict.finite, 1e-3, 1e3),
        precision=cast(Precision, fields.take("precision", strict.one_of, get_args(Precision))),
        checkpoint_sha256=fields.take("checkpoint_sha256", strict.sha256, empty=True),
        calibration_sha256=fields.take("calibration_sha256", strict.optional, strict.sha256),
        versions=fields.take("versions", _versions),
        golden_sha256=fields.take("golden_sha256", strict.sha256, empty=True),
        golden_probability=fields.take("golden_probability", _probabilities),
        proof=fields.maybe("proof", {}, _proof),
        fpr_thresholds=fields.maybe("fpr_thresholds", (), _fpr_thresholds),
        real_people=fields.maybe("real_people", None, strict.optional, _real_scores),
        real_pictures=fields.maybe("real_pictures", None, strict.optional, _real_scores),
    )
    fields.end()
    return spec


def _crop(value: object) -> CropConfig:
    fields = strict.Fields(value)
    side_px = fields.take("side_px", strict.whole, 16, 1024)
    margin = fields.take("margin", strict.finite, 0, 2)
    version = fields.take("version", strict.whole, 1, 1000)
    fields.end()
    return CropConfig(side_px, margin, version)


def _versions(value: object) -> dict[str, str]:
    return strict.each(strict.mapping(value, 100), strict.text)


def _probabilities(value: object) -> tuple[float, ...]:
    return tuple(strict.finite(one, 0, 1) for one in strict.rows(value, MOST_GOLDEN))


def _proof(value: object) -> dict[str, Any]:
    return cast(dict[str, Any], strict.plain(strict.mapping(value, 100)))


def _fpr_thresholds(value: object) -> tuple[tuple[float, float], ...]:
    pairs = [strict.pair(one) for one in strict.rows(value, 1000)]
    found = tuple((strict.finite(share, 0, 1), strict.finite(one, *_THRESHOLDS)) for share, one in pairs)
    if not all(before[0] < after[0] for before, after in pairwise(found)):
        raise strict.StrictError("shares, expected ones that rise")
    return found


def _real_scores(value: object) -> RealScores:
    fields = strict.Fields(value)
    people = fields.take("people", strict.whole, 1, 10**9)
    pairs = [strict.pair(one) for one in fields.take("ranks", strict.rows, 10_000)]
    fields.end()
    ranks = tuple((strict.whole(place, 1, people), strict.finite(logit, -1e4, 1e4)) for place, logit in pairs)
    rising = all(a[0] < b[0] and a[1] >= b[1] for a, b in pairwise(ranks))
    if not ranks or not rising or ranks[0][0] != 1 or ranks[-1][0] != people:
        raise strict.StrictError("ranks, expected places that rise from 1 to people and logits that do not")
    return RealScores(people, ranks)
