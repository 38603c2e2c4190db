"""The JSON file beside a TensorRT plan: what the plan, which holds nothing but an engine, cannot say about itself."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from tinydf_runtime.errors import ModelFileError
from tinydf_runtime.io.files import write_atomically
from tinydf_runtime.models.files import facts_path
from tinydf_runtime.models.seal import BLANK_SEAL, SEAL_KEY, seal
from tinydf_runtime.models.spec import GOLDEN_KEY, METADATA_KEY, ModelSpec

SCHEMA = "tinydf.plan/1"


@dataclass(frozen=True, slots=True)
class PlanFacts:
    """What is known about a plan.

    Attributes:
        spec: What its network says about itself.
        golden: The golden crops, as in the metadata of an ONNX file.
        plan_sha256: Hash of the plan, so that facts and plan cannot be mixed up.
        onnx_sha256: Hash of the ONNX file that the plan was built from.
        tensorrt: Version of the library that built it; no other opens it unless it is version compatible.
        device: Name of the GPU that it was built on, as CUDA tells it.
        version_compatible: Whether it carries its own runtime, for later versions of the library.
        dla_core: The deep learning accelerator it was built for, None for the GPU.
    """

    spec: ModelSpec
    golden: str
    plan_sha256: str
    onnx_sha256: str
    tensorrt: str
    device: str
    version_compatible: bool = False
    dla_core: int | None = None

    def to_json(self) -> str:
        """Returns the facts as one JSON object, keys sorted, with a blank seal."""
        values = {
            "schema": SCHEMA,
            SEAL_KEY: BLANK_SEAL,
            METADATA_KEY: json.loads(self.spec.to_json()),
            GOLDEN_KEY: json.loads(self.golden),
            "plan_sha256": self.plan_sha256,
            "onnx_sha256": self.onnx_sha256,
            "tensorrt": self.tensorrt,
            "device": self.device,
            "version_compatible": self.version_compatible,
            "dla_core": self.dla_core,
        }
        return json.dumps(values, indent=1, sort_keys=True) + "\n"


def write_plan(path: Path, plan: bytes, facts: PlanFacts) -> None:
    """Writes a plan and the facts beside it.

    The facts come first: an interruption between the two leaves facts whose hash fits no plan, which a reader refuses.

    Raises:
        OutputError: A file could not be written.
    """
    write_atomically(facts_path(path), seal(facts.to_json().encode(), plan))
    write_atomically(path, plan)


def read_facts(path: Path) -> PlanFacts:
    """Reads the facts beside a plan.

    Args:
        path: The plan.

    Raises:
        ModelFileError: They are missing, damaged or of another schema.
    """
    beside = facts_path(path)
    try:
        values = json.loads(beside.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelFileError(
            f"{beside}: {error.strerror or error}. A plan is read together with the JSON file that tinydf-export "
            "writes beside it; copy both."
        ) from error
    except ValueError as error:
        raise ModelFileError(f"{beside.name}: is no JSON ({error}). Build the plan again.") from error
    if not isinstance(values, dict) or values.get("schema") != SCHEMA:
        raise ModelFileError(f"{beside.name}: expected schema {SCHEMA}. Build the plan again.")
    try:
        return PlanFacts(
            spec=ModelSpec.from_json(json.dumps(values[METADATA_KEY]), beside.name),
            golden=json.dumps(values[GOLDEN_KEY]),
            plan_sha256=values["plan_sha256"],
            onnx_sha256=values["onnx_sha256"],
            tensorrt=values["tensorrt"],
            device=values["device"],
            version_compatible=values["version_compatible"] is True,
            dla_core=values["dla_core"],
        )
    except KeyError as error:
        raise ModelFileError(f"{beside.name}: no {error} found. Build the plan again.") from error


def read_plan(path: Path) -> tuple[bytes, PlanFacts]:
    """Reads a plan with its facts and checks that they belong together.

    Raises:
        ModelFileError: One of the two is missing or damaged, or they are not of one export.
    """
    try:
        plan = path.read_bytes()
    except OSError as error:
        raise ModelFileError(f"{path}: {error.strerror or error}. Check the path of the model.") from error
    facts = read_facts(path)
    if hashlib.sha256(plan).hexdigest() != facts.plan_sha256:
        raise ModelFileError(
            f"{path.name}: is not the plan that {facts_path(path).name} describes, or is damaged. Copy both files "
            "again, or build the plan again."
        )
    return plan, facts
