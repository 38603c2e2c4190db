"""Files with and without a C2PA manifest."""

from __future__ import annotations

import json
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import cv2
import numpy as np
import pytest

from tinydf_runtime.render.html.content_credentials import has_manifest, read_content_credentials
from tinydf_runtime.sandbox import call
from tinydf_runtime.sandbox.start import AVAILABLE, stop

STORE = b"\x00\x00\x00\x20jumb\x00\x00\x00\x18jumdc2pa\x00\x11\x00\x10\x80\x00\x00\xaa\x00\x38\x9b\x71\x03c2pa\x00"
UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")


def picture(ending: str) -> bytes:
    return bytes(cv2.imencode(ending, np.full((16, 16, 3), 90, np.uint8))[1])


def box(kind: bytes, content: bytes) -> bytes:
    return (8 + len(content)).to_bytes(4, "big") + kind + content


def chunk(kind: bytes, content: bytes) -> bytes:
    return kind + len(content).to_bytes(4, "little") + content + b"\0" * (len(content) % 2)


def with_manifest() -> dict[str, bytes]:
    jpeg, png, webp = picture(".jpg"), picture(".png"), picture(".webp")
    segment = b"JP\x00\x01\x00\x00\x00\x01" + STORE
    riff = webp[8:] + chunk(b"C2PA", STORE)
    movie = box(b"ftyp", b"isom\0\0\0\0") + box(b"free", b"\0" * 9)
    return {
        "a.jpg": jpeg[:2] + b"\xff\xeb" + (len(segment) + 2).to_bytes(2, "big") + segment + jpeg[2:],
        "a.png": png[:33] + len(STORE).to_bytes(4, "big") + b"caBX" + STORE + b"\0\0\0\0" + png[33:],
        "a.webp": b"RIFF" + len(riff).to_bytes(4, "little") + riff,
        "a.gif": b"GIF89a" + b"\0" * 7 + b"\x21\xff\x0bC2PA_GIF\x01\x00\x00" + b"\x00;",
        "a.mp4": movie + box(b"uuid", UUID + STORE) + box(b"mdat", b"\0" * 40),
    }


def without_manifest() -> dict[str, bytes]:
    return {
        "b.jpg": picture(".jpg"),
        "b.png": picture(".png"),
        "b.webp": picture(".webp"),
        "b.mp4": box(b"ftyp", b"isom\0\0\0\0") + box(b"uuid", b"\x11" * 16 + STORE) + box(b"mdat", b"c2pa jumb"),
        "b.txt": b"c2pa jumb",
        "b.mkv": b"",
        "cut.mp4": box(b"ftyp", b"isom") + b"\0\0\0\x03uuid",
    }


@pytest.mark.parametrize("name", with_manifest())
def test_a_manifest_is_found_in_its_container(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(with_manifest()[name])
    assert has_manifest(tmp_path / name)


@pytest.mark.parametrize("name", without_manifest())
def test_a_file_without_one_has_none(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(without_manifest()[name])
    assert not has_manifest(tmp_path / name)
    assert read_content_credentials(tmp_path / name).status == "absent"


def test_without_the_verifier_nothing_is_called_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "c2pa", None)
    (tmp_path / "a.mp4").write_bytes(with_manifest()["a.mp4"])
    found = read_content_credentials(tmp_path / "a.mp4")
    assert (found.status, found.facts) == ("unverified", ())
    assert "pip install -c constraints.txt '.[c2pa]'" in found.note


def test_the_verifier_refuses_a_manifest_that_is_none(tmp_path: Path) -> None:
    pytest.importorskip("c2pa")
    (tmp_path / "a.jpg").write_bytes(with_manifest()["a.jpg"])
    found = read_content_credentials(tmp_path / "a.jpg")
    assert (found.status, found.facts) == ("invalid", ())


def sign(source: Path, out: Path) -> None:
    """Signs a file as a camera would, with keys of its own."""
    c2pa = pytest.importorskip("c2pa")
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, utils
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    start = datetime.now(timezone.utc) - timedelta(days=1)

    def named(name: str) -> x509.Name:
        parts = ((NameOID.ORGANIZATION_NAME, "Example Newsroom"), (NameOID.COMMON_NAME, name))
        return x509.Name([x509.NameAttribute(*part) for part in parts])

    def certificate(name: str, public: ec.EllipticCurvePublicKey, root: bool) -> bytes:
        usage = x509.KeyUsage(not root, False, False, False, False, root, root, False, False)
        builder = (
            x509.CertificateBuilder(named("Root"), named(name), public, x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + timedelta(days=30))
            .add_extension(x509.BasicConstraints(root, None), True)
            .add_extension(usage, True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), False)
        )
        if not root:
            builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), False)
        return bytes(builder.sign(root_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def signature(data: bytes) -> bytes:
        numbers = utils.decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
        return b"".join(number.to_bytes(32, "big") for number in numbers)

    chain = certificate("Signer", key.public_key(), False) + certificate("Root", root_key.public_key(), True)
    action = {
        "action": "c2pa.created",
        "digitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture",
    }
    claims = {
        "claim_generator_info": [{"name": "example-camera", "version": "1.0"}],
        "assertions": [{"label": "c2pa.actions", "data": {"actions": [action]}}],
    }
    signer = c2pa.Signer.from_callback(signature, c2pa.C2paSigningAlg.ES256, chain.decode(), None)
    with c2pa.Builder.from_json(json.dumps(claims)) as builder:
        builder.sign_file(str(source), str(out), signer)


def test_a_signed_file_is_valid_until_it_is_changed(tmp_path: Path) -> None:
    (tmp_path / "plain.jpg").write_bytes(picture(".jpg"))
    sign(tmp_path / "plain.jpg", tmp_path / "signed.jpg")
    found = read_content_credentials(tmp_path / "signed.jpg")
    assert found.status == "valid"
    assert dict(found.facts)["made by"] == "example-camera 1.0"
    assert dict(found.facts)["signed by"] == "Example Newsroom"
    assert dict(found.facts)["steps"] == "created (digitalCapture)"
    changed = bytearray((tmp_path / "signed.jpg").read_bytes())
    changed[-6] ^= 1
    (tmp_path / "signed.jpg").write_bytes(changed)
    found = read_content_credentials(tmp_path / "signed.jpg")
    assert found.status == "invalid" and "mismatch" in found.note


@pytest.mark.parametrize("sandbox", [True, False])
def test_both_ways_of_verifying_find_the_same(tmp_path: Path, sandbox: bool) -> None:
    (tmp_path / "plain.jpg").write_bytes(picture(".jpg"))
    sign(tmp_path / "plain.jpg", tmp_path / "signed.jpg")
    found = read_content_credentials(tmp_path / "signed.jpg", sandbox)
    assert (found.status, dict(found.facts)["made by"]) == ("valid", "example-camera 1.0")


@pytest.mark.skipif(not AVAILABLE, reason="this system has no sandbox")
@pytest.mark.parametrize(
    ("verifier", "said"),
    [
        ("os.kill(os.getpid(), 11)", "crashed"),
        ("open(__file__ + '.txt', 'wb', 0).write(b'x')", "File too large"),
        ("import time; time.sleep(100)", "takes too long"),
        ("bytearray(8 << 30)", "MemoryError"),
        ("1 / 0", "division by zero"),
    ],
)
def test_a_verifier_that_fails_costs_that_evidence_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verifier: str, said: str
) -> None:
    """A stand-in for the library does in the child what a hostile manifest might make the real one do."""
    (tmp_path / "c2pa.py").write_text(f"import os\n{verifier}\n")
    if said == "takes too long":
        monkeypatch.setattr(call, "LONGEST_S", 0.5)
    stop()
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "a.jpg").write_bytes(with_manifest()["a.jpg"])
    try:
        found = read_content_credentials(tmp_path / "a.jpg")
    finally:
        # The next fork server knows nothing of the stand-in.
        stop()
    assert (found.status, found.facts) == ("unverified", ()) and said in found.note
