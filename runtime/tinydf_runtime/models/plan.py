"""A TensorRT plan and the JSON file beside it -> its facts, and whether it may be loaded here.

The file carries the metadata that a plan, which holds an engine only, cannot. By NVIDIA's documentation a plan is a
program that loading may run: one is trusted whose hash is in this machine's trust record, or that a key in it signed.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from dataclasses import dataclass
from pathlib import Path

from tinydf_runtime.errors import ModelFileError, UnreadableInputError
from tinydf_runtime.io.files import exists, is_regular, sha256_of, write_atomically
from tinydf_runtime.models.seal import BLANK_SEAL, SEAL_KEY, seal
from tinydf_runtime.models.spec import GOLDEN_KEY, METADATA_KEY, MOST_GOLDEN, ModelSpec
from tinydf_runtime.trust import record, strict
from tinydf_runtime.trust.reading import MOST_TEXT_BYTES, facts_path, read_model_file
from tinydf_runtime.trust.signatures import signature_path, signer_of

SCHEMA = "tinydf.plan/1"


@dataclass(frozen=True, slots=True)
class PlanFacts:
    """What is known about a plan.

    Attributes:
        spec: Metadata of its network.
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
    advice = "A plan is read together with the JSON file that tinydf-export writes beside it; copy both."
    content = read_model_file(beside, MOST_TEXT_BYTES, advice)
    try:
        fields = strict.Fields(strict.parse(content.decode(), MOST_TEXT_BYTES))
        if fields.maybe("schema", "", strict.text) != SCHEMA:
            raise ModelFileError(f"{beside.name}: expected schema {SCHEMA}. Build the plan again.")
        facts = PlanFacts(
            spec=ModelSpec.from_json(json.dumps(fields.take(METADATA_KEY, strict.mapping, 100)), beside.name),
            golden=json.dumps(fields.take(GOLDEN_KEY, strict.rows, MOST_GOLDEN)),
            plan_sha256=fields.take("plan_sha256", strict.sha256),
            onnx_sha256=fields.take("onnx_sha256", strict.sha256),
            tensorrt=fields.take("tensorrt", strict.text),
            device=fields.take("device", strict.text),
            version_compatible=fields.take("version_compatible", strict.flag),
            dla_core=fields.take("dla_core", strict.optional, strict.whole, 0, 15),
        )
        fields.maybe(SEAL_KEY, "", strict.text)
        fields.end()
    except (strict.StrictError, UnicodeDecodeError) as error:
        raise ModelFileError(f"{beside.name}: cannot be read ({error}). Build the plan again.") from error
    return facts


def read_plan(path: Path) -> tuple[bytes, PlanFacts]:
    """Reads a plan with its facts and checks that they belong together.

    Raises:
        ModelFileError: One of the two is missing or damaged, or they are not of one export.
    """
    plan = read_model_file(path)
    facts = read_facts(path)
    if hashlib.sha256(plan).hexdigest() != facts.plan_sha256:
        raise ModelFileError(
            f"{path.name}: is not the plan that {facts_path(path).name} describes, or is damaged. Copy both files "
            "again, or build the plan again."
        )
    return plan, facts


def check_fits(path: Path, facts: PlanFacts, tensorrt: str, device: str) -> None:
    """Accepts a plan that was built for this GPU and TensorRT version.

    Args:
        path: The plan.
        facts: What the file beside it says.
        tensorrt: Version of the library here.
        device: Name of the GPU here.

    Raises:
        ModelFileError: It was built by another version of TensorRT, or on another GPU.
    """
    if facts.device == device and (facts.tensorrt == tensorrt or facts.version_compatible):
        return
    raise ModelFileError(
        f"{path.name}: was built by TensorRT {facts.tensorrt} on {facts.device}, but this is TensorRT {tensorrt} on "
        f"{device}. Build it again here: {rebuild_line(path, facts)}"
    )


def check_trusted(content: bytes, path: Path, facts: PlanFacts) -> bool:
    """Accepts a plan that this machine trusts, and returns whether code that it carries may run on the processor.

    Args:
        content: Of the plan, as it will be loaded.
        path: The plan.
        facts: Content of the file beside it, which is not trusted.

    Raises:
        ModelFileError: The plan's hash is not in the trust record and no trusted key signed it, or it carries code and
            the record does not allow that.
        MissingExtraError: There is a signature, and nothing to verify it with.
    """
    sha256 = hashlib.sha256(content).hexdigest()
    entry = record.find(sha256)
    trusted = entry is not None and entry.kind == "engine"
    if not trusted and signer_of(content, path, record.entries()) is None:
        signed = " Its signature is by no key that is trusted here." if exists(signature_path(path)) else ""
        raise ModelFileError(
            f"{path.name}: a TensorRT plan is a program, and this one (SHA-256 {sha256}) is not trusted on this "
            f"machine.{signed} Where you know who built it: tinydf-trust {shlex.quote(str(path))}. Else build it here: "
            f"{rebuild_line(path, facts)}"
        )
    host_code = trusted and entry is not None and entry.host_code
    if facts.version_compatible and not host_code:
        raise ModelFileError(
            f"{path.name}: is built for several versions of TensorRT and carries code for the processor, which this "
            f"machine's trust record does not allow. Where you know who built it: tinydf-trust --host-code "
            f"{shlex.quote(str(path))}"
        )
    return host_code


def rebuild_line(path: Path, facts: PlanFacts) -> str:
    """Returns the command that rebuilds a plan, from the ONNX file beside it if there is one."""
    command = "tinydf-build-plan {source} --out {out}"
    out = shlex.quote(str(path))
    for source in (source_path(path), path.with_suffix(".onnx")):
        try:
            if is_regular(source) and sha256_of(source) == facts.onnx_sha256:
                return command.format(source=shlex.quote(str(source)), out=out)
        except UnreadableInputError:
            continue
    return command.format(source="FILE", out=out) + f" (FILE: the ONNX file of SHA-256 {facts.onnx_sha256[:12]})"


def source_path(path: Path) -> Path:
    """Returns where an export leaves what a plan was built from: ``model.plan.onnx`` for ``model.plan``."""
    return path.with_name(f"{path.name}.onnx")
