"""engine.py and every engine of its table that is installed here."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from tinydf_runtime.engines.engine import ENGINES, check_choice, resolve_device
from tinydf_runtime.engines.loading import open_engine
from tinydf_runtime.errors import ModelFileError, UnavailableError, UnknownFormatError, UsageError
from tinydf_runtime.faces.crop import CropConfig
from tinydf_runtime.models.spec import METADATA_KEY, ModelSpec


def _crops(count: int, side: int = 224) -> np.ndarray:
    random = np.random.default_rng(7)
    levels = random.integers(0, 200, (count, 1, 1, 3))
    return (levels + random.integers(0, 56, (count, side, side, 3))).astype(np.uint8)


@pytest.mark.parametrize("count", [1, 2, 5, 16, 17, 40])
def test_batch_equals_single_and_order_is_kept(tiny_classifier: Path, count: int) -> None:
    engine = open_engine(tiny_classifier, threads=1)
    crops = _crops(count)
    together = engine.score(crops)
    assert together.fake_probability.shape == (count,) and together.fake_probability.dtype == np.float32
    assert together.forgery_map.shape == (count, 14, 14) and together.forgery_map.dtype == np.float32
    for row in range(count):
        alone = engine.score(crops[row : row + 1])
        np.testing.assert_allclose(alone.fake_probability[0], together.fake_probability[row], atol=1e-6)
        np.testing.assert_allclose(alone.forgery_map[0], together.forgery_map[row], atol=1e-6)
    np.testing.assert_allclose(together.fake_probability, crops[..., 1].mean(axis=(1, 2)) / 255, atol=1e-5)


def test_empty_batch_gives_empty_scores(tiny_classifier: Path) -> None:
    scores = open_engine(tiny_classifier).score(np.empty((0, 224, 224, 3), np.uint8))
    assert scores.fake_probability.shape == (0,) and scores.fake_probability.dtype == np.float32
    assert scores.forgery_map.shape == (0, 14, 14) and scores.forgery_map.dtype == np.float32


def test_crops_that_are_no_whole_array_score_the_same(tiny_classifier: Path) -> None:
    engine = open_engine(tiny_classifier)
    crops = _crops(3)
    flipped = crops[::-1, :, ::-1]
    expected = engine.score(np.ascontiguousarray(flipped))
    np.testing.assert_array_equal(engine.score(flipped).forgery_map, expected.forgery_map)


def test_map_lies_over_the_crop(tiny_classifier: Path) -> None:
    crop = np.zeros((1, 224, 224, 3), np.uint8)
    crop[0, 32:48, 160:176] = 255
    forgery_map = open_engine(tiny_classifier).score(crop).forgery_map[0]
    assert np.unravel_index(forgery_map.argmax(), forgery_map.shape) == (2, 10)


def test_engine_says_what_it_is(make_classifier: Callable[..., Path]) -> None:
    spec = ModelSpec(name="other", crop=CropConfig(side_px=96, margin=0.3), threshold=0.7, versions={"a": "1"})
    engine = open_engine(make_classifier(spec))
    assert engine.spec == spec
    assert (engine.name, engine.device) == ("onnxruntime", "cpu")
    assert engine.score(_crops(2, side=96)).forgery_map.shape == (2, 6, 6)


def test_engine_scores_from_several_threads(tiny_classifier: Path) -> None:
    engine = open_engine(tiny_classifier)
    crops = _crops(6)
    expected = engine.score(crops).fake_probability
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: engine.score(crops).fake_probability, range(12)):
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    "crops",
    [
        np.zeros((1, 224, 224, 3), np.float32),
        np.zeros((224, 224, 3), np.uint8),
        np.zeros((1, 3, 224, 224), np.uint8),
        np.zeros((1, 112, 112, 3), np.uint8),
        np.zeros((0, 3), np.uint8),
        [1],
    ],
    ids=["float", "no batch", "planes", "small", "empty", "list"],
)
def test_other_arrays_are_refused(tiny_classifier: Path, crops: np.ndarray) -> None:
    with pytest.raises(UsageError, match="crops: found"):
        open_engine(tiny_classifier).score(crops)


def test_unknown_ending_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UnknownFormatError, match=r"model.xyz: expected one of .*\.onnx") as caught:
        open_engine(tmp_path / "model.xyz")
    assert all(ending in str(caught.value) for ending in ENGINES)


def test_files_that_are_no_classifier_are_refused(
    tmp_path: Path, make_classifier: Callable[..., Path], tiny_classifier: Path, tiny_detector: Path
) -> None:
    (tmp_path / "empty.onnx").touch()
    (tmp_path / "cut.onnx").write_bytes(tiny_classifier.read_bytes()[:200])
    (tmp_path / "folder.onnx").mkdir()
    for name in ("missing.onnx", "empty.onnx", "cut.onnx", "folder.onnx"):
        with pytest.raises(ModelFileError, match=name) as caught:
            open_engine(tmp_path / name)
        assert "\n" not in str(caught.value)
    with pytest.raises(ModelFileError, match="no TinyDF metadata"):
        open_engine(make_classifier(metadata={}))
    with pytest.raises(ModelFileError, match="no TinyDF metadata"):
        open_engine(tiny_detector)
    with pytest.raises(ModelFileError, match="cannot be read"):
        open_engine(make_classifier(metadata={METADATA_KEY: "{}"}))
    smaller = ModelSpec(name="other", crop=CropConfig(side_px=96)).to_json()
    with pytest.raises(ModelFileError, match="expected image: uint8 N x 3 x 96 x 96"):
        open_engine(make_classifier(metadata={METADATA_KEY: smaller}))


def test_model_with_side_files_is_refused(tmp_path: Path, tiny_classifier: Path) -> None:
    model = onnx.load(tiny_classifier)
    path = tmp_path / "split.onnx"
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert (tmp_path / "weights.bin").exists()
    with pytest.raises(ModelFileError, match="keeps weights in other files"):
        open_engine(path)


def test_auto_is_the_device_that_each_engine_is_made_for() -> None:
    found = {name: resolve_device(Path(name), "auto") for name in ("m.plan", "m.mlpackage", "m.onnx", "m.XML")}
    assert found == {"m.plan": "cuda", "m.mlpackage": "all", "m.onnx": "cpu", "m.XML": "cpu"}
    assert resolve_device(Path("m.onnx"), "cuda") == "cuda"


def test_missing_device_is_an_error_and_never_the_cpu(tiny_classifier: Path) -> None:
    with pytest.raises(UsageError, match=r"found gpu, expected one of cpu, cuda\. Did you mean cuda\?"):
        open_engine(tiny_classifier, device="gpu")
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this machine's ONNX Runtime has CUDA")
    with pytest.raises(UnavailableError, match="cuda: not available"):
        open_engine(tiny_classifier, device="cuda")


def test_provider_that_fails_to_start_is_an_error_too(tiny_classifier: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = onnxruntime.InferenceSession
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(
        onnxruntime, "InferenceSession", lambda model, options, providers: started(model, options, providers[-1:])
    )
    with pytest.raises(UnavailableError, match="cuda: not available"):
        open_engine(tiny_classifier, device="cuda")


def test_thread_count_below_one_is_refused(tiny_classifier: Path) -> None:
    with pytest.raises(UsageError, match="threads: found 0"):
        open_engine(tiny_classifier, threads=0)


def test_the_table_imports_no_engine_until_asked() -> None:
    code = "import sys, tinydf_runtime.engines.engine; sys.exit('onnxruntime' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Names that are mistyped


TARGETS = ("onnx", "openvino", "coreml", "tensorrt", "web")


@pytest.mark.parametrize(
    ("found", "names", "meant"),
    [
        ("tensort", TARGETS, "tensorrt"),
        ("OpenVino", TARGETS, "openvino"),
        ("trt", TARGETS, "tensorrt"),
        ("cuda:0", ("cpu", "cuda"), "cuda"),
        # The nearest spelling would be cpu.
        ("gpu", ("cpu", "cuda"), "cuda"),
        ("ane", ("all", "cpu", "gpu", "npu"), "npu"),
    ],
)
def test_the_nearest_name_is_offered(found: str, names: tuple[str, ...], meant: str) -> None:
    with pytest.raises(UsageError, match=rf"found {found}, expected one of .*\. Did you mean {meant}\?$"):
        check_choice("device", found, names)


def test_what_resembles_nothing_gets_the_list_alone() -> None:
    with pytest.raises(UsageError, match=r"expected one of onnx, openvino, coreml, tensorrt, web\.$"):
        check_choice("target", "zzz", TARGETS)
    with pytest.raises(UsageError, match=r"device: found tpu, expected cuda: it is a plan\.$"):
        check_choice("device", "tpu", ("cuda",), ": it is a plan")


def test_names_that_are_there_pass() -> None:
    check_choice("target", "web", TARGETS)
