from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import onnx
import pytest

from tinydf_export import ExportedModel
from tinydf_export.parity.golden import draw_golden_crops, encode_crops
from tinydf_export.parity.verify import Verification, verify_model
from tinydf_runtime.errors import ModelFileError
from tinydf_runtime.models.seal import BLANK_SEAL, SEAL_KEY, seal
from tinydf_runtime.models.spec import GOLDEN_KEY, METADATA_KEY, ModelSpec


def test_exported_model_passes(exported: ExportedModel) -> None:
    result = verify_model(exported.path, threads=1)
    assert result.passed
    assert result.expected == exported.spec.golden_probability
    assert len(result.found) == 5
    assert result.max_difference <= result.tolerance == 1e-4
    assert (result.engine, result.device, result.precision) == ("onnxruntime", "cpu", "fp32")


def test_model_that_changed_fails(exported: ExportedModel, with_spec: Callable[[ModelSpec], Path]) -> None:
    shifted = replace(exported.spec, golden_probability=tuple(p * 0.99 for p in exported.spec.golden_probability))
    result = verify_model(with_spec(shifted))
    assert not result.passed
    assert result.max_difference > 1e-3


def test_result_that_is_no_number_does_not_pass(exported: ExportedModel) -> None:
    assert not replace(verify_model(exported.path), max_difference=math.nan).passed


def test_model_without_golden_crops_is_refused(tiny_classifier: Path, tmp_path: Path) -> None:
    model = onnx.load(tiny_classifier)
    model.metadata_props.add(key=SEAL_KEY, value=BLANK_SEAL)
    sealed = tmp_path / "sealed.onnx"
    sealed.write_bytes(seal(model.SerializeToString()))
    with pytest.raises(ModelFileError, match="no golden crops"):
        verify_model(sealed)


def test_model_without_a_seal_is_refused(tiny_classifier: Path) -> None:
    with pytest.raises(ModelFileError, match="no seal found"):
        verify_model(tiny_classifier)


def test_missing_and_foreign_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError):
        verify_model(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("not a model")
    with pytest.raises(ModelFileError):
        verify_model(tmp_path / "text.onnx")


def test_truncated_model_is_refused(exported: ExportedModel, tmp_path: Path) -> None:
    path = tmp_path / "cut.onnx"
    path.write_bytes(exported.path.read_bytes()[:-1000])
    with pytest.raises(ModelFileError):
        verify_model(path)


def test_verifying_loads_neither_torch_nor_onnx(make_classifier: Callable[..., Path]) -> None:
    text, sha256 = encode_crops(draw_golden_crops(ModelSpec(name="any").crop)[:1])
    spec = ModelSpec(name="any", golden_sha256=sha256, golden_probability=(0.5,))
    path = make_classifier(metadata={METADATA_KEY: spec.to_json(), GOLDEN_KEY: text, SEAL_KEY: BLANK_SEAL})
    path.write_bytes(seal(path.read_bytes()))
    code = (
        "import sys; from pathlib import Path; from tinydf_export.parity.verify import verify_model;"
        "verify_model(Path(sys.argv[1]));"
        "print(*[name for name in ('torch', 'onnx', 'skimage', 'tinydf') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_hash_is_of_the_file(exported: ExportedModel) -> None:
    result: Verification = verify_model(exported.path)
    assert len(result.sha256) == 64
