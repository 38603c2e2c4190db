"""A TensorRT plan -> whether it may be loaded. By NVIDIA's documentation a plan is a program that loading may run.

It is trusted where its hash is in this machine's record, or where its sigstore model-signing signature is by a key in
it: ``model_signing sign key FILE --private-key KEY --signature FILE.sig``. No network is used.
"""

from __future__ import annotations

import hashlib
import shlex
import tempfile
from collections.abc import Iterable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from tinydf_runtime.errors import ModelFileError, UnreadableInputError, needs
from tinydf_runtime.io.files import exists, is_regular, sha256_of
from tinydf_runtime.models.plan import PlanFacts
from tinydf_runtime.trust import record
from tinydf_runtime.trust.reading import read_model_file
from tinydf_runtime.trust.record import Trusted

MOST_BYTES = 1 << 20


def signature_path(path: Path) -> Path:
    """Returns where a file's signature is: ``model.plan.sig`` for ``model.plan``."""
    return path.with_name(f"{path.name}.sig")


def signer_of(content: bytes, path: Path, keys: Iterable[Trusted]) -> Trusted | None:
    """Returns the trusted key that a file was signed with.

    Args:
        content: Of the file, as it will be used.
        path: The file; its signature lies beside it.
        keys: Entries of the trust record.

    Returns:
        None where there is no signature, or where none of the keys made it for this content.

    Raises:
        ModelFileError: The signature cannot be read.
        MissingExtraError: There are a signature and a key, but the library that verifies them is not installed.
    """
    beside = signature_path(path)
    keys = [key for key in keys if key.kind == "key"]
    if not keys or not exists(beside):
        return None
    signature = read_model_file(beside, MOST_BYTES)
    with needs("signing"):
        from model_signing import verifying
    with tempfile.TemporaryDirectory() as folder:
        # These bytes are verified, not what the file may hold when it is read again.
        copy, copied_signature, pem = (Path(folder) / name for name in (path.name, "signature", "key.pem"))
        copy.write_bytes(content)
        copied_signature.write_bytes(signature)
        for key in keys:
            pem.write_text(key.key)
            try:
                # It prints a note about older signatures.
                with redirect_stdout(StringIO()):
                    _verifier(verifying, pem).verify(copy, copied_signature)
                return key
            # The library passes on whatever its parsers raise on a damaged signature.
            except Exception:
                continue
    return None


def _verifier(verifying: Any, key: Path) -> Any:
    """Returns what verifies signatures by a key in a PEM file."""
    return verifying.Config().use_elliptic_key_verifier(public_key=key)


def check_key(pem: str, source: str) -> None:
    """Accepts a public key that signatures can be verified with.

    Raises:
        ModelFileError: It is none.
        MissingExtraError: There is nothing to verify with.
    """
    with needs("signing"):
        from model_signing import verifying
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "key.pem"
        path.write_text(pem)
        try:
            _verifier(verifying, path)
        # The library passes on whatever its parsers raise.
        except Exception as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
            raise ModelFileError(
                f"{source}: is no public key of an elliptic curve that model-signing verifies with ({reason})."
            ) from error


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
