"""A file's sigstore model-signing signature -> the trusted key that made it. No network is used.

Signed by ``model_signing sign key FILE --private-key KEY --signature FILE.sig``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from tinydf_runtime.errors import ModelFileError, first_line, needs
from tinydf_runtime.io.files import exists
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
            reason = first_line(error)
            raise ModelFileError(
                f"{source}: is no public key of an elliptic curve that model-signing verifies with ({reason})."
            ) from error
