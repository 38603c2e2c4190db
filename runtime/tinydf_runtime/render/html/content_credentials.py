"""File -> what its Content Credentials (C2PA manifest) say, verified where the extra is installed.

Without the extra only the presence of a manifest is detected, from the container's structure, and not whether it is
genuine. Nothing is fetched from any network in either case.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeAlias, cast, get_args

from tinydf_runtime.errors import UnavailableError, UnreadableInputError, install_line, needs
from tinydf_runtime.io.containers.more_pictures import PNG_START
from tinydf_runtime.render.words import printable
from tinydf_runtime.sandbox.call import GoesOn, call_in_child
from tinydf_runtime.trust import strict

_log = logging.getLogger(__name__)

CredentialStatus: TypeAlias = Literal["absent", "unverified", "valid", "invalid"]

_BMFF_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
"""Type of the uuid box that holds a manifest in MP4, QuickTime, HEIC and AVIF files (C2PA 2.2, A.5)."""
_MOST_PARTS = 100_000
"""Parts of a file that are walked, at most: a bound for damaged files."""
_MOST_FACTS, _LONGEST_FACT = 16, 4096
_OFFLINE = {"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}}


@dataclass(frozen=True, slots=True)
class ContentCredentials:
    """What a file says about its own origin.

    Attributes:
        status: "absent", "unverified" if not checked, else the result of checking signature and hashes.
        facts: What the manifest states, as name and value; empty where it was not verified.
        note: One sentence on what that is worth, or what to do.
    """

    status: CredentialStatus
    facts: tuple[tuple[str, str], ...]
    note: str


def read_content_credentials(path: Path, sandbox: bool = True) -> ContentCredentials:
    """Returns the Content Credentials of a file.

    Args:
        path: The file.
        sandbox: Verify its manifest in a child process, see ``Analyzer``.

    Raises:
        OSError: It cannot be read.
    """
    if not has_manifest(path):
        return ContentCredentials("absent", (), "Most files carry none, and that says nothing.")
    unknown = "Whether its C2PA manifest is genuine is not known"
    if not find_spec("c2pa"):
        note = f"{unknown}. To have it verified, in the clone of TinyDF: {install_line('c2pa')}"
        return ContentCredentials("unverified", (), note)
    if not sandbox:
        return ContentCredentials(*verify_manifest(str(path), lambda: None))
    try:
        return _checked(call_in_child(verify_manifest, os.path.abspath(path)))  # noqa: PTH100
    except (UnreadableInputError, UnavailableError, strict.StrictError) as error:
        return ContentCredentials("unverified", (), f"{unknown}: {error}.")


def _checked(found: object) -> ContentCredentials:
    """Returns what a child gives, which may be another than ours.

    Raises:
        StrictError: It is of another shape.
    """
    status, facts, note = strict.rows(found, 3)
    rows = [strict.rows(row, 2) for row in strict.rows(facts, _MOST_FACTS)]
    stated = tuple((strict.text(name, _LONGEST_FACT), strict.text(value, _LONGEST_FACT)) for name, value in rows)
    known = cast("CredentialStatus", strict.one_of(status, get_args(CredentialStatus)))
    return ContentCredentials(known, stated, strict.text(note, _LONGEST_FACT))


def has_manifest(path: Path) -> bool:
    """Returns whether a picture or video holds a C2PA manifest store, genuine or not.

    Reads JPEG, PNG, WebP, AVI, GIF, MP4, QuickTime, HEIC and AVIF; in other containers none is found.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(12)
        file.seek(0)
        if start[:2] == b"\xff\xd8":
            return any(kind == 0xEB and b"c2pa" in head for kind, head in _jpeg_parts(file))
        if start.startswith(PNG_START):
            return any(kind == b"caBX" for kind in _chunks(file, 8, "big"))
        if start[:4] == b"RIFF":
            return any(kind == b"C2PA" for kind in _chunks(file, 12, "little"))
        if start[:4] == b"GIF8":
            return _holds(file, b"\x21\xff\x0bC2PA_GIF")
        if start[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide"):
            return any(kind == _BMFF_UUID for kind in _boxes(file))
    return False


def _holds(file: BinaryIO, mark: bytes) -> bool:
    """Returns whether bytes stand anywhere in a file, which may shrink meanwhile."""
    before = b""
    while part := file.read(1 << 20):
        if mark in before + part:
            return True
        before = part[-len(mark) :]
    return False


def _jpeg_parts(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yields marker and first bytes of the segments before a JPEG's picture."""
    at = 2
    for _ in range(_MOST_PARTS):
        file.seek(at)
        head = file.read(4)
        if len(head) < 4 or head[0] != 0xFF or head[1] == 0xDA:
            return
        yield head[1], file.read(64)
        at += 2 + int.from_bytes(head[2:], "big")


def _chunks(file: BinaryIO, at: int, order: Literal["big", "little"]) -> Iterator[bytes]:
    """Yields the types of a PNG's (big) or RIFF file's (little) chunks."""
    for _ in range(_MOST_PARTS):
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            return
        kind, length = (head[4:], head[:4]) if order == "big" else (head[:4], head[4:])
        size = int.from_bytes(length, order)
        yield kind
        # PNG adds a checksum, RIFF fills up to an even length.
        at += 8 + size + (4 if order == "big" else size % 2)


def _boxes(file: BinaryIO) -> Iterator[bytes]:
    """Yields the types of an ISO media file's outermost boxes, of a uuid box its 16 bytes."""
    at, end = 0, os.fstat(file.fileno()).st_size
    for _ in range(_MOST_PARTS):
        # A box may say that it is longer than any file can be.
        file.seek(min(at, end))
        head = file.read(32)
        if len(head) < 8:
            return
        size, body = int.from_bytes(head[:4], "big"), 8
        if size == 1:
            size, body = int.from_bytes(head[8:16], "big"), 16
        yield head[body : body + 16] if head[4:8] == b"uuid" else head[4:8]
        if size < body:
            return
        at += size


def verify_manifest(path: str, goes_on: GoesOn) -> tuple[CredentialStatus, tuple[tuple[str, str], ...], str]:
    """Returns the fields of ``ContentCredentials`` as the C2PA library finds them; it computes hashes of the file.

    Raises:
        MissingExtraError: It is not installed.
    """
    with needs("c2pa"):
        import c2pa
    goes_on()
    try:
        with c2pa.Context.from_dict(_OFFLINE) as context, c2pa.Reader(str(path), context=context) as reader:
            store = json.loads(reader.json())
    except (c2pa.C2paError, ValueError) as error:
        _log.info("%s: C2PA manifest refused: %s", path, error)
        words = printable(" ".join(str(error).split()))
        return "invalid", (), f"The manifest could not be read by the verifier ({words})."[:_LONGEST_FACT]
    facts = _facts(store)
    state = store.get("validation_state")
    if state in ("Valid", "Trusted"):
        note = "Signature and hashes fit the file: it has not been changed since it was signed."
        if state == "Valid":
            note += " Whether its signer is to be trusted was not checked against any list."
        return "valid", facts, note
    codes = [str(entry.get("code")) for entry in store.get("validation_status") or [] if isinstance(entry, dict)]
    codes = [code for code in codes if code != "signingCredential.untrusted"]
    why = f" ({', '.join(dict.fromkeys(codes))})"[: _LONGEST_FACT // 2] if codes else ""
    return "invalid", facts, f"The check failed{why}: the file or its manifest was changed."


def _facts(store: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """Returns what the active manifest states, in words."""
    manifest = store.get("manifests", {}).get(store.get("active_manifest"), {})
    signature = manifest.get("signature_info") or {}
    makers = [
        " ".join(filter(None, (g.get("name"), g.get("version")))) for g in manifest.get("claim_generator_info") or []
    ]
    stated = [
        ("title", manifest.get("title")),
        ("made by", ", ".join(makers) or manifest.get("claim_generator")),
        ("signed by", signature.get("issuer")),
        ("signed at", signature.get("time")),
        ("steps", ", ".join(_actions(manifest))),
    ]
    return tuple((name, printable(str(value))[:_LONGEST_FACT]) for name, value in stated if value)


def _actions(manifest: dict[str, Any]) -> Iterator[str]:
    """Yields each step of a manifest's history, with the kind of source where it names one."""
    for assertion in manifest.get("assertions") or []:
        if str(assertion.get("label", "")).startswith("c2pa.actions"):
            for action in assertion.get("data", {}).get("actions", []):
                source = str(action.get("digitalSourceType", "")).rpartition("/")[2]
                name = str(action.get("action", "")).removeprefix("c2pa.")
                yield f"{name} ({source})" if source else name
