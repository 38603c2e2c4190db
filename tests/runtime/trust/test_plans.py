"""A plan is a program: one that nobody here trusts never reaches the deserialiser of the TensorRT double."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tinydf_runtime.cli.run import main as run
from tinydf_runtime.cli.trust import main as trust
from tinydf_runtime.engines.loading import open_engine
from tinydf_runtime.errors import MissingExtraError, ModelFileError, OutputError
from tinydf_runtime.faces.crop import CropConfig
from tinydf_runtime.models.plan import PlanFacts, write_plan
from tinydf_runtime.models.spec import ModelSpec
from tinydf_runtime.trust import record
from tinydf_runtime.trust.reading import facts_path
from tinydf_runtime.trust.signatures import signature_path

SPEC = ModelSpec(name="tiny-green", crop=CropConfig(side_px=32))
PlanMaker = Callable[..., Path]
on_one_version = pytest.mark.parametrize("tensorrt_machine", ["10.3.0"], indirect=True)
"""None of the double's versions is reached."""


@pytest.fixture(autouse=True)
def new_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The empty trust record of a machine on which nothing was built yet."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    return tmp_path / "settings" / "tinydf" / "trusted"


@pytest.fixture
def foreign_plan(tensorrt_machine: Any, make_classifier: Callable[..., Path], tmp_path: Path) -> PlanMaker:
    """Writes a plan as somebody else built it, with any facts: ``foreign_plan(tensorrt="9.9.9")``."""
    from tinydf_export.targets.tensorrt.builder import build_plan
    from tinydf_export.targets.tensorrt.options import PlanOptions

    model = make_classifier(SPEC).read_bytes()

    def make(host_code: bool = False, **facts: Any) -> Path:
        plan, _ = build_plan(model, "fp32", PlanOptions(version_compatible=host_code))
        known = {
            "spec": SPEC,
            "golden": "[]",
            "plan_sha256": hashlib.sha256(plan).hexdigest(),
            "onnx_sha256": hashlib.sha256(model).hexdigest(),
            "tensorrt": tensorrt_machine.version,
            "device": "Orin (sm_87)",
            "version_compatible": host_code,
        }
        path = tmp_path / "stranger's.plan"
        write_plan(path, plan, PlanFacts(**known | facts))
        path.with_name("model.onnx").write_bytes(model)
        return path

    return make


def refusal(path: Path) -> str:
    with pytest.raises(ModelFileError) as caught:
        open_engine(path)
    assert int(caught.value.exit_code) == 6 and "\n" not in str(caught.value)
    return str(caught.value)


@on_one_version
def test_a_foreign_plan_is_refused_before_a_byte_of_it_is_deserialised(
    foreign_plan: PlanMaker, tensorrt_machine: Any
) -> None:
    path = foreign_plan()
    said = refusal(path)
    assert hashlib.sha256(path.read_bytes()).hexdigest() in said and "tinydf-trust" in said
    done = CliRunner().invoke(run, ["photo.png", "--engine", str(path)])
    assert done.exit_code == 6 and done.output.count("\n") == 1
    assert not tensorrt_machine.deserialised


@on_one_version
def test_what_its_owner_confirmed_is_loaded_until_it_is_removed_or_changed(
    foreign_plan: PlanMaker, tensorrt_machine: Any
) -> None:
    path = foreign_plan()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    refused = CliRunner().invoke(trust, [str(path)], input="n\n")
    assert refused.exit_code == 6 and digest in refused.output
    refusal(path)
    shown = CliRunner().invoke(trust, [str(path)], input="y\n")
    assert shown.exit_code == 0, shown.output
    for fact in (digest, "tiny-green", "Orin (sm_87)", tensorrt_machine.version, "signature    none"):
        assert fact in shown.output
    assert f"\n  SHA-256      {digest}\n" in shown.output
    assert open_engine(path).name == "tensorrt" and not tensorrt_machine.host_code
    assert digest in CliRunner().invoke(trust, ["--list"]).output
    assert CliRunner().invoke(trust, ["--remove", digest[:8]]).exit_code == 0
    tensorrt_machine.deserialised.clear()
    refusal(path)
    assert not tensorrt_machine.deserialised
    assert CliRunner().invoke(trust, ["--list"]).output == ""
    assert CliRunner().invoke(trust, ["--remove", digest[:8]]).exit_code == 2


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"tensorrt": "9.9.9"}, "built by TensorRT 9.9.9 on Orin"),
        ({"device": "Xavier (sm_72)"}, "on Xavier (sm_72), but this is"),
    ],
)
@on_one_version
def test_another_version_or_gpu_is_told_first_with_the_line_that_builds_it_again(
    foreign_plan: PlanMaker, tensorrt_machine: Any, facts: dict[str, str], said: str
) -> None:
    path = foreign_plan(**facts)
    CliRunner().invoke(trust, ["--yes", str(path)])
    message = refusal(path)
    assert said in message and "tinydf-build-plan FILE" in message
    path.with_name("model.onnx").rename(path.with_name(f"{path.name}.onnx"))
    assert f"tinydf-build-plan '{path.parent}/stranger'\"'\"'s.plan.onnx' --out" in refusal(path)
    assert not tensorrt_machine.deserialised


@on_one_version
def test_host_code_is_allowed_by_the_record_and_never_by_the_file_beside_the_plan(
    foreign_plan: PlanMaker, tensorrt_machine: Any
) -> None:
    path = foreign_plan(host_code=True, tensorrt="9.9.9")
    refusal(path)
    CliRunner().invoke(trust, ["--yes", str(path)])
    assert "--host-code" in refusal(path)
    assert not tensorrt_machine.deserialised
    CliRunner().invoke(trust, ["--yes", "--host-code", str(path)])
    open_engine(path)
    assert tensorrt_machine.host_code
    # A plan that says it carries none is loaded without, whatever it does carry.
    path = foreign_plan()
    CliRunner().invoke(trust, ["--yes", str(path)])
    open_engine(path)
    assert not tensorrt_machine.host_code


@on_one_version
def test_a_damaged_or_foreign_trust_entry_trusts_nothing(
    foreign_plan: PlanMaker, tensorrt_machine: Any, new_machine: Path
) -> None:
    path = foreign_plan()
    CliRunner().invoke(trust, ["--yes", str(path)])
    (entry,) = new_machine.glob("*.json")
    whole = entry.read_text()
    for broken in ("{", "[]", "null", whole.replace("true", "1").replace("false", "0"), "[" * 100_000, "9" * 70_000):
        entry.write_text(broken)
        assert "trust entry" in refusal(path) or "bytes" in refusal(path)
    entry.write_text(json.dumps(json.loads(whole) | {"sha256": "0" * 64}))
    refusal(path)
    entry.write_text(whole)
    if os.name == "posix":
        entry.chmod(0o666)
        assert "others may write it" in refusal(path)
        entry.chmod(0o600)
        new_machine.chmod(0o777)
        assert "others may write it" in refusal(path)
        new_machine.chmod(0o700)
    assert not tensorrt_machine.deserialised
    open_engine(path)


def test_an_entry_can_be_read_whatever_its_file_is_called(new_machine: Path) -> None:
    entry = record.trust_engine(b"x", "a\nb\x9b\u2028\udcff.plan", "confirmed", host_code=False)
    assert record.find(entry.sha256) == entry and [*record.entries()] == [entry]


def test_only_plans_and_keys_can_be_trusted(tmp_path: Path, tiny_classifier: Path) -> None:
    assert CliRunner().invoke(trust, ["--yes", str(tiny_classifier)]).exit_code == 2
    assert CliRunner().invoke(trust, ["--yes", str(tmp_path / "none.plan")]).exit_code == 6
    (tmp_path / "zero.plan").symlink_to("/dev/zero")
    assert CliRunner().invoke(trust, ["--yes", str(tmp_path / "zero.plan")]).exit_code == 6
    assert CliRunner().invoke(trust, []).exit_code == 2


@on_one_version
def test_a_record_that_cannot_be_written_is_told(foreign_plan: PlanMaker, new_machine: Path, tmp_path: Path) -> None:
    (tmp_path / "settings").write_text("a file where the folder should be")
    assert CliRunner().invoke(trust, ["--yes", str(foreign_plan())]).exit_code == 7
    with pytest.raises(OutputError, match="XDG_CONFIG_HOME"):
        record.trust_engine(b"", "a.plan", "built", host_code=False)


def signed(path: Path, folder: Path) -> Path:
    """Signs a plan with a new key and returns the public half."""
    pytest.importorskip("model_signing", reason="the extra [signing] is not installed")
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from model_signing import signing

    key = ec.generate_private_key(ec.SECP256R1())
    private, public = folder / "private.pem", folder / "public.pem"
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    public.write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    config: Any = signing.Config
    config().use_elliptic_key_signer(private_key=private).sign(path, signature_path(path))
    return public


@on_one_version
def test_a_signature_counts_by_a_trusted_key_and_for_these_bytes_alone(
    foreign_plan: PlanMaker, tensorrt_machine: Any, tmp_path: Path
) -> None:
    path = foreign_plan()
    public = signed(path, tmp_path)
    assert "no key that is trusted" in refusal(path)
    (tmp_path / "other").mkdir()
    other = signed(path, tmp_path / "other")
    signature = signature_path(path).read_bytes()
    assert CliRunner().invoke(trust, ["--yes", str(public)]).exit_code == 0
    assert "no key that is trusted" in refusal(path)
    assert CliRunner().invoke(trust, ["--yes", str(other)]).exit_code == 0
    open_engine(path)
    assert tensorrt_machine.deserialised == [path.read_bytes()]
    tensorrt_machine.deserialised.clear()
    # Somebody exchanges the plan and the facts, whose seal anybody can make.
    plan = path.read_bytes() + b" "
    facts = json.loads(facts_path(path).read_text())
    write_plan(
        path,
        plan,
        PlanFacts(
            SPEC, "[]", hashlib.sha256(plan).hexdigest(), facts["onnx_sha256"], facts["tensorrt"], facts["device"]
        ),
    )
    refusal(path)
    for damaged in (b"", b"{}", signature[:-20], b"[" * 100_000):
        signature_path(path).write_bytes(damaged)
        refusal(path)
    assert not tensorrt_machine.deserialised


@on_one_version
def test_a_signature_allows_no_host_code(foreign_plan: PlanMaker, tensorrt_machine: Any, tmp_path: Path) -> None:
    path = foreign_plan(host_code=True)
    CliRunner().invoke(trust, ["--yes", str(signed(path, tmp_path))])
    assert "--host-code" in refusal(path)
    assert not tensorrt_machine.deserialised


@on_one_version
def test_what_is_no_key_is_refused_and_a_missing_library_is_named(
    foreign_plan: PlanMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = foreign_plan()
    public = signed(path, tmp_path)
    (tmp_path / "no.pem").write_text("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")
    assert CliRunner().invoke(trust, ["--yes", str(tmp_path / "no.pem")]).exit_code == 6
    CliRunner().invoke(trust, ["--yes", str(public)])
    monkeypatch.setitem(__import__("sys").modules, "model_signing", None)
    with pytest.raises(MissingExtraError, match=r"\.\[signing\]"):
        open_engine(path)
