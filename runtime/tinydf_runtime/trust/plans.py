"""A TensorRT plan -> whether it may be loaded. Loading one runs what is in it, as its maker says: it is a program."""

from __future__ import annotations

import hashlib
import shlex
from pathlib import Path

from tinydf_runtime.errors import ModelFileError, UnreadableInputError
from tinydf_runtime.io.files import is_regular, sha256_of
from tinydf_runtime.models.plan import PlanFacts
from tinydf_runtime.trust import record
from tinydf_runtime.trust.signature import signature_path, signer_of


def check_fits(path: Path, facts: PlanFacts, tensorrt: str, device: str) -> None:
    """Accepts a plan that was built for what is here.

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
        facts: What the file beside it says; nothing is allowed on its word.

    Raises:
        ModelFileError: The plan's hash is not in the trust record and no trusted key signed it, or it carries code and
            the record does not allow that.
        MissingExtraError: There is a signature, and nothing to verify it with.
    """
    sha256 = hashlib.sha256(content).hexdigest()
    entry = record.find(sha256)
    trusted = entry is not None and entry.kind == "engine"
    if not trusted and signer_of(content, path, record.entries()) is None:
        signed = " Its signature is by no key that is trusted here." if signature_path(path).exists() else ""
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
    """Returns the command that builds a plan anew, from the ONNX file beside it where that is there."""
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
