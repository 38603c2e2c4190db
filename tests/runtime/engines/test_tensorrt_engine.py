"""The TensorRT engine on a double of the library: what it asks of it, and what it makes of its answers."""

from __future__ import annotations

import gc
import hashlib
import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from tinydf_runtime import Analyzer
from tinydf_runtime.engines.engine import Engine
from tinydf_runtime.engines.loading import open_engine
from tinydf_runtime.errors import MissingExtraError, ModelFileError, UnavailableError, UsageError
from tinydf_runtime.faces.crop import CropConfig
from tinydf_runtime.models.plan import PlanFacts, read_facts, write_plan
from tinydf_runtime.models.spec import ModelSpec
from tinydf_runtime.trust.reading import facts_path
from tinydf_runtime.trust.record import trust_engine
from tinydf_runtime.types import Image

SIDE = 32
SPEC = ModelSpec(name="tiny-green", crop=CropConfig(side_px=SIDE))
PlanMaker = Callable[..., Path]
ImageDrawer = Callable[..., Image]


@pytest.fixture
def make_plan(tensorrt_machine: Any, make_classifier: Callable[..., Path], tmp_path: Path) -> PlanMaker:
    """Builds a plan of the tiny classifier, which is trusted: ``make_plan(**options of PlanOptions)``."""
    from tinydf_export.targets.tensorrt.builder import build_plan
    from tinydf_export.targets.tensorrt.options import PlanOptions

    def make(version: str = "", host_code: bool = False, dla_core: int | None = None, **options: Any) -> Path:
        asked = PlanOptions(dla_core=dla_core, version_compatible=host_code, **options)
        plan, _ = build_plan(make_classifier(SPEC).read_bytes(), "fp32", asked)
        if version:
            plan = json.dumps(json.loads(plan) | {"version": version}).encode()
        path = tmp_path / "model.plan"
        facts = PlanFacts(
            SPEC, "[]", hashlib.sha256(plan).hexdigest(), "0" * 64, version or tensorrt_machine.version, "Orin (sm_87)",
            version_compatible=host_code, dla_core=dla_core,
        )  # fmt: skip
        write_plan(path, plan, facts)
        trust_engine(plan, path.name, "built", host_code=host_code)
        return path

    return make


def crops(count: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, SIDE, SIDE, 3)).astype(np.uint8)


def green(batch: np.ndarray) -> np.ndarray:
    mean: np.ndarray = batch[..., 1].mean(axis=(1, 2)) / 255
    return mean


@pytest.mark.parametrize(("count", "batches"), [(1, [1]), (4, [4]), (5, [4, 1]), (9, [4, 4, 1]), (0, [])])
def test_batches_above_the_profile_are_split_and_order_is_kept(
    make_plan: PlanMaker, tensorrt_machine: Any, count: int, batches: list[int]
) -> None:
    engine = open_engine(make_plan(max_batch=4), "cuda")
    batch = crops(count)
    scores = engine.score(batch)
    assert tensorrt_machine.executed == batches
    assert scores.fake_probability.dtype == scores.forgery_map.dtype == np.float32
    assert scores.forgery_map.shape == (count, 2, 2)
    np.testing.assert_allclose(scores.fake_probability, green(batch), atol=1e-6)


def test_fixed_batch_of_an_accelerator_is_filled_up(make_plan: PlanMaker, tensorrt_machine: Any) -> None:
    engine = open_engine(make_plan(max_batch=4, dla_core=1), "cuda")
    batch = crops(6)
    np.testing.assert_allclose(engine.score(batch).fake_probability, green(batch), atol=1e-6)
    assert tensorrt_machine.executed == [4, 4]


def test_engine_says_what_it_is(make_plan: PlanMaker) -> None:
    engine = open_engine(make_plan(), "cuda")
    assert (engine.name, engine.device, engine.spec, engine.golden_text) == ("tensorrt", "cuda", SPEC, "[]")
    with pytest.raises(UsageError, match="crops: found"):
        engine.score(np.zeros((1, SIDE, SIDE), np.uint8))


def test_engine_scores_from_several_threads(make_plan: PlanMaker) -> None:
    engine = open_engine(make_plan(max_batch=2), "cuda")
    batches = [crops(count) for count in range(1, 8)] * 3
    with ThreadPoolExecutor(4) as pool:
        for batch, scores in zip(batches, pool.map(engine.score, batches), strict=True):
            np.testing.assert_allclose(scores.fake_probability, green(batch), atol=1e-6)


def test_memory_and_stream_are_given_back_with_the_engine(make_plan: PlanMaker, tensorrt_machine: Any) -> None:
    engine: Engine | None = open_engine(make_plan(), "cuda")
    assert len(tensorrt_machine.memory) == 3 and len(tensorrt_machine.streams) == 1
    del engine
    gc.collect()
    assert not tensorrt_machine.memory and not tensorrt_machine.streams


def test_plan_of_another_version_is_refused_with_both_versions(make_plan: PlanMaker, tensorrt_machine: Any) -> None:
    with pytest.raises(ModelFileError, match=r"built by TensorRT 9\.9\.9 .*tinydf-build-plan") as caught:
        open_engine(make_plan(version="9.9.9"), "cuda")
    assert tensorrt_machine.version in str(caught.value)
    assert int(caught.value.exit_code) == 6 and not tensorrt_machine.deserialised


def test_only_a_version_compatible_plan_may_run_its_own_code(make_plan: PlanMaker, tensorrt_machine: Any) -> None:
    open_engine(make_plan(), "cuda")
    assert not tensorrt_machine.host_code
    open_engine(make_plan(version="9.9.9", host_code=True), "cuda")
    assert tensorrt_machine.host_code


def test_plan_and_facts_must_belong_together(make_plan: PlanMaker) -> None:
    path = make_plan()
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(ModelFileError, match=r"its seal is broken: model\.plan\.json or model\.plan is damaged"):
        open_engine(path, "cuda")
    facts_path(path).write_text("{}")
    with pytest.raises(ModelFileError, match="expected schema"):
        open_engine(path, "cuda")
    facts_path(path).unlink()
    with pytest.raises(ModelFileError, match="copy both"):
        open_engine(path, "cuda")


def test_facts_survive_a_round_trip(make_plan: PlanMaker) -> None:
    path = make_plan(dla_core=0, host_code=True)
    facts = read_facts(path)
    assert (facts.spec, facts.dla_core, facts.version_compatible) == (SPEC, 0, True)
    assert json.loads(facts_path(path).read_text())["tinydf"]["name"] == "tiny-green"


def test_processor_is_no_device_for_a_plan(make_plan: PlanMaker) -> None:
    with pytest.raises(UsageError, match="expected cuda"):
        open_engine(make_plan(), "cpu")


def test_plan_runs_where_nobody_names_a_device(
    make_plan: PlanMaker, tiny_detector: Path, draw_squares: ImageDrawer, tmp_path: Path
) -> None:
    from tinydf_runtime.cli.run import main

    plan, photo, out = make_plan(), tmp_path / "face.png", tmp_path / "report.json"
    cv2.imwrite(str(photo), draw_squares((100, 60, 200, 160)))
    arguments = [photo, "--engine", plan, "--detector", tiny_detector, "--json", out]
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    assert json.loads(out.read_text())["model"]["device"] == "cuda"
    assert open_engine(plan).device == "cuda"
    with Analyzer(plan, detector=tiny_detector) as analyzer:
        assert analyzer.device == "cuda"


@pytest.mark.parametrize("allow_fallback", [False, True])
def test_plan_without_a_gpu_is_an_error_and_never_the_cpu(
    make_plan: PlanMaker, tensorrt_machine: Any, allow_fallback: bool
) -> None:
    path = make_plan()
    tensorrt_machine.devices = 0
    with pytest.raises(UnavailableError, match="no device found"):
        open_engine(path, allow_fallback=allow_fallback)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"driver_status": 35}, "cudaErrorInsufficientDriver"),
        ({"driver_library": False}, "libcuda"),
        ({"devices": 0}, "no device found"),
    ],
)
def test_missing_gpu_or_driver_is_told(
    make_plan: PlanMaker, tensorrt_machine: Any, broken: dict[str, Any], message: str
) -> None:
    path = make_plan()
    for name, value in broken.items():
        setattr(tensorrt_machine, name, value)
    with pytest.raises(UnavailableError, match=message) as caught:
        open_engine(path, "cuda")
    assert int(caught.value.exit_code) == 4


def test_missing_library_says_what_installs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(MissingExtraError, match=r"\.\[tensorrt\]"):
        open_engine(tmp_path / "model.plan", "cuda")
