from __future__ import annotations

import contextlib
import io
import shutil
import subprocess
import sys
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("coremltools")

from tinydf_runtime.engines.coreml_package import DESCRIPTION, coremltools, read_description
from tinydf_runtime.engines.loading import open_engine
from tinydf_runtime.errors import ExitCode, ModelFileError, UnavailableError, UsageError
from tinydf_runtime.models.spec import GOLDEN_KEY, METADATA_KEY, ModelSpec

SPEC = replace(ModelSpec(name="test"), precision="fp16")
SIDE_PX = SPEC.crop.side_px


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier that gives the picture's mean, and that of each of four cells."""
    mb = coremltools.converters.mil.Builder

    @mb.program(  # type: ignore[untyped-decorator]
        input_specs=[mb.TensorSpec(shape=(1, 3, SIDE_PX, SIDE_PX))], opset_version=coremltools.target.iOS16
    )
    def program(image: Any) -> Any:
        half = [SIDE_PX // 2] * 2
        cells = mb.avg_pool(x=image, kernel_sizes=half, strides=half, pad_type="valid")
        grey = mb.reduce_mean(x=cells, axes=[1], keep_dims=False)
        forgery_map = mb.mul(x=grey, y=np.float32(1 / 255), name="forgery_map")
        return mb.reduce_mean(x=forgery_map, axes=[1, 2], keep_dims=False, name="fake_probability"), forgery_map

    picture = coremltools.ImageType(
        name="image", shape=(1, 3, SIDE_PX, SIDE_PX), color_layout=coremltools.colorlayout.RGB
    )
    with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        model = coremltools.convert(
            program,
            convert_to="mlprogram",
            inputs=[picture],
            minimum_deployment_target=coremltools.target.iOS16,
            skip_model_load=True,
        )
    model.user_defined_metadata[METADATA_KEY] = SPEC.to_json()
    model.user_defined_metadata[GOLDEN_KEY] = "[]"
    path = tmp_path_factory.mktemp("coreml") / "test.mlpackage"
    model.save(str(path))
    return path


class AppleModel:
    """Stands for the class that only a Mac can run: takes what it takes, and computes what the package says."""

    def __init__(self, path: str, compute_units: Any) -> None:
        if not (Path(path) / DESCRIPTION).exists():
            raise RuntimeError("no such package")
        self.compute_units = compute_units

    def predict(self, pictures: Sequence[dict[str, Any]]) -> list[dict[str, NDArray[np.float32]]]:
        results = []
        for picture in pictures:
            assert set(picture) == {"image"}
            assert (picture["image"].mode, picture["image"].size) == ("RGB", (SIDE_PX, SIDE_PX))
            pixels = np.asarray(picture["image"], np.float32) / 255
            cells = pixels.reshape(2, SIDE_PX // 2, 2, SIDE_PX // 2, 3).mean((1, 3, 4))[None]
            results.append({"fake_probability": cells.mean((1, 2)), "forgery_map": cells})
        return results


@pytest.fixture
def on_a_mac(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(coremltools.models, "MLModel", AppleModel)


def test_off_macos_the_engine_is_missing_and_says_what_to_do(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(UnavailableError, match=r"macOS 13 or newer, found linux.*Mac") as caught:
        open_engine(package)
    assert caught.value.exit_code == ExitCode.MISSING


@pytest.mark.usefixtures("on_a_mac")
def test_batches_equal_single_crops_in_order(package: Path) -> None:
    engine = open_engine(package)
    crops = np.random.default_rng(0).integers(0, 256, (19, SIDE_PX, SIDE_PX, 3), dtype=np.uint8)
    crops[::2] //= 3
    scores = engine.score(crops)
    np.testing.assert_allclose(scores.fake_probability, crops.mean((1, 2, 3)) / 255, atol=1e-4)
    assert scores.forgery_map.shape == (19, 2, 2)
    assert scores.forgery_map[4, 1, 0] == pytest.approx(crops[4, SIDE_PX // 2 :, : SIDE_PX // 2].mean() / 255, abs=1e-4)
    np.testing.assert_array_equal(engine.score(crops[7:8]).fake_probability, scores.fake_probability[7:8])
    assert engine.score(crops[:0]).forgery_map.shape == (0, 2, 2)


@pytest.mark.usefixtures("on_a_mac")
@pytest.mark.parametrize(
    ("device", "units"), [("all", "ALL"), ("cpu", "CPU_ONLY"), ("gpu", "CPU_AND_GPU"), ("npu", "CPU_AND_NE")]
)
def test_engine_tells_what_the_package_says(package: Path, device: str, units: str) -> None:
    engine: Any = open_engine(package, device)
    assert engine.model.compute_units == coremltools.ComputeUnit[units]
    assert (engine.spec, engine.name, engine.device, engine.golden_text) == (SPEC, "coreml", device, "[]")


@pytest.mark.usefixtures("on_a_mac")
def test_core_ml_chooses_where_nobody_does(package: Path) -> None:
    engine: Any = open_engine(package)
    assert (engine.device, engine.model.compute_units) == ("all", coremltools.ComputeUnit.ALL)


def test_unknown_devices_and_numbers_of_threads_are_refused(package: Path) -> None:
    with pytest.raises(UsageError, match="all, cpu, gpu, npu"):
        open_engine(package, "cuda")
    with pytest.raises(UsageError, match="threads"):
        open_engine(package, threads=2)


def test_damaged_and_foreign_packages_are_refused_on_any_machine(package: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError):
        open_engine(tmp_path / "none.mlpackage")
    copied = tmp_path / "copied.mlpackage"
    shutil.copytree(package, copied)
    model = read_description(copied)
    model.description.input[0].name = "picture"
    (copied / DESCRIPTION).write_bytes(model.SerializeToString())
    with pytest.raises(ModelFileError, match="picture"):
        open_engine(copied)
    model.description.metadata.Clear()
    (copied / DESCRIPTION).write_bytes(model.SerializeToString())
    with pytest.raises(ModelFileError, match="no TinyDF metadata"):
        open_engine(copied)
    (copied / DESCRIPTION).write_bytes(b"\xff" * 40)
    with pytest.raises(ModelFileError, match="cannot be read"):
        open_engine(copied)


@pytest.mark.usefixtures("on_a_mac")
def test_what_core_ml_refuses_is_a_damaged_model(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, compute_units: Any) -> None:
        raise RuntimeError("Error compiling model: something\nand more")

    monkeypatch.setattr(coremltools.models, "MLModel", refuse)
    with pytest.raises(ModelFileError, match="Error compiling model: something"):
        open_engine(package)


def test_importing_the_library_prints_nothing() -> None:
    code = "import tinydf_runtime.engines.coreml_engine"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
