"""engines/openvino_engine.py on the hand-written classifier, whose scores a test can foretell."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

openvino = pytest.importorskip("openvino")

from tinydf_runtime.engines import openvino_engine  # noqa: E402
from tinydf_runtime.engines.loading import open_engine  # noqa: E402
from tinydf_runtime.engines.quiet_openvino import core  # noqa: E402
from tinydf_runtime.errors import ModelFileError, UnavailableError, UsageError  # noqa: E402
from tinydf_runtime.faces.crop import CropConfig  # noqa: E402
from tinydf_runtime.models.spec import METADATA_KEY, ModelSpec  # noqa: E402

SPEC = ModelSpec(name="tiny-green")


def write_pair(onnx_path: Path, path: Path, spec: str | None = None, weights_sha256: str | None = None) -> Path:
    """Writes a classifier as OpenVINO IR with the metadata that the engine asks for."""
    model = core().read_model(onnx_path)
    weights = path.with_suffix(".bin")
    openvino.serialize(model, path, weights)
    model.set_rt_info(SPEC.to_json() if spec is None else spec, [METADATA_KEY])
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    model.set_rt_info(digest if weights_sha256 is None else weights_sha256, [openvino_engine.WEIGHTS_KEY])
    openvino.serialize(model, path, weights)
    return path


@pytest.fixture(scope="module")
def pair(tiny_classifier: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pair(tiny_classifier, tmp_path_factory.mktemp("ir") / "tiny.xml")


def draw_crops(count: int) -> np.ndarray:
    random = np.random.default_rng(7)
    levels = random.integers(0, 200, (count, 1, 1, 3))
    return (levels + random.integers(0, 56, (count, 224, 224, 3))).astype(np.uint8)


def test_the_file_name_chooses_the_engine_and_it_says_what_it_is(pair: Path) -> None:
    engine = open_engine(pair, threads=1)
    assert (engine.name, engine.device, engine.spec) == ("openvino", "cpu", SPEC)


@pytest.mark.parametrize("count", [0, 1, 3, 4, 6, 9])
def test_batch_equals_single_order_is_kept_and_onnx_runtime_agrees(
    pair: Path, tiny_classifier: Path, count: int
) -> None:
    engine = open_engine(pair, threads=1)
    crops = draw_crops(count)
    together = engine.score(crops)
    expected = open_engine(tiny_classifier, threads=1).score(crops)
    assert together.forgery_map.shape == (count, 14, 14) and together.forgery_map.dtype == np.float32
    np.testing.assert_allclose(together.fake_probability, expected.fake_probability, atol=1e-5)
    np.testing.assert_allclose(together.forgery_map, expected.forgery_map, atol=1e-5)
    for row in range(count):
        alone = engine.score(crops[row : row + 1])
        np.testing.assert_allclose(alone.fake_probability[0], together.fake_probability[row], atol=1e-6)


def test_threads_score_at_once_and_results_outlive_the_next_call(pair: Path) -> None:
    engine = open_engine(pair)
    crops = draw_crops(6)
    expected = [engine.score(crops[row : row + 1]).fake_probability for row in range(6)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda row: engine.score(crops[row : row + 1]).fake_probability, [*range(6)] * 4))
    np.testing.assert_array_equal(found, expected * 4)


SIGNAL_AFTER_RELEASE = """
import gc, os, signal, sys, threading
from pathlib import Path
import numpy as np
from tinydf_runtime.engines.loading import open_engine
held = [open_engine(Path(sys.argv[1]), threads=1)]
held[0].score(np.zeros((1, 224, 224, 3), np.uint8))
release = threading.Thread(target=lambda: (held.clear(), gc.collect()))
release.start()
release.join()
signal.signal(signal.SIGUSR1, lambda *_: print("handled"))
os.kill(os.getpid(), signal.SIGUSR1)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signal stacks")
def test_a_signal_is_handled_after_another_thread_released_the_engine(pair: Path) -> None:
    command = [sys.executable, "-c", SIGNAL_AFTER_RELEASE, str(pair)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()) == (0, ["handled"]), done.stderr


def test_weights_that_are_cut_exchanged_or_gone_are_refused(pair: Path, tmp_path: Path) -> None:
    path, weights = tmp_path / "copy.xml", tmp_path / "copy.bin"
    path.write_bytes(pair.read_bytes())
    with pytest.raises(ModelFileError, match=r"copy\.bin"):
        open_engine(path)
    whole = pair.with_suffix(".bin").read_bytes()
    for damaged in (whole[:-1], whole[:-1] + bytes([whole[-1] ^ 1]), whole + b"\0", b""):
        weights.write_bytes(damaged)
        with pytest.raises(ModelFileError, match=r"copy\.bin") as caught:
            open_engine(path)
        assert "\n" not in str(caught.value)
    weights.write_bytes(whole)
    assert open_engine(path).spec == SPEC


def test_graphs_that_are_no_classifier_are_refused(
    tiny_classifier: Path, tiny_detector: Path, make_classifier: Callable[..., Path], pair: Path, tmp_path: Path
) -> None:
    cut = tmp_path / "cut.xml"
    cut.with_suffix(".bin").write_bytes(pair.with_suffix(".bin").read_bytes())
    for content in (pair.read_bytes()[:5000], b"", b"no model", tiny_classifier.read_bytes()):
        cut.write_bytes(content)
        with pytest.raises(ModelFileError, match=r"cut\.xml"):
            open_engine(cut)
    with pytest.raises(ModelFileError, match=r"missing\.xml"):
        open_engine(tmp_path / "missing.xml")
    with pytest.raises(ModelFileError, match="expected image: uint8"):
        open_engine(write_pair(tiny_detector, tmp_path / "detector.xml"))
    smaller = ModelSpec(name="other", crop=CropConfig(side_px=96))
    with pytest.raises(ModelFileError, match="expected image: uint8 N x 3 x 96 x 96"):
        open_engine(write_pair(tiny_classifier, tmp_path / "other.xml", smaller.to_json()))
    with pytest.raises(ModelFileError, match="cannot be read"):
        open_engine(write_pair(tiny_classifier, tmp_path / "spec.xml", "{}"))
    with pytest.raises(ModelFileError, match="not the weights"):
        open_engine(write_pair(tiny_classifier, tmp_path / "hash.xml", weights_sha256="0"))


def test_a_device_that_is_not_there_is_an_error_unless_a_fallback_is_allowed(
    pair: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(UsageError, match="expected one of cpu, gpu"):
        open_engine(pair, device="cuda")
    if any(name.startswith("GPU") for name in core().available_devices):
        pytest.skip("OpenVINO has a GPU here")
    with pytest.raises(UnavailableError, match="gpu: not available"):
        open_engine(pair, device="gpu")
    engine = open_engine(pair, device="gpu", allow_fallback=True)
    assert engine.device == "cpu"
    assert "Using the CPU" in caplog.text


def test_floats_are_exact_and_bfloat16_is_refused_with_its_reason(pair: Path) -> None:
    crops = draw_crops(4)
    exact = crops[..., 1].mean(axis=(1, 2)) / 255
    np.testing.assert_allclose(open_engine(pair).score(crops).fake_probability, exact, atol=1e-5)
    with pytest.raises(UsageError, match=r"cpu:bf16, which is no longer offered: .* off by up to \.45"):
        open_engine(pair, device="cpu:bf16")
